"""What the VAEs add to the contract: the fitted prior, the bound, sizes, the listing's loss."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from genloom.core import DataSpec, Field, Phase, Sampling, Step
from genloom.errors import BadData, BadValue
from genloom.models.autoencoding.priors import SecondStage, VampPrior, fit_mixture
from genloom.models.autoencoding.vae import VAE, VAEConfig
from genloom.models.autoencoding.vae_mlp import MLPVAE, MLPVAEConfig
from genloom.objectives.likelihood import gaussian_log_density, importance_bound

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


def test_more_draws_tighten_the_bound() -> None:
    model, batch = _trained(150), {"image": _images(64, 900)}
    bounds = []
    for draws in (1, 5, 50):
        model.config = replace(SMALL, nll_samples=draws)
        with torch.no_grad():
            bounds.append(float(model.nll(batch, generator=_generator()).mean()))
    assert bounds[0] > bounds[1] > bounds[2]


def test_one_weight_is_the_bound_itself_and_equal_ones_change_nothing() -> None:
    log_weights = torch.tensor([[-3.0, -1.0]])
    assert torch.equal(importance_bound(log_weights), torch.tensor([3.0, 1.0]))
    assert torch.allclose(importance_bound(log_weights.repeat(4, 1)), torch.tensor([3.0, 1.0]))
    z, mean, log_variance = torch.randn(3, 5, 2), torch.randn(5, 2), torch.randn(5, 2)
    expected = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance)).log_prob(z).sum(-1)
    assert torch.allclose(gaussian_log_density(z, mean, log_variance), expected, atol=1e-5)


def test_a_learnt_prior_holds_the_posteriors_of_its_items() -> None:
    vamp = VampPrior(3, (1, 2, 2))
    vamp.begin(torch.full((2, 1, 2, 2), 0.5), 0)
    vamp.begin(torch.ones(2, 1, 2, 2), 1)
    vamp.begin(-torch.ones(2, 1, 2, 2), 2)  # all have begun: nothing changes
    assert vamp.items.flatten(1).mean(1).tolist() == [0.5, 0.5, 1.0]

    def posterior(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = x.flatten(1)[:, :1]
        return mean, torch.full_like(mean, -2.0)

    z = torch.linspace(-6, 6, 4001)[:, None]
    density = vamp.log_density(z, posterior).exp().detach()
    assert torch.trapezoid(density, z[:, 0]).item() == pytest.approx(1.0, abs=1e-3)
    drawn = vamp.draw(torch.zeros(300, 1), torch.rand(300, generator=_generator()), posterior)
    assert float((drawn == 1.0).float().mean()) == pytest.approx(1 / 3, abs=0.1)


def test_the_divergence_is_charged_little_by_little_in_its_warm_up() -> None:
    torch.manual_seed(0)
    model = VAE(replace(SMALL, beta=2.0, kl_warmup=(0.0, 0.5)), _spec())
    costs = {}
    for progress in (0.0, 0.25, 0.5, 1.0):
        found = model.loss(
            Phase("vae", "vae"), {"image": _images(16)}, Step(seed=1, rows=(0, 16, 16), progress=progress)
        )
        costs[progress] = float((found.total.detach() * 64 - found.parts["distortion"]) / found.parts["kl"])
    assert costs == pytest.approx({0.0: 0.0, 0.25: 1.0, 0.5: 2.0, 1.0: 2.0}, abs=1e-3)


def test_a_second_stage_learns_codes_that_are_not_normal() -> None:
    g = _generator()
    torch.manual_seed(0)
    second = SecondStage(2, 32)
    optimizer = torch.optim.Adam(second.parameters(), 3e-3)
    for i in range(500):
        side = torch.randint(2, (128, 1), generator=g) * 4.0 - 2  # two lumps, at (-2, -2) and (2, 2)
        z = side + 0.2 * torch.randn(128, 2, generator=g)
        distortion, rate, error_B = second.bound(z, torch.randn(128, 2, generator=g), lambda x: x)
        optimizer.zero_grad()
        (distortion + min(1.0, i / 250) * rate).mean().backward()
        optimizer.step()
        second.follow(error_B, 0.05)
    with torch.no_grad():
        drawn = second.draw(torch.randn(500, 2, generator=g), torch.randn(500, 2, generator=g))
    normal = 2 * torch.randn(500, 1, generator=g) + 0.2 * torch.randn(500, 2, generator=g)  # of their covariance

    def in_lumps(x: torch.Tensor) -> float:
        return float((torch.minimum((x - 2).norm(dim=1), (x + 2).norm(dim=1)) < 1).float().mean())

    assert in_lumps(drawn) > in_lumps(normal) + 0.2
    assert 0.3 < float((drawn[:, 0] > 0).float().mean()) < 0.7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prior": "flat"}, "mixture, vamp or two-stage, got 'flat'"),
        ({"samples": 0}, "1 or more"),
        ({"beta": -1.0}, "0"),
        ({"kl_warmup": (0.0, 1.5)}, "stretch of progress, as 0,0.5, got 0,1.5"),
    ],
)
def test_choices_that_mean_nothing_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(BadValue, match=said):
        VAE(replace(SMALL, **changes), _spec())  # type: ignore[arg-type]
