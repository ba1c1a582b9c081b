"""Probabilistic principal component analysis (Tipping and Bishop 1999): the Gaussian that generates images best.

An image is a mean, plus a few directions weighted by normal numbers, plus noise on every pixel:
x = W z + mu + sigma e, with z and e standard normal (their equation 2). The likelihood is exact, so there is nothing
to approximate. What differs from the paper: each class has its own W, mu and sigma; W and sigma are learnt by gradient,
though formulas exist for them too (their equations 7 and 8). The best mu is the mean of the images; we count it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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
    the_class,
    the_item,
)
from genloom.core.capabilities import Callback
from genloom.data import DataOptions
from genloom.engine.options import TrainOptions
from genloom.recipes.registry import Recipe, recipe


@dataclass(frozen=True)
class PPCAConfig:
    """latent: directions in which images of a class may differ from their mean; fewer than pixels.
    optimizer: how W and sigma are learnt.
    """

    latent: int = 16
    optimizer: Optimizer = Optimizer("adam", lr=1e-2)


class PPCA(Model, CanSample, CanDecode, CanEncode, HasLikelihood):
    """One Gaussian of low rank for each class, or one for all images where there are no labels."""

    Config = PPCAConfig
    citation = """@article{tipping1999probabilistic,
  title={Probabilistic Principal Component Analysis},
  author={Tipping, Michael E. and Bishop, Christopher M.},
  journal={Journal of the Royal Statistical Society: Series B},
  volume={61}, number={3}, pages={611--622}, year={1999}
}"""
    kind = "bound"  # exact for real-valued images; those on disk are rounded to 8 bits, see `loss`

    mean: Tensor
    counts: Tensor

    def __init__(self, config: PPCAConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "ppca")
        self.shape, self.range = field.shape, field.range
        found = the_class(spec)
        self.label, classes = (found[0], len(found[1].classes)) if found else ("", 1)
        self.listens_to = (self.label,) if self.label else ()  # what `sample` may be told
        self.pixels = math.prod(field.shape)
        self.bin = (field.range[1] - field.range[0]) / 255  # distance between two stored values
        self.weight = nn.Parameter(0.05 * torch.randn(classes, self.pixels, config.latent))
        self.log_sigma = nn.Parameter(torch.full((classes,), -1.0))
        self.register_buffer("mean", torch.zeros(classes, self.pixels))  # mu, of the items seen so far
        self.register_buffer("counts", torch.zeros(classes))  # how many they were

    def players(self) -> tuple[Player, ...]:
        return (Player("ppca", ("*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("ppca", "ppca"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The mean negative log-likelihood in nats per pixel.

        Uniform noise spreads every stored value over its bin: without it a Gaussian would grow infinitely narrow on
        pixels that never change, and the density would say nothing about the stored values (Theis et al. 2016).
        """
        x = batch[self.item].flatten(1)
        label = self.labels_of(batch)
        noise = self.bin * (step.rand(*x.shape) - 0.5)
        total = self.density_nll(x + noise, label).mean() / self.pixels
        return Loss(total, {"sigma": self.log_sigma.detach().exp().mean()}, memo={"x": x, "label": label})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        """Moves the means: what needs no gradient happens here, with the rows of all processes."""
        x, label = memo["x"], memo["label"]
        mine = nn.functional.one_hot(label, len(self.counts)).T.to(x.dtype)  # (classes, B)
        self.counts += mine.sum(1)
        self.mean += mine @ (x - self.mean[label]) / self.counts.clamp_min(1)[:, None]

    def labels_of(self, batch: Batch) -> Tensor:
        """The class of each item (B,); all of class 0 where the data has no labels."""
        x = batch[self.item]
        return batch[self.label] if self.label else torch.zeros(len(x), dtype=torch.int64, device=x.device)

    def posterior(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x - mu, its projection W'(x - mu), and a Cholesky factor of M = W'W + sigma^2 I; fp32 whatever the run's
        precision, since differences of large numbers follow."""
        with torch.autocast(x.device.type, enabled=False):
            variance = torch.exp(2 * self.log_sigma)[:, None, None]
            small = self.weight.mT @ self.weight + variance * torch.eye(self.config.latent, device=x.device)
            offset = x.float() - self.mean[label]
            rows = torch.arange(len(x), device=x.device)
            projected = torch.einsum("bp,kpl->bkl", offset, self.weight)[rows, label]  # on all, then the item's own
            return offset, projected, torch.linalg.cholesky(small)[label]

    def density_nll(self, x: Tensor, label: Tensor) -> Tensor:
        """-log N(x; mu, C) with C = W W' + sigma^2 I for rows of pixels (B, P), in nats, shape (B,).

        C is P x P; Woodbury's identity and the determinant lemma need only M, which is as small as the latent.
        """
        offset, projected, factor = self.posterior(x, label)
        log_sigma = self.log_sigma[label]
        whitened = torch.linalg.solve_triangular(factor, projected[:, :, None], upper=False)[:, :, 0]
        square = (offset.square().sum(1) - whitened.square().sum(1)) * torch.exp(-2 * log_sigma)
        log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1) * 2
        log_det = log_det + 2 * (self.pixels - self.config.latent) * log_sigma
        return 0.5 * (self.pixels * math.log(2 * math.pi) + log_det + square)

    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """A bound on the negative log-likelihood of the stored values: density times bin, averaged in the log."""
        x = batch[self.item].flatten(1)
        noise = self.bin * (torch.rand(x.shape, generator=generator, device=x.device) - 0.5)
        return self.density_nll(x + noise, self.labels_of(batch)) - self.pixels * math.log(self.bin)

    def encode(self, batch: Batch) -> Tensor:
        """E[z | x] = M^-1 W'(x - mu)."""
        _, projected, factor = self.posterior(batch[self.item].flatten(1), self.labels_of(batch))
        return torch.cholesky_solve(projected[:, :, None], factor)[:, :, 0]

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        z = torch.randn(n, self.config.latent, generator=generator, device=self.mean.device)
        return z * options.temperature

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """mu + W z, without the pixels' noise; of class 0 where no class is given."""
        label = torch.zeros(len(latent), dtype=torch.int64, device=latent.device)
        if condition is not None and self.label in condition:
            label = condition[self.label]
        x = self.mean[label] + torch.einsum("bpl,bl->bp", self.weight[label], latent)
        return {self.item: x.unflatten(1, self.shape).clamp(*self.range)}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        if self.label and (condition is None or self.label not in condition):  # classes as often as in the data
            shares = (self.counts + 1e-6) / (self.counts + 1e-6).sum()
            dart = torch.rand(n, generator=generator, device=shares.device)
            condition = {self.label: torch.searchsorted(shares.cumsum(0), dart).clamp_max(len(shares) - 1)}
        return self.decode(self.prior(n, options=options, generator=generator), condition=condition)


@recipe(
    "ppca",
    "probabilistic PCA: a Gaussian of low rank for each class; seconds on a CPU",
    smoke={"train.budget": "30steps", "train.batch": 32, "data.limit": 512},
)
def ppca() -> Recipe:
    """One size: a minute is plenty."""
    return Recipe("ppca", PPCAConfig(), DataOptions(source="mnist"), TrainOptions(budget="60s", precision="fp32"))
