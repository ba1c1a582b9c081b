"""Writes the tables of measurements in README.md and docs/choosing.md from benchmarks/results. `--check` only says
whether they are true.

    python benchmarks/table.py [--check]

Not a benchmark: it measures nothing. Every row comes from one result file and names the command that made it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
TITLE, END = "## Measured\n", "\n## Documentation"
CHOOSING = HERE.parent / "docs" / "choosing.md"


def result(name: str) -> dict[str, Any]:
    """One result file."""
    return json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))


def rows() -> list[tuple[str, str, str]]:
    """(what, figure, command) of every measurement."""
    flow, gan, gpt = result("flow_fashion"), result("gan_mlp"), result("gpt_shakespeare")
    r3gan, start, resumed, judged = (result(n) for n in ("r3gan_fashion", "startup", "resume", "evaluate"))
    speed, compared, page, scale, copies = (
        result(n) for n in ("engine_speed", "compare_mnist", "report_page", "scale", "copies")
    )
    ills, mended, frechet, published = (result(n) for n in ("planted_faults", "repair", "frechet", "extractors"))
    translated = result("seq2seq_multi30k")
    minute = {m["recipe"]: m for m in result("language_models")["models"]}
    arrays, folder, planted = list(scale["arrays"].values()), scale["folder"], copies["planted copies found"]
    styled = result("stylegan")
    psi = styled["truncation"]
    at = [f"{psi[p]['precision']:.2f}, {psi[p]['recall']:.2f}" for p in ("0.5", "1.0")]
    ours, theirs = flow["peers"]["genloom"], flow["peers"]["diffusers"]
    ways, kinds = gan["ways"], r3gan["class_shares"].values()
    variational = result("vae_fashion")
    own, pythae = (variational["peers"][name]["fd"] for name in ("genloom", "pythae"))
    cleaned = result("denoise")
    noisy = cleaned["noise of 255"]["25"]
    seconds, unusual = start["median_seconds"], result("anomaly")
    drawn = result("pix2pix")["pairs"]["openmoji"]
    coloured = drawn["ways"]
    lost = result("collapse")
    fds = [e["fd"] for e in lost["generations"] if not e["fresh"]]
    return [
        (
            f"`flow`, Fashion-MNIST, {flow['seconds']:.0f} s: {flow['metric']} at n = {flow['n']:,} (floor "
            f"{flow['floor']:.2f})",
            f"**{ours['fd']:.2f}**; diffusers' tutorial U-Net in the same time {theirs['fd']:.1f}: "
            f"{flow['fd_ratio']:.0f} times as far",
            "flow_fashion.py",
        ),
        (
            f"`vae`, Fashion-MNIST, {variational['seconds']:.0f} s, one core: FD at n = {variational['n']:,} (floor "
            f"{variational['floor']:.2f}); codes from N(0, I) instead; Pythae's benchmark VAE by both",
            f"**{figure(own['mixture'])}**; {figure(own['standard'])}; {figure(pythae['mixture'])} and "
            f"{figure(pythae['standard'])}",
            "vae_fashion.py",
        ),
        (
            "training images/s, same network and optimizer: our engine, all its work counted, to a plain fp32 loop",
            f"**{speed['ratio']:.2f}x**; the recipe as it comes, with Muon, {flow['engine_over_plain_loop']:.2f}x",
            "engine_speed.py",
        ),
        (
            "`r3gan`, Fashion-MNIST, 10 minutes, by class: precision, recall (k = 5, n = 5,000), smallest class",
            f"**{r3gan['precision']:.2f}, {r3gan['recall']:.2f}**, {min(kinds):.1%} of samples",
            "r3gan_fashion.py",
        ),
        (
            f"`stylegan`, emoji 32x32, {styled['run']['budget']} on one shared core: path length in w, in z; "
            "precision, recall at psi 0.5 and at 1",
            f"**{styled['path_length']['w']['mean']:.1f}**, {styled['path_length']['z']['mean']:.1f}; {at[0]}; {at[1]}",
            "stylegan.py",
        ),
        (
            f"`gpt`, tiny Shakespeare, {gpt['cost']['wall_seconds']:.0f} s: held-out nats a character",
            f"**{gpt['nats_per_character']['scored_all']:.2f}** ({gpt['updates']:,} updates)",
            "gpt_shakespeare.py",
        ),
        (
            f"the same text, a shared core: `ngram` in {minute['ngram']['cpu_seconds']:.1f} CPU seconds; `lstm` in "
            f"{minute['lstm']['cpu_seconds']:.0f}",
            f"**{minute['ngram']['nats_per_token']:.2f}**; {minute['lstm']['nats_per_token']:.2f}",
            "language_models.py",
        ),
        (
            f"`seq2seq`, Multi30k German to English, {translated['cost']['cpu_seconds']:.0f} CPU seconds: BLEU of "
            "1,000 held-out sentences",
            f"**{translated['results']['bleu']['value']:.1f}** ({translated['updates']} updates)",
            "seq2seq_multi30k.py",
        ),
        (
            f"`pix2pix`, openmoji's lines to colours, {drawn['steps']} steps: LPIPS of {drawn['held-out pairs']} "
            "held-out drawings to their true colours",
            f"**{coloured['pix2pix']['lpips']:.3f}**; L1 alone {coloured['L1 alone']['lpips']:.3f}, the nearest "
            f"training pair {coloured['the nearest training pair']['lpips']:.3f}",
            "pix2pix.py",
        ),
        (
            "an adversarial step: what the engine adds to its networks' processor time (the goal is 10%)",
            " and ".join(f"`{k}` **{v['overhead']:.1%}**" for k, v in result("gan_step")["models"].items()),
            "gan_step.py",
        ),
        (
            "`gan-mlp`, 10 epochs of 60,000 images: wall time",
            f"**{ways['genloom']['wall_seconds']:.0f} s**; over tensors {ways['tensors']['wall_seconds']:.0f} s, "
            f"the course's loop with a DataLoader {ways['course']['wall_seconds']:.0f} s",
            "gan_mlp.py",
        ),
        (
            f"runs killed (SIGKILL) {resumed['kills']} times and resumed: tensors that differ from runs never stopped",
            f"**{resumed['differing_tensors']}**",
            "resume.py",
        ),
        (
            "`compare vae r3gan flow gan-mlp --data mnist --budget 60s --seeds 3`, and again with three other seeds",
            f"by FD {', '.join(compared['orders']['0'])}; {'the same' if compared['same_order'] else 'another'} order "
            f"with the others; report {compared['report_mb']:.1f} MB",
            "compare_mnist.py",
        ),
        (
            "a report of four runs: size, first paint (median)",
            f"**{page['bytes'] / 1e6:.2f} MB, {page['first_contentful_paint_seconds_median']:.1f} s**",
            "report_page.py",
        ),
        (
            "ten million items beside a thousand: training images/s, private memory while training",
            f"**{scale['trained_speed_last_to_first']:.2f}x**, {arrays[-1]['private_mib_training']:.0f} MiB beside "
            f"{arrays[0]['private_mib_training']:.0f} MiB",
            "scale.py",
        ),
        (
            f"a folder of {folder['first']['files']:,} pictures: files/s the first time, and again",
            f"**{folder['first']['files_per_second']:,}**, {folder['again']['files_per_second']:,}",
            "scale.py",
        ),
        (
            f"copies among {copies['n']:,} samples (1% verbatim; 3% moved, brightened, recompressed): found; and "
            "honest models accused",
            f"**{planted['1% verbatim']:.0%}, {planted['3% near']:.0%}**; "
            f"{copies['false alarms among honest models']:.1%}",
            "copies.py",
        ),
        (
            f"{len(ills['faults'])} planted faults, {ills['faulty_runs']} runs: named rightly; healthy runs accused",
            f"**{ills['named']}** ({ills['named'] / ills['faulty_runs']:.0%}; goal 95%); "
            f"{ills['false_alarms']} of {ills['healthy_runs']} (goal: at most 1)",
            "planted_faults.py",
        ),
        (
            "GANs that leave classes out, `--on-illness repair`: smallest class of 10 as they come, and repaired",
            f"{max(worst(mended, 'as it comes')):.1%} at most; **{min(worst(mended, 'repaired')):.1%}** at least",
            "repair.py",
        ),
        (
            f"`genloom experiment collapse vae --data digits`: {lost['items a generation']:,} items, five generations, "
            "three shares of fresh data: time; FD of the first generation, and of the last without fresh data",
            f"**{lost['seconds for everything'] / 60:.0f} minutes**; {fds[0]:.1f}, {fds[-1]:.1f}",
            "collapse.py",
        ),
        (
            "Frechet distance at d = 2,048: its matrix root beside scipy's sqrtm; whole, n = 1,024",
            f"**{frechet['distance']['n = 10,000']['root, times faster']:.0f}x, "
            f"{frechet['distance']['n = 1,024']['times faster']:.0f}x** as fast, equal to "
            f"{max(v['relative difference'] for k, v in frechet['distance'].items() if k.startswith('n')):.0e}",
            "frechet.py",
        ),
        (
            "precision, recall, density, coverage of 50,000 beside 50,000 items: time, memory",
            f"{frechet['neighbours']['seconds']:.0f} s, {frechet['neighbours']['of which for the figures, MB']} MB "
            f"(all distances: {frechet['neighbours']['all pairwise distances would take, MB']:,} MB)",
            "frechet.py",
        ),
        (
            "FID's network in our words beside the published file: largest difference of a feature; 1,000 pictures",
            f"**{max(published['largest difference of features'].values()):.0e}**; "
            f"{next(v for k, v in published['seconds'].items() if k.startswith('inception')):.0f} s on one core",
            "extractors.py",
        ),
        (
            "10,000 samples evaluated (28x28; features of real data cached)",
            f"**{judged['cached_seconds']:.1f} s**; the first time {judged['first_seconds']:.0f} s",
            "evaluate.py",
        ),
        (
            "frauds planted in 20,000 payments, unseen in training, `genloom anomaly`: area under the ROC curve; "
            "isolation forest, PCA",
            f"**{unusual['payments']['autoencoder']['auroc']:.2f}**; "
            f"{unusual['payments']['isolation forest']['auroc']:.2f}, {unusual['payments']['PCA error']['auroc']:.2f}",
            "anomaly.py",
        ),
        (
            "a class of Fashion-MNIST unseen in training, mean of ten: the same",
            f"{unusual['mean auroc']['autoencoder']:.2f}; {unusual['mean auroc']['isolation forest']:.2f}, "
            f"{unusual['mean auroc']['PCA error']:.2f}",
            "anomaly.py",
        ),
        (
            f"`denoising-autoencoder`, Fashion-MNIST, {cleaned['steps']} steps: PSNR with noise of 25 levels of 255; "
            "median, Gaussian filter",
            f"**{noisy['PSNR of the model']['value']:.1f} dB**; {noisy['PSNR of median filter']['value']:.1f}, "
            f"{noisy['PSNR of Gaussian filter']['value']:.1f}",
            "denoise.py",
        ),
        (
            "`genloom --help`, `import genloom`",
            f"**{seconds['genloom --help']:.2f} s, {seconds['import genloom']:.2f} s**",
            "startup.py",
        ),
    ]


def worst(mended: dict[str, Any], kind: str) -> list[float]:
    """The smallest class of every GAN, as it comes or repaired."""
    return [v for values in mended[f"smallest class {kind}"].values() for v in values]


def section() -> str:
    """The whole section of the README."""
    machine = result("startup")["machine"]
    lines = [
        TITLE,
        f"On {machine['cores']} cores of an {machine['processor'].replace('(R)', '')} with AMX, no GPU, torch "
        f"{machine['torch'].split('+')[0]}; peers in turn, in the same run. Each figure stands in",
        "[benchmarks/results](benchmarks/results) with its date, and comes from the command beside it. Everything",
        "dated 2026-11-28 shared the machine with other work, and so did `r3gan`, `gan-mlp`, a minute of `flow`, two",
        "of the 24 compared runs (a VAE of seed 0, a `gan-mlp` of seed 2), the test for copies, the report, repair",
        "(counted in steps) and the Frechet distance (processor time); each was run once. Distances of `flow`",
        "here and in [choosing](docs/choosing.md) were measured when it sampled with guidance 1.75; without, its",
        "default now, five minutes give 0.38 instead of 1.19, in a run of its own ([log](docs/log.md)).",
        "",
        "| what | figure | `python benchmarks/` |",
        "|---|---|---|",
        *(f"| {what} | {figure} | `{command}` |" for what, figure, command in rows()),
        "",
        "Samples of `flow` after five minutes on Fashion-MNIST, and of diffusers' tutorial after the same time:",
        "",
        '<img src="benchmarks/results/flow_fashion_genloom.png" width="400" alt="clothes drawn by genloom\'s flow">',
        '<img src="benchmarks/results/flow_fashion_diffusers.png" width="400" alt="noise with a few shapes">',
        "",
    ]
    return "\n".join(lines)


def figure(value: float) -> str:
    """A distance as a table shows it: three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def board() -> list[str]:
    """The leaderboard on 3,000 digits after a minute, over six seeds."""
    found = result("compare_mnist")
    first, second = found["boards"].values()
    lines = [
        "| recipe | FD, seeds 0 to 2 | FD, seeds 10 to 12 | precision | recall | smallest class |",
        "|---|---|---|---|---|---|",
    ]
    for row in first:
        again = next(r for r in second if r["recipe"] == row["recipe"])
        low, high = row["interval"]
        span = f"**{figure(row['fd'])}** ({figure(low)} to {figure(high)})"
        lines.append(
            f"| `{row['recipe']}` | {span} | {figure(again['fd'])} | {row['precision']:.2f} | {row['recall']:.2f} | "
            f"{row['smallest_share']:.1%} |"
        )
    return [*lines, f"| real items | {figure(found['floor'])} | | | | |"]


