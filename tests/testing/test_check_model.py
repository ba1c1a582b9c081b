"""check_model finds what it promises to find: models that break one promise each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genloom.core import Batch, CanSample, Loss, Model, Optimizer, Phase, Player, Step
from genloom.testing import check_model


@dataclass(frozen=True)
class MeanConfig:
    """rate: the learning rate; flaw: what this one does wrong."""

    rate: float = 0.2
    flaw: str = ""


class Mean(Model, CanSample):
    """Learns the mean image, and adds noise of a fixed size to it."""

    Config = MeanConfig
    citation = "@misc{mean, title={The mean}}"

    def __init__(self, config: MeanConfig, spec: Any, given: Any = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.mean = nn.Parameter(torch.zeros(spec["image"].shape))
        self.idle = nn.Parameter(torch.zeros(2))
        self.register_buffer("calls", torch.zeros(()))
        self.listens_to = {"deaf": ("label",), "mistaken": ("lable",)}.get(config.flaw, ())

    def players(self) -> tuple[Player, ...]:
        names = ("mean", "idle") if self.config.flaw == "idle" else ("mean",)
        return (Player("mean", names, Optimizer(lr=self.config.rate, warmup=0.0)),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("mean", "mean"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        error = (batch["image"] - self.mean).square().mean((1, 2, 3))
        flaw = self.config.flaw
        if flaw == "impure":
            self.calls += 1
        if flaw == "rows":
            error = error * error.detach().mean()
        if flaw == "upwards":
            error = 2 * error.detach() - error  # its value is right, its gradient points the wrong way
        return Loss(error.mean())

    def sample(self, n: int, *, condition: Any = None, generator: torch.Generator, **_: Any) -> Batch:  # type: ignore[override]
        noise = torch.randn(n, *self.mean.shape, generator=generator) * 0.1
        x: Tensor = self.mean + noise
        if self.config.flaw == "secretive" and condition:
            x = x * (1 + condition["label"][:, None, None, None])
        if self.config.flaw == "fixed":
            x = self.mean.expand(n, -1, -1, -1)
        if self.config.flaw == "global":
            x = self.mean + 0.1 * torch.randn(n, *self.mean.shape)
        return {"image": x if self.config.flaw == "range" else x.clamp(-1, 1)}


def test_an_honest_model_passes() -> None:
    check_model(Mean)


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("idle", "gradients: no phase sends a gradient to 'idle'"),
        ("global", "global_randomness: the global generator was moved|depends on the global generator"),
        ("impure", "loss_is_pure: loss changed 'calls'"),
        ("rows", "two_processes: the gradient 'mean/mean' differs"),
        ("upwards", "learns: the monitor"),
        ("fixed", "samples: another generator gives the same samples"),
        ("deaf", "listening: samples do not depend on 'label'; listens_to says otherwise"),
        ("secretive", "listening: samples depend on 'label'; listens_to says otherwise"),
        ("mistaken", "listening: it says it listens to 'lable'"),
    ],
)
def test_each_broken_promise_is_named(flaw: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_model(Mean, config=MeanConfig(flaw=flaw))


def test_an_exception_is_accepted_with_its_reason_and_refused_when_not_needed() -> None:
    check_model(Mean, config=MeanConfig(flaw="rows"), exceptions={"two_processes": "weighs by its own rows"})
    with pytest.raises(AssertionError, match="take it out of the exceptions"):
        check_model(Mean, exceptions={"two_processes": "none"})


def test_undocumented_fields_and_missing_citations_are_found() -> None:
    @dataclass(frozen=True)
    class Bare:
        """Nothing."""

        rate: float = 0.1
        flaw: str = ""

    class Uncited(Model):
        """A model."""

        Config = Bare
        citation = "somebody"

    Uncited.__init__ = Mean.__init__  # type: ignore[method-assign]
    for name in ("players", "phases", "loss"):
        setattr(Uncited, name, getattr(Mean, name))
    Uncited.__abstractmethods__ = frozenset()
    with pytest.raises(AssertionError, match="does not name 'rate'"):
        check_model(Uncited)
