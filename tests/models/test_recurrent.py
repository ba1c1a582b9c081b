"""Recurrent language models: the cells by their equations, the state that reads on, the exact likelihood."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch

from genloom.core import Field, Sampling, Step
from genloom.errors import BadData, NotFound
from genloom.models.autoregressive.recurrent import RecurrentConfig, RecurrentLM
from genloom.nets.recurrent import Recurrent, RecurrentShape

V, L = 11, 12
SPEC = {"text": Field("text", (L,), vocabulary=V)}
CELLS = ("rnn", "gru", "lstm")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ids(*shape: int) -> torch.Tensor:
    return torch.randint(V, shape, generator=generator(5))


def made(cell: Any, depth: int = 2, spec: dict[str, Field] = SPEC) -> RecurrentLM:
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(cell=cell, width=16, depth=depth, embedding=8), spec).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(1)))
    return model


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_cells_are_their_equations(cell: Any) -> None:
    torch.manual_seed(1)
    net, x = Recurrent(RecurrentShape(inputs=5, width=4, cell=cell)), torch.randn(1, 6, 5, generator=generator())
    p = dict(net.layers.named_parameters())
    for value in p.values():
        value.add_(0.2 * torch.randn(value.shape, generator=generator(2)))
    w, u, b, e = (p[f"{n}_l0"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h, c, shown = torch.zeros(4), torch.zeros(4), []
    for t in range(6):
        a, r = w @ x[0, t] + b, u @ h + e
        if cell == "rnn":
            h = torch.tanh(a + r)
        elif cell == "gru":
            (ar, az, an), (rr, rz, rn) = a.split(4), r.split(4)
            reset, z = torch.sigmoid(ar + rr), torch.sigmoid(az + rz)
            h = (1 - z) * torch.tanh(an + reset * rn) + z * h
        else:
            i, f, g, o = (a + r).split(4)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        shown.append(h)
    torch.testing.assert_close(net(x)[0][0], torch.stack(shown), atol=1e-6, rtol=1e-5)


def test_an_lstm_begins_by_remembering() -> None:
    """Its forget gates have a bias of 1, the other gates of 0; recurrent matrices keep norms."""
    layers = Recurrent(RecurrentShape(inputs=5, width=4, cell="lstm")).layers
    bias = layers.bias_ih_l0 + layers.bias_hh_l0
    assert bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
    for part in layers.weight_hh_l0.split(4):
        torch.testing.assert_close(part @ part.T, torch.eye(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_reading_on_is_reading_at_once(cell: Any) -> None:
    """A text of any length, in any pieces; also after taking back, and after choosing rows."""
    model, text = made(cell), ids(2, 5 * L)
    reading, first = model.begin(text[:, :0])
    said = torch.cat([first[:, None], *(reading.read(p) for p in text.split([1, 5, L, 5 * L - 6 - L], 1))], 1)
    picked = said[:, :-1].log_softmax(-1).gather(-1, text[..., None])[..., 0]
    torch.testing.assert_close(-picked, model.surprise(text), atol=1e-5, rtol=1e-4)
    before = reading.read(text[:, :6])
    reading.read(text[:, :3])
    reading.forget(3 + 4)
    torch.testing.assert_close(reading.read(text[:, 2:6]), before[:, 2:], atol=1e-5, rtol=1e-4)
    one = reading.read(text[:, :2])
    reading.forget(2)
    reading.select(torch.tensor([1, 0, 1]))
    torch.testing.assert_close(reading.read(text[[1, 0, 1], :2]), one[[1, 0, 1]], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_what_was_read_last_can_be_taken_back_token_by_token() -> None:
    model, text = made("gru"), ids(1, 100)
    reading, _ = model.begin(text[:, :20])
    for t in range(20, 100):
        reading.read(text[:, t : t + 1])
    reading.forget(reading.reach)
    fresh, _ = model.begin(text[:, : 100 - reading.reach])
    torch.testing.assert_close(reading.read(text[:, :1]), fresh.read(text[:, :1]))


@pytest.mark.parametrize("cell", CELLS)
def test_likelihood_is_exact(cell: Any) -> None:
    """The probabilities of all texts of two tokens add up to one, the first token's included."""
    model = made(cell, 1, {"text": Field("text", (2,), vocabulary=V)})
    everything = torch.cartesian_prod(torch.arange(V), torch.arange(V))
    nll = model.nll({"text": everything}, generator=generator())
    torch.testing.assert_close((-nll).exp().sum(), torch.tensor(1.0))
    assert nll.std() > 0.1


def test_loss_is_the_mean_likelihood() -> None:
    model, batch = made("lstm"), {"text": ids(4, L)}
    loss = model.loss(model.phases()[0], batch, Step(seed=0, rows=(0, 4, 4))).total
    torch.testing.assert_close(loss, model.nll(batch, generator=generator()).mean() / L)
    assert model.nll({"text": ids(0, L)}, generator=generator()).shape == (0,)


def test_samples_and_streams_agree() -> None:
    model, prompt, options = made("lstm"), ids(4), Sampling(length=2 * L, temperature=0.8)
    streamed = [int(t) for t in model.stream(prompt, options=options, generator=generator(6))]
    sampled = model.sample(1, condition={"text": prompt[None]}, options=options, generator=generator(6))["text"]
    assert streamed == sampled[0, 4:].tolist()
    assert model.sample(3, generator=generator())["text"].shape == (3, L)


def test_errors() -> None:
    with pytest.raises(NotFound, match="lstm"):
        RecurrentLM(RecurrentConfig(cell="lstn"), SPEC)  # type: ignore[arg-type]
    with pytest.raises(BadData, match="choose other data"):
        RecurrentLM(RecurrentConfig(), {"image": Field("image", (1, 8, 8))})


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_plain_cells_stay_in_fp32(cell: Literal["rnn", "gru"]) -> None:
    """What these cells add to their state at a token is below bf16's steps."""
    torch.manual_seed(0)
    layers = Recurrent(RecurrentShape(inputs=5, width=16, cell=cell))
    x = torch.randn(2, 30, 5)
    alone, _ = layers(x)
    with torch.autocast("cpu", torch.bfloat16):
        within, (state,) = layers(x)
    assert torch.equal(within, alone)
    assert state.dtype == torch.float32
