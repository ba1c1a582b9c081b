"""The network of the FID, with small made-up weights: its resizing, its pools and its normalisation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from genloom.errors import BadData, Damaged
from genloom.metrics.inception import HASH, Inception, InceptionFID, load_inception, resized

TOWERS = {  # of each kind of block: (name, kernel) of its layers, in order; kernels (1, 7) are (height, width)
    "A": {"": [1], "tower": [1, 5], "tower_1": [1, 3, 3], "tower_2": [1]},
    "B": {"": [3], "tower": [1, 3, 3]},
    "C": {"": [1], "tower": [1, (1, 7), (7, 1)], "tower_1": [1, (7, 1), (1, 7), (7, 1), (1, 7)], "tower_2": [1]},
    "D": {"tower": [1, 3], "tower_1": [1, (1, 7), (7, 1), 3]},
}
LAST = [("conv", 1), ("tower_conv", 1), ("tower_mixed_conv", (1, 3)), ("tower_mixed_conv_1", (3, 1)),
        ("tower_1_conv", 1), ("tower_1_conv_1", 3), ("tower_1_mixed_conv", (1, 3)), ("tower_1_mixed_conv_1", (3, 1)),
        ("tower_2_conv", 1)]  # fmt: skip


def weights(width: int = 3) -> dict[str, Tensor]:
    """Every layer of the network, `width` channels wide."""
    random = torch.Generator().manual_seed(0)
    found: dict[str, Tensor] = {}

    def add(name: str, inputs: int, kernel: int | tuple[int, int]) -> int:
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        fan = inputs * sides[0] * sides[1]
        found[f"{name}.weight"] = torch.randn(width, inputs, *sides, generator=random) * (2 / fan) ** 0.5
        for part in ("beta", "mean"):
            found[f"{name}.{part}"] = 0.1 * torch.randn(width, generator=random)
        found[f"{name}.var"] = 0.5 + torch.rand(width, generator=random)
        return width

    channels = 3
    for name, kernel in (("conv", 3), ("conv_1", 3), ("conv_2", 3), ("conv_3", 1), ("conv_4", 3)):
        channels = add(name, channels, kernel)
    for i, kind in enumerate("AAABCCCCD"):
        block, out = "mixed" if i == 0 else f"mixed_{i}", 0
        for tower, kernels in TOWERS[kind].items():
            inputs = channels
            for j, kernel in enumerate(kernels):
                name = ".".join(p for p in (block, tower, f"conv_{j}" if j else "conv") if p)
                inputs = add(name, inputs, kernel)
            out += width
        channels = out + (channels if kind in "BD" else 0)
    for i in (9, 10):
        for layer, kernel in LAST:
            second = layer.startswith(("tower_mixed", "tower_1_mixed")) or layer == "tower_1_conv_1"
            add(f"mixed_{i}.{layer}", width if second else channels, kernel)
        channels = 6 * width
    return found


def layer(w: dict[str, Tensor], name: str, x: Tensor, stride: int = 1, padding: str | int = "same") -> Tensor:
    """Convolution, normalisation without a scale, and rectifier, one after the other."""
    x = F.conv2d(x, w[f"{name}.weight"], None, stride, padding)
    x = F.batch_norm(x, w[f"{name}.mean"], w[f"{name}.var"], None, w[f"{name}.beta"], False, 0.1, 1e-3)
    return x.relu()


def average_of_what_is_there(x: Tensor) -> Tensor:
    ones = torch.ones_like(x[:, :1])
    window = torch.ones(1, 1, 3, 3)
    total = F.conv2d(x.flatten(0, 1)[:, None], window, padding=1).view_as(x)
    return total / F.conv2d(ones, window, padding=1)


def test_the_whole_network_has_the_shape_of_the_original() -> None:
    net = Inception(weights())
    assert len(net.layers) == 94
    assert net(torch.zeros(2, 3, 299, 299)).shape == (2, 18)


def test_blocks_are_those_of_the_original() -> None:
    w, net = weights(), Inception(weights())
    x = torch.randn(2, 3, 19, 17, generator=torch.Generator().manual_seed(1)).abs()
    a = [layer(w, "mixed.conv", x)]
    a.append(layer(w, "mixed.tower.conv_1", layer(w, "mixed.tower.conv", x)))
    a.append(layer(w, "mixed.tower_1.conv_2", layer(w, "mixed.tower_1.conv_1", layer(w, "mixed.tower_1.conv", x))))
    a.append(layer(w, "mixed.tower_2.conv", average_of_what_is_there(x)))
    assert torch.allclose(net._block(0, x), torch.cat(a, 1), atol=1e-5)
    x = torch.randn(2, 12, 19, 17, generator=torch.Generator().manual_seed(2)).abs()
    b = [layer(w, "mixed_3.conv", x, 2, 0)]
    b.append(
        layer(w, "mixed_3.tower.conv_2", layer(w, "mixed_3.tower.conv_1", layer(w, "mixed_3.tower.conv", x)), 2, 0)
    )
    b.append(F.max_pool2d(x, 3, 2))
    assert torch.allclose(net._block(3, x), torch.cat(b, 1), atol=1e-5)


@pytest.mark.parametrize("i", [9, 10])
def test_the_last_two_blocks_pool_differently(i: int) -> None:
    w, net = weights(), Inception(weights())
    channels = w[f"mixed_{i}.conv.weight"].shape[1]
    x = torch.randn(1, channels, 5, 6, generator=torch.Generator().manual_seed(i)).abs()
    pooled = average_of_what_is_there(x) if i == 9 else F.max_pool2d(x, 3, 1, 1)
    name = f"mixed_{i}"
    a, b = layer(w, f"{name}.tower_conv", x), layer(w, f"{name}.tower_1_conv_1", layer(w, f"{name}.tower_1_conv", x))
    parts = [layer(w, f"{name}.conv", x), layer(w, f"{name}.tower_mixed_conv", a),
             layer(w, f"{name}.tower_mixed_conv_1", a), layer(w, f"{name}.tower_1_mixed_conv", b),
             layer(w, f"{name}.tower_1_mixed_conv_1", b), layer(w, f"{name}.tower_2_conv", pooled)]  # fmt: skip
    assert torch.allclose(net._block(i, x), torch.cat(parts, 1), atol=1e-5)


def test_resizing_is_that_of_early_tensorflow() -> None:
    x = torch.rand(1, 2, 7, 5, generator=torch.Generator().manual_seed(0))
    found = resized(x, 11)
    for i in range(11):
        for j in range(11):
            top, left = i * 7 / 11, j * 5 / 11
            y, z = int(top), int(left)
            below, right = min(y + 1, 6), min(z + 1, 4)
            p, q = top - y, left - z
            by_hand = ((1 - p) * ((1 - q) * x[0, :, y, z] + q * x[0, :, y, right])
                       + p * ((1 - q) * x[0, :, below, z] + q * x[0, :, below, right]))  # fmt: skip
            assert torch.allclose(found[0, :, i, j], by_hand, atol=1e-5)
    same = torch.rand(1, 1, 299, 299, generator=torch.Generator().manual_seed(1))
    assert torch.equal(resized(same), same)
    assert torch.equal(resized(x, 11)[0, 0, 0, 0], x[0, 0, 0, 0])  # corners are not moved inwards


def test_bytes_floats_and_grey_are_one() -> None:
    net = InceptionFID(Inception(weights()), "inception-2015@00000000", {})
    images = torch.randint(0, 256, (3, 1, 20, 30), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = net.features(images)
    assert found.shape == (3, 18)
    assert torch.equal(net.features(images.float() * (2 / 255) - 1), found)
    assert torch.allclose(net.features(images.expand(-1, 3, -1, -1)), found)
    assert net.published
    with pytest.raises(BadData, match="knows no classes"):
        net.logits(found)


def test_other_weights_are_not_taken_for_the_fids(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "other.safetensors")
    with pytest.raises(Damaged, match=HASH[:8]):
        load_inception(path=tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "other.safetensors").read_bytes()[:999])
    with pytest.raises(Damaged, match="fetch it again"):
        load_inception(path=tmp_path / "cut.safetensors")
