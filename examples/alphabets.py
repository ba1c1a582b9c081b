"""The recipe that writes poems, on two other alphabets: chains like proteins, and months of a made-up climate.

    python examples/alphabets.py lstm 1000steps

Writes proteins.txt and climate.txt (made by the two functions below, always the same), trains the recipe on each, lets
it write 200 texts, and says whether what it wrote has what makes the real ones what they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import genloom

GREASY, POLAR, LOOP = "AILMFVW", "DEKNQRSTHY", "GPNSDCT"
MONTHS = 12


def proteins(n: int = 3000, seed: int = 0) -> str:
    """n chains, one a line, that begin with M: helices, whose greasy side comes back every 3.6 residues, strands, where
    every second residue is greasy, and loops between them. No real protein: only their simplest patterns."""
    draw = np.random.default_rng(seed)
    chains = []
    for _ in range(n):
        chain = "M"
        for _ in range(draw.integers(2, 5)):
            length, turn = int(draw.integers(8, 18)), draw.uniform(0, 360)
            step = 100 if draw.random() < 0.6 else 180  # degrees from residue to residue: helix or strand
            greasy = np.cos(np.radians(turn + step * np.arange(length))) > 0
            kept = np.where(draw.random(length) < 0.9, greasy, ~greasy)
            chain += "".join(draw.choice(list(GREASY if g else POLAR)) for g in kept)
            chain += "".join(draw.choice(list(LOOP), draw.integers(2, 6)))
        chains.append(chain)
    return "\n".join(chains) + "\n"


def climate(years: int = 6000, seed: int = 0) -> str:
    """A line a year, a letter a month from a (cold) to z (warm): a season, and weather that lasts for months."""
    draw = np.random.default_rng(seed)
    season = -np.cos(2 * np.pi * np.arange(MONTHS) / MONTHS)
    weather, lines = 0.0, []
    for _ in range(years):
        letters = []
        for month in range(MONTHS):
            weather = 0.7 * weather + draw.normal(0, 1.4)
            letters.append(chr(97 + int(np.clip(np.round(12.5 + 8 * season[month] + weather), 0, 25))))
        lines.append("".join(letters))
    return "\n".join(lines) + "\n"


def greasy_rhythm(text: str, lags: int = 12) -> np.ndarray:
    """How alike residues k apart are in being greasy, for k = 1 ... lags: the correlation within chains."""
    pairs: list[list[tuple[bool, bool]]] = [[] for _ in range(lags)]
    for chain in text.split("\n"):
        greasy = [c in GREASY for c in chain]
        for k in range(1, lags + 1):
            pairs[k - 1] += zip(greasy, greasy[k:], strict=False)
    return np.array([np.corrcoef(np.array(p, float).T)[0, 1] for p in pairs])


def seasons(text: str) -> np.ndarray:
    """The mean letter of each month, of whole years alone; then how alike neighbouring months' departures are."""
    whole = [[ord(c) - 97 for c in line] for line in text.split("\n") if len(line) == MONTHS]
    table = np.array(whole, float)
    rest = (table - table.mean(0)).ravel()
    return np.append(table.mean(0), 10 * np.corrcoef(rest[:-1], rest[1:])[0, 1])


def main() -> None:
    """Both alphabets, one recipe."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    recipe, budget = sys.argv[1:]
    for name, made, trait in (("proteins", proteins, greasy_rhythm), ("climate", climate, seasons)):
        text = made()
        Path(f"{name}.txt").write_text(text)
        many = {"data.context": 64, "train.batch": 16}  # short windows, and so many updates in little time
        trained = genloom.train(recipe, data=f"{name}.txt", budget=budget, name=f"{name}-{recipe}", overrides=many)
        written = "\n".join(genloom.sample(trained, n=200, length=200).texts)
        real, ours = trait(text[-50_000:]), trait(written)
        print(f"{name}: {written[:240]!r}")
        print("real   ", np.round(real, 2))
        print("written", np.round(ours, 2), f"correlation {np.corrcoef(real, ours)[0, 1]:.3f}")


if __name__ == "__main__":
    main()
