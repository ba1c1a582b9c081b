"""`genloom evaluate` of samples that any tool made, of texts, and of one run against another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import genloom
from genloom.cli.main import main
from genloom.errors import BadData, BadValue, Storage
from genloom.report.numbers import number

Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def measure(at_home: Path, capsys: pytest.CaptureFixture[str]) -> Measure:
    """evaluate(words...) -> what --json prints."""

    def run(*words: object) -> dict[str, Any]:
        assert main(["evaluate", *map(str, words), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Arrays of samples: held-out digits, digits among which a tenth is recited, and noise."""
    from genloom.data import DataOptions, load

    data = load(DataOptions("digits"))
    fresh, train = (s.raw(torch.arange(150))["image"][:, 0].numpy() for s in (data.validation, data.train))
    folder = tmp_path_factory.mktemp("samples")
    np.save(folder / "fresh.npy", fresh)
    np.save(folder / "recited.npy", np.concatenate([train[:15], fresh[15:]]))
    np.save(folder / "noise.npy", np.random.default_rng(0).integers(0, 256, fresh.shape, np.uint8))
    np.save(folder / "flat.npy", np.full((20, 8, 8), 9, np.uint8))
    np.save(folder / "one.npy", fresh[:1])
    return folder


def test_samples_are_scored_with_all_that_is_promised(measure: Measure, digits: Path) -> None:
    told = measure(digits / "fresh.npy", "--data", "digits")
    assert told["samples"] == str(digits / "fresh.npy")
    assert told["n"] == 150
    figures = {r["key"]: r for r in told["results"]}
    assert {"fd", "fd_floor", "kd", "precision", "recall", "density", "coverage", "vendi", "is", "copies"} <= set(
        figures
    )
    for key in ("fd", "kd", "precision", "recall", "density", "coverage", "vendi", "is"):
        one = figures[key]
        assert {"name", "value", "interval", "n", "floor", "protocol", "signature"} <= set(one)
        assert isinstance(one["floor"], float)
        assert one["signature"].startswith(f"{key}|")
        assert f"|data:{told['digest'][:12]}|split:test|version:{genloom.__version__}" in one["signature"]
    assert figures["fd"]["floor"] == figures["fd_floor"]["value"]
    assert told["memorisation"]["verdict"] in ("pass", "inconclusive")
    noise = measure(digits / "noise.npy", "--data", "digits")
    assert noise["values"]["fd"] > 10 * told["values"]["fd"]
    assert noise["values"]["precision"] < 0.1 < 0.8 < told["values"]["precision"]
    assert noise["values"]["kd"] > 10 * abs(told["values"]["kd"])
    assert noise["values"]["coverage"] < 0.1 < 0.8 < told["values"]["coverage"]


def test_recited_samples_fail_and_the_pairs_are_named_by_their_place(measure: Measure, digits: Path) -> None:
    told = measure(digits / "recited.npy", "--data", "digits")["memorisation"]
    assert told["verdict"] == "fail"
    assert {pair[0] for pair in told["pairs"][:8]} <= set(range(15))
    assert all(pair[0] == pair[1] for pair in told["pairs"][:8]), "sample i is training item i"


def test_the_first_n_and_a_table_for_people(digits: Path, at_home: Path) -> None:
    result = genloom.evaluate(digits / "fresh.npy", data="digits", n=60)
    assert result.evaluation.n == 60
    said = str(result)
    assert "real items" in said
    assert "of real training items" not in said, "their own column shows them"
    assert not list(digits.glob("*.json")), "samples get no file beside them"


def test_one_set_against_another(measure: Measure, digits: Path) -> None:
    told = measure(digits / "fresh.npy", "--data", "digits", "--against", digits / "noise.npy")
    found = {d["key"]: d for d in told["differences"]}
    assert found["kd"]["significant"] is True
    assert found["kd"]["winner"] == "first"
    assert found["precision"]["difference"] < -0.5
    same = measure(digits / "fresh.npy", "--data", "digits", "--against", digits / "fresh.npy")
    assert not any(d["significant"] for d in same["differences"])
    assert [e["n"] for e in told["evaluations"]] == [150, 150]


def test_one_run_against_another(measure: Measure, at_home: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (at_home / "runs").rglob("evaluation.json")}
    told = measure("pictures", "--against", "gan", "-n", "64")
    assert {"kd", "precision", "share:3"} <= {d["key"] for d in told["differences"]}
    assert told["first"].endswith("pictures")
    again = genloom.evaluate("pictures", against="gan", n=64)
    assert json.loads(json.dumps(again.to_json()["differences"])) == told["differences"], "the same each time"
    assert before == {p: p.stat().st_mtime_ns for p in (at_home / "runs").rglob("evaluation.json")}
    words = measure("words", "--against", "words", "-n", "8")["differences"]
    assert [(d["key"], d["difference"]) for d in words] == [("nats_per_token", 0.0)]
    with pytest.raises(BadData, match="different data"):
        genloom.evaluate("pictures", against="words")


