"""R-precision tells a model that heeds captions from one that does not; the contrastive loss has its known values."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from genloom.core import CanSample, Sampling
from genloom.metrics import retrieval as module
from genloom.metrics.retrieval import retrieval
from genloom.metrics.scorer import scorer_for, train_scorer
from genloom.objectives.contrastive import contrastive
from genloom.testing.fakes import fake_captioned

HELD_OUT = "red wide; blue tall"


class Painter(torch.nn.Module, CanSample):
    """Draws a real picture of each caption, or of another one."""

    def __init__(self, data: Any, heeds: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.heeds = heeds
        whole = fake_captioned(96)
        batch = whole.train.batch(torch.arange(len(whole.train)))
        self.pictures = {
            tuple(sorted(whole.tokenizer.decode(ids).replace(",", "").split())): image  # type: ignore[union-attr]
            for ids, image in zip(batch["caption"].tolist(), batch["image"], strict=True)
        }
        self.words = data.tokenizer

    def sample(self, n: int, *, condition: Any = None, generator: torch.Generator, **_: Any) -> dict[str, torch.Tensor]:
        every, made = list(self.pictures), []
        for ids in condition["caption"].tolist():
            asked = set(self.words.decode(ids).replace(",", "").split())
            fitting = [k for k in every if asked <= set(k)] if self.heeds else every
            made.append(self.pictures[fitting[int(torch.randint(len(fitting), (), generator=generator))]])
        return {"image": torch.stack(made)}


@pytest.fixture(scope="module")
def judged() -> tuple[Any, Any]:
    data = fake_captioned(192, hold_out=HELD_OUT)
    return data, train_scorer(data.train, name="fake", images=4_000)


def figures(judged: tuple[Any, Any], heeds: bool) -> tuple[dict[str, Any], list[str]]:
    data, scorer = judged
    notes: list[str] = []
    g = torch.Generator().manual_seed(0)
    found = retrieval(Painter(data, heeds), data, data.tokenizer, g, scorer=scorer, notes=notes)  # type: ignore[arg-type]
    return {r.key: r for r in found}, notes


def test_who_heeds_captions_is_found_out(judged: tuple[Any, Any]) -> None:
    obeys, notes = figures(judged, True)
    ignores, _ = figures(judged, False)
    assert notes == []
    for key in ("retrieval", "retrieval_seen", "retrieval_pairs"):
        good, bad = obeys[key], ignores[key]
        assert good.value > 0.8, (key, good)
        assert good.floor is not None
        assert good.floor > 0.8, (key, good.protocol)
        assert good.interval[0] > good.protocol["chance"]
        assert bad.value < 0.5
        assert bad.interval[0] <= bad.value <= bad.interval[1]
    assert obeys["retrieval_pairs"].protocol["candidates"] == 4
    assert obeys["retrieval_pairs"].n == 32


def test_too_few_captions_are_said(judged: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_pairs", lambda *_: [])
    data, scorer = judged
    notes: list[str] = []
    g = torch.Generator().manual_seed(0)
    model = Painter(data, True)
    found = retrieval(model, data, data.tokenizer, g, options=Sampling(), most=2, scorer=scorer, notes=notes)  # type: ignore[arg-type]
    assert found == []
    assert notes[0] == "no R-precision of held-out captions: there are 2 different ones"


def test_the_scorer_is_kept_and_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path))
    data = fake_captioned(48)
    before = torch.get_rng_state()
    make = partial(scorer_for, data, images=256)
    first = make()
    assert make().identity == first.identity == make(cached=False).identity
    assert make(seed=1).identity != first.identity
    assert torch.equal(before, torch.get_rng_state())
    assert len(list((tmp_path / "extractors").iterdir())) == 2
    for file in (tmp_path / "extractors").iterdir():
        file.write_bytes(file.read_bytes()[:100])  # damaged files are made anew
    assert make().identity == first.identity


def test_contrastive_loss_where_the_answer_is_known() -> None:
    eye, scale = torch.eye(4), torch.tensor(5.0)
    expected = math.log(1 + 3 * math.exp(-5))
    assert float(contrastive(eye, eye, scale)) == pytest.approx(expected, rel=1e-5)
    flat = torch.ones(4, 1)
    assert float(contrastive(flat, flat, scale)) == pytest.approx(math.log(4), rel=1e-5)
    same = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert float(contrastive(a, a, torch.tensor(50.0), same)) == pytest.approx(2 / 3 * math.log(2), rel=1e-3)
