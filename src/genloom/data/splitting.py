"""Splits by a recorded rule: `genloom-split.json` says how an item finds its place, not a list of where each one is.

The place of an item is a hash of the seed and of its key: its content, the group it belongs to, or its number in an
array. So the rule gives the same places on every machine, new items find theirs without moving old ones, and copies (or
the items of one group) are never apart.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from genloom.data.grouping import Group, groups_of, parse_group
from genloom.data.shape import in_threads
from genloom.data.splits import Rows
from genloom.errors import BadData, BadValue, Damaged, NotFound
from genloom.runs.files import read_json, write_json

SPLIT = "genloom-split.json"
VERSION = 1
PARTS = ("train", "validation", "test")
By = Literal["hash", "group", "folds"]
_WHOLE, _PIECES, _PIECE = 1 << 20, 16, 1 << 16  # bytes: files above _WHOLE are hashed by their size and 16 pieces


@dataclass(frozen=True)
class Rule:
    """How items find their place. shares: of train, validation and test, adding up to 1; folds: how many, with by
    "folds", where the test share stays apart and one fold validates; group: what keeps items together, if anything."""

    by: By = "hash"
    seed: int = 0
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    folds: int = 0
    group: Group | None = None

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"by": self.by, "seed": self.seed, "shares": list(self.shares)}
        if self.folds:
            out["folds"] = self.folds
        if self.group is not None:
            out["group"] = {k: v for k, v in vars(self.group).items() if v}
        return out

    def __str__(self) -> str:
        what = "content" if self.group is None else f"group ({self.group})"
        if self.by == "folds":
            return f"{self.folds} folds by {what}, {self.shares[2]:.0%} kept apart as test, seed {self.seed}"
        return f"by {what}, {' / '.join(f'{s:.0%}' for s in self.shares)}, seed {self.seed}"


@dataclass(frozen=True)
class Recorded:
    """A split file: its rule, and what there was when it was made. counts: items by part, and by fold ("fold 1")."""

    rule: Rule
    items: int
    digest: str
    counts: dict[str, int] = field(default_factory=dict)
    made: str = ""
    genloom: str = ""


def parse_shares(text: str) -> tuple[float, float, float]:
    """ "80,10,10" -> (0.8, 0.1, 0.1); "90,10" has no test part. Raises BadValue."""
    wrong = f'expected shares of train, validation and test like "80,10,10", got {text!r}'
    try:
        numbers = [float(part) for part in re.split(r"[,/ ]+", text.strip())]
    except ValueError:
        raise BadValue(wrong) from None
    if len(numbers) == 2:
        numbers.append(0.0)
    total = sum(numbers)
    if (
        len(numbers) != 3
        or min(numbers) < 0
        or numbers[0] <= 0
        or not (abs(total - 100) < 0.01 or abs(total - 1) < 1e-4)
    ):
        raise BadValue(f"{wrong}: three numbers that add up to 100, the first above 0")
    return numbers[0] / total, numbers[1] / total, numbers[2] / total


def split_path(data: Path) -> Path:
    """Where the rule of a data folder lies; of a single file, beside it as NAME.genloom-split.json."""
    return data / SPLIT if data.is_dir() else data.with_name(f"{data.name}.{SPLIT}")


def rows_of(folder: Path, paths: list[str], split_file: Path | None, fold: int | None, notes: list[str]) -> Rows | None:
    """Rows for train, validation and test by the rule in `split_file`, or in the folder's own genloom-split.json.

    paths: relative to `folder`, with "/"; where `folder` is a file (an array), the numbers of its rows as text.
    None where there is no rule. Raises NotFound, Damaged or BadValue for a rule that cannot be used.
    """
    path = split_path(folder) if split_file is None else split_file
    if not path.exists():
        if split_file is not None:
            raise NotFound(f"there is no split file {split_file}: make one with `genloom data split {folder}`")
        if fold is not None:
            raise BadValue(f"--data.fold {fold} needs folds: make them with `genloom data split {folder} --by folds`")
        return None
    recorded = read_split(path)
    rule = recorded.rule
    part, place = places(folder, paths, rule, path.parent)
    if rule.by == "folds":
        chosen = 1 if fold is None else fold
        if not 1 <= chosen <= rule.folds:
            raise BadValue(f"--data.fold is one of 1 to {rule.folds} (the folds in {path}), got {fold}")
        part = np.where(part < 0, 2, np.where(part == chosen, 1, 0))
        notes.append(f"fold {chosen} of {rule.folds} validates" + ("" if fold else "; --data.fold chooses another"))
    elif fold is not None:
        raise BadValue(f"--data.fold {fold} needs folds, and {path} has none: `genloom data split --by folds`")
    notes.append(f"split by the rule in {path.name}: {rule}")
    more = len(paths) - recorded.items
    if more > 0:
        notes.append(f"{more:,} items more than when the rule was recorded: they found their place by the same rule")
    return _rows(part, place, path, notes)


def _rows(part: np.ndarray, place: np.ndarray, path: Path, notes: list[str]) -> Rows:
    """Rows of the parts 0, 1, 2, in the order of `place`: every prefix is a fair draw."""
    order = np.argsort(place, kind="stable")
    train, validation, test = (order[part[order] == i] for i in range(3))
    if not len(train) or len(train) == len(part):
        only = "no item trains" if not len(train) else "no item is held out"
        raise BadData(f"by the rule in {path} {only}: record another with --shares or --seed")
    if not len(validation):
        validation = test
        notes.append("no validation part by this rule: the test items take its place")
    if not len(test):
        test = validation
        notes.append("no test part by this rule: the validation items take its place")
    return torch.from_numpy(train), torch.from_numpy(validation), torch.from_numpy(test)


def places(folder: Path, paths: Sequence[str], rule: Rule, base: Path) -> tuple[np.ndarray, np.ndarray]:
    """(part, place) of every path: part (N,) is 0 train, 1 validation, 2 test, or with folds -1 test and else the fold
    from 1 on; place (N,) is a number in [0, 1) that orders them.

    base: the folder that a table's path is relative to. Raises BadData for items without a group.
    """
    part = _parts(_keys(folder, paths, rule, base), rule)
    return part, np.array([_hash(rule.seed, path.encode(), b"order") for path in paths])


def _parts(keys: Sequence[bytes], rule: Rule) -> np.ndarray:
    """The part of every key, as `places` gives it. The test zone comes first: folds keep a split's test part."""
    at = np.array([_hash(rule.seed, b"place", key) for key in keys])
    test, validation = rule.shares[2], rule.shares[1]
    if rule.by == "folds":
        fold = np.array([int(_hash(rule.seed, b"fold", key) * rule.folds) + 1 for key in keys], np.int64)
        return np.where(at < test, -1, fold)
    return np.where(at < test, 2, np.where(at < test + validation, 1, 0))


