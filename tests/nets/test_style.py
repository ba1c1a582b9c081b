"""Style layers: modulation written out, equalised rates, minibatch deviation, sizes that no power of two fits."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from genloom.nets.style import (
    EqualConv,
    EqualLinear,
    Mapping,
    Modulated,
    StyleJudge,
    StyleSynthesis,
    minibatch_deviation,
    pixel_norm,
    smoothed,
)


def g(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_is_one_kernel_an_item(demodulate: bool) -> None:
    torch.manual_seed(0)
    layer = Modulated(3, 5, 4, demodulate=demodulate)
    x, w = torch.randn(2, 3, 6, 7, generator=g()), torch.randn(2, 4, generator=g(1))
    for item in range(2):
        s = layer.affine(w[item : item + 1])[0]
        kernel = layer.weight * layer.scale * s[None, :, None, None]  # equation 1
        if demodulate:
            kernel = kernel / kernel.square().sum((1, 2, 3), keepdim=True).sqrt()  # equation 3
        expected = F.conv2d(x[item : item + 1], kernel, padding=1)
        assert torch.allclose(layer(x, w)[item : item + 1], expected, atol=1e-5)


def test_equalised_layers_keep_the_variance_and_share_the_rate() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 64, generator=g(5))
    assert EqualLinear(64, 256)(x).std().item() == pytest.approx(1, abs=0.1)
    slow = EqualLinear(64, 256, rate=0.01)
    assert slow(x).std().item() == pytest.approx(1, abs=0.1)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.1)  # Adam's step is a hundredth of it
    maps = torch.randn(8, 16, 9, 9, generator=g(5))
    assert EqualConv(16, 16)(maps)[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1, abs=0.1)


def test_the_mapping_sees_directions_only() -> None:
    torch.manual_seed(0)
    mapping = Mapping(8, 6, 2)
    z = torch.randn(3, 8, generator=g())
    assert torch.allclose(mapping(z), mapping(5 * z), atol=1e-5)
    assert pixel_norm(z).square().mean(1) == pytest.approx(torch.ones(3), abs=1e-5)


def test_minibatch_deviation_tells_equal_items_from_different_ones() -> None:
    x = torch.randn(4, 3, 2, 2, generator=g())
    same = x[:1].repeat(4, 1, 1, 1)
    out = minibatch_deviation(torch.cat([x, same]), group=4)
    assert out.shape == (8, 4, 2, 2)
    assert torch.equal(out[:, :3], torch.cat([x, same]))
    expected = x.var(0, unbiased=False).sqrt().mean()
    assert out[:4, 3].flatten().tolist() == pytest.approx([expected.item()] * 16, rel=1e-4)
    assert out[4:, 3].max() < 1e-3
    assert minibatch_deviation(x[:3], group=4).shape == (3, 4, 2, 2)  # three make one group of three
    halves = torch.cat([minibatch_deviation(x[:2], 2), minibatch_deviation(x[2:], 2)])
    assert torch.equal(minibatch_deviation(x, 2), halves)  # what two processes see is what one would


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 14), (2, 9, 33)])
def test_odd_sizes_and_channels(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    net = StyleSynthesis(shape, 5, 4, 2)
    w = torch.randn(2, net.levels, 5, generator=g())
    images = net(w, [torch.randn(2, 1, *size, generator=g()) for size in net.noises])
    assert images.shape == (2, *shape)
    assert StyleJudge(shape, 4, 2)(images).shape == (2, 8)


def test_noise_acts_by_its_learnt_strength() -> None:
    torch.manual_seed(0)
    net = StyleSynthesis((1, 8, 8), 4, 4, 2)
    w = torch.randn(1, net.levels, 4, generator=g())
    one, two = ([torch.randn(1, 1, *s, generator=g(seed)) for s in net.noises] for seed in (1, 2))
    assert torch.equal(net(w, one), net(w, two))  # strengths begin at 0
    net.convs[0].strength.data.fill_(0.5)
    assert not torch.equal(net(w, one), net(w, two))


def test_the_filter_keeps_planes_and_takes_chequers_away() -> None:
    plane = torch.full((2, 3, 6, 8), 0.7)
    torch.testing.assert_close(smoothed(plane), plane)
    chequers = (-1.0) ** (torch.arange(6)[:, None] + torch.arange(8)).expand(1, 1, 6, 8)
    assert smoothed(chequers)[:, :, 1:-1, 1:-1].abs().max() < 1e-6
    spike = torch.zeros(1, 1, 5, 5)
    spike[..., 2, 2] = 16
    torch.testing.assert_close(smoothed(spike)[0, 0, 1:4, 1:4], torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]))


def test_a_generator_cannot_draw_chequers_at_full_size() -> None:
    torch.manual_seed(0)
    net = StyleSynthesis((1, 16, 16), 8, 4, 2)
    last = net.pictures[-1]
    with torch.no_grad():
        for picture in net.pictures[:-1]:
            picture.weight.zero_()
        last.weight.zero_()
        last.weight[:, :, 1, 1] = torch.tensor([1.0, -1, -1, 1])[:, None]  # four pixels of one place in the last map
    made: list[torch.Tensor] = []
    last.register_forward_hook(lambda layer, given, out: made.append(out))
    noise = [torch.zeros(1, 1, *size) for size in net.noises]
    picture = net(torch.randn(1, net.levels, 8), noise)[:, :, 2:-2, 2:-2]
    sign = (-1.0) ** (torch.arange(12)[:, None] + torch.arange(12))
    assert (picture * sign).mean().abs() < 0.02 * made[0].abs().mean()
