"""One pass over texts: lengths, alphabets, encodings, repeated lines and documents, and what may be personal."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from genloom.data.inspect.duplicates import Progress, exact_groups
from genloom.data.inspect.finding import QUANTILES, Check, Distribution, Finding, Outcome, Overview, Part, few, plural
from genloom.data.inspect.personal import Finds, findings, search
from genloom.data.inspect.source import Document
from genloom.data.splitting import PARTS

MOST = 200_000_000  # bytes of text that are read
_BLOCK = 1 << 20
_LINE = 20  # characters from which a line that comes twice is a copy rather than a habit
_LEAK = 40  # and from which one in two splits is a leak
_MOJIBAKE = re.compile("[\u00c3\u00c2][\u0080-\u00bf]|\u00e2\u20ac[\u0093-\u00a6\u2122\u0153]")


@dataclass
class Tally:
    """What the pass gathers. lines: (hash, split) of long lines; heads: the beginning of a line by its hash."""

    characters: int = 0
    read: int = 0
    lines: int = 0
    documents: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)
    line_lengths: Counter[int] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    long: list[np.ndarray] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    not_utf8: list[str] = field(default_factory=list)
    garbled: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    finds: Finds = field(default_factory=Finds)


def _pieces(document: Document, most: int) -> Iterator[bytes]:
    """The document's bytes, at most `most`, in pieces that end where a line ends."""
    if document.path is None:
        content = document.text.encode("utf-8", "replace")[:most]
        yield from (content[i : i + _BLOCK] for i in range(0, len(content), _BLOCK))
        return
    held = b""
    with open(document.path, "rb") as file:
        while most > 0 and (chunk := file.read(min(_BLOCK, most))):
            most -= len(chunk)
            whole, end, held = (held + chunk).rpartition(b"\n")
            yield whole + end
    yield held


def tally(documents: tuple[Document, ...], progress: Progress) -> Tally:
    """Reads the documents, all of them up to 200 MB and the first part of each beyond."""
    sizes = [len(d.text) if d.path is None else d.path.stat().st_size for d in documents]
    share = min(1.0, MOST / max(1, sum(sizes)))
    out = Tally()
    for i, (document, size) in enumerate(zip(documents, sizes, strict=True)):
        progress(i / len(documents))
        try:
            _read(document, max(4096, int(size * share)), out)
        except OSError as error:
            out.unreadable.append((document.name, error.strerror or "cannot be read"))
    return out


def _read(document: Document, most: int, out: Tally) -> None:
    digest, length, latin, garbled = hashlib.blake2b(digest_size=16), 0, False, 0
    split = PARTS.index(document.split) if document.split in PARTS else -1
    for piece in _pieces(document, most):
        if length == 0 and b"\0" in piece[:65536]:
            out.unreadable.append((document.name, "holds zero bytes: no text, or UTF-16"))
            return
        out.read += len(piece)
        try:
            text = piece.decode("utf-8-sig" if length == 0 else "utf-8")
        except UnicodeDecodeError:
            text, latin = piece.decode("latin-1"), document.path is not None
        digest.update(" ".join(text.split()).encode("utf-8", "replace"))
        length += len(text)
        out.letters.update(text)
        lost = text.count("\ufffd") if document.path is not None else 0  # in a decoded text it is the unknown token
        garbled += lost + len(_MOJIBAKE.findall(text))
        _lines(text, split, out)
        search(text, document.name, out.finds)
    if not length:
        out.empty.append(document.name)
        return
    if latin:
        out.not_utf8.append(document.name)
    if garbled:
        out.garbled.append(f"{document.name}: {garbled:,} places")
    out.characters += length
    out.documents.append(document.name)
    out.lengths.append(length)
    out.keys.append(digest.digest())
    out.splits.append(split)


def _lines(text: str, split: int, out: Tally) -> None:
    lines = text.splitlines()
    out.lines += len(lines)
    out.line_lengths.update(map(len, lines))
    long = [line for line in map(str.strip, lines) if len(line) >= _LINE]
    if long:
        rows = np.empty((len(long), 2), np.int64)
        rows[:, 0] = [_hash(line) for line in long]
        rows[:, 1] = [(split + 1) + 8 * (len(line) >= _LEAK) for line in long]
        out.long.append(rows)


