"""The whole evaluation, on toy data with models whose quality is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genloom.core import Batch, CanSample, Field, HasLikelihood, Loss, Model, Phase, Player, Sampling
from genloom.errors import BadData, BadValue
from genloom.metrics import evaluate as module
from genloom.metrics.evaluate import evaluate
from genloom.metrics.extractor import Extractor, train_extractor

SHAPE = (1, 10, 11)


def images(n: int, generator: torch.Generator, classes: int = 3) -> tuple[Tensor, Tensor]:
    label = torch.randint(classes, (n,), generator=generator)
    x = -1 + 0.4 * torch.rand(n, *SHAPE, generator=generator)
    columns = torch.arange(SHAPE[2]) // 4
    return torch.where(columns == label[:, None, None, None], 0.8, x), label


class Part:
    def __init__(self, n: int, seed: int, labels: bool = True) -> None:
        self.images, self.labels = images(n, torch.Generator().manual_seed(seed))
        self.items = n
        self.spec = {"image": Field("image", SHAPE)}
        if labels:
            self.spec["label"] = Field("class", (), classes=("left", "middle", "right"), role="condition")

    def __len__(self) -> int:
        return self.items

    def batch(self, index: Tensor) -> dict[str, Tensor]:
        batch = {"image": self.images[index]}
        return {**batch, "label": self.labels[index]} if "label" in self.spec else batch


@dataclass
class Set:
    train: Part
    test: Part
    name: str = "bars"
    digest: str = "d"
    tokenizer: None = None

    @property
    def spec(self) -> dict[str, Field]:
        return self.train.spec


class Stub(Model):
    Config = dict
    citation = ""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def players(self) -> tuple[Player, ...]:
        return ()

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def loss(self, phase: Phase, batch: Batch, step: object) -> Loss:
        raise NotImplementedError


class Perfect(Stub, CanSample):
    """Draws from the true distribution, or (classes = 2) never the right-hand class."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.classes = classes

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: object = None,
    ) -> Batch:
        assert not self.training
        return {"image": images(n, generator, self.classes)[0]}


class Guesser(Stub, HasLikelihood):
    kind = "bound"

    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        return torch.full((len(batch["image"]),), 110.0)


@pytest.fixture(scope="module")
def data() -> Set:
    return Set(Part(400, 0), Part(200, 1))


@pytest.fixture(scope="module")
def net(data: Set) -> Extractor:
    return train_extractor(data.train, name="bars", images=4000)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_perfect_model_is_near_the_floor_and_a_poor_one_is_not(data: Set, net: Extractor) -> None:
    good = evaluate(Perfect(), data, 300, generator(), extractor=net)
    poor = evaluate(Perfect(2), data, 300, generator(), extractor=net)
    assert good["fd"].value < 5 * good["fd_floor"].value + 1
    assert poor["fd"].value > 4 * good["fd"].value
    assert good["recall"].value > 0.8 > poor["recall"].value
    assert good["precision"].value > 0.8
    assert poor["share:right"].value < 0.02
    assert sum(good[f"share:{k}"].value for k in ("left", "middle", "right")) == pytest.approx(1)
    assert good["fd"].name == f"FD({net.identity})"
    assert "FID" not in json.dumps(good.to_json()).replace("citation", "")
    assert good["fd"].protocol["n_held_out"] == 200
    assert good["fd_floor"].value == poor["fd_floor"].value, "the floor belongs to the data"
    assert good["share:left"].protocol["judge_accuracy"] > 0.95


def test_it_is_json_and_repeats_itself(data: Set, net: Extractor) -> None:
    first, again = (evaluate(Perfect(), data, 100, generator(), extractor=net) for _ in range(2))
    assert json.loads(json.dumps(first.to_json()))["values"]["fd"] == again["fd"].value
    assert first.n == 100


def test_the_chunks_of_sampling_are_as_asked(data: Set, net: Extractor) -> None:
    asked: list[int] = []

    class Counting(Stub, CanSample):
        def sample(self, n: int, *, generator: torch.Generator, **_: object) -> Batch:  # type: ignore[override]
            asked.append(n)
            return {"image": images(n, generator)[0]}

    evaluate(Counting(), data, 70, generator(), extractor=net, batch=32)
    assert asked == [32, 32, 6]


def test_n_never_exceeds_what_the_floor_has(data: Set, net: Extractor) -> None:
    result = evaluate(Perfect(), data, 500, generator(), extractor=net)
    assert result.n == 500
    assert result["fd"].n == result["fd_floor"].n == 400
    assert any("400" in note for note in result.notes)


def test_repeats_give_an_interval_and_one_set_none(data: Set, net: Extractor) -> None:
    assert evaluate(Perfect(), data, 60, generator(), extractor=net)["fd"].interval is None
    result = evaluate(Perfect(), data, 60, generator(), extractor=net, repeats=4)["fd"]
    assert result.interval is not None
    assert result.interval[0] < result.value < result.interval[1]
    assert "4 disjoint" in result.protocol["interval"]


def test_without_labels_there_are_no_shares() -> None:
    data = Set(Part(60, 0, labels=False), Part(40, 1, labels=False), digest="u")
    net = train_extractor(data.train, name="bars", images=256)
    keys = [r.key for r in evaluate(Perfect(), data, 40, generator(), extractor=net).results]
    assert keys == ["fd", "fd_floor", "kd", "precision", "recall", "density", "coverage", "vendi", "precision_real",
                    "recall_real", "copies"]  # fmt: skip


def test_likelihood_alone(data: Set) -> None:
    result = evaluate(Guesser(), data, 10, generator())
    assert [r.key for r in result.results] == ["bits_per_dimension"]
    assert "upper bound" in result.results[0].name
    assert result.extractor == ""


def test_given_samples_are_measured_instead(data: Set, net: Extractor) -> None:
    x = module.draw(Perfect(), "image", 50, generator())
    assert x.dtype == torch.uint8
    drawn = evaluate(Perfect(), data, 50, generator(), extractor=net)
    assert evaluate(Perfect(), data, 50, generator(1), extractor=net, samples=x)["fd"].value == drawn["fd"].value


def test_refusals(data: Set, net: Extractor) -> None:
    with pytest.raises(BadValue, match="at least 2 samples"):
        evaluate(Perfect(), data, 1, generator(), extractor=net)
    with pytest.raises(BadData, match="nothing can be measured"):
        evaluate(Stub(), data, 10, generator(), extractor=net)