def test_texts_of_any_tool(measure: Measure, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = [f"{a}{b}{c}" for a in "bdfg" for b in "aeiou" for c in "lmnrst"]
    text = " ".join(random.choice(words, 150_000))
    (tmp_path / "data.txt").write_text(text)
    honest = [" ".join(random.choice(words, 40)) for _ in range(100)]
    recited = [text[i * 200 : i * 200 + 160] for i in range(10)] + honest[10:]
    verdicts = {}
    for name, samples in (("honest", honest), ("recited", recited)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": t}) + "\n" for t in samples))
        told = measure(path, "--data", tmp_path / "data.txt", "--data.context", "64")
        assert {"recited", "seen_25", "distinct_2", "novel_3"} <= set(told["values"])
        verdicts[name] = told["memorisation"]
    assert verdicts["honest"]["verdict"] == "pass"
    assert verdicts["recited"]["verdict"] == "fail"
    assert verdicts["recited"]["worst"][0][0] == 160
    assert verdicts["recited"]["worst"][0][1] in text


def test_a_page_with_pictures_is_left_beside_what_was_measured(at_home: Path, tmp_path: Path) -> None:
    run = genloom.evaluate("pictures", n=60)
    page = (at_home / "runs" / "pictures" / "evaluation.html").read_text()
    assert str(run.to_json()["page"]).endswith("evaluation.html")
    assert page.count("<img") == 3, "samples, held-out items, the closest pairs"
    for said in ("Samples", "Real, held out", "nearest to one training item", "95% interval", "Real items",
                 "fd|features:digits@", "genloom evaluate runs/pictures --n 60"):  # fmt: skip
        assert said in page
    assert "http://" not in page.replace("http://www.w3.org", ""), "it asks the network for nothing"
    assert f"<b>{number(run['fd'])}</b>" in page
    draw = np.random.default_rng(0)
    path = tmp_path / "mine.npy"
    np.save(path, draw.integers(0, 255, (60, 8, 8), dtype=np.uint8))
    shown = genloom.evaluate(path, data="digits")
    assert shown.page == str(tmp_path / "mine-evaluation.html")
    assert (tmp_path / "mine-evaluation.html").read_text().count("<img") == 3
    assert genloom.evaluate(path, data="digits", page=False).page == ""
    genloom.evaluate("words", n=4)
    text = (at_home / "runs" / "words" / "evaluation.html").read_text()
    assert "perplexity per token" in text
    assert "Real, held out" in text
    assert "stand in the training text" in text


def test_a_place_that_cannot_be_written_gets_no_page_and_no_error(
    at_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genloom.report import evaluation

    def refuses(page: Any, path: Any) -> Path:
        raise Storage("the disk is full")

    monkeypatch.setattr(evaluation, "write_evaluation", refuses)
    path = tmp_path / "mine.npy"
    np.save(path, np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8))
    assert genloom.evaluate(path, data="digits").page == ""


def test_texts_beside_their_references(measure: Measure, tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu")
    path = tmp_path / "pairs.jsonl"
    rows = [{"text": f"a cat sat on mat {i}", "reference": f"the cat sat on mat {i}"} for i in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = measure(path)
    assert list(told["values"]) == ["bleu", "chrf", "rouge1", "rouge2", "rougel"]
    assert told["values"]["rouge1"] == pytest.approx(5 / 6)
    assert told["results"][0]["protocol"]["sacrebleu"].startswith("nrefs:1|")
    assert "reference: the cat sat on mat 0" in (tmp_path / "pairs-evaluation.html").read_text()
    (tmp_path / "data.txt").write_text("the cat sat on the mat and the dog sat on the log\n" * 200)
    both = measure(path, "--data", tmp_path / "data.txt", "--data.context", "16")["values"]
    assert {"bleu", "distinct_1", "recited"} <= set(both)
    path.write_text('{"text": "a"}\n')
    with pytest.raises(BadValue, match="reference"):
        genloom.evaluate(path)


def test_a_text_run_says_whether_it_recites(at_home: Path) -> None:
    told = genloom.evaluate("words", n=6).to_json()
    assert next(r["key"] for r in told["results"]) == "nats_per_token"
    assert {"recited", "seen_25", "distinct_2"} <= set(told["values"])
    assert told["memorisation"]["verdict"] in ("pass", "fail", "inconclusive")
    assert told["n"] == 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("flat.npy", "--data", "digits"), "constant"),
        (("one.npy", "--data", "digits"), "at least 2 samples"),
        (("fresh.npy", "--data", "digits", "-n", "1"), "at least 2 samples"),
        (("fresh.npy", "--data", "digits", "--raw"), "leave the rest out"),
        (("nowhere.npy", "--data", "digits"), "there is no"),
        (("fresh.npy", "--data", "WORDS"), "holds images, and the data set texts"),
        (("pictures", "--data.size", "9"), "goes with --data"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "",
)
def test_refused_in_one_line(
    words: tuple[str, ...], said: str, digits: Path, at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(digits / words[0]) if words[0].endswith(".npy") else words[0]
    assert main(["evaluate", path, *(str(at_home / "words.txt") if w == "WORDS" else w for w in words[1:])]) == 2
    line = capsys.readouterr().err.strip()
    assert said in line
    assert "\n" not in line


def test_texts_are_not_set_against_each_other(tmp_path: Path, at_home: Path) -> None:
    (tmp_path / "s.txt").write_text("the cat sat\nthe dog sat\n")
    with pytest.raises(BadValue, match="evaluate each by itself"):
        genloom.evaluate(tmp_path / "s.txt", data=at_home / "words.txt", against=tmp_path / "s.txt")
