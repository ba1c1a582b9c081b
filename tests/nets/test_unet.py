"""The U-Net keeps shapes, starts as zero, listens to time and condition, and is the same in both memory formats."""

import pytest
import torch

from genloom.core import Field
from genloom.errors import BadValue
from genloom.nets.condition import Cond, Conditioner
from genloom.nets.unet import UNet


def unet(channels: int = 1, **changes) -> UNet:
    torch.manual_seed(0)
    return UNet(channels, **{"widths": (32, 64), "blocks": (1, 1), "attention": (1,), "embedding": 32, **changes})


def stir(net: torch.nn.Module) -> torch.nn.Module:
    """Moves every parameter away from zero, so that all paths count."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.05)
    return net


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 30), (2, 4, 5), (4, 8, 8), (1, 50), (2, 3, 9, 10)])
def test_shapes(shape: tuple[int, ...]) -> None:
    x = torch.randn(2, *shape)
    y = stir(unet(shape[0], dims=len(shape) - 1))(x, torch.rand(2), Cond(torch.randn(2, 32)))
    assert y.shape == x.shape
    assert y.isfinite().all()


def test_starts_at_zero() -> None:
    assert unet()(torch.randn(2, 1, 8, 8), torch.rand(2)).abs().max() == 0


def test_time_and_condition_matter() -> None:
    net, x = stir(unet()), torch.randn(1, 1, 8, 8)
    t, c = torch.tensor([0.5]), torch.zeros(1, 32)
    base = net(x, t, Cond(c))
    assert (net(x, t + 0.3, Cond(c)) - base).abs().max() > 1e-4
    assert (net(x, t, Cond(c + 1)) - base).abs().max() > 1e-4


def test_memory_formats_agree_and_channels_last_stays() -> None:
    net, x, t = stir(unet()), torch.randn(2, 1, 8, 12), torch.rand(2)
    plain = net(x, t)
    net = net.to(memory_format=torch.channels_last)
    layouts = []
    for block in (net.encoder[0][0], net.decoder[0][0]):
        block.register_forward_hook(lambda m, i, y: layouts.append(y.is_contiguous(memory_format=torch.channels_last)))
    assert torch.allclose(net(x.contiguous(memory_format=torch.channels_last), t), plain, atol=1e-5)
    assert layouts == [True, True]


def test_every_parameter_learns() -> None:
    net = stir(unet())
    net(torch.randn(2, 1, 8, 8), torch.rand(2)).square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


SPEC = {
    "image": Field("image", (1, 8, 8)),
    "label": Field("class", (), classes=("a", "b", "c"), role="condition"),
    "other": Field("class", (), classes=("x", "y")),  # an item, not a condition
}


def test_conditioner_hides_and_tells() -> None:
    torch.manual_seed(0)
    c = Conditioner(SPEC, 8)
    assert c.fields == ("label",)
    label = {"label": torch.tensor([0, 1, 2])}
    hidden = c(label, torch.tensor([True, True, True]))
    assert torch.equal(hidden.vector, c(c.null(3, torch.device("cpu"))).vector)
    assert not torch.equal(c(label).vector, hidden.vector)


def test_conditioner_draws_the_shares_it_counted() -> None:
    c, g = Conditioner(SPEC, 8), torch.Generator().manual_seed(0)
    assert set(c.draw(300, None, g)["label"].tolist()) == {0, 1, 2}
    c.count({"label": torch.tensor([2, 2, 2, 0])})
    drawn = c.draw(4000, None, g)["label"].bincount(minlength=3) / 4000
    assert torch.allclose(drawn, torch.tensor([0.25, 0.0, 0.75]), atol=0.03)
    assert c.draw(0, None, g)["label"].shape == (0,)


@pytest.mark.parametrize("label", [torch.tensor([0, 3]), torch.tensor([0]), torch.tensor([-1, 0])])
def test_conditioner_refuses_what_is_no_class(label: torch.Tensor) -> None:
    with pytest.raises(BadValue, match="expected 2 values of 'label' from 0 to 2"):
        Conditioner(SPEC, 8).draw(2, {"label": label}, torch.Generator())
