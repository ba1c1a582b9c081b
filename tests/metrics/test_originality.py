"""The test for copies as evaluation applies it: to a data set, with its reference cached, in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genloom import data
from genloom.metrics import copies
from genloom.metrics.originality import images_of, originality, sentence


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load(data.DataOptions("digits"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.getbasetemp() / "originality"
    monkeypatch.setenv("GENLOOM_CACHE", str(folder))
    return folder


def test_recited_digits_fail_and_fresh_ones_do_not(digits: data.Dataset, cache: Path) -> None:
    train, fresh = images_of(digits.train, 10_000), images_of(digits.validation, 10_000)
    honest = originality(fresh, digits)
    assert honest is not None
    assert honest.verdict.verdict != "fail"
    assert list(cache.glob("arrays/copies-*.npy"))
    recited = originality(torch.cat([fresh, train[:20]]), digits)
    assert recited is not None
    assert recited.verdict.verdict == "fail"
    assert recited.result.protocol["verdict"] == "fail"
    assert recited.result.value > 0.05
    assert recited.sentence.startswith("Copies: ")
    assert recited.to_json()["pairs"][0][0] >= len(fresh)


def test_the_cached_reference_is_used(digits: data.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = images_of(digits.validation, 10_000)
    first = originality(fresh, digits)
    monkeypatch.setattr(copies, "reference", lambda *_: pytest.fail("made again"))
    assert originality(fresh, digits) == first


def test_too_few_items_say_nothing(digits: data.Dataset) -> None:
    assert originality(images_of(digits.validation, 1), digits) is None


def test_every_verdict_has_its_sentence(digits: data.Dataset) -> None:
    beside = copies.Reference(torch.rand(400) + 0.2, torch.zeros(200), torch.zeros(200))
    train = images_of(digits.train, 50)
    fresh = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8))
    said = sentence(copies.judge(fresh, train, beside))
    assert said.startswith("No verdict on copies")
    assert "1% verbatim" in said
    assert "more held-out items" in said or "measure at least" in said
