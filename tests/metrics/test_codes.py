"""Codes beside known factors, and modes of points: right answers on made-up ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genloom.core import Batch, Code, Field, HasCodes
from genloom.data import DataOptions, load
from genloom.errors import BadValue
from genloom.metrics.codes import code_results, matched
from genloom.metrics.modes import stacked_modes
from genloom.metrics.points import mixture_of, of_points

N = 600


class Split:
    """Pictures that say their label and number in two pixels."""

    spec = {
        "image": Field("image", (1, 1, 2)),
        "label": Field("class", (), classes=("a", "b", "c"), role="condition"),
        "turn": Field("vector", (1,), role="condition"),
    }

    def __len__(self) -> int:
        return N

    def batch(self, index: Tensor) -> Batch:
        g = torch.Generator().manual_seed(0)
        label, turn = torch.randint(3, (N,), generator=g), 2 * torch.rand(N, generator=g) - 1
        image = torch.stack([label.float(), turn], 1)[:, None, None]
        return {"image": image[index], "label": label[index], "turn": turn[index][:, None]}


class Reader(nn.Module, HasCodes):
    """Reads the label in another order, the number backwards, and noise."""

    codes = (Code("kind", 3), Code("lean"), Code("noise"))

    def infer(self, batch: Batch) -> dict[str, Tensor]:
        x = batch["image"][:, 0, 0]
        noise = torch.sin(1e4 * x[:, 1])
        return {"kind": (x[:, 0].long() + 1) % 3, "lean": -x[:, 1].pow(3), "noise": noise}

    def with_code(self, latent: Tensor, name: str, value: Tensor) -> Tensor:
        return latent


def test_codes_are_matched_and_ranked() -> None:
    data: Any = SimpleNamespace(spec=Split.spec, test=Split())
    found = {r.key: r for r in code_results(Reader(), data)}  # type: ignore[arg-type]
    assert found["code_error:label"].value == 0.0
    assert (found["code_error:label"].protocol["code"], found["code_error:label"].n) == ("kind", N // 2)
    assert found["code:turn"].value == pytest.approx(1.0)
    assert found["code:turn"].protocol["code"] == "lean"
    assert found["mig"].value > 0.8
    unknown: Any = SimpleNamespace(spec={"image": Split.spec["image"]}, test=Split())
    assert code_results(Reader(), unknown) == []  # type: ignore[arg-type]
    assert code_results(nn.Linear(1, 1), data) == []  # type: ignore[arg-type]


def test_matching_is_one_to_one() -> None:
    code, label = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([1, 1, 1, 1, 1, 0])
    assert matched(code, label, 4, 3).tolist()[:3] == [1, 2, 0]  # code 1 is mostly class 1 too, which is taken
    assert matched(code, label, 4, 3)[3] == -1


def test_modes_of_points() -> None:
    data = load(DataOptions(source="ring"))
    mixture = mixture_of(data.train, "vector")
    assert mixture is not None
    assert mixture[0].shape == (8, 2)
    assert mixture[1] == pytest.approx(0.01, rel=0.02)
    some = data.test.batch(torch.arange(1000))
    half = some["vector"][some["label"] < 4]
    found = {r.key: r for r in of_points(half, "vector", data.train, data.test)}
    assert found["modes"].value == 4
    assert found["modes"].floor == 8
    assert found["mode_quality"].value > 0.97
    assert found["mode_kl"].value == pytest.approx(0.6931, abs=0.02)
    assert of_points(half, "vector", load(DataOptions(source="ring", labels=False)).train, data.test) == []


def test_modes_of_stacked_digits() -> None:
    judge: Any = SimpleNamespace(
        classes=tuple("0123456789"),
        features=lambda x: x.float().mean((1, 2, 3))[:, None],
        judge=lambda f: (f[:, 0] / 10).round().long(),
    )
    colours = torch.tensor([[0, 10, 20], [90, 90, 90], [0, 10, 20]], dtype=torch.uint8)
    found = stacked_modes(colours[:, :, None, None].expand(3, 3, 4, 4), judge)
    assert (found.found, found.of) == (2, 1000)
    with pytest.raises(BadValue, match="expected pictures"):
        stacked_modes(torch.zeros(2, 1, 4, 4), judge)
