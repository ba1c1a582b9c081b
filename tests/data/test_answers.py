import json
from pathlib import Path

import pytest
import torch

from genloom import data
from genloom.data.answers import Said, answer_dataset, kind_of, shared_prompt
from genloom.data.options import DataOptions
from genloom.data.sets.text import parted_answers
from genloom.errors import BadData, BadValue, NotFound
from genloom.modalities.ended import EndedTokenizer, closed, ended, lengths, rows_of
from genloom.modalities.text import ByteTokenizer, CharTokenizer, tokenizer_from_json
from genloom.runs.files import write_json
from genloom.testing.fakes import CARD

ROWS = [{"prompt": f"say {w}", "answer": w.upper()} for w in ("one", "two", "three", "four", "five", "six") * 5]


def written(path: Path, rows: list[object]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def load(path: Path, **choices: object) -> data.Dataset:
    return data.load(DataOptions(source=str(path), **choices))  # type: ignore[arg-type]


def test_lines_with_a_prompt_and_an_answer_are_answers_by_themselves(tmp_path: Path) -> None:
    found = load(written(tmp_path / "a.jsonl", list(ROWS)))
    assert {k: f.role for k, f in found.spec.items()} == {"text": "item", "prompt": "condition"}
    assert found.tokenizer is not None
    batch = found.train.batch(torch.arange(len(found.train)))
    for prompt, text in zip(batch["prompt"].tolist(), batch["text"].tolist(), strict=True):
        assert found.tokenizer.decode(text) == found.tokenizer.decode(prompt).removeprefix("say ").upper()
    assert found.spec["text"].end == found.tokenizer.size - 1


def test_equal_prompts_stay_in_one_split(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i % 20}", "answer": f"a{i}"} for i in range(200)]
    found = load(written(tmp_path / "a.jsonl", list(rows)))
    sides = [{tuple(r) for r in s.batch(torch.arange(len(s)))["prompt"].tolist()} for s in
             (found.train, found.validation, found.test)]  # fmt: skip
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert sum(map(len, sides)) == 20


def test_empty_sides_and_equal_sides_are_counted_and_skipped(tmp_path: Path) -> None:
    found = load(written(tmp_path / "a.jsonl", [*ROWS, {"prompt": "x", "answer": " "}]))
    assert any("1 of 31 rows have an empty side; skipped" in note for note in found.notes)
    rows = [{"prompt": f"q{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(30)]
    alike = {"prompt": "q", "chosen": "same", "rejected": "same"}
    path = written(tmp_path / "p.jsonl", [*rows, alike, alike])
    found = load(path)
    assert list(found.spec) == ["text", "prompt", "rejected"]
    assert any("2 of 32 rows prefer an answer to the same answer; skipped" in note for note in found.notes)
    assert found.spec["text"].shape == found.spec["rejected"].shape
    with pytest.raises(BadData, match="prefer an answer to the same answer; mend"):
        load(path, strict=True)
    with pytest.raises(BadData, match="nothing to learn from: 2 of 2 rows prefer"):
        load(written(tmp_path / "q.jsonl", [alike, alike]))


def test_two_files_answer_each_other_line_by_line(tmp_path: Path) -> None:
    first, second = tmp_path / "a.de", tmp_path / "a.en"
    first.write_text("".join(f"Satz {i}\n" for i in range(40)), encoding="utf-8")
    second.write_text("".join(f"sentence {i}\n" for i in range(40)), encoding="utf-8")
    found = load(first, aligned=str(second))
    assert found.train.items + found.validation.items + found.test.items == 40
    second.write_text("one line\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"40 lines and .*a.en has 1"):
        load(first, aligned=str(second))


def test_tables_of_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("prompt\tanswer\n" + "".join(f"say {i}\t{i}\n" for i in range(30)), encoding="utf-8")
    found = load(path, read="answers")
    assert found.train.items + found.validation.items + found.test.items == 30
    path.write_text("a\tb\tc\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"row 1: expected 2 columns \(prompt, answer\), got 3"):
        load(path, read="answers")


@pytest.mark.parametrize(
    ("line", "said"), [("[1]", "expected an object"), ('{"prompt": 3, "answer": "a"}', "texts under")]
)
def test_a_line_that_is_none(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(BadData, match=f"line 31: expected.*{said.removeprefix('expected ')}"):
        load(written(tmp_path / "a.jsonl", [*ROWS, line]))


def test_long_sides_are_cut_and_counted(tmp_path: Path) -> None:
    found = load(written(tmp_path / "a.jsonl", list(ROWS)), context=5)
    assert found.spec["text"].shape == (5,)
    assert any("answers are cut after 4 tokens" in note for note in found.notes)
    assert any("prompts are cut after 4 tokens" in note for note in found.notes)
    every = found.train.batch(torch.arange(len(found.train)))
    assert (every["text"][:, -1] == found.spec["text"].end).all()


def test_what_kind_of_lines(tmp_path: Path) -> None:
    assert kind_of(written(tmp_path / "1", [{"Instruction": "a", "output": "b"}])) == "answers"
    assert kind_of(written(tmp_path / "2", [{"chosen": "a", "rejected": "b"}])) == "preferences"
    assert kind_of(written(tmp_path / "3", [{"text": "a"}])) == ""
    assert kind_of(written(tmp_path / "4", ["not json"])) == ""


def test_dialogues_share_their_prompt() -> None:
    assert shared_prompt("Human: hi\n\nAssistant: yes sir", "Human: hi\n\nAssistant: yes no") == (
        "Human: hi\n\nAssistant:", " yes sir", " yes no",
    )  # fmt: skip
    assert shared_prompt("the cat sat", "the cow sat") == ("the ", "cat sat", "cow sat")


def test_a_set_without_answers_says_so() -> None:
    with pytest.raises(BadData, match="python-stdlib holds no answers"):
        data.load(DataOptions(source="python-stdlib", read="answers"))
    with pytest.raises(BadValue, match="expected two of de, en, fr, as de-en, got 'de-de'"):
        data.load(DataOptions(source="multi30k", read="answers", direction="de-de"))


def test_parts_are_mixed_and_apart() -> None:
    rows: list[tuple[str, ...]] = [(f"p{i}", f"a{i}") for i in range(50)]
    parts = parted_answers("x", [*rows, *rows], DataOptions(), [])
    assert sorted(row for part in parts for row in part.rows()) == sorted(rows)
    assert [len(part.prompts) for part in parts] == [40, 5, 5]


def test_another_runs_tokenizer(tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer.json", CharTokenizer("\nabc").to_json())
    rows = Said.of([("ab", "c\nc"), ("b", "a")])
    options = DataOptions(source="x", tokenizer=str(tmp_path), context=8)
    found = answer_dataset("x", options, (rows, rows, rows), CARD, [])
    assert found.spec["text"].vocabulary == 5  # the model has no further id to learn: its line feed is the end
    assert found.spec["text"].end == 0
    assert found.tokenizer is not None
    assert found.tokenizer.decode(found.train.batch(torch.arange(1))["text"][0].tolist()) == "c\ufffdc"
    with pytest.raises(NotFound, match="did you mean byte"):
        data.load(DataOptions(source="python-stdlib", tokenizer="bytes"))
    write_json(tmp_path / "tokenizer.json", CharTokenizer("abc").to_json())
    with pytest.raises(BadData, match="nor for that of a line"):
        answer_dataset("x", options, (rows, rows, rows), CARD, [])


def test_ends() -> None:
    tokenizer = EndedTokenizer(ByteTokenizer())
    assert tokenizer.size == 257
    ids = rows_of([tokenizer.encode("hi"), tokenizer.encode("longer"), []], 5, tokenizer.end)
    assert ids.tolist() == [[104, 105, 256, 256, 256], [*b"long", 256], [256] * 5]
    assert lengths(ids, 256).tolist() == [3, 5, 1]
    assert lengths(torch.ones(2, 4, dtype=torch.int64), 256).tolist() == [4, 4]
    assert closed(torch.tensor([[1, 256, 3, 256, 4]]), 256).tolist() == [[1, 256, 256, 256, 256]]
    again = tokenizer_from_json(tokenizer.to_json())
    assert again.decode(ids[0].tolist()) == "hi"
    assert ended(again) is again
