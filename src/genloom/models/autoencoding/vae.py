"""A convolutional variational autoencoder with a calibrated decoder and a prior fitted to its codes.

After Kingma and Welling 2014 (the bound), Rybkin, Daniilidis and Levine 2021 (the decoder's variance) and Ghosh et al.
2020 (the density fitted afterwards). What differs: the decoder's sigma is the batch's optimum in closed form, without
gradient (at the optimum there is none); the likelihood reported is that of the stored 8-bit values; class labels are
not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanDecode,
    CanEncode,
    CanSample,
    DataSpec,
    HasLikelihood,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_item,
)
from genloom.core.capabilities import Callback
from genloom.nets.conv import Decoder, Encoder, halvings
from genloom.objectives.likelihood import (
    discretised_gaussian_nll,
    gaussian_nll,
    optimal_log_sigma,
    standard_normal_kl,
)


@dataclass(frozen=True)
class VAEConfig:
    """latent: dimensions of the code; 2 gives a space that can be drawn as a map.
    width: channels at half the image's size, doubled at every further halving up to four times.
    blocks: residual blocks at each size.
    components: Gaussians in the density fitted to the codes after training.
    codes: at most so many training items' codes are used for that fit.
    optimizer: how the network learns.
    """

    latent: int = 32
    width: int = 32
    blocks: int = 1
    components: int = 10
    codes: int = 10_000
    optimizer: Optimizer = Optimizer(lr=2e-3)


class VAE(Model, CanSample, CanDecode, CanEncode, HasLikelihood):
    """Image x -> q(z|x) = N(mu, diag s^2) -> p(x|z) = N(decoder(z), sigma^2), one sigma for all pixels."""

    Config = VAEConfig
    citation = """@inproceedings{rybkin2021simple,
  title={Simple and Effective {VAE} Training with Calibrated Decoders},
  author={Rybkin, Oleh and Daniilidis, Kostas and Levine, Sergey},
  booktitle={International Conference on Machine Learning},
  year={2021}
}"""
    kind = "bound"

    log_sigma: Tensor
    fitted: Tensor
    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, config: VAEConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "vae")
        self.shape, self.range = field.shape, field.range
        count = halvings(field.shape[1], field.shape[2], "vae")
        size = {"width": config.width, "blocks": config.blocks, "count": count}
        self.encoder = Encoder(field.shape, 2 * config.latent, **size)
        self.decoder = Decoder(config.latent, field.shape, **size)
        k, d = config.components, config.latent
        self.register_buffer("log_sigma", torch.zeros(()))  # of the data seen lately, then of all
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))
        self.register_buffer("weights", torch.zeros(k))
        self.register_buffer("means", torch.zeros(k, d))
        self.register_buffer("factors", torch.zeros(k, d, d))  # Cholesky factors of the covariances

    def players(self) -> tuple[Player, ...]:
        return (Player("vae", ("encoder.*", "decoder.*"), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("vae", "vae"),)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (B, latent)."""
        mean, log_variance = self.encoder(x).float().chunk(2, 1)
        return mean, log_variance.clamp(-14, 8)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The negative bound in nats per pixel value: (-log p(x|z) + KL) / (C H W); sums over pixels and latents."""
        x = batch[self.item]
        mean, log_variance = self.posterior(x)
        z = mean + torch.exp(0.5 * log_variance) * step.randn(*mean.shape)
        reconstruction = self.decoder(z).float()
        error_B = (x - reconstruction).detach().square().flatten(1).mean(1)
        log_sigma = optimal_log_sigma(step.gather(error_B))
        distortion = gaussian_nll(x, reconstruction, log_sigma).mean()
        rate = standard_normal_kl(mean, log_variance).mean()
        total = (distortion + rate) / math.prod(self.shape)
        parts = {"distortion": distortion.detach(), "kl": rate.detach(), "sigma": log_sigma.exp()}
        return Loss(total, parts, memo={"squared_error": error_B})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        # nll() needs a sigma of its own: that of the items before it would let an item's neighbours judge it.
        log_sigma = optimal_log_sigma(memo["squared_error"])
        self.log_sigma.lerp_(log_sigma, max(0.01, 1 / (step.index + 1)))

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """Fits a mixture of Gaussians with full covariances to codes drawn from q(z|x), and sigma to the same items."""
        codes, errors, count = [], [], 0
        for batch in batches:
            mean, log_variance = self.posterior(batch[self.item])
            noise = torch.randn(mean.shape, generator=step.generator, device=mean.device)
            code = mean + torch.exp(0.5 * log_variance) * noise
            errors.append((batch[self.item] - self.decoder(code).float()).square().flatten(1).mean(1))
            codes.append(code)
            count += len(code)
            if count >= self.config.codes:
                break
        if not codes:
            return
        self.log_sigma.copy_(optimal_log_sigma(torch.cat(errors)))
        found = fit_mixture(torch.cat(codes).double().cpu().numpy(), self.config.components, step.seed)
        for buffer, value in zip((self.weights, self.means, self.factors), found, strict=True):
            buffer.zero_()[: len(value)] = torch.from_numpy(value).to(buffer)
        self.fitted.fill_(True)

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        device = self.log_sigma.device
        noise = torch.randn(n, self.config.latent, generator=generator, device=device) * options.temperature
        if options.prior == "standard" or not bool(self.fitted):
            return noise
        dart = torch.rand(n, generator=generator, device=device)
        which = torch.searchsorted(self.weights.cumsum(0), dart).clamp_max(int((self.weights > 0).sum()) - 1)
        return self.means[which] + (self.factors[which] @ noise[:, :, None])[:, :, 0]

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The decoder's means, without pixel noise."""
        return {self.item: self.decoder(latent).float().clamp(*self.range)}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        out = self.decode(self.prior(n, options=options, generator=generator))
        if callback is not None:
            callback({"i": 1, "of": 1, "x": out[self.item]})
        return out

    def encode(self, batch: Batch) -> Tensor:
        return self.posterior(batch[self.item])[0]

    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """One-sample estimate of the bound E_q[-log P(x|z)] + KL(q || N(0, I)), P being the mass a discretised Gaussian
        gives to the stored 8-bit values: an upper bound of their code length, comparable with exact models."""
        x = batch[self.item]
        mean, log_variance = self.posterior(x)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        decoded = self.decoder(mean + torch.exp(0.5 * log_variance) * noise)
        distortion = discretised_gaussian_nll(x, decoded, self.log_sigma, *self.range)
        return distortion + standard_normal_kl(mean, log_variance)


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
