"""What ails the runs of `planted_faults.py`, what does not, and how each fault is planted.

A run is a recipe made small, a data set and some changed fields; a plant patches the engine or a model while it trains.
Faults that a flag can cause are caused by a flag. Others are mistakes that people make in models, losses and data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from genloom.core import Loss
from genloom.engine.ema import PowerEMA
from genloom.engine.train import Settings
from genloom.models.adversarial.gan_mlp import MLPGAN, Generator
from genloom.objectives.adversarial import bce_discriminator
from genloom.recipes import registry

Plant = Callable[[type], AbstractContextManager[Any]]


def no_plant(model: type) -> AbstractContextManager[Any]:
    """Nothing: the fault lies in a flag or in the data."""
    return nullcontext()


@dataclass(frozen=True)
class Variant:
    """One way to run: recipe, data, steps, changed fields by dotted name, and what is patched meanwhile."""

    recipe: str
    data: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    plant: Plant = no_plant
    steps: int = 0


@dataclass(frozen=True)
class Fault:
    """A fault, the findings that name it rightly, and ways to plant it, of which seed s takes number s."""

    name: str
    right: tuple[str, ...]
    variants: tuple[Variant, ...]


# -- recipes and data --------------------------------------------------------------------------------------------------

SMALL: dict[str, dict[str, Any]] = {
    "vae-mlp": {"config.hidden": 128, "config.latent": 10, "train.batch": 64},
    "vae": {"config.width": 16, "config.latent": 16, "train.batch": 32},
    "gan-mlp": {
        "config.generator_widths": (128,),
        "config.discriminator_widths": (128,),
        "train.batch": 64,
        "config.generator.lr": 6e-4,
        "config.discriminator.lr": 6e-4,
    },
    "r3gan": {"config.width": 16, "train.batch": 32},
    "flow": {"config.widths": (32, 48), "config.blocks": (1, 1), "config.embedding": 64, "train.batch": 32},
    "gpt": {"config.width": 32, "config.depth": 2, "config.heads": 2, "data.context": 48, "train.batch": 16},
}
"""Every recipe made small enough for a run of some seconds."""
STEPS = {"vae-mlp": 1200, "vae": 360, "gan-mlp": 2400, "r3gan": 360, "flow": 300, "gpt": 360}
"""How long a run is, where nothing else is said: some three to six seconds of one core."""
FRAMES = {"digits": {"data.source": "digits"}, "mnist": {"data.source": "mnist"},
          "tall": {"data.source": "mnist", "data.size": "28x20"},
          "stdlib": {"data.source": "python-stdlib"}}  # fmt: skip
"""Data sets that come with genloom, and digits that are not square; all others are made by `make`."""


def make(folder: Path) -> None:
    """Writes the other data sets: pieces of two photographs in colour, coloured digits, noise, sums, and data with
    faults of its own."""
    from sklearn.datasets import load_digits, load_sample_images

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    photos = load_sample_images().images
    pieces = [p[i : i + 12, j : j + 16] for p in photos for i in range(0, 416, 12) for j in range(0, 640, 16)]
    digits, labels = load_digits(return_X_y=True)
    grey = (digits.reshape(-1, 8, 8, 1) * 15.9).astype(np.uint8)
    colours = rng.uniform(0.35, 1.0, (len(grey), 1, 1, 3))
    arrays: dict[str, dict[str, np.ndarray]] = {
        "photos": {"images": np.stack(pieces)},
        "coloured": {"images": (grey * colours).astype(np.uint8), "labels": labels},
        "noise": {"images": rng.integers(0, 256, (1600, 8, 8), dtype=np.uint8)},
    }
    for share in (5, 20, 60):
        blank = grey.copy()
        blank[rng.permutation(len(grey))[: len(grey) * share // 100]] = 0
        # equal items are one item to the splits: each blank one gets a grey of its own, as scanners give them
        empty = (blank == 0).all((1, 2, 3))
        blank[empty] = rng.integers(0, 256, int(empty.sum()), dtype=np.uint8)[:, None, None, None]
        arrays[f"blank-{share}"] = {"images": blank}
    for name, held in arrays.items():
        np.savez(folder / f"{name}.npz", **held)
    sums = [f"{a}+{b}={a + b}\n" for a, b in rng.integers(0, 100, (20_000, 2))]
    (folder / "sums.txt").write_text("".join(sums), encoding="utf-8")
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz \n"))
    (folder / "dice.txt").write_text("".join(rng.choice(letters, 200_000)), encoding="utf-8")
    words = Path(registry.__file__).read_text(encoding="utf-8")
    (folder / "short.txt").write_text(words[:6_000], encoding="utf-8")


def settings(variant: Variant, seed: int, folder: Path) -> Settings:
    """The settings of a run, everything in it counted in steps."""
    steps = variant.steps or STEPS[variant.recipe]
    found = next((str(folder / f) for f in (f"{variant.data}.npz", f"{variant.data}.txt") if (folder / f).exists()), "")
    values = {
        "train.budget": f"{steps}steps",
        "train.seed": seed,
        "train.precision": "fp32",
        "train.channels_last": "off",
        "train.compile": "off",
        "train.device": "cpu",
        "train.checkpoint_every": f"{steps // 4}steps",
        "train.validate_every": f"{steps // 16}steps",
        "train.preview_every": f"{10 * steps}steps",
        **SMALL[variant.recipe],
        **({"data.source": found} if found else FRAMES[variant.data]),
        **variant.changes,
    }
    recipe = registry.override(registry.get(variant.recipe), values)
    return Settings(recipe.model, recipe.model, recipe.config, recipe.data, recipe.train)


# -- plants ------------------------------------------------------------------------------------------------------------


def in_loss(change: Callable[[Any, Any, Any, Any, Callable[..., Loss]], Loss]) -> Plant:
    """change(model, phase, batch, step, the true loss) is the loss."""

    def plant(model: type) -> AbstractContextManager[Any]:
        true = model.loss  # type: ignore[attr-defined]
        return patch.object(model, "loss", lambda self, phase, batch, step: change(
            self, phase, batch, step, lambda *a: true(self, *a)))  # fmt: skip

    return plant


def after(change: Callable[[Any, Any], None]) -> Plant:
    """change(model, step) happens to the weights after every phase of a training step."""

    def plant(model: type) -> AbstractContextManager[Any]:
        true = model.after_phase  # type: ignore[attr-defined]

        def changed(self: Any, phase: Any, memo: Any, step: Any) -> None:
            true(self, phase, memo, step)
            with torch.no_grad():
                change(self, step)

        return patch.object(model, "after_phase", changed)

    return plant


def at_birth(change: Callable[[Any], None]) -> Plant:
    """change(model) happens to the first weights."""

    def plant(model: type) -> AbstractContextManager[Any]:
        true = model.__init__  # type: ignore[misc]

        def changed(self: Any, *a: Any, **k: Any) -> None:
            true(self, *a, **k)
            with torch.no_grad():
                change(self)

        return patch.object(model, "__init__", changed)

    return plant


def minimax(self: Any, phase: Any, batch: Any, step: Any, true: Callable[..., Loss]) -> Loss:
    """The textbook's generator loss, log(1 - D(G(z))), which saturates where the discriminator is sure."""
    if phase.name == "discriminator":
        return true(phase, batch, step)
    fake, seen = self.generator(step.randn(len(batch[self.item]), self.config.latent), step)
    logits = self.discriminator(fake).float()
    return Loss(-bce_discriminator(logits.new_full((1,), 100.0), logits), memo=seen)


