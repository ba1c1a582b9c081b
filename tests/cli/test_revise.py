"""`genloom revise`: principles, what they refuse, and preferences that the tuning recipes read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genloom.cli.main import main
from genloom.errors import BadData, BadValue, GenloomError, NotFound
from genloom.verbs.principles import Offence, Principle, check_of, cost, filled, read_constitution
from genloom.verbs.revise import Case, _good, revise

LETTERS = '[[principle]]\nname = "no g"\navoids = "g"\n[[principle]]\nname = "an a"\nmatches = "a"\nweight = 0.5\n'


def law(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def prompts(path: Path, count: int = 12) -> Path:
    words = ("the cat", "the dog", "the log", "the mat")
    path.write_text("".join(f"{words[i % 4][: 4 + i // 4]}\n" for i in range(count)))
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def broken(check: str, value: Any, answer: str, more: Any = None) -> Offence | None:
    def worth(run: str, prompt: str, answer: str) -> float:
        return len(answer) / 10

    return check_of(Principle("p", check, value, more), worth, lambda question: f"No: {question}")("say", answer)


def test_what_each_check_finds() -> None:
    assert broken("has", ["happy", "great fun"], "It was GREAT fun.") is None
    assert broken("has", ["happy"], "unhappy") == Offence("p", "has none of happy")
    assert broken("lacks", ["sad"], "a sadder day") is None
    assert broken("lacks", ["cried", "sad"], "He was sad. She cried.") == Offence("p", "has 'sad'", 7)
    assert broken("matches", r"\.$", "end.") is None
    assert broken("avoids", "[0-9]+", "on 12 May") == Offence("p", "has '12'", 3)
    assert broken("words", [2, 3], "one two three") is None
    assert broken("words", [2, 3], "one") == Offence("p", "has 1 words")
    assert broken("judge", "run", "ten letters", 0.5) is None
    assert broken("judge", "run", "two", 0.5) == Offence("p", "is worth 0.3")
    assert broken("ask", "{prompt}, {answer}?", "x", r"No: say, x\?") is not None
    assert filled("{prompt} {other} {answer}", prompt="{answer}", answer="b") == "{answer} {other} b"
    two = [Principle("a", "has", [], weight=2), Principle("b", "has", [])]
    assert cost([Offence("a", ""), Offence("b", "")], two) == 3


def test_what_was_good_stays() -> None:
    text = "The sun rose. Tom smiled! Then he cried."
    assert _good(Case("p", "", [], text, [Offence("a", "", text.index("cried"))])) == "The sun rose. Tom smiled!"
    assert _good(Case("p", "", [], text, [Offence("a", "", 2)])) == ""
    assert _good(Case("p", "", [], text, [Offence("a", "", 30), Offence("b", "")])) == ""  # what lacks has no place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no principles: expected"),
        ("principle = 3", "holds no principles: expected"),
        ("[[principle]]\nhas = ['x']", "principle 1 has no name"),
        ("[[principle]]\nname = 'a'", "expected one of has, lacks, .*, got none"),
        ("[[principle]]\nname = 'a'\nhas = ['x']\nlacks = ['y']", "got has and lacks"),
        ("[[principle]]\nname = 'a'\nhaz = ['x']", "unknown key 'haz': did you mean 'has'"),
        ("[[principle]]\nname = 'a'\nhas = 'x'", "has is a list of words"),
        ("[[principle]]\nname = 'a'\nhas = []", "has is a list of words"),
        ("[[principle]]\nname = 'a'\nmatches = '('", "is no regular expression"),
        ("[[principle]]\nname = 'a'\nwords = [9, 3]", "the least and the most"),
        ("[[principle]]\nname = 'a'\nhas = ['x']\nweight = 0", "weight is a number above 0"),
        ("[[principle]]\nname = 'a'\nhas = ['x']\nat_least = 1", "at_least goes with judge"),
        ("[[principle]]\nname = 'a'\nask = 'is it good?'", "ask holds {answer}"),
        ("[[principle]]\nname = 'a'\nask = '{answer}?'\nbroken = '['", "is no regular expression"),
        ("[[principle]]\nname = 'a'\nhas = ['x']\n[[principle]]\nname = 'a'\nhas = ['y']", "named 'a'"),
        ("revise = 'better'\n[[principle]]\nname = 'a'\nhas = ['x']", "holds {answer}"),
        ("[[principle", "neither TOML nor JSON"),
    ],
)
def test_a_file_that_is_no_constitution_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(GenloomError, match=said) as caught:
        read_constitution(law(tmp_path / "p.toml", text))
    assert "\n" not in " ".join(str(caught.value).split())
    assert "p.toml" in str(caught.value)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    table = {"principle": [{"name": "no g", "avoids": "g"}, {"name": "an a", "matches": "a", "weight": 0.5}]}
    as_json = read_constitution(law(tmp_path / "p.json", json.dumps(table)))
    assert as_json == read_constitution(law(tmp_path / "p.toml", LETTERS))


@pytest.fixture(scope="module")
def made(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a barely trained model's drafts became."""
    folder = tmp_path_factory.mktemp("revised")
    revise("words", prompts(folder / "prompts.txt"), law(folder / "p.toml", LETTERS), 4, 6, length=6,
           out=folder / "out", runs=house / "runs")  # fmt: skip
    return folder


