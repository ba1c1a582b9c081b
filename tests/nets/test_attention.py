"""Attention beside a listing with loops, and beside PyTorch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from genloom.nets.attention import MultiHeadAttention, attention, causal_mask
from genloom.nets.positions import alibi, alibi_slopes, rotary, rotate, sinusoidal

B, L, D, H = 2, 7, 24, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(key_heads: int = H) -> MultiHeadAttention:
    module = MultiHeadAttention(D, H, key_heads)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(0.5 * torch.randn(p.shape, generator=generator(p.numel())))
    return module


def masks() -> dict[str, torch.Tensor]:
    ragged = torch.zeros(L, L)
    ragged[:, 5:] = -math.inf  # padding behind
    return {"none": torch.zeros(L, L), "causal": causal_mask(L), "padding": ragged}


def by_loops(module: MultiHeadAttention, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Equation (1), one head, one query and one key at a time."""
    width = D // H
    shared = module.heads // module.key_heads
    out = torch.zeros_like(x)
    for b in range(len(x)):
        heads = torch.zeros(L, D)
        for h in range(H):
            mine, theirs = slice(h * width, (h + 1) * width), slice(h // shared * width, (h // shared + 1) * width)
            q = x[b] @ module.query.weight[mine].T + module.query.bias[mine]
            k = x[b] @ module.key.weight[theirs].T + module.key.bias[theirs]
            v = x[b] @ module.value.weight[theirs].T + module.value.bias[theirs]
            for i in range(L):
                weights = [math.exp(float(q[i] @ k[j]) / math.sqrt(width) + float(mask[i, j])) for j in range(L)]
                for j in range(L):
                    heads[i, mine] += weights[j] / sum(weights) * v[j]
        out[b] = heads @ module.out.weight.T + module.out.bias
    return out


@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
def test_it_is_the_textbook(mask: str, key_heads: int) -> None:
    module, x = made(key_heads), torch.randn(B, L, D, generator=generator())
    with torch.no_grad():
        torch.testing.assert_close(module(x, masks()[mask]), by_loops(module, x, masks()[mask]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
def test_it_is_pytorchs(mask: str) -> None:
    module, x = made(), torch.randn(B, L, D, generator=generator())
    theirs = torch.nn.MultiheadAttention(D, H, batch_first=True)
    with torch.no_grad():
        parts = (module.query, module.key, module.value)
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
        theirs.out_proj.weight.copy_(module.out.weight)
        theirs.out_proj.bias.copy_(module.out.bias)
        expected = theirs(x, x, x, attn_mask=masks()[mask], need_weights=False)[0]
        torch.testing.assert_close(module(x, masks()[mask]), expected, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_fused_kernel() -> None:
    q, k, v = (torch.randn(3, L, 8, generator=generator(i), requires_grad=True) for i in range(3))
    grad = torch.randn(3, L, 8, generator=generator(9))
    ours = torch.autograd.grad(attention(q, k, v, causal_mask(L), 0.3), (q, k, v), grad)
    fused = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None], is_causal=True, scale=0.3)[:, 0]
    for a, b in zip(ours, torch.autograd.grad(fused, (q, k, v), grad), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_a_mask_for_each_head() -> None:
    """ALiBi's (H, L, L): each head has its own, also where heads share keys; the last one listed is the flattest."""
    x = torch.randn(B, L, D, generator=generator())
    bias = causal_mask(L) + alibi(H, 0, L)
    for key_heads in (2, 4):
        module = made(key_heads)
        with torch.no_grad():
            got = module(x, bias)
            q, k, v = (
                part(x).view(B, L, -1, D // H).transpose(1, 2) for part in (module.query, module.key, module.value)
            )
            heads = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=True)
            torch.testing.assert_close(got, module.out(heads.transpose(1, 2).flatten(2)), atol=1e-5, rtol=1e-5)


def test_alibi_is_the_papers() -> None:
    """Section 3: for 8 heads 1/2, 1/4 ... 1/256; its footnote's example for 12 heads."""
    torch.testing.assert_close(alibi_slopes(8), 0.5 ** torch.arange(1.0, 9.0))
    expected = torch.cat((0.5 ** torch.arange(1.0, 9.0), 0.5 ** torch.tensor([0.5, 1.5, 2.5, 3.5])))
    torch.testing.assert_close(alibi_slopes(12), expected)
    bias = alibi(2, 3, 5)
    assert bias.shape == (2, 2, 5)
    torch.testing.assert_close(bias[0, 0, :4], -(2.0**-4) * torch.tensor([3.0, 2.0, 1.0, 0.0]))
    torch.testing.assert_close(bias, alibi(2, 0, 5)[:, 3:])


def test_sinusoids_are_the_papers() -> None:
    table = sinusoidal(50, 6)
    for t, i in ((0, 0), (7, 1), (49, 2)):
        angle = t / 10_000 ** (2 * i / 6)
        assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
        assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)
    assert sinusoidal(4, 5).shape == (4, 5)


def test_rotary_depends_on_distance_alone() -> None:
    cos, sin = rotary(40, 8)
    q, k = torch.randn(2, 1, 1, 1, 8, generator=generator())

    def score(i: int, j: int) -> torch.Tensor:
        return (rotate(q, cos[i : i + 1], sin[i : i + 1]) * rotate(k, cos[j : j + 1], sin[j : j + 1])).sum()

    torch.testing.assert_close(score(9, 4), score(30, 25))
    assert not torch.allclose(score(9, 4), score(9, 5))
    torch.testing.assert_close(rotate(q, cos[7:8], sin[7:8]).norm(), q.norm())