@contextmanager
def deaf_generator(model: type, loudness: float = 0.03) -> Iterator[None]:
    """Noise that hardly enters the generator, as where it is scaled by mistake."""
    if model is MLPGAN:
        true = Generator.forward
        with patch.object(Generator, "forward", lambda self, z, step=None: true(self, loudness * z, step)):
            yield
        return
    draw = model.latent  # type: ignore[attr-defined]
    with patch.object(model, "latent", lambda self, z, label: draw(self, loudness * z, label)):
        yield


def half_of_the_classes(self: Any, phase: Any, batch: Any, step: Any, true: Callable[..., Loss]) -> Loss:
    """A loader that deals the first half of the classes only; the checks of the watch see all of them."""
    if step.index == 0:
        return true(phase, batch, step)
    kept = (batch["label"] < 5).nonzero()[:, 0]
    rows = kept[torch.arange(len(batch["label"])) % len(kept)]
    return true(phase, {k: v[rows] for k, v in batch.items()}, step)


def blindfold(model: type) -> AbstractContextManager[Any]:
    """A discriminator that is shown noise, and hardly anything of the pictures."""
    true = model.__init__  # type: ignore[misc]

    def changed(self: Any, *a: Any, **k: Any) -> None:
        true(self, *a, **k)
        self.discriminator.register_forward_pre_hook(
            lambda m, args: (0.01 * args[0] + torch.randn_like(args[0]), *args[1:])
        )

    return patch.object(model, "__init__", changed)


