"""`genloom complete`: lines and functions of source files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from genloom.cli.main import main
from genloom.errors import BadValue
from genloom.verbs.complete import block_end, parses, written_so_far

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], at_home: Path) -> Say:
    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_what_is_continued(tmp_path: Path) -> None:
    file = tmp_path / "a:1.py"
    file.write_text("one\ntwo\nthree\n")
    assert written_so_far(file) == "one\ntwo\nthree\n"
    assert written_so_far(f"{file}:2") == "one\ntwo"
    with pytest.raises(BadValue, match="has 4 lines, and no line 9"):
        written_so_far(f"{file}:9")


@pytest.mark.parametrize(
    ("before", "added", "kept"),
    [
        ("def f(x):\n", "    return x\n\n\ndef g():\n", "    return x\n\n"),
        (
            "def f(x):\n",
            "    if x:\n        return 1\n    return 2\nprint(f(1))",
            "    if x:\n        return 1\n    return 2",
        ),
        ("class A:\n    def f(self):", "\n        return 1\n\n    def g(self):\n", "\n        return 1\n"),
        ("def f(x):\n", "x = 1\n", ""),  # nothing inside
        ("def f(x):\n    return", " x + 1\n", None),  # may go on
    ],
)
def test_where_a_function_ends(before: str, added: str, kept: str | None) -> None:
    end = block_end(before)(added)
    assert (None if end < 0 else added[:end]) == kept


def test_no_function_has_begun() -> None:
    with pytest.raises(BadValue, match="def above"):
        block_end("x = 1\n")


def test_parsing_runs_nothing() -> None:
    assert parses("raise SystemExit")
    assert not parses("def f(:")
    assert not parses("(" * 10_000)


def test_completing_from_the_terminal(say: Say, tmp_path: Path) -> None:
    file = tmp_path / "song.py"
    file.write_text("def the cat\nthe dog sat on\nthe end\n")
    code, out, _ = say("complete", "words", f"{file}:2")
    assert code == 0
    assert "never saw 'f'" in out
    code, out, _ = say("complete", "words", str(file), "--what", "function", "-n", "3", "--length", "30", "--json")
    found = json.loads(out)["completions"]
    assert code == 0
    assert 1 <= len(found) <= 3
    assert found == sorted(found, key=lambda r: (not r["parses"], -r["logprob"]))
    for words, said in (
        (["words", "nowhere.py"], "no file"),
        (["words", f"{file}:99"], "no line 99"),
        (["words", str(file), "--what", "class"], "function, line"),
        (["flow", str(file)], "writes no text"),
    ):
        code, out, err = say("complete", *words)
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1
