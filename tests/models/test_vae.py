"""What the VAEs add to the contract: the fitted prior, the bound, sizes, the listing's loss."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from genloom.core import DataSpec, Field, Phase, Sampling, Step
from genloom.errors import BadData
from genloom.models.autoencoding.vae import VAE, VAEConfig, fit_mixture
from genloom.models.autoencoding.vae_mlp import MLPVAE, MLPVAEConfig

SMALL = VAEConfig(latent=3, width=8, components=4)


def _spec(channels: int = 1, height: int = 8, width: int = 8) -> DataSpec:
    return {"image": Field("image", (channels, height, width))}


def _images(n: int, seed: int = 0) -> torch.Tensor:
    """Two kinds of 8-bit pictures, in the model's range."""
    g = torch.Generator().manual_seed(seed)
    kind = torch.randint(2, (n, 1, 1, 1), generator=g)
    base = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    noisy = base * (2 * kind - 1) + 0.1 * torch.randn(n, 1, 8, 8, generator=g)
    return ((noisy.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def _step(n: int) -> Step:
    return Step(seed=1, rows=(0, n, n), progress=1.0)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def _trained(steps: int) -> VAE:
    torch.manual_seed(0)
    model = VAE(SMALL, _spec())
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for i in range(steps):
        loss = model.loss(Phase("vae", "vae"), {"image": _images(64, i)}, Step(seed=i, index=i, rows=(0, 64, 64)))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        model.after_phase(Phase("vae", "vae"), loss.memo, Step(seed=i, index=i))
    return model.eval()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 23), (1, 4, 9), (3, 40, 33)])
def test_any_size_comes_back(shape: tuple[int, int, int]) -> None:
    model = VAE(SMALL, _spec(*shape)).eval()
    batch = {"image": torch.rand(2, *shape) * 2 - 1}
    assert model.decode(model.encode(batch))["image"].shape == (2, *shape)
    assert model.nll(batch, generator=_generator()).shape == (2,)


@pytest.mark.parametrize(("height", "width"), [(3, 28), (28, 2)])
def test_images_smaller_than_the_stride_are_refused(height: int, width: int) -> None:
    with pytest.raises(BadData, match="at least 4x4"):
        VAE(SMALL, _spec(1, height, width))


def test_training_lowers_the_bound_and_the_bound_is_a_code_length() -> None:
    model, untrained = _trained(60), VAE(SMALL, _spec())
    batch = {"image": _images(100, 99)}
    with torch.no_grad():
        after = model.nll(batch, generator=_generator()).mean()
        before = untrained.nll(batch, generator=_generator()).mean()
    uniform = 64 * math.log(256)
    assert after < uniform < before * 2
    assert after > 0


def test_the_fitted_prior_finds_what_the_standard_one_misses() -> None:
    model = _trained(60)
    standard = model.prior(400, generator=_generator())
    assert torch.equal(standard, model.prior(400, options=Sampling(prior="standard"), generator=_generator()))
    model.finish(({"image": _images(100, i)} for i in range(8)), _step(1))
    fitted = model.prior(400, generator=_generator())
    assert torch.equal(standard, model.prior(400, options=Sampling(prior="standard"), generator=_generator()))
    codes = model.encode({"image": _images(400, 50)})

    def gap(z: torch.Tensor) -> torch.Tensor:
        return torch.cdist(codes, z).min(1).values.mean() + torch.cdist(z, codes).min(1).values.mean()

    assert gap(fitted) < gap(standard)


def test_the_prior_round_trips_through_the_state() -> None:
    model, other = VAE(SMALL, _spec()), VAE(SMALL, _spec())
    model.finish(({"image": _images(100, i)} for i in range(3)), _step(1))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.prior(20, generator=_generator()), other.prior(20, generator=_generator()))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_few_items_still_give_a_prior(n: int) -> None:
    model = VAE(SMALL, _spec()).eval()
    model.finish([{"image": _images(n)}] if n else [], _step(1))
    assert torch.isfinite(model.prior(10, generator=_generator())).all()


def test_the_mixture_finds_two_far_groups() -> None:
    g = torch.Generator().manual_seed(0)
    codes = torch.randn(400, 2, generator=g) + 10 * torch.randint(2, (400, 1), generator=g)
    weights, means, factors = fit_mixture(codes.double().numpy(), 2, seed=0)
    assert sorted(means.mean(1).round()) == [0, 10]
    assert weights.sum() == pytest.approx(1)
    assert factors.shape == (2, 2, 2)


def test_no_sigma_gradient_is_missing() -> None:
    # The batch's optimal sigma is detached; the gradient must equal that of D / 2 log(mean squared error).
    model = VAE(SMALL, _spec())
    x = _images(16)
    (loss := model.loss(Phase("vae", "vae"), {"image": x}, _step(16)).total).backward()
    ours = model.decoder.last.weight.grad.clone()  # type: ignore[union-attr]
    model.zero_grad()
    mean, log_variance = model.posterior(x)
    z = mean + torch.exp(0.5 * log_variance) * _step(16).randn(*mean.shape)
    error = (x - model.decoder(z)).square().mean()
    kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean()
    written_out = 0.5 * error.log() + 0.5 + 0.5 * math.log(2 * math.pi) + kl / 64
    written_out.backward()
    assert loss.item() == pytest.approx(written_out.item(), abs=2e-2)  # the soft floor
    assert torch.allclose(ours, model.decoder.last.weight.grad, rtol=2e-2, atol=1e-5)  # type: ignore[arg-type]


def test_the_listing_written_out() -> None:
    model = MLPVAE(MLPVAEConfig(latent=2, hidden=16, beta=3.0), _spec())
    assert [type(m) for m in model.encoder] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    x = _images(8)
    loss = model.loss(Phase("vae", "vae"), {"image": x}, _step(8))
    unit = ((x + 1) / 2).flatten(1)
    mu, log_variance = model.encoder(unit).chunk(2, 1)
    z = mu + torch.exp(0.5 * log_variance) * _step(8).randn(8, 2)
    cross_entropy = F.binary_cross_entropy(torch.sigmoid(model.decoder(z)), unit, reduction="sum") / 8
    kl = -0.5 * (1 + log_variance - mu**2 - log_variance.exp()).sum() / 8
    assert loss.total.item() == pytest.approx((cross_entropy + 3 * kl).item() / 64, rel=1e-4)
    assert model.decode(z)["image"].min() >= -1