def cells() -> list[str]:
    """FD of each recipe by data set and budget, beside the floor."""
    found = result("choosing")["cells"]
    recipes = [r for r in next(iter(next(iter(found.values())).values())) if r != "floor"]
    recipes = [r for r in ("vae", "r3gan", "flow") if r in recipes]
    head = "| data | time each | " + " | ".join(f"`{r}`" for r in recipes) + " | real items |"
    lines = [head, "|---|---|" + "---|" * (len(recipes) + 1)]
    for name, budgets in found.items():
        for budget, cell in budgets.items():
            best = min(recipes, key=lambda r: cell[r]["fd"])
            told = []
            for r in recipes:
                fd = figure(cell[r]["fd"])
                copies = {"fail": ", recites", "inconclusive": "", "pass": ""}[cell[r]["copies"]]
                told.append(f"**{fd}**{copies}" if r == best else f"{fd}{copies}")
            lines.append(f"| {name} | {budget} | {' | '.join(told)} | {figure(cell['floor'])} |")
    return lines


def filled(text: str, name: str, lines: list[str]) -> str:
    """The page with the table between the marks of that name made anew."""
    begin, end = f"<!-- {name}: written by benchmarks/table.py -->\n", "\n<!-- end -->"
    start = text.index(begin) + len(begin)
    return text[:start] + "\n".join(lines) + text[text.index(end, start) :]


def pages() -> dict[Path, str]:
    """Every page with its tables made anew."""
    readme, choosing = (p.read_text(encoding="utf-8") for p in (README, CHOOSING))
    readme = readme[: readme.index(TITLE)] + section() + readme[readme.index(END) :]
    return {README: readme, CHOOSING: filled(filled(choosing, "board", board()), "cells", cells())}


def main() -> int:
    wrong = {path: new for path, new in pages().items() if new != path.read_text(encoding="utf-8")}
    for path, new in wrong.items():
        if "--check" in sys.argv:
            print(f"{path.name} is not what benchmarks/results say: run python benchmarks/table.py", file=sys.stderr)
        else:
            path.write_text(new, encoding="utf-8")
    return int(bool(wrong) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