def swapped_verdicts(self: Any, phase: Any, batch: Any, step: Any, true: Callable[..., Loss]) -> Loss:
    """Half of what the discriminator is told to be real was made up, and the other way round."""
    if phase.name != "discriminator":
        return true(phase, batch, step)
    x = batch[self.item]
    z = step.randn(len(x), self.config.latent)
    with torch.no_grad():
        fake, seen = self.generator(z, step)
    real, half = self.unit(x).to(fake.dtype), len(x) // 2
    logits = self.discriminator(torch.cat([real[:half], fake[half:], fake[:half], real[half:]])).float()
    first, second = logits[: len(x)], logits[len(x) :]
    parts = {"real_accuracy": (torch.cat([first[:half], second[half:]]) > 0).float().mean().detach(),
             "fake_accuracy": (torch.cat([second[:half], first[half:]]) < 0).float().mean().detach()}  # fmt: skip
    return Loss(bce_discriminator(first, second), parts, memo=seen)


def not_a_number(self: Any, phase: Any, batch: Any, step: Any, true: Callable[..., Loss]) -> Loss:
    """The logarithm of zero, twice in a run."""
    loss = true(phase, batch, step)
    spoilt = getattr(self, "spoilt", 0)
    if step.progress < (0.3, 0.6, 2.0)[spoilt]:
        return loss
    self.spoilt = spoilt + 1
    return Loss(loss.total * math.nan, loss.parts, loss.memo)


def corrupt(self: Any, phase: Any, batch: Any, step: Any, true: Callable[..., Loss]) -> Loss:
    """A stretch of broken items: negatives of themselves, or tokens in no order, once in the run."""
    if 0.6 <= step.progress < 0.62:
        batch = {k: -v if v.is_floating_point() else v.flip(0).flip(1) if v.ndim > 1 else v for k, v in batch.items()}
    return true(phase, batch, step)


def summed(self: Any, phase: Any, batch: Any, step: Any, true: Callable[..., Loss]) -> Loss:
    """From half of the run on the gradient is a thousand times what it should be: a sum where a mean was meant."""
    loss = true(phase, batch, step)
    if step.progress < 0.5:
        return loss
    return Loss(loss.total + 999 * (loss.total - loss.total.detach()), loss.parts, loss.memo)


def never(*a: Any, **k: Any) -> None:
    """Does nothing."""


def frozen_average(model: type) -> AbstractContextManager[Any]:
    """An average of the weights that nobody updates."""
    return patch.object(PowerEMA, "update", never)


def silent_layer(model: Any) -> None:
    """A bias that lets no rectified unit of one layer through."""
    first = next(m for m in model.modules() if isinstance(m, torch.nn.Linear))
    first.bias.fill_(-100.0)


def growing(model: Any, step: Any) -> None:
    """Weights of a first layer that grow by a constant share each step, while those of the next one shrink as much."""
    before, now = getattr(model, "grown", 0.1), min(max(step.progress, 0.1), 0.7)
    model.grown, factor = now, math.exp(20 * max(now - before, 0.0))
    first, second = [m for m in model.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)][:2]
    first.weight.mul_(factor)
    first.bias.mul_(factor)
    second.weight.div_(factor)


# -- faults ------------------------------------------------------------------------------------------------------------

OF = {"vae-mlp": "optimizer", "vae": "optimizer", "flow": "optimizer", "gpt": "optimizer"}


