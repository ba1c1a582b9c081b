"""Few-shot prompting, and texts measured beside their sources, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import genloom
from genloom.cli.main import main
from genloom.errors import BadData, BadValue
from genloom.verbs.shots import examples, shown

ASKED = [{"prompt": f"say {w}", "answer": w.upper()} for w in ("cat", "dog", "mat")]


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def reader(house: Path) -> Path:
    """A gpt of two steps that reads 64 characters."""
    shape = ["--config.width", "32", "--config.depth", "1", "--config.heads", "2", "--config.pairs", "64"]
    text = ["--data", str(house / "words.txt"), "--data.context", "64", "--budget", "2steps", "--batch", "8"]
    plain = ["--precision", "fp32", "--runs", str(house / "runs"), "--name", "reader"]
    assert main(["train", "gpt", *shape, *text, *plain]) == 0
    return house / "runs"


def test_examples_come_from_files_and_from_sets(tmp_path: Path) -> None:
    path = lines(tmp_path / "e.jsonl", ASKED)
    assert examples(path, 2) == [("say cat", "CAT"), ("say dog", "DOG")]
    assert shown(["q"], examples(path, 2)) == ["say cat\nCAT\n\nsay dog\nDOG\n\nq\n"]
    assert shown(["q"], examples(path, 0)) == ["q\n"]
    made = examples("passages", 3)
    assert len(made) == 3
    assert all(question.endswith("?") and answer for question, answer in made)
    with pytest.raises(BadValue, match="holds 3 examples, and --shots asks for 4: lower it"):
        examples(path, 4)
    with pytest.raises(BadValue, match="--shots: expected a number of examples"):
        examples(path, -1)
    with pytest.raises(BadData, match="python-stdlib holds no answers"):
        examples("python-stdlib", 1)


def test_the_answer_is_what_the_model_writes_after_the_examples(reader: Path, tmp_path: Path) -> None:
    path = lines(tmp_path / "e.jsonl", ASKED)
    whole = shown(["the log"], examples(path, 2))[0]
    found = genloom.sample("reader", 3, prompt="the log", examples=path, shots=2, length=12, seed=5, runs=reader)
    plain = genloom.sample("reader", 3, prompt=whole, stop="\n", length=12, seed=5, runs=reader)
    assert list(found.texts) == [text.removeprefix(whole).strip() for text in plain.texts]
    assert len(set(found.texts)) > 1
    assert "\n" not in "".join(found.texts)


def test_what_does_not_go_together(reader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, runs = lines(tmp_path / "e.jsonl", ASKED), ["--runs", str(reader)]

    def refused(*words: str) -> str:
        capsys.readouterr()
        assert main(["sample", *words, *runs]) == 2
        return capsys.readouterr().err

    ask = ["--prompt", "the log", "--examples", str(path)]
    assert "2 examples and the prompt have 34 tokens, with up to 60 to write" in refused("reader", *ask, "--shots", "2")
    assert "lower --shots or --length" in refused("reader", *ask)
    assert "give one with --prompt" in refused("reader", "--examples", str(path))
    assert "--shots says how many --examples" in refused("reader", "--prompt", "a", "--shots", "2")
    assert "writes no text after a prompt" in refused("pictures", *ask)
    assert "beside it alone" in refused("reader", *ask, "--decode", "beam")
    out = tmp_path / "answers.jsonl"
    assert main(["sample", "reader", *ask, "--shots", "1", "--length", "8", "-n", "2", "--out", str(out), *runs]) == 0
    assert len(out.read_text().splitlines()) == 2


def test_a_file_of_summaries_is_checked_against_its_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = "The mill by the river was closed in May, because two of its beams had cracked."
    rows = [{"source": source, "text": "The mill was closed because beams cracked."},
            {"source": source, "text": "The mayor closed the mill in June."},
            {"source": source, "text": "The text does not say."}]  # fmt: skip
    assert main(["evaluate", str(lines(tmp_path / "s.jsonl", rows)), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (figure,) = told["results"]
    assert figure["key"] == "grounding"
    assert figure["value"] == pytest.approx((1 + 2 / 4) / 2)  # what abstains says nothing
    assert figure["n"] == 2
    assert told["notes"] == [
        "answer 2 says what its source does not, mayor, june: 'The mayor closed the mill in June.'"
    ]
    rows[0]["reference"] = "closed"
    bad = lines(tmp_path / "b.jsonl", [rows[0], {"text": "x"}])
    assert main(["evaluate", str(bad), "--json"]) == 2
    assert 'expected "reference"' in capsys.readouterr().err
    bad = lines(tmp_path / "c.jsonl", [rows[1], {"text": "x"}])
    assert main(["evaluate", str(bad)]) == 2
    assert 'line 2: expected "source"' in capsys.readouterr().err
    assert main(["evaluate", str(lines(tmp_path / "d.jsonl", ["x"]))]) == 2
    assert '"reference" or "source"' in capsys.readouterr().err


def test_a_file_of_answers_gets_both_sides_of_abstention(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "Tom lives in the old mill."
    rows = [{"prompt": text, "text": "old mill", "reference": "the old mill"},
            {"prompt": text, "text": "seventy", "reference": "The text does not say."}]  # fmt: skip
    assert main(["evaluate", str(lines(tmp_path / "a.jsonl", rows)), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert values["exact_match"] == 0.5
    assert values["abstain_recall"] == 0
    assert values["answer_recall"] == 1
    assert values["grounding"] == 0.5
