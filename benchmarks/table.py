"""Writes the tables of measurements in README.md and docs/choosing.md from benchmarks/results. `--check` only says
whether they are true.

    python benchmarks/table.py [--check]

Not a benchmark: it measures nothing. Every row comes from one result file and names the command that made it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from _rows import Row, adversarial, autoencoding, diffusion, engine, evaluation, figure, result, sequences

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
TITLE, END = "## Measured\n", "\n## Documentation"
CHOOSING = HERE.parent / "docs" / "choosing.md"
FAMILIES = {
    "Diffusion and flows": diffusion,
    "Autoencoders": autoencoding,
    "Adversarial networks": adversarial,
    "Sequences": sequences,
    "Comparing, measuring, watching": evaluation,
    "The engine": engine,
}


def section() -> str:
    """The whole section of the README."""
    machine = result("startup")["machine"]
    lines = [
        TITLE,
        f"On {machine['cores']} cores of an {machine['processor'].replace('(R)', '')} with AMX, no GPU, torch "
        f"{machine['torch'].split('+')[0]}; peers in turn, in the same run. Each figure stands in",
        "[benchmarks/results](benchmarks/results) with its date, and comes from the command beside it. Everything",
        "dated 2026-11-28 shared the machine with other work, and so did `r3gan`, `gan-mlp`, two",
        "of the 24 compared runs (a VAE of seed 0, a `gan-mlp` of seed 2), the test for copies, the report, repair",
        "(counted in steps) and the Frechet distance (processor time); each was run once. Distances of `flow`",
        "in [choosing](docs/choosing.md) were measured when it sampled with guidance 1.75; its default now is none,",
        "which is nearer (0.38 instead of 1.19 after five minutes of two cores, [log](docs/log.md)).",
        "",
        *(line for name, rows in FAMILIES.items() for line in table(name, rows())),
        "Samples of `flow` after 20 minutes of one core, and of diffusers' tutorial after the same time:",
        "",
        '<img src="benchmarks/results/diffusion_genloom.png" width="400" alt="clothes drawn by genloom\'s flow">',
        '<img src="benchmarks/results/diffusion_diffusers.png" width="400" alt="noise with a few shapes">',
        "",
    ]
    return "\n".join(lines)


def table(title: str, rows: list[Row]) -> list[str]:
    """One family's measurements."""
    head = [f"**{title}**", "", "| what | figure | `python benchmarks/` |", "|---|---|---|"]
    return [*head, *(f"| {what} | {said} | `{command}` |" for what, said, command in rows), ""]


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
