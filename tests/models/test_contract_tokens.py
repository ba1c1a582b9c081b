"""Models of token ids keep the contract on other media than text."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from genloom.core import Sampling, opening
from genloom.data import Dataset
from genloom.errors import BadValue
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.models.registry import model_class
from genloom.samplers.fill import fill
from genloom.testing import check_model, fake_molecules, fake_music, make_case

SMALL: dict[str, Any] = {"width": 32, "depth": 2, "heads": 2, "pairs": 64}


@pytest.mark.parametrize(
    "dataset",
    [fake_music(), fake_music(voices=0), fake_molecules(), fake_molecules(told=True)],
    ids=["grid", "events", "molecules", "molecules and a number"],
)
def test_gpt_keeps_the_contract(dataset: Dataset) -> None:
    check_model(GPT, config=GPTConfig(**SMALL), dataset=dataset)


OTHERS: dict[str, dict[str, Any]] = {
    "recurrent": {"width": 16, "embedding": 8},
    "ngram": {"order": 3},
    "sequence-vae": {"latent": 4, "embedding": 8, "encoder": 16, "width": 32, "components": 2},
}


@pytest.mark.parametrize(("name", "config"), OTHERS.items())
def test_other_models_of_tokens_keep_it(name: str, config: dict[str, Any]) -> None:
    cls = model_class(name)
    for dataset in (fake_music(), fake_molecules()):
        check_model(cls, config=cls.Config(**config), dataset=dataset)


def trained(dataset: Dataset, steps: int = 60) -> GPT:
    case = make_case(GPT, GPTConfig(**SMALL), dataset, steps)
    model = case.build()
    case.play(case.game(model), 0, steps)
    assert isinstance(model, GPT)
    return model.eval()


def test_given_notes_stay_and_the_rest_is_drawn() -> None:
    dataset = fake_music()
    model = trained(dataset)
    piece = torch.from_numpy(dataset.test.pieces()[0])[None]  # type: ignore[attr-defined]
    given = piece.clone()
    given[:, 1::2] = -1
    before = opening(dataset.spec["music"], 1)
    made, again = (
        fill(model, given, Sampling(), torch.Generator().manual_seed(0), before_BP=before, particles=4) for _ in "ab"
    )
    assert made.shape == piece.shape
    assert (made[:, ::2] == piece[:, ::2]).all()
    assert (made >= 0).all()
    assert torch.equal(made, again)


def test_a_window_must_begin_with_a_beat() -> None:
    with pytest.raises(BadValue, match="multiple of 16"):
        GPT(GPTConfig(**SMALL), fake_music(context=24).spec)


def test_pieces_begin_where_nobody_gives_a_prompt() -> None:
    dataset = fake_music()
    model = trained(dataset)
    drawn = model.sample(8, options=Sampling(length=20), generator=torch.Generator().manual_seed(0))["music"]
    assert drawn.shape == (8, 20)  # what stands before them is not in them
    asked = model.sample(
        8, condition={"music": drawn}, options=Sampling(length=4), generator=torch.Generator().manual_seed(0)
    )["music"]
    assert torch.equal(asked[:, :20], drawn)
    assert asked.shape == (8, 24)


def test_what_decodes_fast_says_the_same() -> None:
    """The place in the beat is in the NumPy forward pass too."""
    model = trained(fake_music(), 20)
    ids = fake_music().train.batch(torch.tensor([0, 1]))["music"]
    with torch.no_grad():
        model.network.places.weight.add_(torch.randn(8, 32, generator=torch.Generator().manual_seed(0)))  # type: ignore[union-attr]
        expected = model.network(model._begun(ids[:, :20]))[:, -1]
    reading, said = model.begin(ids[:, :12])
    said = reading.read(ids[:, 12:20])[:, -1]
    torch.testing.assert_close(said, expected, atol=1e-3, rtol=1e-3)


def test_whole_items_end_and_nothing_behind_counts() -> None:
    dataset = fake_molecules()
    model = trained(dataset)
    drawn = model.sample(50, generator=torch.Generator().manual_seed(0))["molecule"]
    assert drawn.shape == (50, 8)
    over = (drawn == 0).cumsum(1) > 0
    assert (drawn[over] == 0).all()  # ends fill what is behind the first one
    assert over.any()
    ids = dataset.test.batch(torch.arange(8))["molecule"]
    exact = model.nll({"molecule": ids}, generator=torch.Generator())
    longer = torch.nn.functional.cross_entropy(
        model.network(model._begun(ids[:, :-1])).flatten(0, 1), ids.flatten(), reduction="none"
    ).view(8, 8)
    own = (ids != 0).sum(1) + 1
    expected = torch.stack([row[:k].sum() for row, k in zip(longer, own.tolist(), strict=True)])
    torch.testing.assert_close(exact, expected)


def test_what_is_told_is_heeded() -> None:
    dataset = fake_molecules(400, told=True)
    model = trained(dataset, 150)
    carbons = []
    for value in (-0.9, 0.9):
        told = {"carbons": torch.full((200, 1), value)}
        drawn = model.sample(200, condition=told, generator=torch.Generator().manual_seed(0))["molecule"]
        carbons.append(float((drawn == 1).sum(1).float().mean()))
    assert carbons[1] > carbons[0] + 0.5
    free = model.sample(4, generator=torch.Generator().manual_seed(0))["molecule"]
    assert free.shape == (4, 8)
