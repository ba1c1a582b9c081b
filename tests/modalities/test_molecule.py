"""SMILES as token ids, and molecules as files and drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genloom.errors import BadValue, NotFound
from genloom.modalities import chemistry, modality, smiles

TOKENS = ["(", ")", "1", "=", "C", "Cl", "N", "O", "[nH]", "c"]
FIELD = smiles.field_of(24, TOKENS)
NUMBERS = {t: i for i, t in enumerate(TOKENS, 1)}


def item(text: str) -> list[int]:
    tokens = smiles.split(text)
    assert tokens is not None
    ids = smiles.encode(tokens, NUMBERS, 24)
    assert ids is not None
    return ids


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("CCO", ["C", "C", "O"]),
        ("c1cc[nH]c1", ["c", "1", "c", "c", "[nH]", "c", "1"]),
        ("ClC=CBr", ["Cl", "C", "=", "C", "Br"]),
        ("C[C@@H](N)C%12", ["C", "[C@@H]", "(", "N", ")", "C", "%12"]),
    ],
)
def test_tokens_are_atoms_bonds_and_brackets(text: str, tokens: list[str]) -> None:
    assert smiles.split(text) == tokens


@pytest.mark.parametrize("text", ["", "C C", "C!", "[CH", "hello?"])
def test_what_is_no_smiles_has_no_tokens(text: str) -> None:
    assert smiles.split(text) is None


def test_ids_go_round() -> None:
    for text in ("CCO", "c1cc[nH]c1", "ClC=CCl", "C(=O)N"):
        assert smiles.decode(item(text), FIELD.classes) == text
    assert smiles.encode(["Br"], NUMBERS, 24) is None  # unknown
    assert smiles.encode(["C"] * 24, NUMBERS, 24) is None  # no room for the end
    assert smiles.strings(np.zeros((2, 24), int), FIELD) == ["", ""]


def test_every_ending_is_written(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    kind = modality("molecule")
    items = torch.tensor([item("CCO"), item("c1cc[nH]c1"), item("C(C")])  # the last one is no molecule
    for ending in kind.writes:
        assert kind.codec.save(items, FIELD, tmp_path / f"x{ending}").stat().st_size > 10
    assert (tmp_path / "x.smi").read_text() == "CCO\nc1cc[nH]c1\nC(C\n"
    kind.codec.save(items, FIELD, f"{tmp_path}/many/")
    assert sorted(p.name for p in (tmp_path / "many").glob("*.svg")) == ["0000.svg", "0001.svg"]
    with pytest.raises(BadValue, match="for molecules, got"):
        kind.codec.save(items, FIELD, tmp_path / "x.xyz")
    tiles = kind.codec.tiles(items, FIELD)
    assert tiles.shape == (3, 3, 160, 160)
    red = (tiles[:, 0].int() - tiles[:, 1].int() > 90).flatten(1).any(1)
    assert red[2]  # what is no molecule stands there in red letters
    assert kind.codec.tiles(items[:0], FIELD).shape == (0, 3, 160, 160)


def test_rdkit_knows_molecules() -> None:
    pytest.importorskip("rdkit")
    assert chemistry.canonical("OCC") == chemistry.canonical("CCO") == "CCO"
    assert chemistry.canonical("C(C") is None
    assert chemistry.canonical("") is None
    other = {chemistry.randomised("CCOC(=O)c1ccccc1", seed) for seed in range(8)}
    assert len(other) > 2
    assert {chemistry.canonical(o) for o in other} == {"CCOC(=O)c1ccccc1"}
    assert chemistry.randomised("CCO", 5) == chemistry.randomised("CCO", 5)
    assert np.isnan(chemistry.properties(["CCO", "C("], "logp")).tolist() == [False, True]
    assert chemistry.properties(["CCO"], "weight")[0] == pytest.approx(46.07, abs=0.01)
    with pytest.raises(NotFound, match="logp"):
        chemistry.properties(["CCO"], "logq")
