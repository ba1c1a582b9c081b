"""What ails one player who minimises a loss: VAEs, flows, language models."""

from __future__ import annotations

import numpy as np

from genloom.engine.advice import Finding, Setting
from genloom.engine.history import IN_A_ROW, History, Series, before, lasting


def no_progress(h: History, s: Setting) -> Finding | None:
    """The loss is where it began; not said of runs that began with another run's weights."""
    loss, start = h[f"loss/{s.phase}"], h[f"watch/start/{s.phase}"]
    if not h["watch/fresh"].values or not len(start) or h.progress < 0.2 or len(loss) < 10:
        return None
    began, now = start.last, float(np.median(loss.recent(5)))
    if now < began - max(3 * loss.noise(), 0.01 * abs(began)):
        return None
    return Finding(
        "no progress",
        f"the loss was {began:.4g} before the first step and is {now:.4g} after {h.progress:.0%} of the run",
        "the rate is far too high or too low, or the data holds nothing that this model can learn",
        s.slower() + "; or " + s.faster(),
        "serious",
    )


def loss_spike(h: History, s: Setting) -> Finding | None:
    """A sudden jump of the loss."""
    loss = h[f"loss/{s.phase}"]
    if len(loss) < 14 or h.progress < 0.05:
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
    """Held-out loss rises while training loss falls; or what is still learnt is nearly all about the training items."""
    return learnt_by_heart(h, s) or learns_by_heart(h, s)


def learnt_by_heart(h: History, s: Setting) -> Finding | None:
    """Held-out loss has been lower."""
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
    return by_heart(
        s, f"held-out loss {held.last:.4g}, best {best:.4g} at step {held.steps[at]:,}", beside, held.steps[at]
    )


def learns_by_heart(h: History, s: Setting) -> Finding | None:
    """Of all that was gained since the first step, a sixth or more is about the training items alone, and the last
    quarter of the run has given held-out items less than a fifth of what it gave those."""
    held, train, start = (h[f"watch/{k}/{s.phase}"] for k in ("held-out", "train", "start"))
    old_held, old_train = before(held, h, 0.25), before(train, h, 0.25)
    if h.progress < 0.5 or not len(start) or min(len(old_held), len(old_train)) < IN_A_ROW:
        return None
    now_held, now_train = (float(x.recent(IN_A_ROW).mean()) for x in (held, train))
    was_held, was_train = (float(x.recent(IN_A_ROW).mean()) for x in (old_held, old_train))
    apart = (
        held.values[-1] - train.values[-1] - (held.values[0] - train.values[0])
    )  # the two sets differ from the start
    gained, given = was_train - now_train, was_held - now_held
    if apart < (start.last - now_held) / 6 or gained < 4 * train.noise() or given > 0.2 * gained:
        return None
    seen = (
        f"in a quarter of the run held-out loss fell by {given:.2g} to {now_held:.4g}, that of training items by "
        f"{gained:.2g}"
    )
    return by_heart(s, seen, now_train, held.steps[-1])


def by_heart(s: Setting, seen: str, beside: float, step: int) -> Finding:
    """The finding, with what was seen of held-out items and the loss on training items beside it."""
    return Finding(
        "overfitting",
        f"{seen}; on training items it is {beside:.4g}",
        f"the model begins to learn its {s.items:,} training items by heart",
        s.regularise(step),
    )


def posterior_collapse(h: History, s: Setting) -> Finding | None:
    """The codes of a VAE say nothing about the items."""
    rate = next(iter(h.ending("/kl", f"{s.phase}/").values()), Series())
    window = lasting(rate, h, 8, 0.25)
    if window is None or h.progress < 0.35:  # many a VAE begins with a while in which its codes say nothing
        return None
    active, latents = h["watch/active_units"], h["watch/latents"]
    nats = float(np.median(window[-3:]))
    growing = nats > 1.5 * float(np.median(window[:3])) + 1e-3
    little = 1.0 if len(active) and active.last == 1 else 0.5  # one latent may be left with a nat of its own
    if window.max() > little or growing or (len(active) and active.recent(2).max() > 1):
        return None
    units = f"; {active.last:.0f} of {latents.last:.0f} latents are in use" if len(active) else ""
    return Finding(
        "posterior collapse",
        f"the codes carry {nats:.2g} nats an item{units}",
        "the decoder ignores its latents: every sample will look like the mean of the data",
        s.lighter_kl(),
        "serious",
    )


def dead_codes(h: History, s: Setting) -> Finding | None:
    """A codebook of which a batch needs next to nothing, and no more as time goes on."""
    used = next(iter(h.ending("/used", f"{s.phase}/").values()), Series())
    window = lasting(used, h, 8, 0.2)
    if window is None or h.progress < 0.3:
        return None
    share = float(np.median(window[-3:]))
    if share > 0.1 or share > 1.2 * float(np.median(window[:3])):
        return None
    spread = next(iter(h.ending("/perplexity", f"{s.phase}/").values()), Series())
    worth = f", worth {spread.last:.3g} equally frequent ones" if len(spread) else ""
    return Finding(
        "dead codes",
        f"a batch uses {share:.1%} of the codebook{worth}",
        "most codes are too far from all latents ever to be chosen: copies have few words",
        s.fewer_codes(),
    )


def reward_hacking(h: History, s: Setting) -> Finding | None:
    """A learnt reward rises while what it stands for cannot: answers grow alike, or strange to the untuned model."""
    worth, known, distinct = (
        next(iter(h.ending(f"/{name}", f"{s.phase}/").values()), Series()) for name in ("worth", "known", "distinct")
    )
    if len(worth) < 12 or h.progress < 0.3 or len(known) != len(worth) or len(distinct) != len(worth):
        return None

    def change(series: Series) -> float:
        return float(np.median(series.recent(4)) - np.median(series.values[:4]))

    if change(worth) < 3 * worth.noise():
        return None
    stranger = -change(known) > max(3 * known.noise(), 0.5)
    alike = -change(distinct) > max(3 * distinct.noise(), 0.25 * float(np.median(distinct.values[:4])))
    if not (stranger or alike):
        return None
    said = [f"{abs(change(known)):.2g} nats a token less likely to the model they began as"] if stranger else []
    said += [f"of {distinct.last:.0%} distinct pairs of tokens, before {distinct.values[0]:.0%}"] if alike else []
    return Finding(
        "reward hacking",
        f"the reward rose by {change(worth):.2g}, and answers are now {' and '.join(said)}",
        "the model finds what the reward model overrates instead of what it was taught to like",
        "stop earlier, hold it more tightly (--config.kl), or judge with a reward model of more pairs",
        "serious",
    )


SOLO = (no_progress, loss_spike, overfitting, posterior_collapse, reward_hacking)
