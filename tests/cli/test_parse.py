"""The table of verbs, the parser, the help: all without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from genloom.cli import help as texts
from genloom.cli.commands import COMMANDS
from genloom.cli.parse import find_verb, parse
from genloom.cli.table import VERBS, verbs
from genloom.errors import BadValue, NotFound
from genloom.verbs.results import finite


def test_flags_stand_anywhere_and_fields_are_kept_for_the_recipe() -> None:
    words = ["--config.width", "64", "vae", "--budget=5m", "--data.flip", "--seed", "1e3", "--train.ema=-1"]
    parsed = parse(verbs()["train"], words)
    assert parsed.words == ("vae",)
    assert parsed.values == {"budget": "5m", "seed": 1000}
    assert parsed.fields == {"config.width": "64", "data.flip": None, "train.ema": "-1"}


def test_negative_numbers_and_dashes_are_values() -> None:
    assert parse(verbs()["sample"], ["r", "-n", "-3"]).values["n"] == -3
    assert parse(verbs()["sample"], ["r", "--prompt=--x"]).values["prompt"] == "--x"
    assert parse(verbs()["sample"], ["--", "-r"]).words == ("-r",)
    assert parse(verbs()["train"], ["vae", "--from", "runs/x"]).values == {"start_from": "runs/x"}


@pytest.mark.parametrize(
    ("verb", "words", "said"),
    [
        ("sample", [], "needs RUN"),
        ("sample", ["a", "b"], "got 'b' as well"),
        ("sample", ["a", "-n"], "expects a value"),
        ("sample", ["a", "--seed", "--raw"], "expects a value"),
        ("sample", ["a", "-n", "many"], "expected a whole number, got 'many'"),
        ("sample", ["a", "-n", "1.5"], "expected a whole number"),
        ("sample", ["a", "-n", "inf"], "expected a whole number"),
        ("sample", ["a", "--top-p", "x"], "expected a number"),
        ("sample", ["a", "--raw=1"], "takes no value"),
        ("sample", ["a", "-n", "1", "-n", "2"], "given twice"),
        ("train", ["a", "--batch", "1", "--batch", "2"], "given twice"),
        ("doctor", ["now"], "takes no arguments"),
    ],
)
def test_bad_words(verb: str, words: list[str], said: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse(verbs()[verb], words)
    assert said in str(caught.value)


def test_wrong_names_answer_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean 'sample'"):
        find_verb(["smaple"])
    with pytest.raises(NotFound, match="--points"):
        parse(verbs()["interpolate"], ["r", "--piont", "1"])


def test_verbs_of_two_words() -> None:
    assert find_verb(["data"])[0].name == "data list"
    assert find_verb(["data", "--json"]) == (verbs()["data list"], ["--json"])
    verb, rest = find_verb(["data", "show", "x"])
    assert (verb.name, rest) == ("data show", ["x"])
    with pytest.raises(NotFound, match="did you mean 'show'"):
        find_verb(["data", "shew"])
    assert "data show" in texts.group_help("data")


def test_every_verb_has_a_command_and_a_function() -> None:
    import genloom

    assert list(COMMANDS) == [v.name for v in VERBS]
    for verb in VERBS:
        assert callable(getattr(genloom, genloom._NAMED.get(verb.name, verb.name.partition(" ")[0])))
        assert verb.name in texts.overview("0")


@pytest.mark.parametrize("verb", VERBS, ids=lambda v: v.name)
def test_help_names_every_flag_and_its_examples_parse(verb) -> None:
    said = texts.verb_help(verb)
    for flag in verb.flags:
        assert flag.name in said
    import shlex

    for example in verb.examples:
        words = shlex.split(example)
        assert words[0] == "genloom"
        found, rest = find_verb(words[1:])
        assert found is verb
        parse(verb, rest)


def test_functions_take_what_their_flags_give() -> None:
    import inspect
    from importlib import import_module

    import genloom

    for verb in VERBS:
        if verb.name.partition(" ")[0] in ("runs", "recipes", "data"):
            continue
        place = genloom._PACKAGES.get(verb.name)  # a package that can be called: its signature is its function's
        name = verb.name.rpartition(" ")[2]  # `genloom experiment collapse` is genloom.collapse
        name = genloom._NAMED.get(name, name)
        function = getattr(import_module(f"genloom.{place}") if place else genloom, name)
        known = inspect.signature(function).parameters
        assert {f.dest for f in verb.flags} <= set(known), verb.name


def test_help_and_import_load_no_torch() -> None:
    code = (
        "import sys, genloom; from genloom.cli.main import main; main(['--help']); main(['train', '--help'])\n"
        "import genloom.verbs.results\n"
        "sys.exit(bool({'torch', 'numpy', 'PIL', 'genloom.engine'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_json_has_no_nan() -> None:
    assert finite({"a": float("nan"), "b": (1.0, Path("x")), 3: True}) == {"a": None, "b": [1.0, "x"], "3": True}


def test_the_docs_page_is_up_to_date() -> None:
    script = Path(__file__).parents[2] / "docs" / "generate_cli.py"
    assert subprocess.run([sys.executable, str(script), "--check"]).returncode == 0


def test_the_last_word_may_stand_many_times() -> None:
    report = verbs()["report"]
    assert parse(report, ["1", "2", "--out", "x.html", "3"]).words == ("1", "2", "3")
    assert "RUN [RUN ...]" in texts.usage(report)
    with pytest.raises(BadValue, match="needs RUN"):
        parse(report, ["--out", "x.html"])
