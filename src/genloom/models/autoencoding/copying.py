"""What the autoencoders with spatial codes share: how a copy is judged, and by whom.

A judge of patches joins after a share of the run. It tells real patches from copied ones by the hinge loss, in a phase
and with a player of its own; the autoencoder is then also to be taken for real (the adversarial term) and to look the
same to the judge (feature matching, which stands in for a perceptual network that somebody would have to download).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from genloom.core import Loss, Optimizer, Phase, Player
from genloom.nets.spatial import PatchJudge
from genloom.objectives.adversarial import critic_generator, hinge_discriminator
from genloom.objectives.reconstruction import balance, feature_distance, laplacian_distance


@dataclass(frozen=True)
class CopyOptions:
    """What makes a good copy.

    pixels: "l1" or "l2", the distance of single pixels.
    laplacian: weight of the distance of Laplacian pyramids, which sharpens edges of every size.
    adversarial: weight of being taken for real by the judge of patches; 0 does without a judge.
    adversarial_weight: "adaptive" makes that term's gradient at the last layer as long as the distances', "fixed"
    takes it as it is.
    features: weight of looking the same to the judge.
    adversarial_start: share of the run after which the judge joins.
    judge_width: channels of the judge's first layer.
    judge: how the judge learns.
    """

    pixels: Literal["l1", "l2"] = "l1"
    laplacian: float = 1.0
    adversarial: float = 0.1
    adversarial_weight: Literal["adaptive", "fixed"] = "adaptive"
    features: float = 0.2
    adversarial_start: float = 0.5
    judge_width: int = 32
    judge: Optimizer = Optimizer("adam", lr=1e-3, betas=(0.0, 0.99), warmup=0.0)


class Copying(nn.Module):
    """The judge, where there is one, and the terms that a copy is made by."""

    def __init__(self, options: CopyOptions, channels: int) -> None:
        super().__init__()
        self.options = options
        self.judge = PatchJudge(channels, options.judge_width) if options.adversarial else None

    def players(self, prefix: str) -> tuple[Player, ...]:
        """The judge as a player; prefix: this module's name in the model."""
        return (Player("judge", (f"{prefix}.*",), self.options.judge),) if self.judge is not None else ()

    def phases(self) -> tuple[Phase, ...]:
        """The judge's turn, on the batch that was just copied."""
        window = (self.options.adversarial_start, 1.0)
        return (Phase("judge", "judge", batch="same", window=window),) if self.judge is not None else ()

    def distance(self, x: Tensor, copy: Tensor) -> Tensor:
        """Without a judge: of pixels, and of pyramids."""
        gap = x - copy
        pixels = gap.abs().mean() if self.options.pixels == "l1" else gap.square().mean()
        return pixels + self.options.laplacian * laplacian_distance(x, copy) if self.options.laplacian else pixels

    def judged(self, progress: float) -> bool:
        """Whether the judge has a say: while training, after its start."""
        return self.judge is not None and self.training and progress >= self.options.adversarial_start

    def verdict(self, x: Tensor, copy: Tensor, distance: Tensor, last: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The judge's terms for the autoencoder, weighted; last: the weight of the decoder's last layer."""
        assert self.judge is not None
        o = self.options
        logits, theirs = self.judge(copy)
        ours = self.judge(x)[1]
        fooled = critic_generator(logits.float())
        weight = balance(distance, fooled, last) if o.adversarial_weight == "adaptive" else 1.0
        total = o.adversarial * weight * fooled
        parts = {"fooled": fooled.detach()}
        if o.features:
            alike = feature_distance([f.float() for f in ours], [f.float() for f in theirs])
            total, parts = total + o.features * alike, {**parts, "features": alike.detach()}
        return total, parts

    def judging(self, x: Tensor, copy: Tensor) -> Loss:
        """The judge's own loss; copies come without gradient."""
        assert self.judge is not None
        real, fake = (self.judge(v)[0].float() for v in (x, copy))
        verdicts = {"real_accuracy": (real > 0).float().mean(), "fake_accuracy": (fake < 0).float().mean()}
        return Loss(hinge_discriminator(real, fake), verdicts)
