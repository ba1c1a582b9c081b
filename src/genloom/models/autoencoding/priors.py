"""What the codes of real items are drawn from: learnt while a VAE learns, or fitted to its codes afterwards.

A mixture of Gaussians fitted at the end (Ghosh et al. 2020), the mixture of the posteriors of learnt items (VampPrior,
Tomczak and Welling 2018), and a second, small VAE of the codes (Dai and Wipf 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from genloom.nets.mlp import mlp
from genloom.objectives.likelihood import (
    gaussian_log_density,
    gaussian_nll,
    optimal_log_sigma,
    standard_normal_kl,
)

Posterior = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Items -> mean and log variance of their codes, each (B, latent)."""


def fit_mixture(codes_ND: np.ndarray, components: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (K,), means (K, D) and Cholesky factors (K, D, D) of a full-covariance mixture of the codes.

    K is `components` where there are 4 D codes for each, fewer (at least 1) otherwise. A ridge of a thousandth of the
    codes' variance keeps every covariance invertible, one code included.
    """
    from sklearn.mixture import GaussianMixture

    n, d = codes_ND.shape
    ridge = 1e-3 * max(float(codes_ND.var(0).mean()), 1e-3)
    k = min(components, max(1, n // (4 * d)))
    if k == 1:
        centred = codes_ND - codes_ND.mean(0)
        covariance = centred.T @ centred / n + ridge * np.eye(d)
        return np.ones(1), codes_ND.mean(0, keepdims=True), np.linalg.cholesky(covariance)[None]
    mixture = GaussianMixture(k, reg_covar=ridge, max_iter=60, tol=1e-2, random_state=seed % 2**32).fit(codes_ND)
    return mixture.weights_, mixture.means_, np.linalg.cholesky(mixture.covariances_)


def fill_mixture(buffers: tuple[Tensor, Tensor, Tensor], codes_ND: Tensor, seed: int) -> None:
    """Writes the mixture of these codes into buffers of weights (K,), means (K, D) and factors (K, D, D); components
    that are not needed get weight 0."""
    found = fit_mixture(codes_ND.double().cpu().numpy(), len(buffers[0]), seed)
    for buffer, value in zip(buffers, found, strict=True):
        buffer.zero_()[: len(value)] = torch.from_numpy(value).to(buffer)


def draw_mixture(weights: Tensor, means: Tensor, factors: Tensor, noise_ND: Tensor, dart_N: Tensor) -> Tensor:
    """Draws of a mixture of Gaussians, by standard normal noise and uniform darts; components of weight 0 come last."""
    which = torch.searchsorted(weights.cumsum(0), dart_N).clamp_max(int((weights > 0).sum()) - 1)
    return means[which] + (factors[which] @ noise_ND[:, :, None])[:, :, 0]


class FittedMixture(nn.Module):
    """A mixture of Gaussians fitted to codes once, and drawn from afterwards."""

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, components: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(components))  # all 0 until it was fitted
        self.register_buffer("means", torch.zeros(components, latent))
        self.register_buffer("factors", torch.zeros(components, latent, latent))  # Cholesky factors of the covariances

    @property
    def fitted(self) -> bool:
        return bool(self.weights.any())

    def fit(self, codes_ND: Tensor, seed: int) -> None:
        fill_mixture((self.weights, self.means, self.factors), codes_ND, seed)

    def draw(self, noise_ND: Tensor, dart_N: Tensor) -> Tensor:
        return draw_mixture(self.weights, self.means, self.factors, noise_ND, dart_N)


class VampPrior(nn.Module):
    """p(z) = 1/K sum_k q(z | u_k), with K learnt items u_k (Tomczak and Welling 2018, equation 9).

    They begin as the training items of the first steps. What differs from the paper: they may leave the range of the
    data, as nothing squashes them.
    """

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.items = nn.Parameter(torch.zeros(count, *shape))

    @torch.no_grad()
    def begin(self, x: Tensor, step: int) -> None:
        """Takes items of a batch for those that have none yet."""
        start = step * len(x)
        if start < len(self.items):
            part = self.items[start : start + len(x)]
            part.copy_(x[: len(part)])

    def log_density(self, z: Tensor, posterior: Posterior) -> Tensor:
        """log p(z) of codes (B, D), shape (B,)."""
        mean_KD, log_variance_KD = posterior(self.items)
        each_BK = gaussian_log_density(z[:, None], mean_KD, log_variance_KD)
        return each_BK.logsumexp(1) - math.log(len(self.items))

    def draw(self, noise_ND: Tensor, dart_N: Tensor, posterior: Posterior) -> Tensor:
        mean, log_variance = posterior(self.items)
        which = (dart_N * len(mean)).long().clamp_max(len(mean) - 1)
        return mean[which] + torch.exp(0.5 * log_variance[which]) * noise_ND


class SecondStage(nn.Module):
    """A VAE of codes: z -> q(u|z) -> u of as many numbers -> p(z|u) = N(g(u), sigma^2) (Dai and Wipf 2019, section 4).

    Nothing of it reaches the first VAE. What differs from the paper: it learns beside the first one, in a phase of its
    own, and sigma is the batch's optimum in closed form.
    """

    log_sigma: Tensor

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.encoder = mlp([latent, hidden, hidden, 2 * latent], nn.SiLU)
        self.decoder = mlp([latent, hidden, hidden, latent], nn.SiLU)
        self.register_buffer("log_sigma", torch.zeros(()))

    def bound(self, z: Tensor, noise: Tensor, gather: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The distortion and the rate (B,) of codes (B, D), and the squared errors (B,)."""
        mean, log_variance = self.encoder(z).float().chunk(2, 1)
        log_variance = log_variance.clamp(-14, 8)
        copy = self.decoder(mean + torch.exp(0.5 * log_variance) * noise).float()
        error_B = (z - copy).detach().square().mean(1)
        log_sigma = optimal_log_sigma(gather(error_B))
        return gaussian_nll(z, copy, log_sigma), standard_normal_kl(mean, log_variance), error_B

    def follow(self, error_B: Tensor, share: float) -> None:
        """Moves sigma towards that of these errors."""
        self.log_sigma.lerp_(optimal_log_sigma(error_B), share)

    def draw(self, u_ND: Tensor, noise_ND: Tensor) -> Tensor:
        return self.decoder(u_ND).float() + self.log_sigma.exp() * noise_ND
