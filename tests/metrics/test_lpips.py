"""LPIPS by its formula, with small made-up weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from genloom.errors import BadData, BadValue, Damaged
from genloom.metrics.lpips import Lpips, load_lpips
from genloom.metrics.pairwise import pairwise

KERNELS = {"alex": (11, 5, 3, 3, 3), "vgg": (3,) * 13}
TAPS = {"alex": (0, 1, 2, 3, 4), "vgg": (1, 3, 6, 9, 12)}


def weights(net: str, width: int = 5) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    found = {}
    for i, kernel in enumerate(KERNELS[net]):
        inputs = width if i else 3
        found[f"conv{i}.weight"] = torch.randn(width, inputs, kernel, kernel, generator=random) / (inputs * kernel)
        found[f"conv{i}.bias"] = 0.1 * torch.randn(width, generator=random)
    for i in range(5):
        found[f"head{i}"] = torch.rand(width, generator=random)
    return found


def pictures(n: int, side: int = 64, channels: int = 3, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), generator=random, dtype=torch.uint8)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_zero_symmetric_and_growing(net: str) -> None:
    judge, x = Lpips(net, weights(net)), pictures(4)
    assert judge.distances(x, x).abs().max() < 1e-9
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    last = torch.zeros(4)
    for strength in (5, 20, 80):
        y = (x + strength * noise).clamp(0, 255).to(torch.uint8)
        found = judge.distances(x, y)
        assert torch.allclose(found, judge.distances(y, x), atol=1e-6)
        assert (found > last).all()
        last = found


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_it_is_its_formula_layer_by_layer(net: str) -> None:
    w = weights(net)
    x, y = pictures(2), pictures(2, seed=1)

    def activations(images: Tensor) -> list[Tensor]:
        z = images.double() / 127.5 - 1
        z = torch.stack([(z[:, 0] + 0.030) / 0.458, (z[:, 1] + 0.088) / 0.448, (z[:, 2] + 0.188) / 0.450], 1)
        found = []
        for i, kernel in enumerate(KERNELS[net]):
            if net == "alex" and i in (1, 2):
                z = F.max_pool2d(z, 3, 2)
            if net == "vgg" and i in (2, 4, 7, 10):
                z = F.max_pool2d(z, 2, 2)
            first = net == "alex" and i == 0
            padding = 2 if first else kernel // 2
            z = F.conv2d(z, w[f"conv{i}.weight"].double(), w[f"conv{i}.bias"].double(), 4 if first else 1, padding)
            z = z.clamp_min(0)
            if i in TAPS[net]:
                found.append(z)
        return found

    total = torch.zeros(2, dtype=torch.float64)
    for i, (a, b) in enumerate(zip(activations(x), activations(y), strict=True)):
        a, b = (t / (t.norm(dim=1, keepdim=True) + 1e-10) for t in (a, b))
        total += torch.einsum("c,nchw->nhw", w[f"head{i}"].double(), (a - b) ** 2).mean((1, 2))
    assert torch.allclose(Lpips(net, w).distances(x, y).double(), total, atol=1e-5)


def test_small_and_grey_pictures_are_enlarged_and_coloured() -> None:
    judge = Lpips("alex", weights("alex"))
    x, y = (pictures(3, 28, 1, seed) for seed in (0, 1))
    large = [F.interpolate(t.float().expand(-1, 3, -1, -1), (64, 64), mode="bilinear") / 127.5 - 1 for t in (x, y)]
    assert torch.allclose(judge.distances(x, y), judge.distances(*large), atol=1e-5)
    assert judge.layers(x[:, :, :14])[0].shape[3] > judge.layers(x)[0].shape[3]  # the shorter side becomes 64
    assert judge.features(x).shape == (3, 25)
    assert judge.dimensions == 25


def test_pairs_of_one_picture_are_alike_and_of_many_differ() -> None:
    judge = Lpips("alex", weights("alex"))
    assert pairwise(judge, pictures(1).expand(10, -1, -1, -1)).max() < 1e-9
    found = pairwise(judge, pictures(10), most=3)
    assert found.shape == (3,)
    assert found.min() > 1e-3


def test_refused_in_one_line(tmp_path: Path) -> None:
    judge = Lpips("alex", weights("alex"))
    with pytest.raises(BadData, match="one shape"):
        judge.distance(pictures(2), pictures(2, 65))
    with pytest.raises(BadValue, match="vgg or alex"):
        load_lpips("squeeze")
    save_file(weights("alex"), tmp_path / "a.safetensors")
    with pytest.raises(Damaged, match="not those of LPIPS"):
        load_lpips("alex", path=tmp_path / "a.safetensors")
