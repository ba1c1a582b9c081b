"""What keeps a game of two networks stable: penalties on the discriminator's gradient, noise, clipping, packing.

Pure functions, save `clip_weights_`, which says so by its name. Items are (B, ...); a discriminator is any function
from items to logits (B,) or (B, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def squared_gradient(logits: Tensor, inputs: Tensor) -> Tensor:
    """|d logit / d input|^2 of each item, shape (B,), differentiable: R1 on real inputs, R2 on generated ones
    (Mescheder et al. 2018, eq. 9 and 10). The sum runs over all elements of an item; weigh it with gamma / 2.

    Raises RuntimeError where `inputs` did not require a gradient when the logits were computed.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """(|d D(x) / d x| - 1)^2 at x = mix real + (1 - mix) fake, a mean (WGAN-GP: Gulrajani et al. 2017, eq. 3).

    mix: (B,), uniform in [0, 1), one number an item. Weigh it with lambda (10 in the paper).
    """
    share = mix.view(-1, *[1] * (real.ndim - 1)).to(real.dtype)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    # The root of 0 has no derivative: a critic that is flat somewhere must not turn everything into NaN.
    length = (squared_gradient(critic(between), between) + 1e-12).sqrt()
    return (length - 1).square().mean()


def path_lengths(images: Tensor, latents: Tensor, noise: Tensor) -> Tensor:
    """|J^T y| of each item, (B,), differentiable: how far pictures move per step of the latents, in the direction y of
    the pictures (StyleGAN2: Karras et al. 2020, section 3.2, before eq. 4).

    noise: standard normal, of the images' shape, here divided by the root of the pixels. latents: (B, D), or (B, L, D)
    where L rows of one latent steer a picture: squares are summed over D and averaged over L.
    """
    y = noise / (images.shape[2] * images.shape[3]) ** 0.5
    (gradient,) = torch.autograd.grad((images * y).sum(), latents, create_graph=True)
    squares = gradient.float().square().sum(-1)
    return (squares if squares.ndim == 1 else squares.mean(1)).add(1e-12).sqrt()


def fading(start: float, progress: float, until: float = 1.0) -> float:
    """start at progress 0, falling evenly to 0 at progress `until`, 0 from there on."""
    return start * max(0.0, 1.0 - progress / until)


def noised(x: Tensor, noise: Tensor, deviation: float) -> Tensor:
    """x + deviation noise: instance noise on all that a discriminator sees, real and generated alike, so that their
    distributions overlap and its verdict keeps a slope (Sonderby et al. 2017; Arjovsky and Bottou 2017)."""
    return x + deviation * noise.to(x.dtype)


def packed(x: Tensor, m: int) -> Tensor:
    """m items side by side in the channels: (B, C, ...) -> (ceil(B / m), m C, ...), so that a discriminator sees
    whether they resemble each other (PacGAN: Lin et al. 2018, section 3). A last pack is filled with the first items.
    """
    if m == 1:
        return x
    packs = -(-len(x) // m)
    index = torch.arange(packs * m, device=x.device) % len(x)
    return x[index].unflatten(0, (packs, m)).flatten(1, 2)


@torch.no_grad()
def clip_weights_(parameters: Iterable[Tensor], limit: float) -> None:
    """Cuts every number to [-limit, limit], in place (WGAN: Arjovsky et al. 2017, algorithm 1, line 7)."""
    for p in parameters:
        p.clamp_(-limit, limit)
