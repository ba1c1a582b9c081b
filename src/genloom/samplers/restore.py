"""Tasks on given pictures: what a degraded picture still tells, and how a model of whole ones fills in the rest.

What is given of an item x (B, C, H, W), in the scale [-1, 1], by task:

    inpaint, outpaint   x with NaN where nothing is known           (B, C, H, W)
    super-resolution    means over squares of `factor` pixels       (B, C, H / factor, W / factor)
    colour              the mean of the channels                    (B, 1, H, W)
    denoise             x + sigma e                                 (B, C, H, W)
    sdedit              a sketch or another picture                 (B, C, H, W)
    continue            a sound or clip with NaN after its beginning (B, C, T), (B, C, M, T) or (B, C, T, H, W); of
                        music token ids, -1 where nothing is known (B, L)
    harmonise           of music the tokens of one voice, -1 elsewhere (B, L)

The first four are linear views y = A x. A flow trained on whole pictures fills them in without further training: at
every step its estimate of the data is brought to agree with y in the range of A and left alone in its null space (DDNM,
Wang et al. 2023, arXiv:2212.00490, equation 13). Denoising is the mean that a velocity at the right time points to
(Tweedie's formula); SDEdit (Meng et al. 2022, arXiv:2108.01073) noises the picture half-way and lets the model finish.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from genloom.errors import BadData, BadValue, unknown
from genloom.samplers.base import Velocity

TASKS = ("inpaint", "outpaint", "super-resolution", "colour", "denoise", "sdedit", "continue", "harmonise")
TIME = {"audio": -1, "video": 2}
"""The dimension of items (B, C, ...) along which they can be continued."""
Agree = Callable[[Tensor], Tensor]


def check_task(task: str) -> str:
    """The task. Raises NotFound with the nearest names."""
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    return task


def hole(shape: tuple[int, ...], task: str, share: float) -> Tensor:
    """A mask (H, W), True where nothing is known: a centred rectangle for "inpaint", what lies outside one for
    "outpaint"; `share` of the area is unknown."""
    height, width = shape[-2:]
    inner = (share if task == "inpaint" else 1 - share) ** 0.5
    h, w = (max(1, min(size - 1, round(size * inner))) for size in (height, width))
    mask = torch.zeros(height, width, dtype=torch.bool)
    top, left = (height - h) // 2, (width - w) // 2
    mask[top : top + h, left : left + w] = True
    return mask if task == "inpaint" else ~mask


def random_holes(n: int, shape: tuple[int, ...], u_B4: Tensor) -> Tensor:
    """Masks (n, 1, H, W) of a rectangle each, from a quarter to three quarters of either side, anywhere; by uniform
    numbers (n, 4). Every other one is turned inside out, so that outpainting is learnt too."""
    height, width = shape[-2:]
    rows, columns = (torch.arange(size, device=u_B4.device) for size in (height, width))

    def inside(at: Tensor, size: int, length: Tensor, start: Tensor) -> Tensor:
        extent = (0.25 + 0.5 * length) * size
        first = start * (size - extent)
        return (at >= first[:, None]) & (at < (first + extent)[:, None])

    found = (
        inside(rows, height, u_B4[:, 0], u_B4[:, 1])[:, :, None]
        & inside(columns, width, u_B4[:, 2], u_B4[:, 3])[:, None]
    )
    turned = torch.arange(n, device=u_B4.device) % 2 == 1
    return (found ^ turned[:, None, None])[:, None]


def beginning(x: Tensor, keep: Tensor, modality: str) -> Tensor:
    """Sounds or clips x with NaN from place `keep` (B,) of time on."""
    dim = TIME[modality] % x.dim()
    at = torch.arange(x.shape[dim], device=x.device)
    later = at >= keep.to(x.device)[:, None]
    return x.masked_fill(later.reshape(len(x), *(x.shape[d] if d == dim else 1 for d in range(1, x.dim()))), torch.nan)


def degrade(
    x: Tensor,
    task: str,
    *,
    mask: Tensor | None = None,
    factor: int = 4,
    sigma: float = 0.2,
    noise: Tensor | None = None,
) -> Tensor:
    """What the task gives of items x. mask: True where unknown, of any shape that broadcasts; noise: like x.

    Raises BadValue for a mask of another size or a factor that does not divide the sides.
    """
    check_task(task)
    height, width = x.shape[-2:]
    if task in ("inpaint", "outpaint"):
        unknown_ = hole(tuple(x.shape), task, 0.25 if task == "inpaint" else 0.5) if mask is None else mask
        if unknown_.shape[-2:] != x.shape[-2:]:
            got = "x".join(map(str, unknown_.shape[-2:]))
            raise BadValue(f"the mask measures {got}, and the picture {height}x{width}: give one of its size")
        return x.masked_fill(unknown_.to(x.device), float("nan"))
    if task == "super-resolution":
        if factor < 2 or height % factor or width % factor:
            raise BadValue(f"--factor {factor}: expected 2 or more that divides {height} and {width}")
        return F.avg_pool2d(x, factor)
    if task == "colour":
        return x.mean(1, keepdim=True)
    if task == "denoise":
        return x + sigma * (torch.randn_like(x) if noise is None else noise)
    return x


def agreement(task: str, given: Tensor, shape: tuple[int, ...]) -> Agree:
    """x -> x + A+ (y - A x): the nearest items (B, *shape) whose view is `given`. Raises BadData where `given` is no
    view of such items."""
    wanted, got = "x".join(map(str, shape)), "x".join(map(str, given.shape[1:]))
    if task in ("inpaint", "outpaint", "continue"):
        if tuple(given.shape[1:]) != shape:
            raise BadData(f"expected items of {wanted} (channels first), got {got}: bring them to that size")
        known = given.isfinite()
        return lambda x: torch.where(known, given, x)
    if task == "super-resolution":
        factor = shape[-1] // given.shape[-1]
        small = (shape[0], shape[1] // max(1, factor), shape[2] // max(1, factor))
        if factor < 2 or tuple(given.shape[1:]) != small or shape[1] % factor or shape[2] % factor:
            raise BadData(
                f"super-resolution to {wanted} needs whole fractions of it, got {got}: choose another --factor"
            )
        return lambda x: x + (given - F.avg_pool2d(x, factor)).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    if task == "colour":
        if shape[0] < 2:
            raise BadData("colour needs a model of pictures with colour: this one makes grey ones")
        return lambda x: x + (given - x.mean(1, keepdim=True))
    raise BadValue(f"{task} is no view that items can be brought to agree with")


def consistent(model: Velocity, agree: Agree) -> Velocity:
    """The velocity whose estimate of the data agrees with what is given: DDNM on the straight path."""

    def velocity(x: Tensor, t: float) -> Tensor:
        v = model(x, t)
        return v if t <= 0 else (x - agree(x - t * v)) / t

    return velocity


def noised_time(sigma: float) -> float:
    """The time at which items stand with noise of this deviation beside data of deviation 1."""
    return sigma / (1 + sigma)


def denoised(model: Velocity, given: Tensor, sigma: float) -> Tensor:
    """The mean of all items that `given` = x + sigma e may come from, by one evaluation."""
    t = noised_time(sigma)
    x_t = (1 - t) * given
    return x_t - t * model(x_t, t)


def started(given: Tensor, strength: float, noise: Tensor) -> Tensor:
    """SDEdit's beginning: the picture at time `strength` of its way to noise. Raises BadValue outside (0, 1]."""
    if not 0 < strength <= 1:
        raise BadValue(f"--strength: expected a number above 0 and up to 1, got {strength}")
    return (1 - strength) * given + strength * noise
