"""`genloom data fetch`: brings data sets here, lists what can be had, checks or deletes what was fetched."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from genloom.data.fetch import manifest
from genloom.data.fetch.entry import Archive, Entry, check_name
from genloom.data.fetch.obtain import agreement, obtain
from genloom.data.fetch.trouble import Quiet, Reporter
from genloom.errors import BadValue, GenloomError, NotFound, unknown
from genloom.verbs.results import Table, size_text


class Console:
    """Tells on a stream how far a download is: one line that is overwritten on a terminal, else a line now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._live = stream, stream.isatty()
        self._last, self._open = 0.0, False

    def note(self, line: str) -> None:
        """A line of its own."""
        print(f"{self._end()}{line}", file=self._stream, flush=True)

    def moved(self, what: str, done: int, total: int | None, seconds: float, new: int) -> None:
        """Bytes, share, speed, and the time that is left."""
        now, whole = time.monotonic(), done == total
        if now - self._last < (0.1 if self._live else 10) and not (whole and self._live):
            return
        if not self._live and seconds < 5:  # too quick to need a line
            return
        self._last = now
        speed = new / max(seconds, 1e-3)
        line = f"{what}: {size_text(done)}"
        if total:
            line += f" of {size_text(total)} ({done / total:.0%})"
        line += f", {size_text(speed)}/s"
        if total and speed > 0 and not whole:
            line += f", {(total - done) / speed:.0f} s left"
        if self._live:
            print(f"\r\033[K{line}", end="\n" if whole else "", file=self._stream, flush=True)
            self._open = not whole
        else:
            print(line, file=self._stream, flush=True)

    def _end(self) -> str:
        was, self._open = self._open, False
        return "\n" if was else ""


def entries() -> Mapping[str, Entry]:
    """Every set that genloom knows by name."""
    from genloom.data.sets.registry import ENTRIES

    return ENTRIES


def fetch(
    name: str | Sequence[str] | None = None,
    yes: bool = False,
    *,
    verify: bool = False,
    remove: bool = False,
    quiet: bool = False,
) -> Table:
    """Fetches data sets by name; without a name lists what can be fetched.

    yes: you agree to the terms of restricted sets (else a terminal asks). verify: hashes what is here again, without a
    name everything. remove: deletes it. quiet: no progress on stderr. Raises NotFound with every source that was tried
    and why it failed, BadValue where terms were not agreed to, Damaged where a file has changed, Storage.
    """
    names = [name] if isinstance(name, str) else list(dict.fromkeys(name or ()))
    report: Reporter = Quiet() if quiet else Console(sys.stderr)
    if verify and remove:
        raise BadValue("expected verify or remove, got both")
    known = entries()
    for each in names:
        check_name(each)
        if each not in known and not (verify or remove):
            raise unknown("data set", each, known, see="genloom data fetch")
    if remove:
        return _remove(names, known, report)
    if verify:
        return _verify(names)
    if not names:
        return _list(known)
    wanted = [known[each] for each in names]
    agreed = {entry.name: yes or _asked(entry) for entry in wanted}  # all questions before the first download
    rows, notes, failed = [], [], []
    for entry in wanted:
        try:
            rows.append(_one(entry, agreed[entry.name], report))
        except GenloomError as error:
            if len(wanted) == 1:
                raise
            failed.append(error)
            report.note(f"{entry.name}: failed; going on with the others")
        else:
            notes += ["", *_about(entry)]
    if failed:
        got = f"; {', '.join(row[0] for row in rows)} arrived" if rows else ""
        raise type(failed[0])(f"{'; '.join(map(str, failed))}{got}")
    return Table("fetched", ("name", "folder", "files", "bytes", "from", "seconds"), tuple(rows), tuple(notes))


def _one(entry: Entry, agreed: bool, report: Reporter) -> tuple[Any, ...]:
    begin = time.monotonic()
    here = manifest.present(entry)
    if not entry.files:
        return entry.name, None, 0, 0, "the installation", 0.0
    if here is None:
        agreement(entry, agreed)
        report.note(f"{entry.name}: {entry.card.title}; licence: {entry.card.licence}")
    folder = obtain(entry, agreed, report)
    found = manifest.read(entry.name) or {}
    files = found.get("files", ())
    sources = "; ".join(dict.fromkeys((found.get("sources") or {}).values()))
    took = 0.0 if here else round(time.monotonic() - begin, 1)
    return entry.name, str(folder), len(files), sum(f["size"] for f in files), sources, took


def _about(entry: Entry) -> list[str]:
    terms = [f"terms you agreed to: {entry.restricted}"] if entry.restricted else []
    return [f"{entry.name}: licence {entry.card.licence}", *terms, "cite:", *entry.card.citation.splitlines()]


def _asked(entry: Entry) -> bool:
    """Asks on a terminal for consent where it is needed. Raises BadValue where the answer is no or nobody is there."""
    if not entry.restricted or manifest.present(entry):
        return False
    try:
        agreement(entry, False)
    except BadValue:
        if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        terms = (f"{entry.name}: {entry.card.title}", f"licence: {entry.card.licence}", entry.restricted)
        sys.stderr.write("\n".join([*terms, "type yes to agree: "]))
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() != "yes":
            raise BadValue(f"{entry.name}: not agreed to, so nothing was fetched") from None
        return True
    return False


def _list(known: Mapping[str, Entry]) -> Table:
    rows, cards = [], {}
    for name, entry in known.items():
        held = "with genloom" if not entry.files else "yes" if manifest.present(entry) else "no"
        travels = sum((p.download or p.size) if isinstance(p, Archive) else p.size for p in entry.files)
        size = size_text(travels) if travels else None
        card = entry.card
        short = (textwrap.shorten(text, 44, placeholder="...") for text in (card.licence, card.title))
        rows.append((name, size, held, "asks" if entry.restricted else None, *short))
        cards[name] = {"title": card.title, "licence": card.licence, "source": card.source, "terms": entry.restricted}
    notes = (
        "",
        "`genloom data fetch NAME` brings one here; `asks`: its terms need your consent (--yes).",
        f"Sets lie in {manifest.sets_folder()}.",
    )
    return Table(
        "sets", ("name", "download", "here", "consent", "licence", "what"), tuple(rows), notes, {"cards": cards}
    )


def _verify(names: Sequence[str]) -> Table:
    root = manifest.sets_folder()
    chosen = list(names) or sorted(p.parent.name for p in root.glob(f"*/{manifest.NAME}"))
    rows = []
    for name in chosen:
        found = manifest.verify(name)
        rows.append((name, len(found["files"]), sum(f["size"] for f in found["files"]), "whole"))
    return Table("verified", ("name", "files", "bytes", "state"), tuple(rows), () if rows else ("nothing is here yet",))


def _remove(names: Sequence[str], known: Mapping[str, Entry], report: Reporter) -> Table:
    if not names:
        raise BadValue("--remove needs the name of a set, as in `genloom data fetch cifar10 --remove`")
    rows = []
    for name in names:
        folder = Path(manifest.set_folder(name))
        gone = manifest.remove(name, report)
        if not gone and name not in known:
            raise unknown("data set", name, known, see="genloom data fetch")
        if not gone:
            raise NotFound(f"{name} is not here: there is nothing to remove")
        rows.append((name, str(folder)))
    return Table("removed", ("name", "folder"), tuple(rows))
