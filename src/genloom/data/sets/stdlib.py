"""The running interpreter's own source, as text."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from pathlib import Path

from genloom.data.dataset import Card, Dataset
from genloom.data.options import DataOptions
from genloom.data.texts import Texts, text_dataset
from genloom.errors import NotFound

CHARACTERS = 6_000_000
_SKIP = frozenset(
    "site-packages dist-packages __pycache__ __phello__ test tests idlelib encodings pydoc_data".split()  # noqa: SIM905
)
_SKIP_FILES = ("_sysconfigdata", "sitecustomize", "__hello__")


def stdlib_files(root: Path) -> list[Path]:
    """The .py files of a standard library, sorted, without tests, tables of encodings and machine-made files."""
    files = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in _SKIP)
        files += [Path(folder, n) for n in names if n.endswith(".py") and not n.startswith(_SKIP_FILES)]
    return sorted(files, key=lambda f: f.relative_to(root).as_posix())


def load_stdlib(options: DataOptions, card: Card) -> Dataset:
    """The running interpreter's own source. Files are taken in the order of a hash of their names,
    up to CHARACTERS, each going to the split that lacks most of its 90, 5 or 5 %."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = stdlib_files(root)
    if not files:
        raise NotFound(f"python-stdlib needs the standard library's source files: none in {root}")
    version = ".".join(map(str, sys.version_info[:2]))
    parts: dict[str, list[tuple[int, str]]] = {"train": [], "validation": [], "test": []}
    total = used = 0
    for i in sorted(range(len(files)), key=lambda i: _name_hash(files[i].relative_to(root))):
        text = files[i].read_text(encoding="utf-8", errors="replace")
        total += len(text)
        if used + len(text) > CHARACTERS:
            continue
        part = min((("train", 0.90), ("validation", 0.05), ("test", 0.05)), key=lambda p: _filled(parts[p[0]]) / p[1])
        parts[part[0]].append((i, text))
        used += len(text)
    texts = Texts(*("".join(t for _, t in sorted(parts[p])) for p in ("train", "validation", "test")))
    chosen = sum(len(p) for p in parts.values())
    notes = [f"{chosen} of {len(files)} files of Python {version}, {used:,} of {total:,} characters; split by file"]
    return text_dataset("python-stdlib", options, texts, card, notes)


def _name_hash(path: Path) -> bytes:
    return hashlib.blake2b(path.as_posix().encode(), digest_size=8).digest()


def _filled(files: list[tuple[int, str]]) -> int:
    return sum(len(text) for _, text in files)