def _hash(line: str) -> int:
    digest = hashlib.blake2b(line.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def overview(found: Tally, documents: tuple[Document, ...]) -> Overview:
    """Counts, lengths and the alphabet."""
    facts = [
        (
            "documents",
            f"{len(documents):,}"
            + ("" if len(found.lengths) == len(documents) else f", {len(found.lengths):,} of them read"),
        ),
        ("characters", f"{found.characters:,}"),
        ("lines", f"{found.lines:,}"),
        ("different characters", f"{len(found.letters):,}"),
        ("alphabets", alphabets(found.letters)),
    ]
    spreads = [Distribution("characters in a line", "", _weighted(found.line_lengths))] if found.line_lengths else []
    if len(found.lengths) > 1:
        quantiles = np.quantile(np.array(found.lengths, np.float64), QUANTILES)
        spreads.insert(0, Distribution("characters in a document", "", tuple(float(q) for q in quantiles)))
    counts = Counter(d.split for d in documents if d.split)
    splits = tuple(Part(name, counts[name]) for name in PARTS if counts[name]) if len(documents) > 3 else ()
    return Overview(tuple(facts), splits=splits, spreads=tuple(spreads))


def _weighted(counts: Counter[int]) -> tuple[float, ...]:
    values = np.array(sorted(counts), np.float64)
    edges = np.cumsum([counts[int(v)] for v in values])
    return tuple(float(values[min(len(values) - 1, int(np.searchsorted(edges, q * edges[-1])))]) for q in QUANTILES)


def alphabets(letters: Counter[str]) -> str:
    """The scripts of a text's letters by share, from the names Unicode gives them."""
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        if letter.isalpha():
            scripts[unicodedata.name(letter, "unknown").split()[0].split("-")[0].capitalize()] += count
    total = sum(scripts.values())
    return ", ".join(f"{name} {count / total:.1%}" for name, count in scripts.most_common(5)) or "none"


def checks(found: Tally, documents: tuple[Document, ...], split_by: str) -> tuple[Outcome, ...]:
    """All that is said of a text."""
    whole = found.read >= 0.999 * sum(len(d.text) if d.path is None else d.path.stat().st_size for d in documents)
    on = f"{plural(found.characters, 'character')} in {plural(len(found.lengths), 'document')}"
    on += "" if whole else ", the beginning of each"
    searched = f"{on}; phone numbers of any country with +, national ones of {', '.join(('US', 'GB', 'DE', 'FR'))}"
    return (
        _readable(found, on),
        _encodings(found, on),
        _documents(found),
        _repeated(found, on),
        _leaks(found, split_by),
        Outcome(Check("personal data in text", searched), findings(found.finds)),
    )


def _readable(found: Tally, on: str) -> Outcome:
    out = []
    if found.unreadable:
        names = tuple(f"{name}: {why}" for name, why in found.unreadable[:50])
        seen = f"{plural(len(found.unreadable), 'file')} that are no text"
        out.append(
            Finding(
                "unreadable files",
                "warning",
                seen,
                "save them as UTF-8 or remove them; training skips them",
                names,
                len(names),
            )
        )
    if found.empty:
        seen = f"{plural(len(found.empty), 'empty file')}"
        out.append(Finding("empty files", "note", seen, "remove them", few(found.empty), len(found.empty)))
    return Outcome(Check("unreadable files", on), tuple(out))


def _encodings(found: Tally, on: str) -> Outcome:
    out = []
    if found.not_utf8:
        seen = f"{plural(len(found.not_utf8), 'file')} not in UTF-8; read as Latin-1, which may be wrong"
        out.append(
            Finding("encoding", "warning", seen, "convert them to UTF-8", few(found.not_utf8), len(found.not_utf8))
        )
    if found.garbled:
        seen = f"{plural(len(found.garbled), 'file')} with letters lost to a wrong encoding long ago"
        advice = "get them again from the source, or mend them (the package ftfy does)"
        out.append(Finding("garbled letters", "warning", seen, advice, few(found.garbled), len(found.garbled)))
    odd = {c: n for c, n in found.letters.items() if unicodedata.category(c) == "Cc" and c not in "\n\r\t\f"}
    if odd:
        seen = f"{plural(sum(odd.values()), 'control character')}"
        names = tuple(f"U+{ord(c):04X}: {n:,}" for c, n in sorted(odd.items(), key=lambda e: -e[1])[:5])
        out.append(Finding("control characters", "note", seen, "remove them", names, sum(odd.values())))
    return Outcome(Check("encoding", on), tuple(out))


def _documents(found: Tally) -> Outcome:
    check = Check(
        "repeated documents", plural(len(found.keys), "document"), "" if len(found.keys) > 1 else "one document"
    )
    if len(found.keys) < 2:
        return Outcome(check)
    groups = exact_groups(np.array(found.keys, "S16"))
    extra = sum(len(g) - 1 for g in groups)
    if not extra:
        return Outcome(check)
    seen = f"{plural(extra, 'document')} that say the same as others, in {plural(len(groups), 'group')}"
    examples = tuple(" = ".join(found.documents[i] for i in g[:4]) for g in groups[:20])
    return Outcome(check, (Finding(check.name, "warning", seen, "remove all but one of each", examples, extra),))


def _repeated(found: Tally, on: str) -> Outcome:
    check = Check("repeated lines", f"{on}; lines of {_LINE} characters and more")
    if not found.long:
        return Outcome(check)
    _, counts = np.unique(np.concatenate([rows[:, 0] for rows in found.long]), return_counts=True)
    extra, total = int((counts - 1).sum()), int(counts.sum())
    if extra < 0.02 * total or extra < 5:
        return Outcome(check)
    seen = (
        f"{extra:,} of {total:,} lines ({extra / total:.1%}) stood there before, the commonest {counts.max():,} times"
    )
    advice = "a model learns repeated lines by heart; remove headers, footers and quotations"
    level = "warning" if extra > 0.2 * total else "note"
    return Outcome(check, (Finding(check.name, level, seen, advice, count=extra),))  # type: ignore[arg-type]


def _leaks(found: Tally, split_by: str) -> Outcome:
    if not split_by or len({s for s in found.splits if s >= 0}) < 2:
        return Outcome(Check("leaks between splits", missing="no splits yet"))
    rows = np.concatenate(found.long) if found.long else np.empty((0, 2), np.int64)
    rows = rows[rows[:, 1] >= 8]
    split = rows[:, 1] - 8
    train, held = np.unique(rows[split == 1, 0]), rows[split > 1, 0]
    both = int(np.isin(held, train).sum())
    check = Check("leaks between splits", f"lines of {_LEAK} characters and more, splits by {split_by}")
    if not both or both < 0.001 * len(held):
        return Outcome(check)
    seen = f"{both:,} of {len(held):,} held-out lines ({both / len(held):.1%}) also stand in the training text"
    advice = "remove them from one of the two, or split by source (`genloom data split --by group`)"
    level = "serious" if both > 0.01 * len(held) else "warning"
    return Outcome(check, (Finding("leaks (lines)", level, seen, advice, count=both),))  # type: ignore[arg-type]