def test_revisions_are_better_than_the_drafts_they_are_chosen_over(made: Path) -> None:
    def price(text: str) -> float:
        return ("g" in text) + 0.5 * ("a" not in text)

    told = rows(made / "out" / "critiques.jsonl")
    pairs, answers = rows(made / "out" / "preferences.jsonl"), rows(made / "out" / "answers.jsonl")
    assert len(told) == 48
    assert len(pairs) >= 10
    assert all(price(p["chosen"]) < price(p["rejected"]) for p in pairs)
    assert all(price(a["answer"]) == 0 for a in answers)
    assert len(answers) == sum(not t["left"] for t in told)
    summary = json.loads((made / "out" / "revision.json").read_text())
    assert summary["preferences"] == len(pairs)
    assert sum(summary[k] for k in ("good_drafts", "revised", "improved", "given_up")) == summary["drafts"] == 48
    for row in told:  # what is said to be broken is
        assert bool(row["broken"]) == (price(row["draft"]) > 0)
        assert (row["tries"] == 0) == (not row["broken"])


def test_the_same_seed_gives_the_same_files_and_a_text_does_not_depend_on_others(made: Path, house: Path) -> None:
    again = made / "again"
    revise("words", made / "prompts.txt", made / "p.toml", 4, 6, length=6, out=again, runs=house / "runs")
    for name in ("preferences.jsonl", "answers.jsonl", "critiques.jsonl"):
        assert (again / name).read_bytes() == (made / "out" / name).read_bytes()
    revise("words", ["the"], made / "p.toml", 4, 6, length=6, out=made / "one", runs=house / "runs")
    assert rows(made / "one" / "critiques.jsonl") == rows(made / "out" / "critiques.jsonl")[:4]


@pytest.fixture(scope="module")
def tuned(made: Path, house: Path) -> Path:
    """Runs that learnt from what was written."""
    small = ["--data.context", "8", "--budget", "2steps", "--batch", "4", "--precision", "fp32", "--runs",
             str(house / "runs")]  # fmt: skip
    pairs, answers = (str(made / "out" / f"{name}.jsonl") for name in ("preferences", "answers"))
    for recipe, role, data in (("dpo", "reference", pairs), ("reward", "base", pairs), ("sft", "base", answers)):
        name = f"revised-{recipe}"
        assert main(["train", recipe, "--given", f"{role}=words", "--data", data, "--name", name, *small]) == 0
    return house / "runs"


def test_models_that_answer_and_reward_models_take_part(made: Path, tuned: Path, tmp_path: Path) -> None:
    text = LETTERS + '[[principle]]\nname = "worth it"\njudge = "revised-reward"\nat_least = -5.0\n'
    found = revise("revised-sft", ["the ", "the c"], law(tmp_path / "p.toml", text), out=tmp_path / "out", length=6,
                   runs=tuned)  # fmt: skip
    assert [row[:2] for row in found.rows] == [("no g", "avoids"), ("an a", "matches"), ("worth it", "judge")]
    assert found.rows[2][2] == 0  # whatever a model of two steps thinks, it is more than -5
    with pytest.raises(BadValue, match="Tuned gives no answer a worth: name a run of recipe reward"):
        revise("words", ["a"], law(tmp_path / "q.toml", text.replace("revised-reward", "revised-sft")),
               out=tmp_path / "no", runs=tuned)  # fmt: skip


def test_a_model_is_asked_in_words(house: Path, tmp_path: Path) -> None:
    text = 'revise = "{prompt}{answer}{broken}"\n[[principle]]\nname = "t"\nask = "{answer}"\nbroken = "(?s).*"\n'
    found = revise("words", ["the "], law(tmp_path / "p.toml", text), out=tmp_path / "out", length=4,
                   runs=house / "runs")  # fmt: skip
    assert found.more["given_up"] == 1
    assert not (tmp_path / "out" / "preferences.jsonl").exists()  # nothing to learn from is no file
    assert any("no preferences" in note for note in found.notes)


def test_all_or_nothing(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.verbs import revise as module

    there = tmp_path / "there"
    there.mkdir()
    file = law(tmp_path / "p.toml", LETTERS)
    keys: dict[str, Any] = {"runs": house / "runs", "length": 4}
    with pytest.raises(BadValue, match="exists: choose another folder"):
        revise("words", ["a"], file, out=there, **keys)
    with pytest.raises(BadValue, match="writes no text after a prompt"):
        revise("pictures", ["a"], file, out=tmp_path / "x", **keys)
    with pytest.raises(BadData, match="cannot be read"):
        revise("words", tmp_path / "none.txt", file, out=tmp_path / "x", **keys)
    bad = law(tmp_path / "bad.jsonl", '{"prompt": "a"}\n{"text": 3}\n')
    with pytest.raises(BadData, match=r"prompt 2: expected a text"):
        revise("words", bad, file, out=tmp_path / "x", **keys)
    with pytest.raises(NotFound):
        revise("nobody", ["a"], file, out=tmp_path / "x", **keys)

    def stopped(*words: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_revised", stopped)
    with pytest.raises(KeyboardInterrupt):
        revise("words", ["the "] * 8, file, out=tmp_path / "x", **keys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.jsonl", "p.toml", "there"]


def test_from_the_command_line(at_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["revise", "words", "--principles", str(law(tmp_path / "p.toml", LETTERS)), "--length", "6", "--json"]
    assert main(words) == 2
    assert "--prompts is missing" in capsys.readouterr().err
    place = tmp_path / "out"
    assert main([*words, "--prompts", str(prompts(tmp_path / "p.txt", 4)), "--out", str(place)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [p["principle"] for p in told["principles"]] == ["no g", "an a"]
    assert told["drafts"] == 4
