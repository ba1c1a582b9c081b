"""Likelihoods of images and the divergences beside them, in nats per item (B,). All pure functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_floor(x: Tensor, low: float) -> Tensor:
    """x where it is well above `low`, approaching `low` smoothly from above elsewhere: low + softplus(x - low)."""
    return low + F.softplus(x - low)


def optimal_log_sigma(squared_error: Tensor, low: float = -6.0) -> Tensor:
    """log of the standard deviation that makes a shared Gaussian most likely: half the log of the mean squared error.

    (Rybkin, Daniilidis and Levine 2021, "Simple and effective VAE training with calibrated decoders", eq. 7.)
    squared_error: per item or element, any shape. The soft floor keeps perfect reconstructions from being worth
    infinitely much. Without gradient: at the optimum the derivative by sigma is zero, so none is missing.
    """
    return soft_floor(0.5 * squared_error.detach().float().mean().clamp_min(1e-20).log(), low)


def gaussian_nll(x: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    """-log N(x; mean, sigma^2), summed over an item's elements; log_sigma: a scalar or of x's shape."""
    error = (x.float() - mean.float()) * torch.exp(-log_sigma)
    return (0.5 * error.square() + log_sigma + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


def discretised_gaussian_nll(
    x: Tensor, mean: Tensor, log_sigma: Tensor, low: float = -1.0, high: float = 1.0, levels: int = 256
) -> Tensor:
    """-log of the probability mass a Gaussian gives to the stored value, summed over an item's elements.

    x holds `levels` equally spaced values from `low` to `high`. The mass of a value is the Gaussian's over the bin
    around it; the outermost bins reach to infinity, so the masses of all levels sum to one (as Salimans et al. 2017
    did with a logistic). Unlike a density it cannot be made great by a narrow sigma: it is never below 0 nats.
    """
    half = (high - low) / (levels - 1) / 2
    x, mean = x.double(), mean.double()
    inverse = torch.exp(-log_sigma.double())
    upper, lower = (x + half - mean) * inverse, (x - half - mean) * inverse
    upper = torch.where(x > high - half, torch.full_like(x, math.inf), upper)
    lower = torch.where(x < low + half, torch.full_like(x, -math.inf), lower)
    # Work in the left tail, where log cdf is precise: cdf(b) - cdf(a) = cdf(-a) - cdf(-b).
    flip = lower > 0
    a, b = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    log_a, log_b = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    ratio = torch.where(a == -math.inf, torch.zeros_like(a), torch.exp(log_a - log_b)).clamp_max(1 - 1e-12)
    return -(log_b + torch.log1p(-ratio)).flatten(1).sum(1).float()


def gaussian_log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean, diag exp(log_variance)), summed over the last dimension."""
    z, mean, log_variance = z.float(), mean.float(), log_variance.float()
    square = (z - mean).square() * torch.exp(-log_variance)
    return -0.5 * (square + log_variance + math.log(2 * math.pi)).sum(-1)


def importance_bound(log_weights_KB: Tensor) -> Tensor:
    """-log 1/K sum_k w_k, (B,), of log w_k = log p(x, z_k) - log q(z_k|x): an upper bound of -log p(x) that falls
    towards it as K grows, and for K = 1 the negative ELBO (Burda, Grosse and Salakhutdinov 2016, equation 8)."""
    return math.log(len(log_weights_KB)) - log_weights_KB.logsumexp(0)


def bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """Binary cross-entropy of values in [0, 1], summed over an item's elements. Grey values make it a convention, not
    a likelihood: its least value is their entropy, not 0."""
    return F.binary_cross_entropy_with_logits(logits.float(), x.float(), reduction="none").flatten(1).sum(1)


def standard_normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)), summed over an item's elements (Kingma and Welling 2014, appendix B)."""
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).flatten(1).sum(1)


def latent_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """`standard_normal_kl` of each latent apart, (B, D): what free bits are counted in (Kingma et al. 2016, sec. 4)."""
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).flatten(1)


def risen(progress: float, start: float, end: float) -> float:
    """0 until `start`, 1 from `end` on, even between (KL annealing: Bowman et al. 2016, section 3.1)."""
    return 1.0 if progress >= end else max(0.0, (progress - start) / (end - start))