def _hash(seed: int, salt: bytes, key: bytes) -> float:
    """A number in [0, 1) that depends on these alone."""
    digest = hashlib.blake2b(b"%d/%s/%s" % (seed, salt, key), digest_size=8, person=b"genloom-split").digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def _keys(folder: Path, paths: Sequence[str], rule: Rule, base: Path) -> list[bytes]:
    if rule.group is not None:
        return [name.encode() for name in groups_of(paths, rule.group, base)]
    if folder.is_dir():
        return list(in_threads(lambda path: content_key(folder / path), paths))
    return [path.encode() for path in paths]


def content_key(path: Path) -> bytes:
    """A hash of a file's content; of its size and 16 pieces where it is larger than 1 MiB. Raises BadData."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(b"%d/" % size)
            if size <= _WHOLE:
                digest.update(file.read())
            else:
                for start in np.linspace(0, size - _PIECE, _PIECES).astype(np.int64).tolist():
                    file.seek(start)
                    digest.update(file.read(_PIECE))
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}: change its permissions or remove it") from None
    return digest.digest()


def record(folder: Path, paths: list[str], rule: Rule, out: Path) -> Recorded:
    """Works out the rule's places and writes it to `out`, whole or not at all.

    A table that names groups is recorded relative to `out`. Raises BadValue where a part that should have a share gets
    no item.
    """
    from genloom import __version__

    check_rule(rule)
    if rule.group is not None and rule.group.kind == "table":
        table = os.path.relpath(Path(rule.group.value).expanduser().resolve(), out.resolve().parent)
        rule = replace(rule, group=replace(rule.group, value=Path(table).as_posix()))
    keys = _keys(folder, paths, rule, out.parent)
    counts = _counts(_parts(keys, rule), rule)
    if empty := _empty(counts, rule):
        others = (s for s in range(200) if not _empty(_counts(_parts(keys, replace(rule, seed=s)), rule), rule))
        what = f"{len(set(keys)):,} {'groups' if rule.group else 'different items'}"
        seed = next(others, None) if len(keys) <= 10_000 else None
        cure = "choose other --shares or fewer --folds" if seed is None else f"--seed {seed} gives every part some"
        raise BadValue(f"no item falls into {', '.join(empty)} with seed {rule.seed}, of {what}: {cure}")
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    recorded = Recorded(rule, len(paths), list_digest(paths), counts, made, __version__)
    held = {"split": VERSION, "rule": rule.to_json(), "items": len(paths), "digest": recorded.digest}
    write_json(out, held | {"counts": counts, "made": made, "genloom": __version__})
    return recorded


def _counts(part: np.ndarray, rule: Rule) -> dict[str, int]:
    if rule.by == "folds":
        folds = {f"fold {k}": int((part == k).sum()) for k in range(1, rule.folds + 1)}
        return {"test": int((part < 0).sum())} | folds
    return {name: int((part == i).sum()) for i, name in enumerate(PARTS)}


def _empty(counts: dict[str, int], rule: Rule) -> list[str]:
    """Parts without an item that were to have a share."""
    shares = dict(zip(PARTS, rule.shares, strict=True))
    return [name for name, count in counts.items() if not count and shares.get(name, 1) > 0]


def list_digest(paths: Sequence[str]) -> str:
    """sha256 in hex of the sorted names."""
    return hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()


def read_split(path: Path) -> Recorded:
    """The rule in a split file. Raises Damaged where it is none, or was made by a newer genloom."""
    try:
        held = read_json(path)
    except Damaged as error:
        raise Damaged(f"{path} cannot be read: {error.__cause__}: record it again with `genloom data split`") from None
    try:
        if held["split"] > VERSION:
            raise Damaged(f"{path} has version {held['split']}, and this genloom knows {VERSION}: update genloom")
        rule = _rule(held["rule"])
        counts = {str(k): int(v) for k, v in held["counts"].items()}
        return Recorded(rule, int(held["items"]), held["digest"], counts, held.get("made", ""), held.get("genloom", ""))
    except (KeyError, TypeError, ValueError, AttributeError, BadValue) as error:
        raise Damaged(f"{path} is no split file ({error}): record it again with `genloom data split`") from None


def _rule(held: dict[str, Any]) -> Rule:
    group = Group(**held["group"]) if held.get("group") else None
    first, second, third = (float(s) for s in held["shares"])
    rule = Rule(held["by"], int(held["seed"]), (first, second, third), int(held.get("folds", 0)), group)
    check_rule(rule)
    return rule


def check_rule(rule: Rule) -> None:
    """Raises BadValue for a rule that does not hold together."""
    if rule.by not in get_args(By):
        raise BadValue(f"--by is one of {', '.join(get_args(By))}, got {rule.by!r}")
    if min(rule.shares) < 0 or abs(sum(rule.shares) - 1) > 1e-3:
        raise BadValue(f"shares add up to 1, got {rule.shares}")
    if rule.by == "group" and rule.group is None:
        raise BadValue("--by group needs --group: folder, folder:2, a regular expression, or TABLE.csv:COLUMN")
    if rule.by == "hash" and rule.group is not None:
        raise BadValue("--group goes with --by group or --by folds, not with --by hash")
    if (rule.by == "folds") != (rule.folds > 0):
        raise BadValue(f"--folds goes with --by folds, got --by {rule.by} with {rule.folds} folds")
    if rule.by == "folds" and not 2 <= rule.folds <= 1000:
        raise BadValue(f"--folds is a number from 2 to 1000, got {rule.folds}")
    if rule.group is not None and rule.group.kind == "pattern":
        parse_group(rule.group.value)
