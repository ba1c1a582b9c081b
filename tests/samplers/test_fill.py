"""A particle filter draws what is unknown given what is known, also what is known only later."""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import CanContinue, Reading, Sampling
from genloom.samplers.fill import fill

STAY = 0.9  # two states; a token is the one before it with this probability, and the first either


class _Reading(Reading):
    def __init__(self, rows: Tensor) -> None:
        self.rows = rows  # which of the prompts each row came from

    def read(self, ids_BL: Tensor) -> Tensor:
        stay = torch.tensor([[STAY, 1 - STAY], [1 - STAY, STAY]]).log()
        return stay[ids_BL]

    def select(self, rows_N: Tensor) -> None:
        self.rows = self.rows[rows_N]

    def forget(self, count: int) -> None:
        raise NotImplementedError


class Chain(CanContinue):
    item, vocabulary, context = "music", 2, None

    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        self.reading = _Reading(torch.arange(len(prompt_BL)))
        if prompt_BL.shape[1]:
            return self.reading, self.reading.read(prompt_BL)[:, -1]
        return self.reading, torch.zeros(len(prompt_BL), 2)


def first_given_last(particles: int, n: int = 4000) -> float:
    given = torch.tensor([[-1, 1]]).repeat(n, 1)
    made = fill(Chain(), given, Sampling(), torch.Generator().manual_seed(0), particles=particles)
    assert (made[:, 1] == 1).all()
    return float((made[:, 0] == 1).float().mean())


def test_particles_look_ahead() -> None:
    assert abs(first_given_last(1) - 0.5) < 0.03  # drawn without a look at what follows
    assert abs(first_given_last(32) - STAY) < 0.03  # p(first = 1 | second = 1)


def test_rows_stay_with_their_item() -> None:
    model = Chain()
    given = torch.tensor([[0, -1, 1, -1, 0, -1], [1, -1, 1, -1, 1, -1]])
    made = fill(model, given, Sampling(), torch.Generator().manual_seed(1), particles=8)
    known = given >= 0
    assert (made[known] == given[known]).all()
    assert ((made == 0) | (made == 1)).all()
    assert model.reading.rows.tolist() == [0] * 8 + [1] * 8


def test_what_is_all_known_comes_back() -> None:
    given = torch.tensor([[0, 1, 1, 0]])
    assert torch.equal(fill(Chain(), given, Sampling(), torch.Generator()), given)


def test_nothing_known_further_on_is_drawn_as_it_is() -> None:
    given = torch.full((2000, 2), -1)
    made = fill(Chain(), given, Sampling(), torch.Generator().manual_seed(0))
    assert abs(float((made[:, 0] == made[:, 1]).float().mean()) - STAY) < 0.03
