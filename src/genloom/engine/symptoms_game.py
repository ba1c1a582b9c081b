"""What ails a game of two players, one of whom judges what the other makes: GANs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from genloom.engine.advice import Finding, Setting
from genloom.engine.history import IN_A_ROW, History, Series, before, improves, lasting


def judges(h: History, s: Setting) -> Iterator[tuple[str, str, str, dict[str, Series]]]:
    """(phase, player, opponent, accuracies) of every player who reports how often it is right."""
    for phase, player in s.phases:
        found = h.ending("_accuracy", f"{phase}/")
        opponent = next((p for p in s.players if p != player), "")
        if found and opponent:
            yield phase, player, opponent, {k.removeprefix(f"{phase}/"): v for k, v in found.items()}


def discriminator_wins(h: History, s: Setting) -> Finding | None:
    """The judge is always right. Many a good game begins like that: only a gradient that has vanished is called before
    half of the run."""
    for _, player, opponent, accuracies in judges(h, s):
        windows = [lasting(a, h, 8, 0.3) for a in accuracies.values()]
        if h.progress < 0.3 or not all(w is not None and w.min() > 0.9 for w in windows):
            continue
        gradient = h[f"gradient/{opponent}"]
        right = ", ".join(f"{k.replace('_', ' ')} {a.last:.1%}" for k, a in accuracies.items())
        if len(gradient) >= 8:
            once, now = float(np.max(gradient.values[: len(gradient) // 2])), float(np.median(gradient.recent(5)))
            if now < 0.02 * once and all(a.recent(5).mean() > 0.99 for a in accuracies.values()):
                return Finding(
                    "vanishing gradient",
                    f"{right}; the gradient of {opponent} has fallen from {once:.2g} to {now:.2g}",
                    f"{player} is perfect, and its verdict no longer tells {opponent} what to change",
                    s.weaker(player, opponent),
                    "serious",
                )
        if h.progress < 0.5:
            continue
        despair = [lasting(h[f"loss/{p}"], h, 8, 0.3) for p, who in s.phases if who == opponent]
        if any(w is not None and w.min() > 10 for w in despair):
            return Finding(
                "discriminator wins",
                f"{right}; the loss of {opponent} has been above 10 for a third of the run",
                f"{player} is far too sure of itself for {opponent} to learn from it",
                s.weaker(player, opponent),
            )
        if not all(w is not None and w.min() > 0.99 for w in windows):
            continue
        # a judge may be right and still teach: then samples get better, by more than a little where it is very sure
        sure = any(w is not None and w.min() > 4 for w in despair)
        if improves(h["monitor"], h, 0.3, 0.15 if sure else 0.02) is not False:
            continue
        return Finding(
            "discriminator wins", f"{right} for a third of the run, and samples have hardly become better",
            f"{player} tells every sample from real items; {opponent} cannot keep up",
            s.weaker(player, opponent),
        )  # fmt: skip
    return None


def discriminator_at_chance(h: History, s: Setting) -> Finding | None:
    """The judge guesses, or is wrong more often than right: half of its verdicts on real items and half of those on
    samples (their mean, since a judge that calls everything real has learnt nothing either)."""
    for _, player, opponent, accuracies in judges(h, s):
        windows = [lasting(a, h, 8, 0.2) for a in accuracies.values()]
        if h.progress < 0.15 or any(w is None for w in windows):
            continue
        balanced = np.mean(np.stack([w[-8:] for w in windows if w is not None]), 0)
        if balanced.mean() > 0.52 or balanced.max() > 0.6:
            continue
        return Finding(
            "discriminator at chance",
            f"{player} is right {balanced.mean():.1%} of the time, for the last fifth of the run",
            f"its verdict says little: {player} is too weak or does not learn, or {opponent} goes too fast for it",
            s.stronger(player, opponent),
        )  # fmt: skip
    return None


def discriminator_overfits(h: History, s: Setting) -> Finding | None:
    """The judge knows its training items by heart."""
    for phase, player, opponent, accuracies in judges(h, s):
        for name in accuracies:
            train, held = (h[f"watch/{side}/{phase}/{name}"] for side in ("train", "held-out"))
            n = h[f"watch/n/{phase}"]
            if name == "fake_accuracy" or min(len(train), len(held), len(n)) < IN_A_ROW:
                continue
            known, unknown = train.recent(5), held.recent(5)
            gap = known - unknown
            share = np.clip(np.array([known.mean(), unknown.mean()]), 0.02, 0.98)
            error = float((share * (1 - share)).sum() / n.last) ** 0.5  # of a gap: the same items are asked every time
            if gap.mean() < 0.1 + 2.5 * error or gap[-IN_A_ROW:].min() < 0.1:
                continue
            return Finding(
                "discriminator overfits",
                f"{name.replace('_', ' ')}: {train.last:.0%} on training items, {held.last:.0%} on held-out ones",
                f"{player} knows its {s.items:,} items by heart; {opponent} is pushed to copy them",
                s.more_data() + s.decay(player),
            )
    return None


def mode_collapse(h: History, s: Setting) -> Finding | None:
    """Samples resemble each other more than real items do, and are not on the way to vary more: the samples of a
    generator that has only begun look just like that."""
    if not settled(h):
        return None
    diversity, twins = h["watch/diversity"], h["watch/twins"]
    if h.progress > 0.5 and diversity.recent(IN_A_ROW).max() < 0.5:
        seen = f"samples lie {diversity.last:.2f} times as far apart as real items"
    elif h.progress > 0.3 and twins.recent(IN_A_ROW).min() > 0.5:
        seen = f"{twins.last:.0%} of samples have a near twin among {s.samples} samples"
    else:
        return None
    likely = "the generator makes few different items, whatever noise it is given"
    return Finding("mode collapse", seen, likely, s.diversify(first_judge(h, s)), "serious")


def missing_modes(h: History, s: Setting) -> Finding | None:
    """Samples leave whole groups of real items out, and no fewer of them as time goes on. Said beside a collapse too:
    a generator that repeats itself may do so everywhere or in one corner."""
    lost = h["watch/lost"]
    earlier = before(lost, h, 0.3)
    falling = len(earlier) > 0 and lost.recent(IN_A_ROW).mean() < 0.8 * earlier.recent(IN_A_ROW).mean()
    if h.progress <= 0.5 or len(lost) < IN_A_ROW or lost.recent(IN_A_ROW).min() <= 0.3 or falling or not settled(h):
        return None
    seen = f"groups that hold {lost.last:.0%} of the real items get less than a fifth of their share of samples"
    return Finding("missing modes", seen, "the generator leaves parts of the data out", s.diversify(first_judge(h, s)))


def settled(h: History) -> bool:
    """Whether the variety of samples is known and no longer on its way up. Before three quarters of the run also
    whether some have near twins, and their quality no longer rises: a generator that has only begun makes things
    much alike, but no twins, and may do so for half of a run."""
    diversity, twins = h["watch/diversity"], h["watch/twins"]
    earlier = before(diversity, h, 0.15)
    if len(diversity) < IN_A_ROW or not len(earlier) or diversity.last > 1.1 * earlier.last:
        return False
    return h.progress >= 0.75 or (twins.recent(IN_A_ROW).min() > 0.1 and not improves(h["monitor"], h, 0.25))


def first_judge(h: History, s: Setting) -> str:
    """The player whose penalties keep the generator varied."""
    return next((player for _, player, _, _ in judges(h, s)), s.players[0])


def samples_get_worse(h: History, s: Setting) -> Finding | None:
    """The monitor of samples has been better, by far and for long."""
    monitor = h["monitor"]
    if s.monitor == "validation" or len(monitor) < 8 or h.progress < 0.2:
        return None
    at, best = monitor.lowest()
    if len(monitor) - 1 - at < IN_A_ROW or monitor.recent(IN_A_ROW).min() < 1.5 * best + 4 * monitor.noise():
        return None
    return Finding(
        "samples get worse",
        f"distance of samples from held-out items {monitor.last:.3g}; it was {best:.3g} at step {monitor.steps[at]:,}",
        "the game has left its balance",
        s.slower() + s.shorter(monitor.steps[at]),
    )


def oscillation(h: History, s: Setting) -> Finding | None:
    """The quality of samples swings to and fro."""
    monitor = h["monitor"]
    if s.monitor == "validation" or len(monitor) < 10 or h.progress < 0.3:
        return None
    recent = monitor.recent(10)
    turns = [recent[0]]
    for a, b, c in zip(recent, recent[1:], recent[2:], strict=False):
        if (b - a) * (c - b) < 0:
            turns.append(b)
    turns.append(recent[-1])
    swings = np.abs(np.diff(turns)) / np.minimum(turns[1:], turns[:-1])
    if (swings > 0.5).sum() < 4:
        return None
    return Finding(
        "oscillation",
        f"the distance of samples from held-out items swings between {recent.min():.3g} and {recent.max():.3g}",
        "the players chase each other instead of settling",
        s.slower(),
    )


GAME = (
    discriminator_wins, discriminator_at_chance, discriminator_overfits, mode_collapse, missing_modes,
    samples_get_worse, oscillation,
)  # fmt: skip
