"""Files of SMILES as rows of ids; what is wrong is skipped and counted; properties are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genloom.core import Step
from genloom.data import load
from genloom.data.dataset import augment
from genloom.data.options import DataOptions
from genloom.errors import BadData, NotFound
from genloom.modalities import chemistry, smiles
from genloom.modalities.table import decode

pytest.importorskip("rdkit")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "mine.smi"
    lines = [f"{'C' * (1 + i % 7)}{'O' * (i % 2)}N{'C' * (i // 7)}\tname{i}" for i in range(60)]
    place.write_text("\n".join(["smiles", *lines, "C(C", "not a molecule!", "C1CC"]) + "\n")
    return place


def test_lines_become_rows(file: Path) -> None:
    found = load(DataOptions(source=str(file)))
    assert len(found.train) + len(found.validation) + len(found.test) == 60
    field = found.spec["molecule"]
    assert field.whole
    assert field.classes[0] == "<end>"
    assert found.train.batch(torch.arange(3))["molecule"].shape == (3, *field.shape)
    (said,) = [n for n in found.notes if "skipped" in n]
    assert "3 of 63 lines" in said
    assert "C(C" in said
    with pytest.raises(BadData, match="mend or remove"):
        load(DataOptions(source=str(file), strict=True))


def test_nothing_usable_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.smi").write_text("!!\n??\n")
    with pytest.raises(BadData, match="a line for each molecule"):
        load(DataOptions(source=str(tmp_path / "x.smi")))


def test_a_property_is_told(file: Path) -> None:
    found = load(DataOptions(source=str(file), property="weight"))
    batch = found.train.batch(torch.arange(5))
    field = found.spec["weight"]
    texts = smiles.strings(batch["molecule"].numpy(), found.spec["molecule"])
    told = decode(batch["weight"], field.columns)[:, 0]
    assert told == pytest.approx(chemistry.properties(texts, "weight"), rel=0.05)
    with pytest.raises(NotFound, match="logp"):
        load(DataOptions(source=str(file), property="colour"))


def test_molecules_are_written_anew(file: Path) -> None:
    options = DataOptions(source=str(file), randomise=True)
    found = load(options)
    ids = found.train.batch(torch.arange(20))["molecule"]
    other = augment({"molecule": ids}, found.spec, options, Step(seed=1, rows=(0, 20, 20)))["molecule"]
    again = augment({"molecule": ids}, found.spec, options, Step(seed=1, rows=(0, 20, 20)))["molecule"]
    assert torch.equal(other, again)
    assert not torch.equal(other, ids)
    before, after = (smiles.strings(x.numpy(), found.spec["molecule"]) for x in (ids, other))
    assert [chemistry.canonical(s) for s in before] == [chemistry.canonical(s) for s in after]
