"""A convolutional variational autoencoder with a calibrated decoder and a prior fitted to its codes.

After Kingma and Welling 2014 (the bound), Rybkin, Daniilidis and Levine 2021 (the decoder's variance) and Ghosh et al.
2020 (the density fitted afterwards); other priors stand in `priors.py`. `beta` is that of Higgins et al. 2017, and
`samples` above 1 give the importance-weighted bound (Burda et al. 2016). What differs: the decoder's sigma is the
batch's optimum in closed form, without gradient (at the optimum there is none); the likelihood reported is that of the
stored 8-bit values; class labels are not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanEncode,
    DataSpec,
    HasLikelihood,
    Loss,
    Model,
    OnePass,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_item,
)
from genloom.errors import BadValue
from genloom.models.autoencoding.priors import SecondStage, VampPrior, draw_mixture, fill_mixture
from genloom.nets.conv import Decoder, Encoder, halvings
from genloom.objectives.likelihood import (
    discretised_gaussian_nll,
    gaussian_log_density,
    gaussian_nll,
    importance_bound,
    optimal_log_sigma,
    risen,
    standard_normal_kl,
)


@dataclass(frozen=True)
class VAEConfig:
    """latent: dimensions of the code; 2 gives a space that can be drawn as a map.
    width: channels at half the image's size, doubled at every further halving up to four times.
    blocks: residual blocks at each size.
    beta: weight of the KL divergence in training; 1 is the bound itself.
    kl_warmup: stretch of progress in which that weight rises from 0 while training, as 0,0.5, so that the
        decoder learns to listen first; 0,0 has none.
    samples: draws of the code for each item in training; from 2 on the loss is the importance-weighted bound.
    nll_samples: draws for each item where its likelihood is measured; more give a tighter bound.
    prior: what new codes are drawn from. "mixture": Gaussians fitted to the codes after training; "vamp": the
    posteriors of learnt items, towards which training pulls; "two-stage": a second VAE that learns the codes.
    components: Gaussians of the mixture.
    codes: at most so many training items' codes are used for that fit.
    pseudo: learnt items of "vamp".
    second, second_start: of "two-stage", the width of its two hidden layers, and the share of the run after which it
    learns.
    optimizer: how the network learns.
    """

    latent: int = 32
    width: int = 32
    blocks: int = 1
    beta: float = 1.0
    kl_warmup: tuple[float, float] = (0.0, 0.0)
    samples: int = 1
    nll_samples: int = 1
    prior: Literal["mixture", "vamp", "two-stage"] = "mixture"
    components: int = 10
    codes: int = 10_000
    pseudo: int = 64
    second: int = 256
    second_start: float = 0.3
    optimizer: Optimizer = Optimizer(lr=2e-3)


class VAE(Model, OnePass, CanEncode, HasLikelihood):
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
        check(config)
        self.item, field = the_item(spec, "image", "vae")
        self.shape, self.range = field.shape, field.range
        count = halvings(field.shape[1], field.shape[2], "vae")
        size = {"width": config.width, "blocks": config.blocks, "count": count}
        self.encoder = Encoder(field.shape, 2 * config.latent, **size)
        self.decoder = Decoder(config.latent, field.shape, **size)
        self.vamp = VampPrior(config.pseudo, field.shape) if config.prior == "vamp" else None
        self.second = SecondStage(config.latent, config.second) if config.prior == "two-stage" else None
        k, d = config.components, config.latent
        self.register_buffer("log_sigma", torch.zeros(()))  # of the data seen lately, then of all
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))
        self.register_buffer("weights", torch.zeros(k))
        self.register_buffer("means", torch.zeros(k, d))
        self.register_buffer("factors", torch.zeros(k, d, d))  # Cholesky factors of the covariances

    def players(self) -> tuple[Player, ...]:
        own = Player("vae", ("encoder.*", "decoder.*", "vamp.*"), self.config.optimizer)
        return (own, Player("second", ("second.*",), self.config.optimizer)) if self.second is not None else (own,)

    def phases(self) -> tuple[Phase, ...]:
        own, window = Phase("vae", "vae"), (self.config.second_start, 1.0)
        return (own, Phase("second", "second", batch="same", window=window)) if self.second is not None else (own,)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (B, latent)."""
        mean, log_variance = self.encoder(x).float().chunk(2, 1)
        return mean, log_variance.clamp(-14, 8)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The negative bound in nats per pixel value: (-log p(x|z) + beta KL) / (C H W), sums over all."""
        x = batch[self.item]
        if phase.name == "second":
            return self._second_loss(x, step)
        mean, log_variance = self.posterior(x)
        z_KBD = mean + torch.exp(0.5 * log_variance) * self._noise(step, mean)
        reconstruction = self.decoder(z_KBD.flatten(0, 1)).float()
        x_KB = x.repeat(self.config.samples, 1, 1, 1)
        error_B = (x_KB - reconstruction).detach().square().flatten(1).mean(1).view(-1, len(x)).mean(0)
        log_sigma = optimal_log_sigma(step.gather(error_B))
        distortion_KB = gaussian_nll(x_KB, reconstruction, log_sigma).view(-1, len(x))
        rate_KB = self.rate(z_KBD, mean, log_variance)
        beta = self.config.beta * (risen(step.progress, *self.config.kl_warmup) if self.training else 1.0)
        bound = importance_bound(-distortion_KB - beta * rate_KB).mean()
        parts = {"distortion": distortion_KB.detach().mean(), "kl": rate_KB.detach().mean(), "sigma": log_sigma.exp()}
        memo = {"squared_error": error_B, **({"items": x} if self.vamp is not None else {})}
        return Loss(bound / math.prod(self.shape), parts, memo)

    def _noise(self, step: Step, mean: Tensor) -> Tensor:
        """Standard normal numbers (samples, B, latent), each item's its own."""
        return step.randn(len(mean), self.config.samples, mean.shape[1]).transpose(0, 1)

    def rate(self, z_KBD: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
        """log q(z|x) - log p(z) of drawn codes, (K, B); for one draw and the standard normal its mean, the KL
        divergence in closed form, which has less variance."""
        if self.vamp is None and len(z_KBD) == 1:
            return standard_normal_kl(mean, log_variance)[None]
        ours = gaussian_log_density(z_KBD, mean, log_variance)
        if self.vamp is None:
            return ours - gaussian_log_density(z_KBD, torch.zeros(()), torch.zeros(()))
        return ours - self.vamp.log_density(z_KBD.flatten(0, 1), self.posterior).view(ours.shape)

    def _second_loss(self, x: Tensor, step: Step) -> Loss:
        """The second VAE's negative bound in nats per number of a code. Its divergence is charged little by little in
        the first half of its time, or it would not begin to use its own codes."""
        assert self.second is not None
        with torch.no_grad():
            mean, log_variance = self.posterior(x)
            z = mean + torch.exp(0.5 * log_variance) * step.randn(*mean.shape)
        distortion, rate, error_B = self.second.bound(z, step.randn(*mean.shape), step.gather)
        start = self.config.second_start
        total = (distortion + risen(step.progress, start, (1 + start) / 2) * rate).mean() / mean.shape[1]
        return Loss(total, {"second_kl": rate.detach().mean()}, {"squared_error": error_B})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if phase.name == "second":
            assert self.second is not None
            self.second.follow(memo["squared_error"], 0.01)
            return
        # nll() needs a sigma of its own: that of the items before it would let an item's neighbours judge it.
        log_sigma = optimal_log_sigma(memo["squared_error"])
        self.log_sigma.lerp_(log_sigma, max(0.01, 1 / (step.index + 1)))
        if self.vamp is not None:
            self.vamp.begin(memo["items"], step.index)

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """Fits sigma, and a mixture of Gaussians with full covariances, to codes drawn from q(z|x)."""
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
        if self.config.prior != "mixture":
            return
        fill_mixture((self.weights, self.means, self.factors), torch.cat(codes), step.seed)
        self.fitted.fill_(True)

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        device = self.log_sigma.device
        noise = torch.randn(n, self.config.latent, generator=generator, device=device) * options.temperature
        learnt = self.vamp is not None or self.second is not None or bool(self.fitted)
        if options.prior == "standard" or not learnt:
            return noise
        if self.second is not None:
            return self.second.draw(noise, torch.randn(noise.shape, generator=generator, device=device))
        dart = torch.rand(n, generator=generator, device=device)
        if self.vamp is not None:
            return self.vamp.draw(noise, dart, self.posterior)
        return draw_mixture(self.weights, self.means, self.factors, noise, dart)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The decoder's means, without pixel noise."""
        return {self.item: self.decoder(latent).float().clamp(*self.range)}

    def encode(self, batch: Batch) -> Tensor:
        return self.posterior(batch[self.item])[0]

    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """The bound -log 1/K sum_k P(x|z_k) p(z_k) / q(z_k|x) with K = nll_samples, P being the mass a discretised
        Gaussian gives to the stored 8-bit values: an upper bound of their code length, comparable with exact models.
        For K = 1 E_q[-log P(x|z)] + KL(q || p), by one draw. p: of "vamp" the learnt prior, otherwise N(0, I)."""
        x = batch[self.item]
        mean, log_variance = self.posterior(x)
        z_KBD = mean + torch.exp(0.5 * log_variance) * torch.randn(
            self.config.nll_samples, *mean.shape, generator=generator, device=mean.device
        )
        distortion_KB = torch.stack(
            [discretised_gaussian_nll(x, self.decoder(z), self.log_sigma, *self.range) for z in z_KBD]
        )
        return importance_bound(-distortion_KB - self.rate(z_KBD, mean, log_variance))


def check(config: VAEConfig) -> None:
    """Raises BadValue for choices that mean nothing."""
    if config.prior not in ("mixture", "vamp", "two-stage"):
        raise BadValue(f"--config.prior: expected mixture, vamp or two-stage, got {config.prior!r}")
    for name in ("samples", "nll_samples", "pseudo"):
        if getattr(config, name) < 1:
            raise BadValue(f"--config.{name}: expected 1 or more, got {getattr(config, name)}")
    if config.beta < 0:
        raise BadValue(f"--config.beta: expected a weight of 0 or more, got {config.beta:g}")
    start, end = config.kl_warmup
    if not 0 <= start <= end <= 1:
        raise BadValue(f"--config.kl_warmup: expected a stretch of progress, as 0,0.5, got {start:g},{end:g}")
