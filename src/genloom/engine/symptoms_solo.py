"""What ails one player who minimises a loss: VAEs, flows, language models."""

from __future__ import annotations

import numpy as np

from genloom.engine.advice import Finding, Setting
from genloom.engine.history import IN_A_ROW, History, Series


def no_progress(h: History, s: Setting) -> Finding | None:
    """The loss is where it began."""
    loss = h[f"loss/{s.phase}"]
    if "watch/fresh" not in h or h.progress < 0.2 or len(loss) < 12:
        return None
    before, now, noise = np.median(loss.values[:3]), np.median(loss.recent(5)), loss.noise()
    if abs(before - now) > 2 * noise + 1e-6 * abs(before):
        return None
    return Finding(
        "no progress",
        f"the loss was {before:.4g} in the first seconds and is {now:.4g} after {h.progress:.0%} of the run",
        "the rate is far too high or too low, or the data holds nothing that this model can learn",
        s.slower() + "; or " + s.faster(),
        "serious",
    )


def _diverged(loss: Series) -> tuple[int, float] | None:
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


def divergence(h: History, s: Setting) -> Finding | None:
    """The loss climbs back towards where it began."""
    loss = h[f"loss/{s.phase}"]
    found = _diverged(loss)
    if found is None:
        return None
    step, best = found
    return Finding(
        "divergence",
        f"the training loss is {loss.last:.4g}; it was {best:.4g} at step {step:,}",
        "the learning rate is too high",
        s.slower() + s.clip(),
        "serious",
    )


def loss_spike(h: History, s: Setting) -> Finding | None:
    """A sudden jump of the loss."""
    loss = h[f"loss/{s.phase}"]
    if len(loss) < 14 or _diverged(loss) is not None or h.progress < 0.05:
        return None
    for back in range(IN_A_ROW, 0, -1):
        before, value = Series(loss.steps[:-back], loss.values[:-back]), loss.values[-back]
        usual = float(np.median(before.recent(8)))
        gained = max(float(np.max(loss.values[:2])) - usual, 0.0)
        if value - usual > max(12 * before.noise(), 0.25 * gained, 1e-3 * abs(usual)):
            return Finding(
                "loss spike", f"the training loss jumped from {usual:.4g} to {value:.4g} at step {loss.steps[-back]:,}",
                "a batch met weights that a large step had just moved: the rate is near its limit",
                s.slower() + s.clip(), "note",
            )  # fmt: skip
    return None


def overfitting(h: History, s: Setting) -> Finding | None:
    """Held-out loss rises while training loss falls."""
    held, train = h[f"watch/held-out/{s.phase}"], h[f"watch/train/{s.phase}"]
    if len(held) < 6 or len(held) != len(train):
        held, train = h["monitor"], Series()
        if s.monitor != "validation" or len(held) < 6:
            return None
    at, best = held.lowest()
    after = held.values[at + 1 :]
    margin = max(3 * held.noise(), 0.01 * (max(held.values[:2]) - best))
    if len(after) < IN_A_ROW or min(after[-IN_A_ROW:]) < best + margin:
        return None
    if len(train):
        fallen = train.values[at] - float(train.recent(IN_A_ROW).mean())
        beside, noise = train.last, train.noise()
    else:
        loss = h[f"loss/{s.phase}"]
        earlier = [v for step, v in zip(loss.steps, loss.values, strict=True) if step <= held.steps[at]][-5:]
        if len(earlier) < 3 or len(loss) < 8:
            return None
        beside, noise = float(loss.recent(5).mean()), loss.noise()
        fallen = float(np.mean(earlier)) - beside
    if fallen <= 2 * noise:
        return None
    return Finding(
        "overfitting",
        f"held-out loss {held.last:.4g}, best {best:.4g} at step {held.steps[at]:,}; on training items {beside:.4g}",
        f"the model begins to learn its {s.items:,} training items by heart",
        s.regularise(held.steps[at]),
    )


def posterior_collapse(h: History, s: Setting) -> Finding | None:
    """The codes of a VAE say nothing about the items."""
    rate = next(iter(h.ending("/kl", f"{s.phase}/").values()), Series())
    if len(rate) < 8 or h.progress < 0.15:
        return None
    active, latents = h["watch/active_units"], h["watch/latents"]
    nats = float(rate.recent(5).max())
    if nats > 0.5 or (len(active) and active.recent(2).max() > 1):
        return None
    units = f"; {active.last:.0f} of {latents.last:.0f} latents are in use" if len(active) else ""
    return Finding(
        "posterior collapse",
        f"the codes carry {nats:.2g} nats an item{units}",
        "the decoder ignores its latents: every sample will look like the mean of the data",
        s.lighter_kl(),
        "serious",
    )


SOLO = (no_progress, divergence, loss_spike, overfitting, posterior_collapse)
