"""`genloom complete`: how a line, or a function, of a source file goes on, from a model of code."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genloom.errors import BadData, BadValue, NotFound, unknown
from genloom.verbs.opened import AnyRun, open_run
from genloom.verbs.places import check_count
from genloom.verbs.results import Texts
from genloom.verbs.writing import Wishes, desk

if TYPE_CHECKING:
    from genloom.modalities.text import Tokenizer

LONGEST = {"line": 120, "function": 600}  # tokens
SEVERAL = 0.6  # temperature of several completions, which would be the same at 0


def complete(
    run: AnyRun,
    file: str | Path,
    what: str = "line",
    n: int = 1,
    *,
    length: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
    raw: bool = False,
    runs: str | Path = "runs",
) -> Texts:
    """What may come at the end of FILE, or of line LINE of FILE:LINE: the rest of the line, or of the function it is
    in.

    One completion is the likeliest token by token; several are drawn, and ordered: what parses as Python first, then by
    the mean log-probability of their tokens. Nothing is run. Raises NotFound, BadData and BadValue.
    """
    import torch

    from genloom.core import Sampling
    from genloom.engine import preview
    from genloom.samplers import decoding

    if what not in LONGEST:
        raise unknown("--what", what, LONGEST)
    count = check_count(n)
    before = written_so_far(file)
    end = (lambda text: text.find("\n")) if what == "line" else block_end(before)
    temperature = (SEVERAL if count > 1 else 0.0) if temperature is None else temperature
    options = Sampling(length=length or LONGEST[what], temperature=temperature)
    loaded = open_run(run, runs, raw)
    if loaded.tokenizer is None:
        raise BadValue(f"{loaded.run.path}: its model writes no text: name a run of a recipe such as code-gpt")
    ids = torch.tensor(loaded.tokenizer.encode(before), dtype=torch.int64)
    made = desk(loaded, before, options, Wishes(), runs, ids)
    with preview.resting(loaded.model):
        found = decoding.texts(
            made.model, [made.ids] * count, made.options, made.generators(count, seed),
            ended=_ended(loaded.tokenizer, end), top=0,
        )  # fmt: skip
    ranked = []
    for one in found:
        text = loaded.tokenizer.decode(one.ids)
        text = text[: at if (at := end(text)) >= 0 else len(text)].rstrip()
        ranked.append((not parses(before + text), -sum(one.logprobs) / max(1, len(one.logprobs)), text))
    best: dict[str, dict[str, object]] = {}
    for broken, surprise, text in sorted(ranked):
        best.setdefault(text, {"text": text, "parses": not broken, "logprob": -surprise})
    distinct = list(best.values())
    data = {"run": str(loaded.run.path), "file": str(file), "what": what, "seed": seed, "completions": distinct}
    return Texts(tuple(best), None, data, made.notes)


def written_so_far(file: str | Path) -> str:
    """The text that is to be continued: all of the file, or up to the end of the line that FILE:LINE names."""
    path, line = Path(file).expanduser(), None
    if not path.exists() and (parts := re.fullmatch(r"(.+):(\d+)", str(file))):
        path, line = Path(parts[1]).expanduser(), int(parts[2])
    if not path.is_file():
        raise NotFound(f"there is no file {path}: name one as FILE or FILE:LINE")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadData(f"{path} is no text in UTF-8: name a source file") from None
    lines = text.split("\n")
    if line is not None and not 1 <= line <= len(lines):
        raise BadValue(f"{path} has {len(lines)} lines, and no line {line}")
    before = text if line is None else "\n".join(lines[:line])
    if not before:
        raise BadData(f"{path} is empty: expected some text to continue")
    return before


def block_end(before: str) -> Callable[[str], int]:
    """Where the function that the text is in the middle of ends: before the next line that is not deeper than its head.

    Raises BadValue where no function has begun.
    """
    heads = re.findall(r"^([ \t]*)(?:async +)?def ", before, re.MULTILINE)
    if not heads:
        raise BadValue("--what function needs a line that begins with def above: name a LINE inside a function")
    outside = re.compile(rf"\n[ \t]{{0,{len(heads[-1])}}}[^ \t\n]")
    fresh = before.endswith("\n")

    def end(text: str) -> int:
        found = outside.search(("\n" if fresh else "") + text)
        return -1 if found is None else max(0, found.start() - fresh)

    return end


def parses(source: str) -> bool:
    """Whether the text is Python as far as it goes; it is not run."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _ended(tokenizer: Tokenizer, end: Callable[[str], int]) -> Callable[[Sequence[int]], bool]:
    return lambda ids: end(tokenizer.decode(ids)) >= 0
