"""`genloom search`: molecules by a property, any items by a function of the user, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import genloom
from genloom.cli.main import main

FAST = ["--train.batch", "32", "--train.precision", "fp32", "--budget", "150steps"]
SMALL = ["--config.width", "48", "--config.encoder", "16", "--config.latent", "4", "--config.embedding", "8"]
FEW = {"start": 40, "rounds": 2, "tries": 15}


@pytest.fixture(scope="module")
def chains(house: Path) -> Path:
    pytest.importorskip("rdkit")
    file = house / "chains.smi"
    lines = ["C" * (1 + i % 9) + ("O", "N", "")[i % 3] + "C" * (i // 9 % 11) for i in range(300)]
    file.write_text("\n".join([*sorted(set(lines)), "C(C", "nothing!"]) + "\n")
    words = ["train", "molecules-vae", "--data", str(file), "--name", "chains", "--runs", str(house / "runs")]
    assert main([*words, *SMALL, *FAST, "--config.optimizer.lr", "0.01", "--config.beta", "0.001"]) == 0
    return house


def test_molecules_with_a_property(chains: Path, at_home: Path, tmp_path: Path) -> None:
    found = genloom.search("chains", "weight", n=5, out=tmp_path / "heavy.smi", **FEW)
    lines = (tmp_path / "heavy.smi").read_text().split()
    values = [row["value"] for row in found.to_json()["best"]]
    assert len(lines) == len(values) <= 5
    assert values == sorted(values, reverse=True)
    from genloom.modalities import chemistry

    assert chemistry.properties(lines, "weight") == pytest.approx(values)
    sets = {row[""]: row for row in found.to_json()["sets"]}
    assert [sets[k]["tried"] for k in ("random samples", "where it began", "found")] == [70, 40, 30]
    assert sets["found"]["best"] == pytest.approx(values[0])
    assert sets["training items"]["novel"] is None
    assert 0 <= sets["random samples"]["novel"] <= 1
    light = genloom.search("chains", "weight", minimise=True, n=3, out=tmp_path / "light.smi", **FEW)
    assert light.to_json()["best"][0]["value"] < values[0]
    assert "lowest" in str(light)
    near = genloom.search("chains", "weight", target=88.0, n=3, out=tmp_path / "near.png", **FEW)
    gaps = [abs(row["value"] - 88.0) for row in near.to_json()["best"]]
    assert gaps == sorted(gaps)
    again = genloom.search("chains", "weight", target=88.0, n=3, out=tmp_path / "again.png", **FEW)
    assert again.to_json()["best"] == near.to_json()["best"]


def test_copies_of_molecules_are_counted(chains: Path, at_home: Path, tmp_path: Path) -> None:
    made = genloom.reconstruct("chains", n=8, out=tmp_path / "pairs.png")
    assert 0 <= made.data["exact"] <= made.data["tokens"] <= 1
    assert "unchanged" in str(made)
    assert genloom.interpolate("chains", n=2, points=3, out=tmp_path / "walk.png").images.shape[0] == 6
    found = genloom.evaluate("chains", n=40, page=False)
    assert 0 <= found["exact_copies"] <= found["same_tokens"] <= 1
    assert found["active_units"] >= 0


def test_pictures_by_a_function_of_the_user(at_home: Path, tmp_path: Path) -> None:
    """Also of a model that does not encode: the search then begins at draws of its prior."""
    (at_home / "bright.py").write_text(
        "def mean(items):\n    return items.flatten(1).mean(1)\n\n\ndef wrong(items):\n    return items\n"
    )
    for run in ("pictures", "gan"):
        out = tmp_path / f"{run}.npy"
        found = genloom.search(run, "bright:mean", n=4, out=out, **FEW).to_json()
        sets = {row[""]: row for row in found["sets"]}
        assert sets["found"]["best"] >= sets["where it began"]["mean"]
        assert sets["found"]["novel"] is None
        assert np.load(out).shape[0] == 4


def test_what_it_refuses(chains: Path, at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at_home / "broken.py").write_text("def mean(items):\n    return 0\n\n\nthing = 3\n")
    quick = ["--start", "8", "--rounds", "1", "--tries", "2"]
    for words, message in (
        (["chains"], "--property: expected"),
        (["chains", "--property", "colour"], "logp"),
        (["chains", "--property", "logp", "--target", "1", "--minimise"], "exclude"),
        (["chains", "--property", "logp", "--rounds", "0"], "--rounds"),
        (["chains", "--property", "logp", "--out", "x.txt"], ".smi"),
        (["chains", "--property", "nowhere:f"], "nowhere"),
        (["words", "--property", "logp"], "no latent space"),
        (["pictures", "--property", "logp"], "package.module:function"),
        (["pictures", "--property", "broken:thing"], "function of items"),
        (["pictures", "--property", "broken:mean", *quick], "a number for each"),
    ):
        assert main(["search", *words]) == 2, words
        err = capsys.readouterr().err
        assert message in err, err
        assert len(err.strip().splitlines()) == 1
    assert main(["search", "words", "--property", "x:y", "--json"]) == 2
    assert "error" in json.loads(capsys.readouterr().out)
