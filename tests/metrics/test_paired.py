"""Differences of two sets of samples: no more false alarms than promised, and real differences are found."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from genloom.core import Field
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.kernel_distance import kernel_difference, kernel_distance
from genloom.metrics.paired import Difference, image_differences, newcombe, of_items, welch


def rows(n: int, seed: int, d: int = 6) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@dataclass
class Split:
    images: Tensor
    spec: dict[str, Field] = field(default_factory=lambda: {"image": Field("image", (1, 2, 3))})

    @property
    def items(self) -> int:
        return len(self.images)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, index: Tensor) -> dict[str, Tensor]:
        return {"image": self.images[index]}


@dataclass
class Set:
    train: Split
    test: Split
    name: str = "toy"
    digest: str = "0" * 64

    @property
    def spec(self) -> dict[str, Field]:
        return self.train.spec


class Flat:
    """An extractor whose features are the pixels, and whose classes are the sign of the first."""

    identity, classes, dimensions, resize, published = "flat@00000000", ("minus", "plus"), 6, "", False
    facts: dict[str, str] = {}

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def logits(self, features: Tensor) -> Tensor:
        return torch.stack([-features[:, 0], features[:, 0]], 1)

    def judge(self, features: Tensor) -> Tensor:
        return self.logits(features).argmax(1)


def apart(first: Tensor, second: Tensor, seed: int = 0) -> dict[str, Difference]:
    data = Set(Split(rows(1_500, 1_000 + seed).view(-1, 1, 2, 3)), Split(rows(600, 2_000 + seed).view(-1, 1, 2, 3)))
    return {d.key: d for d in image_differences(Flat(), data, first, second, [], cached=False)}  # type: ignore[arg-type]


KEYS = ["fd", "fd_inf", "kd", "precision", "recall", "coverage", "vendi", "is", "share:minus", "share:plus"]


def test_equal_models_differ_one_time_in_twenty() -> None:
    trials = 60
    found = [apart(rows(1_000, 2 * i), rows(1_000, 2 * i + 1), i) for i in range(trials)]
    assert list(found[0]) == KEYS
    alarms = {key: sum(bool(f[key].significant) for f in found) for key in KEYS}
    assert max(alarms.values()) <= 9, alarms  # 60 trials at 5 %: ten happen once in 600
    assert sum(alarms.values()) <= 0.075 * trials * len(KEYS), alarms


def test_a_worse_model_is_found_and_named() -> None:
    good, worse = rows(1_000, 0), rows(1_000, 1) * 0.6
    found = apart(good, worse)
    for key in ("fd", "fd_inf", "kd", "recall"):
        assert found[key].significant, key
        assert found[key].winner == "first", key
    assert found["fd_inf"].difference == pytest.approx(6 * 0.16, abs=0.15)
    assert found["share:plus"].significant is False
    other = apart(worse, good)
    assert other["fd"].winner == "second"
    assert other["fd"].difference == -found["fd"].difference


def test_the_parts_are_what_they_are_said_to_be() -> None:
    found = apart(rows(1_000, 0), rows(700, 1) + 0.2)
    assert found["fd"].n == 700 // 3
    assert "3 disjoint sets of 233" in found["fd"].how
    held_out = rows(600, 2_000)
    mean = sum(frechet_distance(p, held_out) for p in rows(1_000, 0)[:699].split(233)) / 3
    assert found["fd"].first == pytest.approx(mean)
    notes: list[str] = []
    data = Set(Split(rows(900, 3).view(-1, 1, 2, 3)), Split(rows(600, 4).view(-1, 1, 2, 3)))
    few = image_differences(Flat(), data, rows(90, 5), rows(80, 6), notes, cached=False)
    assert "fd" not in {d.key for d in few}
    assert any("90 and 80" in note for note in notes)
    assert any("from 600 samples on" in note for note in notes)


def test_known_intervals() -> None:
    low, high = newcombe(56, 70, 48, 80)  # Newcombe (1998), table II, case (a): 0.2 in 0.0524 .. 0.3339
    assert (-high, -low) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert newcombe(0, 10, 0, 10) == pytest.approx((-0.2775, 0.2775), abs=1e-4)
    assert welch([1.0], [1.0, 2.0]) is None
    assert welch([1.0, 1.0], [3.0, 3.0]) == (2.0, 2.0)
    from scipy.stats import ttest_ind

    a, b = rows(9, 0, 1)[:, 0].tolist(), rows(5, 1, 1)[:, 0].tolist()
    theirs = ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert welch(a, b) == pytest.approx((theirs.low, theirs.high))


def test_likelihoods_are_paired_item_by_item() -> None:
    hard = 100 * rows(400, 0, 1)[:, 0].double()
    easy = of_items("nats", "nats", hard, hard + 0.1 + 0.2 * rows(400, 1, 1)[:, 0], "lower")
    assert easy.significant, "the items differ a thousand times as much as the models"
    assert easy.winner == "first"
    assert easy.difference == pytest.approx(0.1, abs=0.03)
    assert of_items("nats", "nats", hard, hard, "lower").significant is False


def test_what_two_distances_owe_to_the_same_real_items_cancels() -> None:
    real, a, b = rows(20, 0), rows(2_000, 1) + 1, rows(2_000, 2) + 1
    one, two, error = kernel_difference(real, a, b)
    assert (one, two) == pytest.approx((kernel_distance(a, real).value, kernel_distance(b, real).value))
    assert error < 0.7 * (kernel_distance(a, real).error ** 2 + kernel_distance(b, real).error ** 2) ** 0.5


def test_json_names_the_winner() -> None:
    told = apart(rows(700, 0), rows(700, 1) * 0.5)["fd"].to_json()
    assert told["significant"] is True
    assert told["winner"] == "first"
