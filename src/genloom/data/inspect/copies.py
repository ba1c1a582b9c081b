"""Copies and leaks: pictures that are there twice, exactly or nearly, and those that are in training and test both."""

from __future__ import annotations

import numpy as np

from genloom.data.inspect.duplicates import Pairs, Progress, exact_groups, near_pairs, plain
from genloom.data.inspect.finding import Check, Finding, Level, Outcome, plural
from genloom.data.inspect.pictures import Album

_HUE = 14.0  # mean difference in colour, of 255, above which the same drawing in other colours is another picture
_LEAST = 16  # pixels a side: smaller pictures are alike by chance
_MANY = 0.01  # share of items from which copies are worth a warning


def copies(album: Album, split_by: str, progress: Progress) -> tuple[Outcome, ...]:
    """Exact copies, near copies, and leaks between the splits. split_by: where the splits come from, "" for none."""
    groups = exact_groups(album.keys)
    first = np.ones(len(album), bool)
    for group in groups:
        first[group[1:]] = False
    rows = np.flatnonzero(first & ~plain(album.grey) & (album.sizes.min(1, initial=_LEAST) >= _LEAST))
    pairs = near_pairs(album.grey if len(rows) == len(album) else album.grey[rows], progress=progress)
    a, b = rows[pairs.first], rows[pairs.second]
    same = _same_colours(album, a, b)
    near = [(int(i), int(j)) for i, j in zip(a[same], b[same], strict=True)]
    return _exact(album, groups), _near(album, near, pairs, split_by), _leaks(album, groups, near, split_by)


def _same_colours(album: Album, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which pairs agree in colour, brightness apart."""
    out = np.empty(len(a), bool)
    for start in range(0, len(a), 4096):
        part = slice(start, start + 4096)
        tints = []
        for rows in (a[part], b[part]):
            colour = album.colour[rows].astype(np.float32)
            tints.append(colour - colour.mean(-1, keepdims=True))
        out[part] = np.abs(tints[0] - tints[1]).mean((1, 2, 3)) < _HUE
    return out


def _exact(album: Album, groups: list[np.ndarray]) -> Outcome:
    check = Check("exact copies", f"{plural(len(album), 'picture')}, by the hash of their content")
    extra = sum(len(g) - 1 for g in groups)
    if not extra:
        return Outcome(check)
    seen = f"{plural(extra, 'picture')} that are exact copies of others, in {plural(len(groups), 'group')}"
    advice = "remove them: the model sees them more often than the rest, and repeats them sooner"
    examples = tuple(" = ".join(album.names[i] for i in g[:4]) + (" = ..." if len(g) > 4 else "") for g in groups[:20])
    level: Level = "warning" if extra > _MANY * len(album) else "note"
    finding = Finding(
        "exact copies", level, seen, advice, examples, extra, tuple(tuple(map(int, g[:4])) for g in groups[:12])
    )
    return Outcome(check, (finding,))


def clusters(pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Rows that pairs connect, largest cluster first."""
    home: dict[int, int] = {}

    def root(i: int) -> int:
        while home.setdefault(i, i) != i:
            home[i] = i = home[home[i]]
        return i

    for i, j in pairs:
        home[root(j)] = root(i)
    found: dict[int, list[int]] = {}
    for i in home:
        found.setdefault(root(i), []).append(i)
    return sorted((sorted(c) for c in found.values()), key=lambda c: (-len(c), c))


def _near(album: Album, near: list[tuple[int, int]], pairs: Pairs, split_by: str) -> Outcome:
    how = f"{plural(len(album), 'picture')}, {plural(pairs.compared, 'pair')} compared pixel by pixel"
    if pairs.skipped:
        how += f"; {pairs.skipped:,} less likely pairs were not"
    if len(album) and album.sizes.max() < _LEAST:
        return Outcome(Check("near copies", missing=f"pictures under {_LEAST} pixels a side are alike by chance"))
    check = Check("near copies", how)
    if not near:
        return Outcome(check)
    groups = clusters(near)
    items = sum(map(len, groups))
    seen = f"{plural(items, 'picture')} in {plural(len(groups), 'group')} of near copies (resized, compressed, cropped)"
    advice = "remove all but one of each"
    if not split_by:
        advice += "; or keep them in one split with `genloom data split --by group`, since genloom splits by content, "
        advice += "which parts near copies by chance"
    examples = tuple(f"{album.names[i]} ~ {album.names[j]}" for i, j in near[:50])
    level: Level = "warning" if items - len(groups) > _MANY * len(album) else "note"
    shown = tuple(tuple(g[:4]) for g in groups[:12])
    return Outcome(check, (Finding("near copies", level, seen, advice, examples, len(near), shown),))


def _leaks(album: Album, groups: list[np.ndarray], near: list[tuple[int, int]], split_by: str) -> Outcome:
    if not split_by or not (album.splits >= 0).any():
        return Outcome(Check("leaks between splits", missing="no splits yet; genloom keeps exact copies together"))
    check = Check("leaks between splits", f"exact and near copies, splits by {split_by}")
    findings = []
    for kind, sets in (("exact", [g.tolist() for g in groups]), ("near", [list(p) for p in near])):
        crossing = [s for s in sets if len({int(album.splits[i]) for i in s} - {-1}) > 1]
        if not crossing:
            continue
        held = sorted({i for s in crossing for i in s if album.splits[i] > 0})
        copy = "an exact copy" if kind == "exact" else "a near copy"
        seen = f"{plural(len(held), 'held-out picture')} with {copy} in another split"
        advice = (
            "figures on these splits flatter a model that memorises: remove them from training, or record a split "
            "that keeps them together (`genloom data split`, --by group for near copies)"
        )
        examples = tuple(" = ".join(_placed(album, i) for i in _ends(album, s)) for s in crossing[:50])
        shown = tuple(tuple(_ends(album, s)) for s in crossing[:12])
        level: Level = "serious" if kind == "exact" or len(held) > 0.001 * len(album) else "warning"
        findings.append(Finding(f"leaks ({kind} copies)", level, seen, advice, examples, len(held), shown))
    return Outcome(check, tuple(findings))


def _ends(album: Album, rows: list[int]) -> list[int]:
    """One row of each split."""
    found = {int(album.splits[i]): i for i in reversed(rows)}
    return [found[s] for s in sorted(found) if s >= 0]


def _placed(album: Album, row: int) -> str:
    name, part = album.names[row], album.parts[album.splits[row]]
    return name if name.startswith(part) else f"{name} ({part})"
