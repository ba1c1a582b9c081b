"""Text to image by a GAN with a matching-aware discriminator: GAN-CLS (Reed et al. 2016).

Both players are told a dense embedding of a caption t. D sees three kinds of pairs, so that it learns two things: what
is no picture, and what is a picture of something else (algorithm 1; t^ is another picture's caption):

    s_r = D(x, t) real, right text      s_w = D(x, t^) real, wrong text      s_f = D(G(z, t), t) generated, right text

    D  minimises  -log s_r - (log(1 - s_w) + log(1 - s_f)) / 2  [+ r1/2 |grad D(x, t)|^2],    G  minimises  -log s_f

What differs: captions are read by a small transformer of each player's own (`nets/condition.py`), which learns along,
where the paper has a finished encoder; D projects its features on the text (Miyato and Koyama 2018) instead of joining
both by a convolution; R1 in the place of batch norm; no interpolated texts (GAN-INT).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    Batch,
    CanDecode,
    CanSample,
    DataSpec,
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
from genloom.errors import BadData, BadValue
from genloom.nets.condition import Conditioner, token_width
from genloom.nets.conv import Decoder, halvings
from genloom.nets.critic import ConvFeatures
from genloom.nets.scale import inward, outward
from genloom.objectives.adversarial import bce_generator, verdicts
from genloom.objectives.regularisers import squared_gradient

ADAM = Optimizer("adam", lr=1e-3, betas=(0.0, 0.99), clip=0.0, warmup=0.0, decay="linear", final=0.1)


@dataclass(frozen=True)
class TextGANConfig:
    """latent: dimensions of the noise z.
    embedding: dimensions of a caption's embedding, in both players.
    width: channels at half the image's size, doubled at every halving up to four times.
    features: size of the layer from which the discriminator judges.
    mismatch: weight of pairs of a real picture and a wrong text; 0 leaves them out (a plain conditional GAN).
    r1: weight of the penalty on the discriminator's gradient at real pictures.
    generator, discriminator: how each learns, its text encoder included.
    """

    latent: int = 64
    embedding: int = 64
    width: int = 32
    features: int = 192
    mismatch: float = 1.0
    r1: float = 1.0
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM

    def __post_init__(self) -> None:
        if self.r1 < 0 or self.mismatch < 0:
            raise BadValue("r1 and mismatch are 0 or more")


class Discriminator(nn.Module):
    """Images (B, C, H, W) to features and texts to directions; their product and an own verdict make a logit."""

    def __init__(self, spec: DataSpec, shape: tuple[int, ...], config: TextGANConfig, count: int) -> None:
        super().__init__()
        self.read = Conditioner(spec, config.embedding)
        self.look = ConvFeatures(shape, config.features, width=config.width, count=count)
        self.out = nn.Linear(config.features, 1)
        self.direction = nn.Linear(config.embedding, config.features, bias=False)

    def told(self, condition: Batch) -> Tensor:
        """The directions (B, features) of texts."""
        vector = self.read(condition).vector
        assert vector is not None
        return self.direction(vector).float()

    def judge(self, features: Tensor, direction: Tensor) -> Tensor:
        """Logits (B,) of pairs."""
        own: Tensor = self.out(features)[:, 0].float()
        return own + (features.float() * direction).sum(1) / math.sqrt(features.shape[1])


class TextGAN(Model, CanSample, CanDecode):
    """A latent is the noise z beside the embedding of a caption, so that paths may lead from text to text."""

    Config = TextGANConfig
    citation = """@inproceedings{reed2016generative,
  title={Generative Adversarial Text to Image Synthesis},
  author={Reed, Scott and Akata, Zeynep and Yan, Xinchen and Logeswaran, Lajanugen and Schiele, Bernt and Lee, Honglak},
  booktitle={International Conference on Machine Learning},
  year={2016},
  eprint={1605.05396}
}"""
    monitor = "sliced-wasserstein"

    def __init__(self, config: TextGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "text-to-image-gan")
        self.range = field.range
        if not token_width(spec, config.embedding):
            raise BadData(
                "text-to-image-gan learns from pictures with captions, and these have none: add --data.captions true, "
                "or choose data that has them (`--data emoji`)"
            )
        count = halvings(field.shape[1], field.shape[2], "text-to-image-gan")
        self.reader = Conditioner(spec, config.embedding)
        self.listens_to = self.reader.fields
        into = config.latent + config.embedding
        self.generator = Decoder(into, field.shape, width=config.width, blocks=1, count=count)
        self.discriminator = Discriminator(spec, field.shape, config, count)

    def players(self) -> tuple[Player, ...]:
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("generator.*", "reader.*"), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase("discriminator", "discriminator", second_order=self.config.r1 > 0),
            Phase("generator", "generator", batch="same"),
        )

    # -- the game ---------------------------------------------------------------------------------------------------

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn; see the module's first lines."""
        c, judge = self.config, self.discriminator
        x = inward(batch[self.item], self.range).detach()
        told = {k: batch[k] for k in self.reader.fields}
        z = step.randn(len(x), c.latent)
        if phase.name == "generator":
            fake = self.forge(self.beside(z, told))
            return Loss(bce_generator(judge.judge(judge.look(fake), judge.told(told))))
        with torch.no_grad():
            fake = self.forge(self.beside(z, told))
        x.requires_grad_(c.r1 > 0)
        seen, faked = judge.look(torch.cat([x, fake])).chunk(2)
        other, differs = wrong(told, step)
        right, mistaken = judge.told({k: torch.cat([told[k], other[k]]) for k in told}).chunk(2)
        s_r, s_w, s_f = judge.judge(seen, right), judge.judge(seen, mistaken), judge.judge(faked, right)
        of_wrong = (differs * F.softplus(s_w)).mean()  # a caption that happens to be the same is no wrong one
        total = F.softplus(-s_r).mean() + (c.mismatch * of_wrong + F.softplus(s_f).mean()) / 2
        parts = verdicts(s_r, s_f) | {"wrong_accuracy": (s_w < 0).float().mean()}
        if c.r1:
            steepness = squared_gradient(s_r, x).mean()
            total, parts["r1"] = total + c.r1 / 2 * steepness, steepness.detach()
        return Loss(total, parts, memo=told)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if memo:
            self.reader.count(memo)

    def beside(self, z: Tensor, told: Batch) -> Tensor:
        """Noise beside the embedding of what is told: a latent."""
        vector = self.reader(told).vector
        assert vector is not None
        return torch.cat([z, vector.to(z.dtype)], 1)

    def forge(self, latent: Tensor) -> Tensor:
        """G: latents to images in [-1, 1], fp32."""
        return torch.tanh(self.generator(latent).float())

    # -- afterwards -------------------------------------------------------------------------------------------------

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.latents(n, None, options, generator)

    def latents(self, n: int, condition: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        """n latents, of the captions given or of training items'."""
        told = self.reader.draw(n, condition, generator)
        z = torch.randn(n, self.config.latent, generator=generator, device=next(self.parameters()).device)
        return self.beside(z * options.temperature, told)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        told = {k: v for k, v in (condition or {}).items() if k in self.reader.fields}
        if told:
            silence = self.reader.null(len(latent), latent.device)
            latent = self.beside(latent[:, : self.config.latent], {**silence, **told})
        return {self.item: outward(self.forge(latent), self.range)}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        told = self.reader.draw(n, condition, generator)
        z = torch.randn(n, self.config.latent, generator=generator, device=next(self.parameters()).device)
        out = self.decode(self.beside(z * options.temperature, told))
        if callback is not None:
            callback({"i": 1, "of": 1, "x": out[self.item]})
        return {**out, **told}


def wrong(told: Batch, step: Step) -> tuple[dict[str, Tensor], Tensor]:
    """What the next item of the global batch is told, and where (B,) that differs from what the item's own is."""
    start, stop, _ = step.rows
    other = {k: step.gather(v).roll(-1, 0)[start:stop] for k, v in told.items()}
    apart = [(told[k] != other[k]).flatten(1).any(1) if v.ndim > 1 else told[k] != other[k] for k, v in told.items()]
    return other, torch.stack(apart).any(0).float()