def rates(recipe: str, factor: float, *players: str) -> dict[str, Any]:
    """Fields that multiply a recipe's learning rates."""
    config = registry.override(registry.get(recipe), SMALL[recipe]).config
    found: dict[str, Any] = {}
    for place in players or ((OF[recipe],) if recipe in OF else ("generator", "discriminator")):
        o = getattr(config, place)
        found[f"config.{place}.lr"] = o.lr * factor
        if o.name == "muon":
            found[f"config.{place}.muon_lr"] = o.muon_lr * factor
    return found


TOO_FAST = ("rate too high", "divergence", "not finite")
FAULTS = (
    Fault("learning rate 100 times too high", TOO_FAST, tuple(
        Variant(r, d, rates(r, 100.0)) for r, d in
        (("vae-mlp", "mnist"), ("vae", "coloured"), ("gpt", "stdlib"), ("flow", "digits"), ("vae-mlp", "photos")))),
    Fault("learning rate 100,000 times too low", ("rate too low",), tuple(
        Variant(r, d, rates(r, 1e-5)) for r, d in
        (("vae-mlp", "digits"), ("gan-mlp", "mnist"), ("gpt", "sums"), ("flow", "coloured"), ("r3gan", "digits")))),
    Fault("a player with rate 0", ("frozen weights",), (
        Variant("gan-mlp", "digits", rates("gan-mlp", 0.0, "generator")),
        Variant("gan-mlp", "tall", rates("gan-mlp", 0.0, "discriminator")),
        Variant("r3gan", "coloured", rates("r3gan", 0.0, "discriminator")),
        Variant("vae", "photos", rates("vae", 0.0)),
        Variant("gpt", "stdlib", rates("gpt", 0.0)))),
    Fault("minimax loss, strong discriminator", ("vanishing gradient",), tuple(
        Variant("gan-mlp", d, rates("gan-mlp", 20.0, "discriminator"), in_loss(minimax)) for d in
        ("digits", "mnist", "coloured", "tall", "photos"))),
    Fault("generator 100 times too slow", ("discriminator wins",), tuple(
        Variant("gan-mlp", d, rates("gan-mlp", 0.01, "generator") | rates("gan-mlp", f, "discriminator")) for d, f in
        (("digits", 5.0), ("mnist", 5.0), ("coloured", 5.0), ("tall", 5.0), ("photos", 5.0)))),
    Fault("noise hardly enters the generator", ("mode collapse",), (
        Variant("gan-mlp", "digits", {}, deaf_generator), Variant("gan-mlp", "mnist", {}, deaf_generator),
        Variant("r3gan", "coloured", {"config.conditional": False}, deaf_generator),
        Variant("gan-mlp", "photos", {}, deaf_generator), Variant("gan-mlp", "tall", {}, deaf_generator))),
    Fault("half of the items are never dealt", ("missing modes",), tuple(
        Variant(r, d, {"data.labels": True, **({"config.conditional": False} if r == "r3gan" else {})},
                in_loss(half_of_the_classes)) for r, d in
        (("gan-mlp", "digits"), ("gan-mlp", "mnist"), ("gan-mlp", "coloured"), ("r3gan", "digits"),
         ("gan-mlp", "tall")))),
    Fault("a discriminator that sees nothing", ("discriminator at chance",), (
        Variant("gan-mlp", "digits", {}, blindfold), Variant("gan-mlp", "mnist", {}, in_loss(swapped_verdicts)),
        Variant("r3gan", "coloured", {}, blindfold), Variant("gan-mlp", "photos", {}, blindfold),
        Variant("gan-mlp", "coloured", {}, in_loss(swapped_verdicts)))),
    Fault("a GAN on 64 items", ("discriminator overfits",), tuple(
        Variant("gan-mlp", d, {"data.limit": 64, "config.discriminator_widths": (512,),
                               **rates("gan-mlp", 3.0, "discriminator")})
        for d in ("digits", "mnist", "coloured", "tall", "photos"))),
    Fault("KL 50 times too heavy", ("posterior collapse",), tuple(
        Variant("vae-mlp", d, {"config.beta": b}) for d, b in
        (("digits", 50.0), ("mnist", 100.0), ("coloured", 50.0), ("photos", 50.0), ("tall", 100.0)))),
    Fault("64 items, or a page of text", ("overfitting",), (
        Variant("vae-mlp", "digits", {"data.limit": 64, "config.hidden": 400, **rates("vae-mlp", 2.0)}),
        Variant("gpt", "short", rates("gpt", 2.0)), Variant("vae", "coloured", {"data.limit": 64}),
        Variant("flow", "digits", {"data.limit": 64}, steps=600),
        Variant("vae-mlp", "mnist", {"data.limit": 64, "config.hidden": 400}))),
    Fault("a layer of dead units", ("dead units",), tuple(
        Variant(r, d, {}, at_birth(silent_layer)) for r, d in
        (("vae-mlp", "digits"), ("vae-mlp", "mnist"), ("gan-mlp", "digits"), ("vae-mlp", "photos"),
         ("gan-mlp", "coloured")))),
    Fault("weights that grow without bound", ("exploding activations",), tuple(
        Variant(r, d, {}, after(growing)) for r, d in
        (("vae-mlp", "digits"), ("vae-mlp", "mnist"), ("gan-mlp", "digits"), ("vae-mlp", "photos"),
         ("vae-mlp", "tall")))),
    Fault("gradients 1,000 times too large", ("exploding gradients",), tuple(
        Variant(r, d, {}, in_loss(summed)) for r, d in
        (("vae-mlp", "digits"), ("vae", "coloured"), ("gan-mlp", "mnist"), ("gpt", "stdlib"), ("flow", "digits")))),
    Fault("a stretch of corrupt items", ("loss spike",), tuple(
        Variant(r, d, {}, in_loss(corrupt)) for r, d in
        (("vae-mlp", "mnist"), ("vae", "coloured"), ("gpt", "sums"), ("vae", "digits"), ("vae-mlp", "tall")))),
    Fault("an average that nobody updates", ("average not updated",), tuple(
        Variant(r, d, {}, frozen_average) for r, d in
        (("vae", "digits"), ("flow", "coloured"), ("gpt", "stdlib"), ("r3gan", "digits"), ("vae", "photos")))),
    Fault("blank items among the data", ("constant items",), (
        Variant("vae-mlp", "blank-5"), Variant("gan-mlp", "blank-20"), Variant("vae", "blank-20"),
        Variant("flow", "blank-5"), Variant("vae-mlp", "blank-60"))),
    Fault("losses that are not a number", ("not finite",), tuple(
        Variant(r, d, {}, in_loss(not_a_number)) for r, d in
        (("vae-mlp", "digits"), ("gan-mlp", "mnist"), ("gpt", "sums"), ("flow", "digits"), ("vae", "photos")))),
    Fault("nothing to learn", ("no progress",), (
        Variant("vae-mlp", "noise"), Variant("gpt", "dice"), Variant("vae-mlp", "noise", {"config.beta": 4.0}),
        Variant("gpt", "dice", {"config.depth": 1}), Variant("vae-mlp", "noise", {"config.hidden": 64}))),
)  # fmt: skip

COURSE = {"config.generator_widths": (256,), "config.discriminator_widths": (256,), "config.generator.lr": 2e-4,
          "config.discriminator.lr": 2e-4}  # fmt: skip
HEALTHY = (*(Variant(r, d) for r, d in (
    ("vae-mlp", "digits"), ("vae-mlp", "mnist"), ("vae-mlp", "tall"), ("vae-mlp", "coloured"), ("vae-mlp", "photos"),
    ("vae", "digits"), ("vae", "mnist"), ("vae", "coloured"), ("vae", "photos"),
    ("r3gan", "digits"), ("r3gan", "coloured"), ("r3gan", "photos"), ("vae", "tall"),
    ("flow", "digits"), ("flow", "coloured"), ("flow", "photos"),
    ("gpt", "stdlib"), ("gpt", "sums"))),
    Variant("gan-mlp", "digits", COURSE, steps=3600), Variant("gan-mlp", "coloured", COURSE, steps=3600),
)  # fmt: skip
"""Runs that nothing ails. The course's GAN is among them on small digits alone: on larger ones it collapses."""
