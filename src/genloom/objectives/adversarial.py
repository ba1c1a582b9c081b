"""Losses of two players who judge each other. All pure functions; penalties stand in `regularisers`.

Logits are what a discriminator returns before any sigmoid, shape (B,) or (B, 1); every loss is a scalar mean. s is the
sigmoid. `DUELS` has all of them by the names that recipes use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


def bce_discriminator(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """-log s(real) - log(1 - s(fake)), the two means summed (Goodfellow et al. 2014, eq. 1).

    Computed from logits, so that it stays finite where a sigmoid has rounded to 0 or 1. smoothing: real items count as
    real by 1 - smoothing only, fakes as fake in full (one-sided label smoothing, Salimans et al. 2016, section 3.4):
    -(1 - smoothing) log s(real) - smoothing log(1 - s(real)).
    """
    loss = F.softplus(-real).mean() + F.softplus(fake).mean()
    return loss + smoothing * real.mean() if smoothing else loss


def bce_generator(fake: Tensor) -> Tensor:
    """-log s(fake): the non-saturating form (Goodfellow et al. 2014, section 3, last paragraph)."""
    return F.softplus(-fake).mean()


def minimax_generator(fake: Tensor) -> Tensor:
    """log(1 - s(fake)): the generator's side of the minimax game as it stands (Goodfellow et al. 2014, eq. 1).

    Its gradient -s(fake) vanishes where the discriminator is sure, which is where a generator begins.
    """
    return -F.softplus(fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """(real - 1)^2 / 2 + fake^2 / 2 (LSGAN: Mao et al. 2017, eq. 2 with b = 1, a = 0). smoothing: b = 1 - smoothing."""
    return (real - 1 + smoothing).square().mean() / 2 + fake.square().mean() / 2


def least_squares_generator(fake: Tensor) -> Tensor:
    """(fake - 1)^2 / 2 (Mao et al. 2017, eq. 2 with c = 1)."""
    return (fake - 1).square().mean() / 2


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - real) + max(0, 1 + fake) (Lim and Ye 2017; Miyato et al. 2018, eq. 16)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """fake - real: minus the distance of Kantorovich and Rubinstein, as far as the critic is 1-Lipschitz (WGAN:
    Arjovsky, Chintala and Bottou 2017, eq. 2)."""
    return fake.mean() - real.mean()


def critic_generator(fake: Tensor) -> Tensor:
    """-fake: the generator's side of the Wasserstein and the hinge loss."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 + exp(-(real - fake))) over pairs (Jolicoeur-Martineau 2018; R3GAN, Huang et al. 2024, eq. 2)."""
    return F.softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The mirror of `relativistic_discriminator`: the fake of each pair is to look more real than the real one."""
    return F.softplus(real - fake).mean()


@dataclass(frozen=True)
class Duel:
    """A pair of losses. discriminator: (real, fake) -> loss; generator: (real, fake) -> loss, which looks at the real
    ones only where the pair is `relative`; smoothed: the discriminator's loss for smoothed labels, where there is such;
    middle: the logit that parts real from fake, None where only differences mean something."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    smoothed: Callable[[Tensor, Tensor, float], Tensor] | None = None
    middle: float | None = 0.0

    @property
    def relative(self) -> bool:
        """Whether the generator's loss needs real items too."""
        return self.generator is relativistic_generator

    def judge(self, real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
        """The discriminator's loss. Raises ValueError where its labels cannot be smoothed."""
        if not smoothing:
            return self.discriminator(real, fake)
        if self.smoothed is None:
            raise ValueError("this loss has no labels to smooth")
        return self.smoothed(real, fake, smoothing)

    def verdicts(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """How often the discriminator is right: on each side, or where a logit alone means nothing, on pairs."""
        if self.middle is None:
            return {"pair_accuracy": (real > fake).float().mean()}
        return verdicts(real, fake, self.middle)


def verdicts(real: Tensor, fake: Tensor, middle: float = 0.0) -> dict[str, Tensor]:
    """How often the discriminator is right on each side, where `middle` parts real from fake."""
    return {"real_accuracy": (real > middle).float().mean(), "fake_accuracy": (fake < middle).float().mean()}


def _alone(loss: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda real, fake: loss(fake)


DUELS: Mapping[str, Duel] = {
    "minimax": Duel(bce_discriminator, _alone(minimax_generator), bce_discriminator),
    "non-saturating": Duel(bce_discriminator, _alone(bce_generator), bce_discriminator),
    "least-squares": Duel(
        least_squares_discriminator, _alone(least_squares_generator), least_squares_discriminator, middle=0.5
    ),
    "hinge": Duel(hinge_discriminator, _alone(critic_generator)),
    "wgan": Duel(wasserstein_critic, _alone(critic_generator), middle=None),
    "wgan-gp": Duel(wasserstein_critic, _alone(critic_generator), middle=None),
    "relativistic": Duel(relativistic_discriminator, relativistic_generator, middle=None),
}
