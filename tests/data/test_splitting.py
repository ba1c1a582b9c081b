"""Splits by a recorded rule: the same on every machine, copies and groups together, no old item moved by new ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genloom.cli.main import main
from genloom.data.grouping import Group, parse_group
from genloom.data.splitting import (
    SPLIT,
    Rule,
    check_rule,
    parse_shares,
    places,
    read_split,
    record,
    rows_of,
)
from genloom.errors import BadData, BadValue, Damaged, NotFound


def _files(folder: Path, names: list[str], content: str = "") -> list[str]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or name)
    return sorted(names)


def _names(count: int, start: int = 0) -> list[str]:
    return [f"{'ab'[i % 2]}/item{i:03}.txt" for i in range(start, start + count)]


def test_a_rule_places_items_by_content_alone_and_keeps_its_places(tmp_path: Path) -> None:
    paths = _files(tmp_path, _names(200))
    recorded = record(tmp_path, paths, Rule(), tmp_path / SPLIT)
    assert recorded.counts == {"train": 157, "validation": 27, "test": 16}  # pinned: any machine must agree
    notes: list[str] = []
    rows = rows_of(tmp_path, paths, None, None, notes)
    assert rows is not None
    assert [len(r) for r in rows] == [157, 27, 16]
    assert sorted(int(i) for r in rows for i in r) == list(range(200))
    assert any("by content, 80% / 10% / 10%, seed 0" in note for note in notes)
    home = {paths[i]: part for part, r in enumerate(rows) for i in r.tolist()}
    # Another name changes nothing; new items move no old one.
    (tmp_path / paths[0]).rename(tmp_path / "renamed.txt")
    later = sorted([*paths[1:], "renamed.txt", *_files(tmp_path, _names(50, 200))])
    notes = []
    after = rows_of(tmp_path, later, None, None, notes)
    assert after is not None
    now = {later[i]: part for part, r in enumerate(after) for i in r.tolist()}
    assert now["renamed.txt"] == home[paths[0]]
    assert all(now[path] == home[path] for path in paths[1:])
    assert any("50 items more" in note for note in notes)


def test_copies_are_never_apart_and_seeds_differ(tmp_path: Path) -> None:
    paths = _files(tmp_path, _names(60)) + _files(tmp_path, [f"c/copy{i}.txt" for i in range(30)], "the same")
    part, _ = places(tmp_path, paths, Rule(), tmp_path)
    assert len(set(part[60:].tolist())) == 1
    assert (places(tmp_path, paths, Rule(seed=1), tmp_path)[0] != part).any()


@pytest.mark.parametrize(
    ("group", "of"),
    [
        ("folder", lambda path: path.split("/")[1]),
        ("folder:2", lambda path: path.split("/")[1]),
        (r"/(p\d+)/", lambda path: path.split("/")[1]),
    ],
)
def test_the_items_of_a_group_stay_together(tmp_path: Path, group: str, of: object) -> None:
    paths = _files(tmp_path, [f"{label}/p{p}/{i}.txt" for label in ("cat", "dog") for p in range(20) for i in range(4)])
    record(tmp_path, paths, Rule("group", group=parse_group(group)), tmp_path / SPLIT)
    rows = rows_of(tmp_path, paths, None, None, [])
    assert rows is not None
    people = [{of(paths[i]) for i in r.tolist()} for r in rows]  # type: ignore[operator]
    assert not people[0] & people[1] | people[0] & people[2] | people[1] & people[2]
    assert all(people)


def test_groups_of_a_table_are_found_from_where_the_rule_lies(tmp_path: Path) -> None:
    data = tmp_path / "data"
    paths = _files(data, [f"{i}.txt" for i in range(160)])
    table = tmp_path / "people.csv"
    table.write_text("file,person\n" + "".join(f"{p},p{int(p[:-4]) // 4}\n" for p in paths))
    record(data, paths, Rule("group", group=parse_group(f"{table}:person")), data / SPLIT)
    assert json.loads((data / SPLIT).read_text())["rule"]["group"]["value"] == "../people.csv"
    rows = rows_of(data, paths, None, None, [])
    assert rows is not None
    people = [{int(paths[i][:-4]) // 4 for i in r.tolist()} for r in rows]
    assert not people[0] & people[1] | people[0] & people[2]
    with pytest.raises(BadData, match=r"1 of 161 items belong to no group.*new.txt.*add them to"):
        rows_of(data, [*paths, "new.txt"], None, None, [])
    table.unlink()
    with pytest.raises(NotFound, match="there is no table"):
        rows_of(data, paths, None, None, [])


def test_every_fold_validates_once_and_the_test_part_stays_apart(tmp_path: Path) -> None:
    paths = _files(tmp_path, _names(200))
    out = tmp_path / "elsewhere" / "folds.json"
    out.parent.mkdir()
    record(tmp_path, paths, Rule("folds", shares=(0.8, 0.1, 0.1), folds=4), out)
    seen: list[int] = []
    tests = set()
    for fold in (1, 2, 3, 4):
        rows = rows_of(tmp_path, paths, out, fold, [])
        assert rows is not None
        assert not set(rows[0].tolist()) & set(rows[1].tolist())
        seen += rows[1].tolist()
        tests.add(tuple(rows[2].tolist()))
    assert len(tests) == 1
    assert sorted([*seen, *next(iter(tests))]) == list(range(200))
    # The test part is that of a split by hash with the same seed and share.
    by_hash, _ = places(tmp_path, paths, Rule(), tmp_path)
    assert set(next(iter(tests))) == set(np.flatnonzero(by_hash == 2).tolist())
    with pytest.raises(BadValue, match="1 to 4"):
        rows_of(tmp_path, paths, out, 5, [])


def test_rows_of_an_array_find_their_place_by_number(tmp_path: Path) -> None:
    array = tmp_path / "x.npy"
    np.save(array, np.zeros((300, 4, 4), np.uint8))
    numbers = [str(i) for i in range(300)]
    record(array, numbers, Rule(), tmp_path / f"x.npy.{SPLIT}")
    rows = rows_of(array, numbers, None, None, [])
    assert rows is not None
    assert sum(map(len, rows)) == 300
    assert all(len(r) > 15 for r in rows)


def test_no_rule_is_no_split_and_what_cannot_be_honoured_is_refused(tmp_path: Path) -> None:
    paths = _files(tmp_path, _names(50))
    assert rows_of(tmp_path, paths, None, None, []) is None
    with pytest.raises(BadValue, match="--by folds"):
        rows_of(tmp_path, paths, None, 2, [])
    with pytest.raises(NotFound, match="no split file"):
        rows_of(tmp_path, paths, tmp_path / "no.json", None, [])
    record(tmp_path, paths, Rule(), tmp_path / SPLIT)
    with pytest.raises(BadValue, match="has none"):
        rows_of(tmp_path, paths, None, 1, [])


def test_a_set_with_a_name_keeps_its_own_split(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "digits", "--data.split", "x.json"]) == 2
    assert "comes with a split of its own" in capsys.readouterr().err
    assert main(["data", "split", "digits"]) == 2
    assert "comes with a split of its own" in capsys.readouterr().err


def test_the_command_records_and_the_loader_follows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(40):
        picture = np.random.default_rng(i).integers(0, 256, (16, 16, 3), np.uint8)
        (tmp_path / "data").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "data" / f"p{i // 4}_{i}.png")
    folder = str(tmp_path / "data")
    assert (
        main(["data", "split", folder, "--by", "group", "--group", r"(p\d+)_", "--shares", "60,20,20", "--json"]) == 0
    )
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert main(["data", "show", folder, "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["items"] == counts
    assert any("group ((p" in note for note in held["notes"])
    folds = tmp_path / "folds.json"
    assert main(["data", "split", folder, "--by", "folds", "--folds", "3", "--out", str(folds), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert main(["data", "show", folder, "--data.split", str(folds), "--data.fold", "2", "--json"]) == 0
    held = json.loads(capsys.readouterr().out)["items"]
    assert (held["validation"], held["test"]) == (counts["fold 2"], counts["test"])
    for wrong in (["--by", "magic"], ["--shares", "50,10"], ["--folds", "3"], ["--group", "("], ["--out", "x.txt"]):
        assert main(["data", "split", folder, *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "book.txt").write_text("words " * 100)
    assert main(["data", "split", str(tmp_path / "book.txt")]) == 2
    assert "cut in three by position" in capsys.readouterr().err


def test_an_array_is_split_by_the_numbers_of_its_items(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = tmp_path / "x.npy"
    np.save(array, np.random.default_rng(0).integers(0, 256, (50, 8, 8), np.uint8))
    for seed in ("0", "1"):  # a rule that is there already does not decide what the next is about
        assert main(["data", "split", str(array), "--seed", seed, "--json"]) == 0
        counts = json.loads(capsys.readouterr().out)["counts"]
        assert sum(counts.values()) == 50
    assert main(["data", "show", str(array), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == counts


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held.update(split=99),
        lambda held: held.pop("rule"),
        lambda held: held["rule"].update(by="magic"),
        lambda held: held["rule"].update(shares=[0.5, 0.1]),
        lambda held: held["rule"].update(group={"kind": "pattern", "value": "("}, by="group"),
    ],
)
def test_a_rule_that_was_edited_wrongly_is_refused(tmp_path: Path, change: object) -> None:
    paths = _files(tmp_path, _names(50))
    record(tmp_path, paths, Rule(), tmp_path / SPLIT)
    held = json.loads((tmp_path / SPLIT).read_text())
    change(held)  # type: ignore[operator]
    (tmp_path / SPLIT).write_text(json.dumps(held))
    with pytest.raises(Damaged, match=SPLIT):
        read_split(tmp_path / SPLIT)
    (tmp_path / SPLIT).write_text('{"split": 1, "ru')
    with pytest.raises(Damaged, match="record it again"):
        read_split(tmp_path / SPLIT)


def test_nothing_is_written_where_a_part_would_be_empty(tmp_path: Path) -> None:
    paths = _files(tmp_path, _names(3))
    with pytest.raises(BadValue, match=r"no item falls into .* with seed 0, of 3 different items: --seed \d+ gives"):
        record(tmp_path, paths, Rule(), tmp_path / SPLIT)
    assert not (tmp_path / SPLIT).exists()


def test_shares_and_groups_are_parsed_or_refused() -> None:
    assert parse_shares("80,10,10") == pytest.approx((0.8, 0.1, 0.1))
    assert parse_shares("0.9, 0.1") == pytest.approx((0.9, 0.1, 0.0))
    for wrong in ("80,10", "1", "a,b,c", "-10,60,50", "0,50,50", "40,30,20,10"):
        with pytest.raises(BadValue, match="80,10,10"):
            parse_shares(wrong)
    assert parse_group("Folder") == Group("folder")
    assert parse_group("a/b.csv:person") == Group("table", "a/b.csv", "person")
    with pytest.raises(BadValue, match="no regular expression"):
        parse_group("(")
    with pytest.raises(BadValue, match="captures nothing"):
        parse_group("person")
    for rule in (Rule("group"), Rule("folds"), Rule("hash", folds=3), Rule("hash", group=Group("folder"))):
        with pytest.raises(BadValue, match="--"):
            check_rule(rule)
