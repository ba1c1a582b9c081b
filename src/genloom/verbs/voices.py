"""`genloom translate --task harmonise` and `continue` of music: voices set below a melody, and how a piece goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue, NotFound
from genloom.verbs.opened import data_of
from genloom.verbs.places import check_count, check_out
from genloom.verbs.results import Facts

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Field, Sampling
    from genloom.engine.load import Loaded

UNKNOWN = -1
TASKS = ("continue", "harmonise")


def voiced(
    loaded: Loaded,
    task: str,
    path: str | Path | None,
    n: int | None,
    share: float,
    seed: int,
    options: Sampling,
    out: str | Path | None,
) -> Facts:
    """A score of the user's harmonised or continued in n (1) ways, or n (8) held-out pieces, scored against their own.

    To be harmonised is the highest line of the score. Raises BadValue, BadData and NotFound for what cannot be done.
    """
    import torch

    from genloom.core import CanContinue, opening, the_item
    from genloom.modalities import image, modality
    from genloom.samplers.fill import fill

    model, where = loaded.model, loaded.run.path
    _, field = the_item(loaded.spec, "music", task)
    if not isinstance(model, CanContinue) or not field.grid or task not in TASKS:
        raise BadValue(
            f"{where} cannot {task}: that takes a model of music on a grid of voices that reads from left to right, "
            "such as recipe music-transformer on chorales, or on scores with --data.voices 4"
        )
    if not 0 < share < 1:
        raise BadValue(f"--share: expected a number between 0 and 1, got {share}")
    kind = modality("music")
    place = check_out(out or loaded.run.samples / f"{task}-seed{seed}.mid", "music")
    notes: list[str] = []
    originals: Tensor | None = None
    if path is None:
        originals = _held_out(loaded, field, check_count(n or 8), seed)
        given = _known(originals, task, share, field)
    else:
        given = _read(Path(path), task, field, options.length, notes).expand(check_count(n or 1), -1)
    generator = torch.Generator(loaded.device).manual_seed(seed)
    with loaded.drawing():
        before = opening(field, len(given))
        made = fill(model, given.to(loaded.device), options, generator, before_BP=before).cpu()
    kind.codec.save(made, field, place if out is None else out)
    facts: list[tuple[str, Any]] = [("task", task), ("pieces", len(made))]
    data: dict[str, Any] = {"run": str(where), "task": task, "n": len(made), "seed": seed, "out": str(place)}
    rows = [("given", given.clamp_min(0)), (task, made)]
    if originals is not None:
        agreed = agreement(made, originals, given)
        apart = agreement(originals.roll(1, 0), originals, given) if len(originals) > 1 else float("nan")
        facts += [("notes as in the original", f"{agreed:.1%}"), ("of another piece's", f"{apart:.1%}")]
        data |= {"agreement": agreed, "agreement_of_another": apart}
        rows.append(("held-out originals", originals))
    drawn = [(title, kind.codec.tiles(items[:4], field)) for title, items in rows]
    picture = image.png(image.labelled(drawn, columns=1))
    return Facts(str(place), tuple(facts), data, tuple(notes), picture)


def agreement(made: Tensor, originals: Tensor, given: Tensor) -> float:
    """The share of the tokens nobody gave that are the original's."""
    free = given == UNKNOWN
    return float((made == originals)[free].float().mean())


def _known(pieces: Tensor, task: str, share: float, field: Field) -> Tensor:
    """Whole pieces (n, L) with what the task does not tell as UNKNOWN."""
    given = pieces.clone()
    voices, cycle = field.grid[1], field.cycle
    if task == "harmonise":
        return given.masked_fill((given.new_ones(given.shape).cumsum(1) - 1) % voices != 0, UNKNOWN)
    keep = max(cycle, round(share * given.shape[1] / cycle) * cycle)
    given[:, keep:] = UNKNOWN
    return given


def _held_out(loaded: Loaded, field: Field, n: int, seed: int) -> Tensor:
    """The first window of n held-out pieces (n, L)."""
    import torch

    from genloom.data.music import MusicSplit

    split = data_of(loaded).test
    length = field.shape[0]
    pieces = [p for p in split.pieces() if len(p) >= length] if isinstance(split, MusicSplit) else []
    if not pieces:
        raise BadData(f"no held-out piece is as long as a window of {length} tokens: name a score of yours")
    chosen = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(seed))[:n]
    return torch.stack([torch.from_numpy(pieces[i][:length]) for i in chosen.tolist()])


def _read(path: Path, task: str, field: Field, length: int | None, notes: list[str]) -> Tensor:
    """A score as known and unknown tokens (1, L): its highest line, or all of it and as much again."""
    import numpy as np
    import torch

    from genloom.modalities.notes import to_grid
    from genloom.modalities.scores import read_score

    if not path.is_file():
        raise NotFound(f"there is no {path}: name an existing score, such as a .mid file")
    piece = read_score(path)[0]
    voices = field.grid[1]
    if task == "continue":
        grid = to_grid(piece, voices)
        known = torch.from_numpy(np.where(grid > 0, grid, 0).astype(np.int64).flatten())
        more = -(-(length or field.shape[0]) // field.cycle) * field.cycle
        return torch.cat([known, torch.full((more,), UNKNOWN)])[None]
    lines = sorted({n.voice for n in piece})
    highest = max(lines, key=lambda v: float(np.mean([n.pitch for n in piece if n.voice == v])))
    melody = to_grid([n for n in piece if n.voice == highest], 1)[:, 0].astype(np.int64)
    moved, middle = 0, float(np.median(melody[melody > 0]))
    top = field.range[1]
    while middle + moved > top - 2:  # a line within the singers' reach: the upper octave and a half
        moved -= 12
    while middle + moved < top - 20:
        moved += 12
    if moved:
        notes.append(f"the melody is moved by {moved:+d} semitones, into the range of what was learnt")
    low, high = (int(x) for x in field.range)
    sung = np.where(melody > 0, np.clip(melody + moved, low, high), 0)
    given = torch.full((len(sung), voices), UNKNOWN)
    given[:, 0] = torch.from_numpy(sung)
    return given.flatten()[None]
