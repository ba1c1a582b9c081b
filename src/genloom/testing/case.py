"""A model on data small enough to check it on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genloom.core import CanSample, Model, Sampling
from genloom.data import Dataset
from genloom.engine import moments
from genloom.engine.distributed import World
from genloom.engine.game import Game, Moment, seeded
from genloom.engine.given import freeze
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan
from genloom.engine.preview import resting

CPU = torch.device("cpu")
TRAIN = TrainOptions(batch=8, precision="fp32", device="cpu", ema=0.0)
_finished: dict[str, dict[str, Tensor]] = {}


@dataclass(frozen=True)
class Case:
    """A model class with a configuration and a data set small enough to check it on.

    given: cases of the models that it stands on, by role.
    """

    cls: type[Model]
    config: Any
    dataset: Dataset
    steps: int = 30
    given: Mapping[str, Case] = dataclasses.field(default_factory=dict)

    def build(self, seed: int = 0, config: Any = None) -> Model:
        """The model with first weights that depend on `seed` alone; config: another than the case's."""
        partners = self.partners()
        with seeded(seed, CPU):
            return self.cls(self.config if config is None else config, self.dataset.spec, partners)

    def partners(self) -> dict[str, Model]:
        """The finished models that this one stands on, by role: each trained for the steps of its own case, once."""
        found: dict[str, Model] = {}
        for role, case in self.given.items():
            key = f"{case.cls.__qualname__} {case.config} {case.dataset.digest} {case.steps}"
            model = case.build()
            if key not in _finished:
                case.play(case.game(model), 0, case.steps)
                moments.finish(model, case.dataset, Plan(), CPU, seed=0, step=case.steps, items=0)
                _finished[key] = model.state_dict()
            model.load_state_dict(_finished[key])
            found[role] = freeze(model)
        return found

    def game(self, model: Model, world: World | None = None) -> Game:
        """The game of this model on this data, batches of 8, fp32."""
        return Game(model, self.dataset.train, self.dataset.options, TRAIN, Plan(), CPU, world or World())

    def play(self, game: Game, first: int, last: int) -> None:
        """Plays steps first .. last - 1 of a run of `steps`."""
        game.model.train()
        for i in range(first, last):
            game.step(Moment(i, min(1.0, i / self.steps)))

    def train(self, model: Model) -> None:
        """A whole run of `steps`; models that only count do their counting."""
        game = self.game(model)
        self.play(game, 0, self.steps)
        if not model.phases():
            moments.finish(model, self.dataset, Plan(), CPU, seed=0, step=0, items=0)

    @property
    def item(self) -> str:
        """The name of the generated field."""
        return next(k for k, f in self.dataset.spec.items() if f.role == "item")


def dice(seed: int = 1) -> torch.Generator:
    """A generator of its own for the draws of one check."""
    return torch.Generator().manual_seed(seed)


def draw(model: Model, n: int, seed: int = 1) -> dict[str, Tensor]:
    """n samples of the model at rest; texts of six tokens."""
    assert isinstance(model, CanSample)
    with resting(model):
        return dict(model.sample(n, options=Sampling(length=6), generator=dice(seed)))
