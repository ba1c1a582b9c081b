"""`genloom data report` and `genloom data split`: what ails a data set, and which items train, validate and test."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue, NotFound
from genloom.verbs.places import check_writable
from genloom.verbs.report import check_page
from genloom.verbs.results import aligned, html_table, size_text

if TYPE_CHECKING:
    from genloom.data.inspect.finding import Distribution
    from genloom.data.inspect.inspection import Inspection
    from genloom.data.splitting import Recorded

_SHOWN = 5


@dataclass(frozen=True)
class DataReport:
    """What a look at a data set gave: prints as a table, and holds the whole of it. page: where the page was written;
    failed: whether a finding is as bad as the caller asked to be told of."""

    inspection: Inspection
    page: Path | None = None
    size: int = 0
    failed: bool = False

    @property
    def exit_code(self) -> int:
        """2 where --fail-on asked for it, else 0."""
        return 2 if self.failed else 0

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {**self.inspection.to_json(), "report": str(self.page) if self.page else None, "failed": self.failed}

    def __str__(self) -> str:
        return "\n".join(_lines(self, min(110, shutil.get_terminal_size((100, 24)).columns)))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        found = self.inspection
        rows = [(f.level, f.seen, f.advice) for f in found.findings]
        return html_table(("", ""), found.overview.facts) + html_table(("level", "seen", "what to do"), rows)


def _lines(report: DataReport, width: int) -> list[str]:
    found = report.inspection
    view = found.overview
    facts = [*view.facts]
    if view.classes:
        few = ", ".join(f"{p.name} ({p.items:,})" for p in sorted(view.classes, key=lambda p: -p.items)[:8])
        more = f", and {len(view.classes) - 8} more" if len(view.classes) > 8 else ""
        facts.append(("classes", f"{len(view.classes)}: {few}{more}"))
    if view.splits:
        facts.append(("splits", ", ".join(f"{p.name} {p.items:,}" for p in view.splits if p.items)))
    facts += [(spread.name, _spread(spread)) for spread in view.spreads]
    out = [f"{found.title}  ({found.origin})", aligned(("", ""), facts), ""]
    for finding in found.findings:
        out += textwrap.wrap(f"{finding.level:<8} {finding.seen}", width, subsequent_indent=" " * 9)
        examples = () if finding.paste else finding.examples
        out += [f"           {example}" for example in examples[:_SHOWN]]
        if finding.count > _SHOWN and len(examples) > _SHOWN:
            out.append(f"           ... {finding.count:,} in all")
        if finding.advice:
            out += textwrap.wrap(finding.advice, width, initial_indent="         -> ", subsequent_indent=" " * 12)
        out += [f"              {line}" for line in finding.paste.splitlines()]
    if not found.findings:
        out.append("nothing to report")
    done = ", ".join(check.name for check in found.checks if not check.missing)
    out += ["", *textwrap.wrap(f"looked for: {done}", width, subsequent_indent="  ")]
    for check in found.checks:
        if check.missing:
            out += textwrap.wrap(f"no look at {check.name}: {check.missing}", width, subsequent_indent="  ")
    out.append(f"{found.seconds:.1f} s")
    if report.page is not None:
        out.append(f"{report.page} ({size_text(report.size)}; open it in a browser, it needs no network)")
    return out


def _spread(spread: Distribution) -> str:
    low, _, _, middle, _, _, high = spread.values
    shown = [f"{v:,.0f}" if v >= 100 or v == round(v) else f"{v:.3g}" for v in (low, middle, high)]
    unit = f" {spread.unit}" if spread.unit else ""
    return f"{shown[0]}{unit} for all" if low == high else f"{shown[0]} to {shown[2]}{unit}, middle {shown[1]}"


def report(
    data: str | Path,
    out: str | Path | None = None,
    limit: int | None = None,
    fail_on: str | None = None,
) -> DataReport:
    """Looks at the data at a path or under a name: counts, unreadable files, copies, leaks between splits, outliers,
    faces and personal data, and what the card does not say yet.

    out: writes a page there (.html). limit: the most pictures that are looked at, 200,000 unless told. fail_on: "note",
    "warning" or "serious": `failed` is set where a finding is at least that bad.
    """
    from genloom.data.inspect.finding import LEVELS
    from genloom.data.inspect.inspection import LIMIT, inspect

    if fail_on is not None and fail_on not in LEVELS:
        raise BadValue(f"--fail-on is one of {', '.join(LEVELS)}, got {fail_on!r}")
    page = None if out is None else check_page(out)
    progress = _Progress()
    try:
        found = inspect(str(data), LIMIT if limit is None else limit, progress)
    finally:
        progress.end()
    size = 0
    if page is not None:
        from genloom.report.data_page import write_data_page

        size = write_data_page(found, page)
    failed = fail_on is not None and bool(found.at_least(fail_on))
    return DataReport(found, page, size, failed)


class _Progress:
    """One line on stderr that says what is being done, from the third second on: renewed on a terminal, else rarely."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._shown = 0
        self._live = sys.stderr.isatty()

    def __call__(self, what: str, share: float) -> None:
        now = time.monotonic()
        if now - self._began < 3 or now - self._last < (0.2 if self._live else 30):
            return
        self._last = now
        line = f"{what}: {share:.0%}"
        sys.stderr.write(f"\r{line:<{self._shown}}" if self._live else f"{line}\n")
        sys.stderr.flush()
        self._shown = len(line)

    def end(self) -> None:
        if self._live and self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")


