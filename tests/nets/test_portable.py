"""The portable transformer: its parts by their equations, all its choices through the cache, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from genloom.core import Field, Sampling
from genloom.errors import BadValue, NotFound
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.nets.portable import GPT2, LLAMA, MLP, Portable, PortableShape, PortableTransformer, RMSNorm, make_norm

V, L = 11, 12
SHAPE = PortableShape(vocabulary=V + 1, outputs=V, context=L, width=16, depth=2, heads=4)
STYLES = {
    "gpt2": GPT2,
    "llama": replace(LLAMA, key_heads=2),
    "sinusoidal": Portable(positions="sinusoidal", mlp="relu", tied=False),
    "alibi": Portable(positions="alibi", norm="rms", key_heads=1),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(style: Portable) -> PortableTransformer:
    torch.manual_seed(0)
    made = PortableTransformer(replace(SHAPE, style=style)).eval()
    with torch.no_grad():
        for i, p in enumerate(made.parameters()):
            p.add_(0.2 * torch.randn(p.shape, generator=generator(i)))
    return made


@pytest.mark.parametrize("name", STYLES)
@torch.no_grad()
def test_cached_equals_uncached(name: str) -> None:
    net, x = network(STYLES[name]), torch.randint(V, (3, L), generator=generator(1))
    whole = net(x)
    assert whole.shape == (3, L, V)
    for cuts in ([1] * L, [5, 1, 4, 2]):
        cache = net.cache(3)
        torch.testing.assert_close(torch.cat([net(p, cache) for p in x.split(cuts, 1)], 1), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", STYLES)
@torch.no_grad()
def test_the_past_matters_in_its_order_and_the_future_does_not(name: str) -> None:
    net, x = network(STYLES[name]), torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    changed, swapped = x.clone(), x.clone()
    changed[0, 5] = 0
    swapped[0, [1, 2]] = x[0, [2, 1]]
    torch.testing.assert_close(net(x)[:, :5], net(changed)[:, :5])
    for other in (changed, swapped):
        assert (net(x)[:, -1] - net(other)[:, -1]).abs().max() > 1e-3


def test_norms_are_their_equations() -> None:
    x = torch.randn(3, 5, 16, generator=generator(), dtype=torch.float64)
    w, b = torch.randn(2, 16, generator=generator(1), dtype=torch.float64)
    layer, rms = make_norm(16, Portable(norm="layer", eps=1e-3)).double(), RMSNorm(16, 1e-3).double()
    with torch.no_grad():
        layer.weight.copy_(w)
        layer.bias.copy_(b)
        rms.weight.copy_(w)
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)
    torch.testing.assert_close(layer(x), (x - mean) / (variance + 1e-3).sqrt() * w + b)
    torch.testing.assert_close(rms(x), x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt() * w)


def test_the_written_out_derivative_of_rms_norm() -> None:
    rms = RMSNorm(6, 1e-2)
    x = torch.randn(2, 3, 6, generator=generator(), requires_grad=True)
    grad = torch.randn(2, 3, 6, generator=generator(1))
    ours = torch.autograd.grad(rms(x), (x, rms.weight), grad)
    plain = x / (x.square().mean(-1, keepdim=True) + 1e-2).sqrt() * rms.weight
    for a, b in zip(ours, torch.autograd.grad(plain, (x, rms.weight), grad), strict=True):
        torch.testing.assert_close(a, b)


def test_swiglu_is_its_equation() -> None:
    mlp, x = MLP(8, 12, LLAMA), torch.randn(3, 8, generator=generator())
    assert mlp.gate is not None
    gate = x @ mlp.gate.weight.T
    torch.testing.assert_close(mlp(x), (gate * gate.sigmoid() * (x @ mlp.up.weight.T)) @ mlp.down.weight.T)
    assert replace(SHAPE, width=96, style=LLAMA).hidden == 256
    assert replace(SHAPE, style=replace(LLAMA, hidden=40)).hidden == 40


def test_a_tied_head_is_the_table() -> None:
    assert not any(name.startswith("head") for name, _ in network(GPT2).named_parameters())
    assert not any("bias" in name for name, _ in network(LLAMA).named_parameters())


def spec(vocabulary: int = V) -> dict[str, Field]:
    return {"text": Field("text", (L,), vocabulary=vocabulary)}


def test_the_start_may_be_a_token_of_the_vocabulary() -> None:
    """Then the table has no further row, as in published checkpoints."""
    config = GPTConfig(width=16, depth=1, heads=2, network="portable", start=3)
    model = GPT(config, spec()).eval()
    assert model.start == 3
    assert model.network.embedding.num_embeddings == V
    assert model.sample(2, options=Sampling(length=4), generator=generator())["text"].shape == (2, 4)
    with pytest.raises(BadValue, match=r"config\.start"):
        GPT(replace(config, start=V), spec())


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"width": 18}, BadValue, "multiple of config.heads"),
        ({"width": 20, "style": LLAMA}, BadValue, "turn pairs"),
        ({"style": Portable(key_heads=3)}, BadValue, "key_heads must divide"),
        ({"style": Portable(mlp="gelo")}, NotFound, "did you mean 'gelu'"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        PortableTransformer(replace(SHAPE, **change))


def test_an_unknown_network_is_said() -> None:
    with pytest.raises(NotFound, match="portable"):
        GPT(GPTConfig(network="portabel"), spec())  # type: ignore[arg-type]
