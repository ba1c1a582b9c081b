"""The page of blind trials: who meets whom, what the source gives away, what votes amount to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from genloom.cli.main import main
from genloom.compare.blind import REAL, Item, exact, key_of, makers_of, score, trials, write_page
from genloom.errors import BadData, BadValue

MAKERS = [m for m in ("flow", "vae", REAL) for _ in range(8)]


def test_every_pair_meets_as_often_and_sides_are_balanced() -> None:
    found = trials(MAKERS, seed=3)
    real = [t for t in found if t.left != t.right]
    meetings = Counter(frozenset((MAKERS[t.left], MAKERS[t.right])) for t in real)
    assert set(meetings.values()) == {20}
    assert len(meetings) == 3
    assert all(len(pair) == 2 for pair in meetings), "an item never meets another of its own maker"
    left = Counter(MAKERS[t.left] for t in real)
    assert left["flow"] == left["vae"] == left[REAL] == 20
    assert 5 <= sum(t.left == t.right for t in found) <= 7
    assert trials(MAKERS, seed=3) == found
    assert trials(MAKERS, seed=4) != found


def test_items_take_turns() -> None:
    used = Counter(i for t in trials(MAKERS, seed=0) if t.left != t.right for i in (t.left, t.right))
    assert set(used.values()) == {5}  # 40 showings of each maker over its 8 items


def test_the_page_names_nobody_until_the_end(tmp_path: Path) -> None:
    items = [Item(m, bytes([i])) for i, m in enumerate(MAKERS)]
    path = write_page(items, tmp_path / "blind.html", title="Which?", identity="abc", seed=1)
    page = path.read_text()
    assert "flow" not in page.replace("overflow", "")
    assert "vae" not in page
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    found = makers_of(data["key"], "abc")
    assert Counter(found) == Counter(MAKERS)
    assert found != MAKERS, "items are mixed"
    by_content = {f"{i:02x}": m for i, m in enumerate(MAKERS)}
    import base64

    for item, maker in zip(data["items"], found, strict=True):
        assert by_content[base64.b64decode(item["src"].partition(",")[2]).hex()] == maker
    assert all(len(t) == 2 for t in data["trials"])
    assert "http" not in page.replace("http-equiv", "")


def test_texts_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    bad = "</script><script>alert(1)</script><!--"
    items = [Item("a", bad), Item("b", "fine"), Item("a", "x"), Item("b", "y")]
    page = write_page(items, tmp_path / "b.html", title="<b>", identity="i", seed=0).read_text()
    assert page.count("<script") == 2
    assert "<!--" not in page.split("</head>")[1]
    assert "<title>&lt;b&gt;</title>" in page
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert bad in [i["text"] for i in data["items"]]


def test_a_heavy_page_shows_fewer_items(tmp_path: Path) -> None:
    items = [Item(m, bytes(400_000)) for m in ("a", "b") for _ in range(12)]
    path = write_page(items, tmp_path / "b.html", title="t", identity="i", seed=0)
    assert path.stat().st_size < 6_000_000


def test_one_maker_is_no_trial(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="two makers"):
        write_page([Item("a", b"x")], tmp_path / "b.html", title="t", identity="i", seed=0)


def test_exact_intervals_from_the_literature() -> None:
    # Clopper and Pearson's of 0 in 10, 5 in 10 and 10 in 10, as tables have them
    assert exact(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert exact(5, 10) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    assert exact(10, 10) == pytest.approx((0.6915, 1.0), abs=1e-4)
    assert exact(0, 0) == (0.0, 1.0)


def votes(*log: tuple[int, int, str], comparison: str = "abc") -> dict[str, Any]:
    rows = [{"trial": i, "left": a, "right": b, "chosen": side, "at": ""} for i, (a, b, side) in enumerate(log)]
    makers = ["flow", "vae", REAL]
    return {"format": 1, "comparison": comparison, "seed": 0, "key": key_of(makers, comparison), "log": rows}


def test_votes_are_counted_for_the_maker_not_the_side() -> None:
    one = votes((0, 1, "left"), (1, 0, "right"), (1, 0, "left"), (2, 0, "left"), (1, 1, "left"))
    again = {**one, "log": [*one["log"], {**one["log"][0], "chosen": "right"}]}  # a second vote on a trial is none
    found, sides = score([again])
    assert [(s.a, s.b, s.wins, s.n) for s in found] == [("flow", REAL, 0, 1), ("flow", "vae", 2, 3)]
    assert found[1].interval == exact(2, 3)
    assert (sides.wins, sides.n) == (1, 1)
    both, _ = score([one, one])
    assert [(s.wins, s.n) for s in both] == [(0, 2), (4, 6)]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        [],
        {"format": 1},
        {**votes(), "key": "&"},
        {**votes((0, 1, "left")), "log": [{"trial": 0}]},
        votes((0, 9, "left")),
        votes((0, 1, "both")),
    ],
)
def test_files_that_are_no_votes(bad: Any) -> None:
    with pytest.raises((BadData, BadValue)):
        score([bad])


def test_votes_of_two_comparisons_are_not_added() -> None:
    with pytest.raises(BadValue, match="one comparison at a time"):
        score([votes((0, 1, "left")), votes((0, 1, "left"), comparison="other")])


def test_scores_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "votes.json").write_text(json.dumps(votes(*[(0, 1, "left")] * 10)))
    (tmp_path / "more.json").write_text(json.dumps(votes(*[(2, 1, "left")] * 4)))
    assert (
        main(["compare", "--score", str(tmp_path / "votes.json"), "--score", str(tmp_path / "more.json"), "--json"])
        == 0
    )
    rows = json.loads(capsys.readouterr().out)["scores"]
    assert rows[0] == {"preferred": "flow", "to": "vae", "share": 1.0, "95%, exact": "69% .. 100%", "votes": 10}
    assert rows[1]["share"] == 0.0
    (tmp_path / "bad.json").write_text("[")
    for words in ([str(tmp_path / "bad.json")], [str(tmp_path / "none.json")], [str(tmp_path / "votes.json"), "flow"]):
        assert main(["compare", "--score", *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