@dataclass(frozen=True)
class SplitMade:
    """A recorded rule: where it lies, what it says, how many items fall into each part."""

    path: Path
    recorded: Recorded
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        found = self.recorded
        return {
            "path": str(self.path),
            "rule": found.rule.to_json(),
            "items": found.items,
            "counts": found.counts,
            "digest": found.digest,
            "made": found.made,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        rows = [(name, count, f"{count / self.recorded.items:.1%}") for name, count in self.recorded.counts.items()]
        return "\n".join([str(self.path), str(self.recorded.rule), aligned(("part", "items", ""), rows), *self.notes])

    __repr__ = __str__


def split(
    data: str | Path,
    by: str = "hash",
    shares: str = "80,10,10",
    folds: int | None = None,
    group: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
) -> SplitMade:
    """Records the rule by which items of your own data train, validate and test, in the data folder or at `out`.

    by: "hash" (content), "group" or "folds". shares: of train, validation and test in percent; with folds the last
    alone counts. folds: how many, 5 unless told. group: what keeps items together: "folder", "folder:2", a regular
    expression that captures it, or "TABLE.csv:COLUMN".
    """
    from genloom.data.grouping import parse_group
    from genloom.data.splitting import Rule, check_rule, parse_shares, record, split_path

    if by == "folds" and folds is None:
        folds = 5
    parsed = None if group is None else parse_group(group)
    rule = Rule(by, seed, parse_shares(shares), folds or 0, parsed)  # type: ignore[arg-type]
    check_rule(rule)
    path = Path(data).expanduser()
    notes: list[str] = []
    items = _items(path, str(data), notes)
    place = split_path(path) if out is None else Path(out)
    if place.is_dir() or place.suffix != ".json":
        raise BadValue(f"--out {place}: a split is written to a .json file")
    check_writable(place, "--out")
    place.parent.mkdir(parents=True, exist_ok=True)
    replaced = place.exists()
    recorded = record(path, items, rule, place)
    if replaced:
        notes.append("the rule that stood there before was replaced")
    how = "is used whenever these data are loaded" if out is None else f"is used with --data.split {place}"
    fold = "; --data.fold 1, 2, ... chooses the fold that validates" if by == "folds" else ""
    return SplitMade(place, recorded, (f"it {how}{fold}", *notes))


def _items(path: Path, source: str, notes: list[str]) -> list[str]:
    """What the rule is about: files of a folder, or numbers of an array's rows, as the loader names them."""
    from genloom.data.folder import ENDINGS, SPLITS, files_below
    from genloom.data.listing import scan
    from genloom.data.loading import catalogue
    from genloom.data.texts import ENDINGS as TEXTS
    from genloom.data.texts import text_files

    if not path.exists():
        if source in catalogue():
            raise BadData(
                f"{source} comes with a split of its own, which published figures refer to: it stays as it is"
            )
        raise NotFound(f"there is no {path}: give a folder of pictures or of text files, or an array")
    if not path.is_dir():
        if path.suffix.lower() in (".npy", ".npz"):
            return [str(i) for i in range(_length(path))]
        raise BadData(f"{path} is one file, which is cut in three by position: split a folder of files, or an array")
    pictures, texts = files_below(path, ENDINGS), text_files(scan(path, TEXTS)).names
    if 2 * len(pictures) < len(texts):
        return texts
    names = [picture.relative_to(path).as_posix() for picture in pictures]
    if not names:
        raise BadData(f"{path} holds no pictures and no text files: give a folder that does")
    tops = {name.split("/", 1)[0].lower() if "/" in name else "" for name in names}
    if tops & {"train", "training"} and tops <= set(SPLITS):
        notes.append(f"the rule takes the place of the sub-folders {', '.join(sorted(tops))} as splits")
    return names


def _length(path: Path) -> int:
    """How many training images an array file holds, by its header where it is large."""
    from genloom.data.arrayfile import find, read_file
    from genloom.data.arrays import _IMAGES

    held = read_file(path, set(_IMAGES), 1 << 20)
    images = find(held, _IMAGES)
    if images is None or not images.shape:
        raise BadData(f"{path} holds {', '.join(map(repr, held))} and no images: name them '{_IMAGES[0]}'")
    return images.shape[0]
