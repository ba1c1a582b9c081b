"""Likelihoods of models whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genloom.core import Batch, Field, HasLikelihood, Loss, Model, Phase, Player
from genloom.errors import BadData
from genloom.metrics.likelihood import likelihood, mean_interval, nlls, windows


class Uniform(Model, HasLikelihood):
    """Every value is equally likely."""

    Config = dict
    citation = ""
    kind = "exact"

    def __init__(self, values: int, spec: dict[str, Field]) -> None:
        torch.nn.Module.__init__(self)
        self.values, self.spec = values, spec

    def players(self) -> tuple[Player, ...]:
        return ()

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def loss(self, phase: Phase, batch: Batch, step: object) -> Loss:
        raise NotImplementedError

    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        x = next(iter(batch.values()))
        assert not self.training
        return torch.full((len(x),), math.log(self.values) * x[0].numel())


class Texts:
    """Token ids 0 to 3 in a row; an item is a window of 4."""

    def __init__(self, tokens: int = 43) -> None:
        self.ids = torch.arange(tokens) % 4
        self.spec = {"text": Field("text", (4,), vocabulary=4)}
        self.items = tokens // 4
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.ids) - 3

    def batch(self, index: Tensor) -> dict[str, Tensor]:
        self.asked += index.tolist()
        return {"text": self.ids[index[:, None] + torch.arange(4)]}


class Pictures:
    def __init__(self, n: int = 10) -> None:
        self.items, self.spec = n, {"image": Field("image", (3, 4, 5))}

    def __len__(self) -> int:
        return self.items

    def batch(self, index: Tensor) -> dict[str, Tensor]:
        return {"image": torch.zeros(len(index), 3, 4, 5)}


class Pairs:
    """Each token stands for two characters, one of which takes two bytes."""

    def decode(self, ids: list[int]) -> str:
        return "aé" * len(ids)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_uniform_eight_bit_model_takes_eight_bits() -> None:
    data = Pictures()
    (result,) = likelihood(Uniform(256, data.spec), data, data.spec["image"], generator=generator())
    assert result.key == "bits_per_dimension"
    assert result.value == pytest.approx(8)
    assert result.interval == (pytest.approx(8), pytest.approx(8))
    assert result.n == 10


def test_a_uniform_language_model_takes_log_v_per_token() -> None:
    data = Texts()
    token, perplexity, character, bits, byte, _ = likelihood(
        Uniform(65, data.spec), data, data.spec["text"], generator=generator(), tokenizer=Pairs()
    )
    assert token.value == pytest.approx(math.log(65))
    assert (perplexity.key, perplexity.value) == ("perplexity", pytest.approx(65))
    assert perplexity.interval == (pytest.approx(65), pytest.approx(65))
    assert (token.protocol["context"], token.protocol["stride"]) == (4, 4)
    assert character.value == pytest.approx(math.log(65) / 2)
    assert (bits.key, bits.value) == ("bits_per_character", pytest.approx(math.log2(65) / 2))
    assert byte.value == pytest.approx(math.log(65) / 3)
    assert token.protocol["tokens"] == 40
    assert sorted(set(data.asked)) == list(range(0, 40, 4)), "windows must neither overlap nor leave gaps"


def test_a_limit_spreads_over_the_split() -> None:
    assert windows(Texts(), 3).tolist() == [0, 12, 24]
    assert windows(Pictures(), 5).tolist() == [0, 2, 4, 6, 8]
    assert windows(Pictures(), 99).tolist() == list(range(10))


def test_the_standard_error() -> None:
    mean, interval = mean_interval(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    error = math.sqrt(5 / 3) / 2
    assert mean == 2.5
    assert interval == (pytest.approx(2.5 - 1.96 * error), pytest.approx(2.5 + 1.96 * error))
    assert mean_interval(torch.ones(1)) == (1.0, None)


def test_the_mode_of_the_model_is_restored() -> None:
    data = Pictures()
    model = Uniform(256, data.spec).train()
    nlls(model, data, torch.arange(3), generator=generator())
    assert model.training


def test_nothing_to_measure() -> None:
    data = Pictures(0)
    with pytest.raises(BadData, match="no held-out items"):
        likelihood(Uniform(2, data.spec), data, data.spec["image"], generator=generator())


def test_drawings_are_scored_by_the_movement() -> None:
    """All nats of all drawings, ends included, over all movements: not over the rows of the format."""
    from genloom.modalities.strokes import counts
    from genloom.models.autoregressive.stroke_rnn import StrokeRNN, StrokeRNNConfig
    from genloom.testing import fake_strokes

    data = fake_strokes()
    model = StrokeRNN(StrokeRNNConfig(width=8, components=2), data.spec).eval()
    field = data.spec["strokes"]
    (found,) = likelihood(model, data.test, field, generator=torch.Generator().manual_seed(0))
    items = data.test.batch(torch.arange(len(data.test)))
    nats = model.nll(items, generator=torch.Generator().manual_seed(0)).sum()
    assert found.name == "nats per movement (upper bound)"
    assert found.value == pytest.approx(float(nats / counts(items["strokes"]).sum()), rel=1e-4)
