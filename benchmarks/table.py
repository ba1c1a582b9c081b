"""Writes the table of measurements in README.md from benchmarks/results. `--check` only says whether it is true.

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


def result(name: str) -> dict[str, Any]:
    """One result file."""
    return json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))


def rows() -> list[tuple[str, str, str]]:
    """(what, figure, command) of every measurement."""
    flow, gan, gpt = result("flow_fashion"), result("gan_mlp"), result("gpt_shakespeare")
    r3gan, start, resumed, judged = (result(n) for n in ("r3gan_fashion", "startup", "resume", "evaluate"))
    speed = result("engine_speed")
    ours, theirs = flow["peers"]["genloom"], flow["peers"]["diffusers"]
    ways, kinds = gan["ways"], r3gan["class_shares"].values()
    seconds = start["median_seconds"]
    return [
        (
            f"`flow`, Fashion-MNIST, {flow['seconds']:.0f} s: {flow['metric']} at n = {flow['n']:,} (floor "
            f"{flow['floor']:.2f})",
            f"**{ours['fd']:.2f}**; diffusers' tutorial U-Net in the same time {theirs['fd']:.1f}: "
            f"{flow['fd_ratio']:.0f} times as far",
            "flow_fashion.py",
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
            f"`gpt`, tiny Shakespeare, {gpt['cost']['wall_seconds']:.0f} s: held-out nats a character",
            f"**{gpt['nats_per_character']['scored_all']:.2f}** ({gpt['updates']:,} updates)",
            "gpt_shakespeare.py",
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
            "10,000 samples evaluated (28x28; features of real data cached)",
            f"**{judged['cached_seconds']:.1f} s**; the first time {judged['first_seconds']:.0f} s",
            "evaluate.py",
        ),
        (
            "`genloom --help`, `import genloom`",
            f"**{seconds['genloom --help']:.2f} s, {seconds['import genloom']:.2f} s**",
            "startup.py",
        ),
    ]


def section() -> str:
    """The whole section of the README."""
    machine = result("startup")["machine"]
    lines = [
        TITLE,
        f"On {machine['cores']} cores of an {machine['processor'].replace('(R)', '')} with AMX, no GPU, torch "
        f"{machine['torch'].split('+')[0]}; peers in turn, in the same run. Each figure stands in",
        "[benchmarks/results](benchmarks/results) with its date, and comes from the command beside it. `r3gan`,",
        "`gan-mlp` and a minute of `flow` shared the machine with other work; each was run once.",
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


def main() -> int:
    text = README.read_text(encoding="utf-8")
    start, stop = text.index(TITLE), text.index(END)
    new = text[:start] + section() + text[stop:]
    if "--check" in sys.argv:
        if new != text:
            print(
                "README.md's table is not what benchmarks/results say: run python benchmarks/table.py", file=sys.stderr
            )
        return int(new != text)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
