"""A CSV file becomes a table: columns by their cells, splits, a target as condition; what is no table is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genloom.data import DataOptions, load
from genloom.errors import BadData, GenloomError, NotFound
from genloom.modalities.table import decode


def write(path: Path, n: int = 200, delimiter: str = ",", **changes) -> Path:
    rng = np.random.default_rng(0)
    columns = {
        "height": [f"{v:.2f}" for v in rng.normal(170, 10, n)],
        "age": [str(v) if i % 10 else "" for i, v in enumerate(rng.integers(18, 90, n))],
        "colour": [("red", "green", "blue")[v] for v in rng.integers(0, 3, n)],
        "member": [("yes", "no", "?")[v] for v in rng.integers(0, 3, n)],
        "name": [f"person {i}" for i in range(n)],
        "planet": ["earth"] * n,
        **changes,
    }
    lines = [delimiter.join(columns)] + [delimiter.join(row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def options(path: Path, **changes) -> DataOptions:
    return DataOptions(source=str(path), **changes)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_columns_follow_from_their_cells(tmp_path: Path, delimiter: str) -> None:
    found = load(options(write(tmp_path / "people.csv", delimiter=delimiter)))
    height, age, colour, member = found.spec["table"].columns
    assert (height.kind, height.whole, height.missing) == ("number", False, False)
    assert (age.kind, age.whole, age.missing) == ("number", True, True)
    assert colour.values == ("blue", "green", "red")
    assert member.values == ("(missing)", "no", "yes")
    assert found.spec["table"].shape == (1 + 2 + 3 + 3,)
    assert any("'name'" in note and "left out" in note for note in found.notes)
    assert any("'planet'" in note for note in found.notes)
    assert found.card.modality == "table"


def test_splits_hold_each_row_once(tmp_path: Path) -> None:
    found = load(options(write(tmp_path / "people.csv")))
    parts = (found.train, found.validation, found.test)
    assert [len(p) for p in parts] == [160, 20, 20]
    heights = torch.cat([p.raw(torch.arange(len(p)))["table"][:, 0] for p in parts])
    lines = (tmp_path / "people.csv").read_text().splitlines()[1:]
    assert sorted(heights.tolist()) == sorted(float(line.split(",")[0]) for line in lines)
    batch = found.train.batch(torch.arange(5))["table"]
    raw = found.train.raw(torch.arange(5))["table"].numpy()
    assert np.allclose(decode(batch, found.spec["table"].columns), raw, rtol=1e-3, equal_nan=True)


def test_the_digest_follows_content_and_target(tmp_path: Path) -> None:
    path = write(tmp_path / "people.csv")
    digest = load(options(path)).digest
    assert load(options(path)).digest == digest
    assert load(options(path, target="colour")).digest != digest
    assert load(options(write(path, planet=["mars"] * 199 + ["earth"]))).digest != digest


def test_a_target_becomes_a_condition(tmp_path: Path) -> None:
    found = load(options(write(tmp_path / "people.csv"), target="colour"))
    assert found.spec["label"].classes == ("blue", "green", "red")
    assert "colour" not in [c.name for c in found.spec["table"].columns]
    assert found.train.batch(torch.arange(3))["label"].dtype == torch.int64
    assert "label" not in load(options(tmp_path / "people.csv", target="colour", labels=False)).spec


def test_lines_of_another_length_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "people.csv")
    with path.open("a") as file:
        file.write("1,2\n3\n")
    assert "2 of 202 lines have not 6 cells and are left out" in load(options(path)).notes


def test_as_text_where_that_is_asked(tmp_path: Path) -> None:
    found = load(options(write(tmp_path / "people.csv"), read="text", context=16))
    assert set(found.spec) == {"text"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "0 lines: a table needs a header"),
        ("a,b\n", "1 lines: a table needs a header"),
        ("a,b\n1,2\n", "at least 10"),
        ("1,2\n" + "3,4\n" * 20, "begins with numbers"),
        ("a,a\n" + "3,4\n" * 20, "two columns named 'a'"),
        ("a\n" + "x\n" * 20, "no column that could be learnt"),
    ],
)
def test_no_table(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(BadData, match=said):
        load(options(path))


def test_bytes_and_wrong_targets_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\n\xff\xfe\n")
    with pytest.raises(BadData, match="not UTF-8"):
        load(options(tmp_path / "x.csv"))
    path = write(tmp_path / "people.csv")
    with pytest.raises(NotFound, match="colour"):
        load(options(path, target="color"))
    with pytest.raises(GenloomError, match="a few different words"):
        load(options(path, target="height"))
