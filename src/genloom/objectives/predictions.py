"""What a network may predict of a noisy item, and how errors at different times are weighed.

On the straight path every usual prediction F is a linear map away from the velocity v = e - x,

    v = skip(t) x_t + out(t) F,

so one pair (skip, out) names a prediction, and any two convert into each other through v. Predictions:

- "velocity": F = e - x (Liu et al. 2023, arXiv:2209.03003).
- "edm": the velocity without its best linear guess, at unit variance (Karras et al. 2022, arXiv:2206.00364, section 5;
  their F is this one times -1).
- "eps": F = e (Ho et al. 2020, arXiv:2006.11239); "x0": F = x.
- "v": F = alpha e - sigma x on the variance-preserving path (Salimans and Ho 2022, arXiv:2202.00512, appendix D). This
  is "edm" for data of standard deviation 1.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from genloom.objectives.diffusion import linear_part, match, sigma_from_time

Prediction = Literal["edm", "velocity", "eps", "x0", "v"]
Weight = Literal["velocity", "prediction", "data", "snr", "min-snr", "soft-min-snr", "edm"]


def mix(prediction: Prediction, t_B: Tensor, data_std: float = 1.0) -> tuple[Tensor, Tensor]:
    """(skip, out), each (B,), with v = skip x_t + out F. "eps" needs t < 1, "x0" needs t > 0.

    data_std: standard deviation of the data, of which only "edm" knows.
    """
    if prediction == "edm":
        return linear_part(t_B, data_std)
    if prediction == "v":
        return linear_part(t_B, 1.0)
    if prediction == "eps":
        return -1 / (1 - t_B), 1 / (1 - t_B)
    if prediction == "x0":
        return 1 / t_B, -1 / t_B
    return torch.zeros_like(t_B), torch.ones_like(t_B)


def to_velocity(prediction: Prediction, f: Tensor, x_t: Tensor, t_B: Tensor, data_std: float = 1.0) -> Tensor:
    """The velocity that a network's output f means at x_t."""
    skip, out = mix(prediction, t_B, data_std)
    return match(skip, x_t) * x_t + match(out, x_t) * f


def from_velocity(prediction: Prediction, v: Tensor, x_t: Tensor, t_B: Tensor, data_std: float = 1.0) -> Tensor:
    """What a network of this kind should have put out for the velocity v at x_t: undoes `to_velocity`."""
    skip, out = mix(prediction, t_B, data_std)
    return (v - match(skip, x_t) * x_t) / match(out, x_t)


def convert(f: Tensor, x_t: Tensor, t_B: Tensor, old: Prediction, new: Prediction, data_std: float = 1.0) -> Tensor:
    """The output of kind `new` that says the same of x_t as the output f of kind `old`."""
    if old == new:
        return f
    return from_velocity(new, to_velocity(old, f, x_t, t_B, data_std), x_t, t_B, data_std)


def usable(prediction: Prediction, bottom: float, top: float) -> tuple[float, float]:
    """The part of the times [bottom, top] in which a prediction says what the velocity is."""
    if prediction == "eps":
        return bottom, min(top, 0.999)
    if prediction == "x0":
        return max(bottom, 0.001), top
    return bottom, top


def snr(t_B: Tensor) -> Tensor:
    """The ratio of the data's to the noise's weight, squared: alpha^2 / sigma^2 = ((1 - t) / t)^2 on every path."""
    return sigma_from_time(t_B) ** -2


def error_weight(
    weight: Weight, t_B: Tensor, prediction: Prediction, data_std: float = 1.0, gamma: float = 5.0
) -> Tensor | None:
    """The factor (B,) of the velocity's squared error that makes the loss the one meant; None stands for 1.

    The literature weighs the data's squared error |x0 - x|^2 = t^2 |v - (e - x)|^2 by w:
    "data": w = 1. "snr": w = SNR, the squared error of eps. "min-snr": w = min(SNR, gamma) (Hang et al. 2023,
    arXiv:2303.09556, equation 8: the clean end of the path counts less than by SNR). "soft-min-snr":
    w = SNR gamma / (SNR + gamma) (after Crowson et al. 2024, arXiv:2401.11605, section 3.4). "edm":
    w = (sigma^2 + s^2) / (sigma s)^2 (Karras et al. 2022, table 1: the error of F at unit variance).
    "velocity": w = 1 / t^2, the squared error of the velocity; "prediction": of what the network puts out.
    """
    if weight == "velocity":
        return None
    if weight in ("prediction", "edm"):
        _, out = mix(prediction if weight == "prediction" else "edm", t_B, data_std)
        return out**-2
    if weight == "data":
        return t_B**2
    if weight == "snr":
        return (1 - t_B) ** 2
    # t^2 min(SNR, gamma) and t^2 SNR gamma / (SNR + gamma), without dividing by a t of 0.
    near, far = (1 - t_B) ** 2, gamma * t_B**2
    return torch.minimum(near, far) if weight == "min-snr" else near * far / (near + far)
