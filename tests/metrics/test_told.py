"""Class accuracy: right where samples are what was asked, wrong where they are not, none where nobody listens."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from genloom.core import Field
from genloom.metrics.told import class_accuracy
from genloom.models.adversarial.gan import GAN, GANConfig

SPEC = {
    "image": Field("image", (1, 8, 8)),
    "label": Field("class", (), classes=("dark", "light"), role="condition"),
}


class Judge:
    """Names pictures by their brightness."""

    identity, classes, dimensions = "brightness@00000000", ("dark", "light"), 1

    def features(self, images: Tensor) -> Tensor:
        return images.float().mean((1, 2, 3))[:, None]

    def judge(self, features: Tensor) -> Tensor:
        return (features[:, 0] > 127).long()


class Painter(GAN):
    """Paints what it is told, or something else."""

    swap = False

    def sample(self, n: int, *, condition: Any = None, generator: torch.Generator, **_: Any) -> dict[str, Tensor]:
        light = (condition["label"] == 1) != self.swap
        return {"image": (light * 1.6 - 0.8)[:, None, None, None].expand(n, 1, 8, 8).float()}


def measured(**changes: Any) -> list[Any]:
    model = Painter(GANConfig(width=4, features=4, latent=2), SPEC)
    for k, v in changes.items():
        setattr(model, k, v)
    data: Any = SimpleNamespace(spec=SPEC)
    return class_accuracy(model, data, Judge(), SPEC["image"], torch.Generator(), most=40)  # type: ignore[arg-type]


def test_asked_and_painted() -> None:
    (right,) = measured()
    assert (right.value, right.n, right.protocol["chance"]) == (1.0, 40, 0.5)
    assert right.interval is not None
    assert right.interval[0] > 0.9
    assert measured(swap=True)[0].value == 0.0


def test_a_model_that_does_not_listen_has_none() -> None:
    assert measured(listens_to=()) == []
    config = GANConfig(width=4, features=4, latent=2)
    assert GAN(config, SPEC).listens_to == ("label",)
    assert GAN(replace(config, conditional=False), SPEC).listens_to == ()
