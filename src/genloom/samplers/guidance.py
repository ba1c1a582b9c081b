"""Leading a flow towards what is asked for, as functions from velocities to a velocity.

All go from a weaker velocity past a stronger one: v_weak + strength (v - v_weak). The weaker one is the model that is
told nothing (classifier-free guidance: Ho and Salimans 2022, arXiv:2207.12598), or told what is not wanted (a negative
condition), or another, worse model of the same data (autoguidance: Karras et al. 2024, arXiv:2406.02507).
"""

from __future__ import annotations

from torch import Tensor

from genloom.samplers.base import Velocity

ALWAYS = (0.0, 1.0)


def extrapolate(v: Tensor, weak: Tensor, strength: float) -> Tensor:
    """The velocity `strength` times as far from the weaker one as v is; 1 gives v, 0 the weaker one."""
    return weak + strength * (v - weak)


def within(guided: Velocity, plain: Velocity, interval: tuple[float, float]) -> Velocity:
    """Guided at times inside the interval [low, high], plain outside (Kynkaanniemi et al. 2024, arXiv:2404.07724):
    guidance near the noise costs variety, near the data it does nothing."""
    low, high = interval
    if interval == ALWAYS:
        return guided
    return lambda x, t: guided(x, t) if low <= t <= high else plain(x, t)


def autoguided(model: Velocity, worse: Velocity, strength: float) -> Velocity:
    """The model's velocity, led away from that of a worse model of the same data."""
    return lambda x, t: extrapolate(model(x, t), worse(x, t), strength)


def clipped(model: Velocity, low: float = -1.0, high: float = 1.0) -> Velocity:
    """The velocity whose estimate of the data, x - t v, is cut to the data's range, as the code of Ho et al. 2020 does.

    A network that predicts eps errs by its error / (1 - t) in the data: without this, few steps can run away.
    """

    def velocity(x: Tensor, t: float) -> Tensor:
        v = model(x, t)
        return (x - (x - t * v).clamp(low, high)) / t if t > 0 else v

    return velocity
