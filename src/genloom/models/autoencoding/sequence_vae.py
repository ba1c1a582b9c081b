"""A variational autoencoder of token sequences: texts and molecules with a latent space (Bowman et al. 2016,
arXiv:1511.06349; of SMILES, Gomez-Bombarelli et al. 2018, arXiv:1610.02415).

    q(z | x) = N(mu(e), diag sigma(e)^2),  e what a recurrent network shows after reading x
    p(x | z) = prod_t p(x_t | z, x_1 ... x_{t-1}),  another one that sees z beside every token

A decoder that can tell the next token from those before it has little need of z, and the divergence rewards it for
doing without (posterior collapse). Against that, as in Bowman et al.: the divergence is charged little by little
(section 3.1), and some of the decoder's inputs are withheld (section 3.2); also it may weigh less than 1 throughout
(beta), or have free bits. Differs from the papers: e holds the mean over all places beside the last state; z sets the
decoder's first state and stands beside every input; with a beta below 1 the codes are no standard normal, so new ones
are drawn from a mixture of Gaussians fitted to them afterwards (Ghosh et al. 2020), as in `vae`. Conditions are not
used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    TOKENS,
    Batch,
    CanContinue,
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
    Reading,
    Sampling,
    Step,
    counted,
    shortened,
    the_item,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadData, BadValue
from genloom.models.autoencoding.priors import FittedMixture
from genloom.nets.reading import StateReading
from genloom.nets.recurrent import Cell, RecurrentDecoder, RecurrentEncoder, RecurrentShape
from genloom.objectives.likelihood import (
    gaussian_log_density,
    importance_bound,
    latent_kl,
    risen,
    standard_normal_kl,
)
from genloom.samplers import decoding


@dataclass(frozen=True)
class SequenceVAEConfig:
    """latent: dimensions of the code; embedding: size of a token's vector.
    cell: "rnn" (Elman), "gru" or "lstm"; encoder: width of the network that reads.
    width, depth: of the network that writes.
    beta: weight of the KL divergence in training; 1 is the bound itself, less keeps more in the code.
    kl_warmup: stretch of progress in which that weight rises from 0 while training, as 0,0.3; 0,0 has none.
    free_bits: nats of every latent of an item that training does not charge for.
    withheld: share of the decoder's inputs that are replaced by a blank in training (word dropout).
    nll_samples: draws of the code for each item where its likelihood is measured; more give a tighter bound.
    components: Gaussians of the mixture that new codes are drawn from; codes: at most so many are used for its fit.
    optimizer: how it learns.
    """

    latent: int = 64
    embedding: int = 64
    cell: Cell = "lstm"
    encoder: int = 192
    width: int = 320
    depth: int = 1
    beta: float = 0.1
    kl_warmup: tuple[float, float] = (0.0, 0.3)
    free_bits: float = 0.0
    withheld: float = 0.1
    nll_samples: int = 1
    components: int = 10
    codes: int = 10_000
    optimizer: Optimizer = Optimizer(lr=3e-3, betas=(0.9, 0.99), clip=1.0, warmup=0.03, hold=0.3)


class SequenceVAE(Model, CanSample, CanDecode, CanEncode, HasLikelihood):
    """Tokens -> q(z|x) -> tokens, one after another."""

    Config = SequenceVAEConfig
    citation = """@inproceedings{bowman2016generating,
  title = {Generating Sentences from a Continuous Space},
  author = {Bowman, Samuel R. and Vilnis, Luke and Vinyals, Oriol and others},
  booktitle = {Conference on Computational Natural Language Learning},
  year = {2016},
}"""
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "bound"

    def __init__(self, config: SequenceVAEConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        check(config)
        self.item, field = the_item(spec, TOKENS, "sequence-vae")
        self.field, (self.window,), self.vocabulary = field, field.shape, field.vocabulary
        if self.vocabulary < 1:
            raise BadData("sequence-vae needs a vocabulary, got one of 0 tokens: give texts with content")
        self.start, self.blank = self.vocabulary, self.vocabulary + 1  # ids that are never predicted
        reads = RecurrentShape(config.embedding, config.encoder, 1, config.cell)
        writes = RecurrentShape(config.embedding + config.latent, config.width, config.depth, config.cell)
        self.encoder = RecurrentEncoder(self.vocabulary, 2 * config.latent, reads)
        self.decoder = RecurrentDecoder(self.vocabulary + 2, self.vocabulary, config.latent, writes)
        self.mixture = FittedMixture(config.components, config.latent)

    def players(self) -> tuple[Player, ...]:
        return (Player("vae", ("encoder.*", "decoder.*"), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("vae", "vae"),)

    def posterior(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (B, latent)."""
        mean, log_variance = self.encoder(*shortened(ids_BL, self.field)).float().chunk(2, 1)
        return mean, log_variance.clamp(-14, 8)

    def surprise(self, ids_BL: Tensor, z_BD: Tensor, withheld_BL: Tensor | None = None) -> Tensor:
        """-log p(x | z) in nats, (B,); nothing behind an item's end counts. withheld_BL: inputs that are not shown."""
        ids_BL, own_BL = shortened(ids_BL, self.field)
        seen_BL = F.pad(ids_BL[:, :-1], (1, 0), value=self.start)
        if withheld_BL is not None:
            hidden_BL = withheld_BL[:, : seen_BL.shape[1]] & (seen_BL != self.start)
            seen_BL = seen_BL.masked_fill(hidden_BL, self.blank)
        logits_BLV, _ = self.decoder(seen_BL, self.decoder.begin(z_BD))
        nats = F.cross_entropy(logits_BLV.flatten(0, 1), ids_BL.flatten(), reduction="none").view(ids_BL.shape)
        return (nats * own_BL).sum(1)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """(-log p(x|z) + beta KL) in nats per token that counts. Warm-up, free bits and withheld inputs are for
        training alone: held-out items are judged without."""
        ids_BL, c = batch[self.item], self.config
        mean, log_variance = self.posterior(ids_BL)
        z_BD = mean + torch.exp(0.5 * log_variance) * step.randn(*mean.shape)
        withheld_BL = step.rand(*ids_BL.shape) < c.withheld if self.training and c.withheld else None
        distortion_B = self.surprise(ids_BL, z_BD, withheld_BL)
        rate_B = charged_B = standard_normal_kl(mean, log_variance)
        weight = c.beta
        if self.training:
            if c.free_bits:
                charged_B = latent_kl(mean, log_variance).clamp_min(c.free_bits).sum(1)
            weight *= risen(step.progress, *c.kl_warmup)
        tokens = step.gather(counted(ids_BL, self.field).sum(1).float()).mean()
        parts = {"distortion": distortion_B.detach().mean(), "kl": rate_B.detach().mean()}
        return Loss((distortion_B + weight * charged_B).mean() / tokens, parts)

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """Fits the mixture to codes drawn from q(z|x) of training items."""
        codes, count = [], 0
        for batch in batches:
            mean, log_variance = self.posterior(batch[self.item])
            noise = torch.randn(mean.shape, generator=step.generator, device=mean.device)
            codes.append(mean + torch.exp(0.5 * log_variance) * noise)
            count += len(mean)
            if count >= self.config.codes:
                break
        if codes:
            self.mixture.fit(torch.cat(codes), step.seed)

    # -- what it can do ------------------------------------------------------------------------------------------------

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        noise = torch.randn(n, self.config.latent, generator=generator, device=self._device) * options.temperature
        if options.prior == "standard" or not self.mixture.fitted:
            return noise
        return self.mixture.draw(noise, torch.rand(n, generator=generator, device=self._device))

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The likeliest next token each time (greedy), until the end or as long as items are."""
        options = Sampling(temperature=0.0, length=self.window)
        return self._written(latent, options, torch.Generator(self._device), None)

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """Codes of the prior, then tokens of p(x | z), drawn as `options` say."""
        z_ND = self.prior(n, options=options, generator=generator)
        length = self.window if options.length is None else options.length
        return self._written(z_ND, replace(options, length=length), generator, callback)

    def encode(self, batch: Batch) -> Tensor:
        parts = [self.posterior(part)[0] for part in batch[self.item].split(256) if len(part)]
        return torch.cat([torch.zeros(0, self.config.latent, device=self._device), *parts])

    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """The bound -log 1/K sum_k p(x|z_k) N(z_k; 0, I) / q(z_k|x), K = nll_samples, in nats, (B,)."""
        ids_BL = batch[self.item]
        mean, log_variance = self.posterior(ids_BL)
        noise = torch.randn(self.config.nll_samples, *mean.shape, generator=generator, device=mean.device)
        z_KBD = mean + torch.exp(0.5 * log_variance) * noise
        rate_KB = gaussian_log_density(z_KBD, mean, log_variance)
        rate_KB = rate_KB - gaussian_log_density(z_KBD, torch.zeros(()), torch.zeros(()))
        return importance_bound(-torch.stack([self.surprise(ids_BL, z) for z in z_KBD]) - rate_KB)

    @property
    def _device(self) -> torch.device:
        return self.decoder.head.weight.device

    @torch.no_grad()
    def _written(self, z_BD: Tensor, options: Sampling, generator: torch.Generator, callback: Callback | None) -> Batch:
        told, field = _Told(self, z_BD), self.field if self.field.whole else None
        return decoding.sampled(told, len(z_BD), None, options, generator, callback, self._device, field)


class _Told(CanContinue):
    """p(x | z) of the latents of some items, token by token."""

    alike = False
    context: int | None = None

    def __init__(self, model: SequenceVAE, z_BD: Tensor) -> None:
        self.model, self.z_BD = model, z_BD
        self.item, self.vocabulary = model.item, model.vocabulary

    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        reading = StateReading(self.model.decoder, self.model.decoder.begin(self.z_BD))
        return reading, reading.read(F.pad(prompt_BL, (1, 0), value=self.model.start))[:, -1]


def check(config: SequenceVAEConfig) -> None:
    """Raises BadValue for choices that mean nothing."""
    for name in ("latent", "components", "nll_samples"):
        if getattr(config, name) < 1:
            raise BadValue(f"--config.{name}: expected 1 or more, got {getattr(config, name)}")
    if config.beta < 0:
        raise BadValue(f"--config.beta: expected a weight of 0 or more, got {config.beta:g}")
    if not 0 <= config.withheld < 1:
        raise BadValue(f"--config.withheld: expected a share from 0 to below 1, got {config.withheld:g}")
