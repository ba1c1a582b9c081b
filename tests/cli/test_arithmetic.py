"""`genloom arithmetic`: sums of classes, of models that encode and of those that do not; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import genloom
from genloom.cli.main import main
from genloom.errors import BadValue


def test_a_class_plus_nothing_is_its_mean(at_home: Path, tmp_path: Path) -> None:
    made = genloom.arithmetic("pictures", ["3"], n=2, of=4, out=tmp_path / "three.npy")
    assert np.load(tmp_path / "three.npy").shape == (2, 8, 8)
    loop = genloom.arithmetic("pictures", ["3", "5"], ["5"], n=2, of=4, out=tmp_path / "loop.npy")
    assert np.array_equal(made.images[0], loop.images[0])  # 3 + 5 - 5 is 3
    other = genloom.arithmetic("pictures", ["3", "5"], ["1"], n=2, of=4, out=tmp_path / "other.npy")
    assert not np.array_equal(made.images[0], other.images[0])
    assert sum(made.data["shares"].values()) == pytest.approx(1.0)


def test_models_without_an_encoder_use_what_their_samples_are_taken_for(
    at_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from genloom.verbs import arithmetic as module

    assert main(["arithmetic", "gan", "--plus", "0", "--out", str(tmp_path / "x.png")]) in (0, 2)
    err = capsys.readouterr().err
    assert not err or "choose another class" in err  # a GAN of four steps makes few digits
    found = {}
    for digit in range(10):
        try:
            found[digit] = genloom.arithmetic("gan", [digit], n=3, of=3, out=tmp_path / f"{digit}.png")
        except BadValue:  # none of its samples is taken for this digit
            continue
    assert found
    assert module.DRAWS >= 1000
    first = next(iter(found.values()))
    assert first.png[:4] == b"\x89PNG"
    assert "variations of the result are taken for" in first.notes[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["arithmetic", "pictures"], "--plus: expected a class"),
        (["arithmetic", "words", "--plus", "1"], "no latent space"),
        (["arithmetic", "pictures", "--plus", "ten"], "class"),
        (["arithmetic", "pictures", "--plus", "1", "--of", "0"], "at least 1"),
        (["arithmetic", "pictures", "--plus", "1", "--out", "x.gif"], ".png"),
    ],
)
def test_what_it_refuses(at_home: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_an_odd_balance_is_said(at_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["arithmetic", "pictures", "--plus", "1", "--minus", "2", "--out", str(tmp_path / "odd.npy"), "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["plus"], said["minus"]) == (["1"], ["2"])
    made = genloom.arithmetic("pictures", [1], [2], n=1, of=2, out=tmp_path / "odd.npy")
    assert any("one more is usual" in note for note in made.notes)
