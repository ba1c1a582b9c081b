"""What ails a run, read from its numbers: pure functions from a history to findings.

Each wants several readings in a row beyond a margin that grows with the noise of the series, and keeps silent where the
numbers at hand do not decide. Thresholds were set on healthy runs and on runs with planted faults; see docs/log.md.
Here stand those of any model; `symptoms_solo` has those of one player who minimises a loss, `symptoms_game` those of
players who judge each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genloom.engine.advice import Finding, Setting
from genloom.engine.history import IN_A_ROW, History, Series
from genloom.engine.symptoms_game import GAME
from genloom.engine.symptoms_solo import SOLO, dead_codes

Symptom = Callable[[History, Setting], Finding | None]


ROOTS = ("frozen weights", "rate too low", "rate too high", "divergence")
"""Findings from which others follow, of which nothing is said then."""


UNTAUGHT = ("vanishing gradient", "discriminator at chance")
FOLLOWS = {
    "mode collapse": UNTAUGHT,
    "missing modes": UNTAUGHT,
    "posterior collapse": ("dead units",),
    "overfitting": ("no progress",),
}
"""Of a finding nothing is said where one is there from which it follows: samples of a generator that is taught nothing
resemble each other, codes say nothing where a layer lets nothing through."""


def diagnose(h: History, s: Setting) -> list[Finding]:
    """All that can be seen now."""
    found = [f for symptom in COMMON if (f := symptom(h, s)) is not None]
    if any(f.name in ROOTS for f in found):
        return found
    for symptom in SOLO if s.solo else GAME:
        if (f := symptom(h, s)) is not None and not any(x.name in FOLLOWS.get(f.name, ()) for x in found):
            found.append(f)
    return found


def not_finite(h: History, s: Setting) -> Finding | None:
    """Rolled back from NaN or infinity."""
    events = [(step, text) for step, text in h.events if "not finite" in text]
    if not events:
        return None
    times = "once" if len(events) == 1 else f"{len(events)} times"
    return Finding(
        "not finite",
        f"{events[-1][1]}; rolled back {times}, the rate is now {0.5 ** len(events):g} of what was asked for",
        "the learning rate is too high for this model and data, or an item holds extreme values",
        s.slower() + s.clip(),
        "serious" if len(events) >= 3 else "warning",
    )


def constant_items(h: History, s: Setting) -> Finding | None:
    """Items without content."""
    share = h["watch/constant_items"]
    if not len(share) or share.last < 0.02:
        return None
    return Finding(
        "constant items",
        f"{share.last:.0%} of training items hold one value everywhere",
        "blank or broken files, or a conversion that lost the content",
        "look at them with `genloom data show`, and take the blank ones out",
        "serious" if share.last > 0.5 else "warning",
    )


def frozen(h: History, s: Setting) -> Finding | None:
    """A player whose weights do not move, or so little that the run ends where it began."""
    if h.progress < 0.1:
        return None
    end = 0.95 * h.step / h.progress  # at the very end a rate may be too low to change anything
    for player in s.players:
        moved = h[f"watch/moved/{player}"].until(end)
        if len(moved) < IN_A_ROW:
            continue
        if not moved.recent(IN_A_ROW).any():
            rate, gradient = h[f"rate/{player}"], h[f"gradient/{player}"]
            if not s.solo and faded(gradient) and (not len(rate) or rate.last > 0):
                continue  # it was taught once: `symptoms_game` says by whom no longer
            if len(rate) and rate.last == 0:
                likely, cure = "its learning rate is 0", s.faster(player)
            elif len(gradient) and not gradient.recent(IN_A_ROW).any():
                likely, cure = "no gradient reaches it", "look at its loss: something there cuts the gradient off"
            else:
                likely, cure = "its steps are too small to change a weight at all", s.faster(player)
            seen = f"the weights of {player} have not changed for {IN_A_ROW} readings"
            return Finding("frozen weights", seen, likely, cure, "serious")
        total = max(moved.values) * h.step / h.progress
        if total < 0.01:
            return Finding(
                "rate too low", f"at this pace the weights of {player} change by {total:.2g} of their size in the run",
                "the learning rate is far too low: the run will end where it began", s.faster(player), "serious",
            )  # fmt: skip
    return None


def faded(gradient: Series) -> bool:
    """Whether a gradient that was there has become nothing."""
    return len(gradient) >= IN_A_ROW and gradient.recent(IN_A_ROW).max() < 1e-6 * max(gradient.values)


THROWN = 0.1
"""Weights that move by so much of their size a step have soon lost what they began with; healthy runs of every recipe
here stay below a third of it."""


def rate_too_high(h: History, s: Setting) -> Finding | None:
    """Steps so large that a few of them replace the weights. What such weights do afterwards differs: units fall
    silent, codes say nothing, values grow, or the loss stops far above what the model can reach."""
    for player in s.players:
        moved = h[f"watch/moved/{player}"]
        if not len(moved) or h.progress < 0.05 or (most := max(moved.values)) < THROWN:
            continue
        at = moved.steps[moved.values.index(most)]
        tenth = s.rates(0.1, player)
        return Finding(
            "rate too high",
            f"the weights of {player} moved by {most:.0%} of their size a step before step {at:,}",
            "the learning rate is far too high: the first weights, from which learning is easy, were thrown away",
            f"a tenth of the rate: {tenth}" if tenth else "a tenth of the rate",
            "serious",
        )
    return None


def average_stuck(h: History, s: Setting) -> Finding | None:
    """The average stands still while the weights move."""
    average = h["watch/moved/average"]
    moving = [h[f"watch/moved/{p}"] for p in s.players]
    if len(average) < IN_A_ROW or average.recent(IN_A_ROW).any():
        return None
    if not any(len(m) >= IN_A_ROW and m.recent(IN_A_ROW).all() for m in moving):
        return None
    return Finding(
        "average not updated",
        f"the averaged weights have not changed for {IN_A_ROW} readings while the weights did",
        "samples and evaluation use weights that do not learn",
        "use the trained weights (--raw with sample and evaluate), or train without an average (--train.ema 0)",
        "serious",
    )


def dead_units(h: History, s: Setting) -> Finding | None:
    """Rectifiers that let nothing through for any item."""
    dead = h["watch/dead_units"]
    if len(dead) < IN_A_ROW or dead.recent(IN_A_ROW).min() < 0.97:
        return None
    return Finding(
        "dead units",
        f"{dead.last:.0%} of a layer's units are zero for every one of the items looked at",
        "steps so large that rectified units fell silent for good; their weights get no gradient any more",
        s.slower() + s.clip(),
        "serious" if dead.last > 0.99 else "warning",
    )


def exploding_activations(h: History, s: Setting) -> Finding | None:
    """Values inside the network that grow without bound."""
    largest = h["watch/largest_activation"]
    if len(largest) < IN_A_ROW + 1 or largest.recent(IN_A_ROW).min() < max(1e4, 30 * largest.values[0]):
        return None
    return Finding(
        "exploding activations",
        f"the largest value inside the network is {largest.last:.2g}; it was {largest.values[0]:.2g}",
        "weights grow without bound; losses will soon stop being finite",
        s.slower() + s.clip(),
        "serious",
    )


def divergence(h: History, s: Setting) -> Finding | None:
    """A loss beyond where it began, or on its way back there."""
    for phase, player in s.phases:
        loss, start = h[f"loss/{phase}"], h[f"watch/start/{phase}"]
        began = start.last if len(start) else 0.0
        if len(loss) < 6 or h.progress < 0.05:
            continue
        least = float(loss.recent(IN_A_ROW).min())
        seen = ""
        if s.solo and len(start) and least > began + 0.2 * abs(began) + 3 * loss.noise():
            seen = f"the training loss is {loss.last:.4g}; before the first step it was {began:.4g}"
        elif least > 1e3 * max(1.0, abs(began)):
            seen = f"the loss of phase {phase} is {loss.last:.2g}"
        elif s.solo and (best := climbed_back(loss)) is not None:
            seen = f"the training loss is {loss.last:.4g}; it was {best[1]:.4g} at step {best[0]:,}"
        if seen:
            cure = s.slower(player) + s.clip(player)
            return Finding("divergence", seen, "the learning rate is too high", cure, "serious")
    return None


def climbed_back(loss: Series) -> tuple[int, float] | None:
    """(step, value) of the best mean of three readings, where the loss has since lost half of what it had gained."""
    if len(loss) < 12:
        return None
    smooth = np.convolve(loss.values, np.ones(3) / 3, "valid")
    at = int(smooth.argmin())
    best, start = float(smooth[at]), float(np.max(loss.values[:2]))
    if len(smooth) - at <= 2 * IN_A_ROW:
        return None
    worst = float(loss.recent(IN_A_ROW).min())
    return (loss.steps[at + 1], best) if worst > best + 0.5 * (start - best) + 10 * loss.noise() else None


def exploding_gradients(h: History, s: Setting) -> Finding | None:
    """Gradients a hundred times as large as they were."""
    for player in s.players:
        norm = h[f"gradient/{player}"]
        if len(norm) < 12 or h.progress < 0.05:
            continue
        before, now = float(np.median(norm.values[:-IN_A_ROW])), float(norm.recent(IN_A_ROW).min())
        if before > 0 and now > 100 * before:
            return Finding(
                "exploding gradients", f"the gradient norm of {player} is {norm.last:.3g}; it used to be {before:.3g}",
                "training is about to diverge", s.slower(player) + s.clip(player), "serious",
            )  # fmt: skip
    return None


COMMON: tuple[Symptom, ...] = (
    not_finite, constant_items, frozen, rate_too_high, average_stuck, dead_units, exploding_activations,
    exploding_gradients, divergence, dead_codes,
)  # fmt: skip
