"""Path length, reconstruction and disentanglement where the answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genloom.core import Batch, CanDecode, CanEncode, Field, Loss, Model, Phase, Player, Sampling
from genloom.errors import BadData, BadValue
from genloom.metrics.active_units import active, active_units_result
from genloom.metrics.disentanglement import mig, sap
from genloom.metrics.path_length import path_length_result, path_lengths
from genloom.metrics.reconstruction import can_reconstruct, reconstruction_results
from genloom.testing import fake_images


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path))


class Linear(Model, CanDecode, CanEncode):
    """Pictures of 4 x 4 pixels that are their latents, times a strength."""

    Config = dict
    citation = ""

    def __init__(self, strength: float = 1.0) -> None:
        torch.nn.Module.__init__(self)
        self.strength = strength

    def players(self) -> tuple[Player, ...]:
        return ()

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def loss(self, phase: Phase, batch: Batch, step: object) -> Loss:
        raise NotImplementedError

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return torch.randn(n, 16, generator=generator)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        return {"image": (latent * self.strength).view(-1, 1, 4, 4)}

    def encode(self, batch: Batch) -> Tensor:
        return batch["image"].flatten(1)


class Pixels:
    identity, classes, dimensions, resize, published = "pixels@0", (), 16, "", False
    facts: dict[str, str] = {}

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)


class Split:
    def __init__(self, images: Tensor) -> None:
        self.images, self.items = images, len(images)
        self.spec = {"image": Field("image", tuple(images.shape[1:]))}

    def __len__(self) -> int:
        return self.items

    def batch(self, index: Tensor) -> Batch:
        return {"image": self.images[index]}


def test_a_circle_walked_at_even_speed() -> None:
    """Between unit vectors an angle w apart, slerp moves at speed w: the squared step over e^2 is w^2."""
    angle = torch.rand(40, generator=torch.Generator().manual_seed(0)) * 2 + 0.1
    ends = torch.tensor([[1.0, 0.0]]).expand(40, 2), torch.stack([angle.cos(), angle.sin()], 1)
    found = path_lengths(lambda z, rows: 3 * z, ends, lambda a, b: (a - b).double().square().sum(1),
                         torch.Generator().manual_seed(1))  # fmt: skip
    assert torch.allclose(found, 9 * angle.double() ** 2, rtol=1e-2)


def test_a_latent_space_twice_as_rough_scores_four_times() -> None:
    def of(strength: float) -> float:
        generator = torch.Generator().manual_seed(0)
        return path_length_result(Linear(strength), "image", Pixels(), generator, n=100).value  # type: ignore[arg-type]

    assert of(0.02) == pytest.approx(4 * of(0.01), rel=1e-3)
    result = path_length_result(Linear(0.01), "image", Pixels(), torch.Generator().manual_seed(0), n=100)  # type: ignore[arg-type]
    assert result.name == "path length(pixels@0)"  # "PPL" belongs to LPIPS
    assert result.protocol["epsilon"] == 0.01
    assert result.interval is not None
    assert result.interval[0] < result.value < result.interval[1]


def test_reconstruction_is_perfect_or_as_wrong_as_known() -> None:
    images = torch.randint(0, 256, (30, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float() / 127.5 - 1
    assert can_reconstruct(Linear())
    perfect = {r.key: r for r in reconstruction_results(Linear(), Split(images))}
    assert set(perfect) == {"ssim"}  # PSNR is infinite; LPIPS was not fetched
    assert perfect["ssim"].value == pytest.approx(1)
    dark = torch.full((30, 1, 4, 4), 101 / 127.5 - 1)
    shifted = {r.key: r for r in reconstruction_results(Linear(1.2), Split(dark))}
    error = round((101 / 127.5 - 1) * 1.2 * 127.5 + 127.5) - 101
    assert shifted["psnr"].value == pytest.approx(20 * math.log10(255 / abs(error)))
    assert shifted["psnr"].n == 30


def factors(n: int = 2_000) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    return {"place": torch.rand(n, generator=random), "kind": torch.randint(4, (n,), generator=random)}


def noise(n: int, d: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("measure", [mig, sap])
def test_latents_that_are_the_factors_are_disentangled(measure: object) -> None:
    known = factors()
    latents = torch.stack([known["place"], known["kind"].float(), noise(2_000, 1)[:, 0]], 1)
    found = measure(latents, known)  # type: ignore[operator]
    assert found.factors["place"] > 0.9
    assert found.factors["kind"] > (0.9 if measure is mig else 0.2)
    assert found.scores[0, 0] > 0.9
    twice = measure(torch.cat([latents, latents[:, :2]], 1), known)  # type: ignore[operator]
    assert twice.score == pytest.approx(0, abs=1e-6)  # two latents know each factor equally well
    nothing = measure(noise(2_000, 4), known)  # type: ignore[operator]
    assert nothing.score < 0.05


def test_a_turn_mixes_what_was_apart() -> None:
    a, b = torch.rand(2, 4_000, generator=torch.Generator().manual_seed(3)) - 0.5
    turned = torch.stack([a + b, a - b], 1)
    for measure in (mig, sap):
        apart = measure(torch.stack([a, b], 1), {"a": a, "b": b})
        assert apart.score > 0.9
        assert measure(turned, {"a": a, "b": b}).score < 0.05


def test_mig_is_the_information_over_the_entropy() -> None:
    """A latent that tells kinds 0 and 1 from 2 and 3 knows one bit of two; the other knows nothing."""
    kind = torch.arange(4).repeat(1_000)
    latents = torch.stack([(kind >= 2).float(), torch.zeros(4_000)], 1)
    assert mig(latents, {"kind": kind}).score == pytest.approx(0.5, abs=1e-3)


def test_refusals() -> None:
    known = factors(300)
    with pytest.raises(BadValue, match="2 latents"):
        mig(noise(300, 1), known)
    with pytest.raises(BadData, match="never changes"):
        mig(noise(300, 2), {"still": torch.ones(300)})
    with pytest.raises(BadData, match="expected \\(300,\\)"):
        sap(noise(300, 2), {"short": torch.ones(299)})
    with pytest.raises(BadValue, match="no latent space"):
        path_length_result(Split(torch.zeros(1, 1, 4, 4)), "image", Pixels(), torch.Generator())  # type: ignore[arg-type]


def test_numbers_of_a_code_that_do_not_depend_on_the_item_are_not_active() -> None:
    g = torch.Generator().manual_seed(0)
    codes = torch.cat([torch.randn(500, 3, generator=g), 0.05 * torch.randn(500, 2, generator=g)], 1)
    assert active(codes, torch.ones(5)).tolist() == [True, True, True, False, False]
    test = fake_images(shape=(1, 4, 4), n=90).test  # a bar never reaches the last rows and columns
    found = active_units_result(Linear(), test)
    assert found is not None
    pixels = test.batch(torch.arange(len(test)))["image"].flatten(1)
    assert found.value == int((pixels.var(0) > 0.02).sum()) < 16
    assert found.protocol["of"] == 16
