"""The entry point: finds the verb, parses, runs it, and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from genloom import __version__
from genloom.cli import help as texts
from genloom.cli.parse import Parsed, find_verb, parse
from genloom.cli.table import groups
from genloom.errors import GenloomError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 2 (a mistake or misfortune, told in one line; or what the result
    says), 130 (Ctrl-C)."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or os.environ.get("GENLOOM_DEBUG", "") not in ("", "0")
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except GenloomError as error:
        if debug:
            raise
        line = " ".join(str(error).split())
        print(f"genloom: {line}" if leads() else f"genloom[{os.environ['RANK']}]: {line}", file=sys.stderr)
        if "--json" in words and leads():
            print(json.dumps({"error": line, "kind": type(error).__name__}))
        return error.exit_code
    except BrokenPipeError:  # the reader has gone (`genloom runs | head`): nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        if debug:
            raise
        print("genloom: interrupted", file=sys.stderr)
        return 130


def leads() -> bool:
    """Whether this process speaks: alone, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _run(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        if len(words) > 1 and words[0] == "help":
            words = [*words[1:], "--help"]
        else:
            print(texts.overview(__version__))
            return 0
    if words[0] in ("--version", "-V"):
        print(f"genloom {__version__}")
        return 0
    while words[0] in ("--json", "--debug") and len(words) > 1:  # common flags may stand before the verb
        words = [*words[1:], words[0]]
    if words[0] in groups() and words[1:2] in (["--help"], ["-h"]):
        print(texts.group_help(words[0]))
        return 0
    verb, rest = find_verb(words)
    parsed = parse(verb, rest)
    if parsed.on("help"):
        print(_help(parsed))
        return 0
    # Threads that spin for milliseconds after every operation halve the speed, or worse, as soon as another program
    # wants the processor; a short spin costs nothing on a quiet machine. libgomp reads this when torch loads.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from genloom.cli import commands
    from genloom.verbs.results import finite

    command = commands.COMMANDS[verb.name]
    if not parsed.on("json"):
        result = command(parsed)
        if result is not None and leads():
            print(result)
        return int(getattr(result, "exit_code", 0))
    with redirect_stdout(sys.stderr):  # whatever a library prints, stdout carries one JSON object
        result = command(parsed)
    if result is not None and leads():
        print(json.dumps(finite(result.to_json()), ensure_ascii=False))
    return int(getattr(result, "exit_code", 0))


def _help(parsed: Parsed) -> str:
    text = texts.verb_help(parsed.verb)
    name = parsed.word(0)
    if parsed.verb.name == "train" and name:
        from genloom.recipes import fields, files, registry

        size = parsed.values.get("size")
        base, recipe = files.resolve(name, str(size) if size is not None else None)
        entry, infos = registry.entry(base), fields.leaves(recipe)
        sizes = f" Sizes: {', '.join(entry.sizes)}." if entry.sizes else ""
        text += "\n".join(["", "", f"fields of {name}: {entry.summary.rstrip('.')}.{sizes}", ""])
        text += "\n".join(["", *texts.columns(texts.field_rows(infos))])
    if parsed.verb.name == "sample":
        from genloom.core import Decoding
        from genloom.recipes import fields

        text += "\n".join(
            ["", "", "fields of decoding:", "", *texts.columns(texts.field_rows(fields.leaves(Decoding())))]
        )
    if parsed.verb.name == "data show":
        from genloom.data.options import DataOptions
        from genloom.recipes import fields

        rows = texts.field_rows(fields.leaves(DataOptions(), "data."))
        text += "\n".join(["", "", "fields of data:", "", *texts.columns(rows)])
    return text
