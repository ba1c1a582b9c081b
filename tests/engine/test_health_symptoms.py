"""Each symptom on histories made by hand: seen where the fault is planted, silent on the same history without it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from genloom.cli import parse
from genloom.engine.advice import Setting, flags_of, number, optimizers_of
from genloom.engine.history import MOST, History, Series, improves, lasting
from genloom.engine.symptoms import diagnose
from genloom.models.registry import model_class
from genloom.recipes import registry

N = 40
SOLO = Setting(phases=(("vae", "vae"),), items=100, flags={"config.beta": 4.0, "config.optimizer.lr": 1e-3},
               optimizers={"vae": "config.optimizer"})  # fmt: skip
GAME = Setting(phases=(("judge", "judge"), ("forge", "forge")), monitor="sliced-wasserstein", items=100, samples=256)

Curve = Callable[[float], float]


def history(curves: dict[str, Curve], noise: float = 0.01, n: int = N, end: float = 1.0, seed: int = 0) -> History:
    """A run of n rows: each curve is a function of progress in (0, end], with noise relative to its size."""
    h, rng = History([{"step": 0, "watch/fresh": 1.0}]), np.random.default_rng(seed)
    for i in range(1, n + 1):
        p = end * i / n
        sure = {
            k: 0.1 if k.endswith(("accuracy", "units")) else 1.0 for k in curves
        }  # shares of many items are nearly free of noise
        values = {k: c(p) * (1 + noise * sure[k] * rng.standard_normal()) for k, c in curves.items()}
        h.add({"step": 100 * i, "progress": p, **values})
    return h


def names(h: History, s: Setting) -> set[str]:
    return {f.name for f in diagnose(h, s)}


def learning(p: float) -> float:
    return 0.3 + 0.7 * math.exp(-8 * p)


HEALTHY_SOLO: dict[str, Curve] = {
    "loss/vae": learning,
    "gradient/vae": lambda p: 1 + p,
    "vae/kl": lambda p: 20 * (1 - math.exp(-20 * p)),
    "monitor": lambda p: learning(p) + 0.01,
    "watch/train/vae": learning,
    "watch/held-out/vae": lambda p: learning(p) + 0.01 + 0.01 * p,
    "watch/moved/vae": lambda p: 1e-3 * (1.01 - p),
    "watch/moved/average": lambda p: 9e-4 * (1.01 - p),
    "watch/dead_units": lambda p: 0.4,
    "watch/largest_activation": lambda p: 10 + 40 * p,
    "watch/active_units": lambda p: 12.0,
    "watch/latents": lambda p: 20.0,
    "watch/constant_items": lambda p: 0.0,
    "watch/start/vae": lambda p: 1.1,
    "rate/vae": lambda p: 1e-3 * (1 - p),
}
HEALTHY_GAME: dict[str, Curve] = {
    "loss/judge": lambda p: 0.9,
    "loss/forge": lambda p: 1.4,
    "gradient/judge": lambda p: 2.0,
    "gradient/forge": lambda p: 3.0,
    "judge/real_accuracy": lambda p: 0.8,
    "judge/fake_accuracy": lambda p: 0.85,
    "monitor": lambda p: 0.2 + 0.5 * math.exp(-5 * p),
    "watch/n/judge": lambda p: 256.0,
    "watch/train/judge/real_accuracy": lambda p: 0.8,
    "watch/held-out/judge/real_accuracy": lambda p: 0.77,
    "watch/diversity": lambda p: 0.85,
    "watch/twins": lambda p: 0.02,
    "watch/lost": lambda p: 0.3 * math.exp(-5 * p),
    "watch/moved/judge": lambda p: 1e-3,
    "watch/moved/forge": lambda p: 1e-3,
}


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("n", [5, 12, 25, 40, 120])
@pytest.mark.parametrize("end", [0.1, 0.5, 1.0])
def test_nothing_is_said_of_healthy_runs(noise: float, n: int, end: float) -> None:
    for seed in range(8):
        assert not names(history(HEALTHY_SOLO, noise, n, end, seed), SOLO)
        assert not names(history(HEALTHY_GAME, noise, n, end, seed), GAME)


def test_nothing_is_said_of_no_history() -> None:
    assert not diagnose(History(), SOLO)
    assert not diagnose(History(), GAME)


def turned(p: float) -> float:
    """Held-out loss that is best at 0.4 and rises after."""
    return learning(p) if p < 0.4 else learning(0.4) + 0.5 * (p - 0.4)


FAULTS: list[tuple[str, bool, dict[str, Curve]]] = [
    ("overfitting", True, {"watch/held-out/vae": turned, "monitor": turned}),
    ("dead codes", True, {"vae/used": lambda p: 0.02, "vae/perplexity": lambda p: 1.5}),
    ("posterior collapse", True, {"vae/kl": lambda p: 0.01, "watch/active_units": lambda p: 0.0}),
    ("divergence", True, {"loss/vae": lambda p: 5.0 - 3 * p}),
    ("divergence", True, {"loss/vae": lambda p: learning(p) if p < 0.5 else 0.9}),
    ("no progress", True, {"loss/vae": lambda p: 1.1}),
    ("frozen weights", True, {"watch/moved/vae": lambda p: 0.0}),
    ("rate too low", True, {"watch/moved/vae": lambda p: 1e-8}),
    ("rate too high", True, {"watch/moved/vae": lambda p: 0.3 if p < 0.04 else 1e-3, "vae/kl": lambda p: 0.01}),
    ("rate too high", False, {"watch/moved/forge": lambda p: 0.3 if p < 0.04 else 1e-3}),
    ("average not updated", True, {"watch/moved/average": lambda p: 0.0}),
    ("dead units", True, {"watch/dead_units": lambda p: 0.3 if p < 0.3 else 1.0}),
    ("exploding activations", True, {"watch/largest_activation": lambda p: 10 * math.exp(14 * p)}),
    ("exploding gradients", True, {"gradient/vae": lambda p: 1.0 if p < 0.8 else 500.0}),
    ("constant items", True, {"watch/constant_items": lambda p: 0.3}),
    ("frozen weights", False, {"watch/moved/forge": lambda p: 0.0}),
    ("divergence", False, {"loss/forge": lambda p: 1e9 * p}),
    (
        "vanishing gradient",
        False,
        {k: lambda p: 1.0 for k in ("judge/real_accuracy", "judge/fake_accuracy")}
        | {"gradient/forge": lambda p: 3 * math.exp(-20 * p)},
    ),
    (
        "discriminator wins",
        False,
        {k: lambda p: 1.0 for k in ("judge/real_accuracy", "judge/fake_accuracy")} | {"monitor": lambda p: 0.6},
    ),
    (
        "discriminator wins",
        False,
        {k: lambda p: 0.95 for k in ("judge/real_accuracy", "judge/fake_accuracy")} | {"loss/forge": lambda p: 50.0},
    ),
    ("discriminator at chance", False, {k: lambda p: 0.5 for k in ("judge/real_accuracy", "judge/fake_accuracy")}),
    ("discriminator at chance", False, {"judge/real_accuracy": lambda p: 0.48, "judge/fake_accuracy": lambda p: 0.41}),
    ("discriminator at chance", False, {"judge/real_accuracy": lambda p: 0.97, "judge/fake_accuracy": lambda p: 0.05}),
    (
        "discriminator overfits",
        False,
        {"watch/train/judge/real_accuracy": lambda p: 0.95, "watch/held-out/judge/real_accuracy": lambda p: 0.4},
    ),
    ("mode collapse", False, {"watch/diversity": lambda p: 0.2}),
    ("mode collapse", False, {"watch/twins": lambda p: 0.9}),
    ("missing modes", False, {"watch/lost": lambda p: 0.6}),
    ("samples get worse", False, {"monitor": lambda p: 0.2 + abs(p - 0.4)}),
    ("oscillation", False, {"monitor": lambda p: 0.3 + 0.15 * math.sin(80 * p)}),
]


@pytest.mark.parametrize(("name", "solo", "fault"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_planted_fault_is_found_by_its_name_and_alone(name: str, solo: bool, fault: dict[str, Curve]) -> None:
    healthy, setting = (HEALTHY_SOLO, SOLO) if solo else (HEALTHY_GAME, GAME)
    for seed in range(5):
        found = diagnose(history(healthy | fault, seed=seed), setting)
        assert [f.name for f in found] == [name]
        assert all((found[0].seen, found[0].likely, found[0].advice))


def test_what_is_learnt_of_training_items_alone_is_overfitting() -> None:
    """Held-out loss need not rise for it; a gap that was there from the start says nothing."""
    falling: Curve = lambda p: 1.0 - 0.7 * p  # noqa: E731
    watched = {"watch/train/vae": falling, "watch/held-out/vae": lambda p: falling(min(p, 0.5))}
    assert names(history(HEALTHY_SOLO | watched), SOLO) == {"overfitting"}
    apart = {"watch/train/vae": falling, "watch/held-out/vae": lambda p: falling(p) + 0.3}
    assert not names(history(HEALTHY_SOLO | apart), SOLO)


def test_a_generator_whose_gradient_is_gone_is_not_merely_frozen() -> None:
    right: dict[str, Curve] = {k: lambda p: 1.0 for k in ("judge/real_accuracy", "judge/fake_accuracy")}
    gone: dict[str, Curve] = {
        "gradient/forge": lambda p: 3.0 if p < 0.2 else 1e-12,
        "watch/moved/forge": lambda p: 1e-3 if p < 0.2 else 0.0,
    }
    assert names(history(HEALTHY_GAME | right | gone), GAME) == {"vanishing gradient"}
    never = {"gradient/forge": lambda p: 0.0, "watch/moved/forge": lambda p: 0.0}
    assert names(history(HEALTHY_GAME | right | never), GAME) == {"frozen weights"}


def test_groups_left_out_are_named_beside_a_collapse() -> None:
    ill = HEALTHY_GAME | {"watch/diversity": lambda p: 0.2, "watch/lost": lambda p: 0.6}
    assert names(history(ill), GAME) == {"mode collapse", "missing modes"}


def test_a_spike_is_found_and_passes() -> None:
    h = history(HEALTHY_SOLO, n=30, end=0.6)
    h.add({"step": 3100, "progress": 0.62, "loss/vae": 0.9})
    assert names(h, SOLO) == {"loss spike"}
    for i in range(5):
        h.add({"step": 3200 + i, "progress": 0.63, "loss/vae": learning(0.63)})
    assert not names(h, SOLO)


def test_a_perfect_judge_whose_opponent_improves_is_healthy() -> None:
    right: dict[str, Curve] = {k: lambda p: 1.0 for k in ("judge/real_accuracy", "judge/fake_accuracy")}
    assert not names(history(HEALTHY_GAME | right | {"monitor": lambda p: 1.0 - 0.8 * p}), GAME)


def test_samples_that_spread_out_have_not_collapsed() -> None:
    grow: Curve = lambda p: 0.1 + 0.35 * p  # noqa: E731
    assert not names(history(HEALTHY_GAME | {"watch/diversity": grow}, noise=0.0, n=12, end=0.5), GAME)


def test_samples_that_get_better_have_not_collapsed() -> None:
    """Those of a generator that has only begun are alike too; what tells it from a collapsed one is its course."""
    alike: dict[str, Curve] = {"watch/diversity": lambda p: 0.2, "watch/twins": lambda p: 0.3}
    for fault in (alike, {"watch/twins": lambda p: 0.9}):
        ill = HEALTHY_GAME | fault | {"monitor": lambda p: 0.6}
        assert names(history(ill, end=0.6), GAME) == {"mode collapse"}
        assert not names(history(ill | {"monitor": lambda p: 1.0 - 0.8 * p}, end=0.6), GAME)
    begun = HEALTHY_GAME | {"watch/diversity": lambda p: 0.2, "watch/lost": lambda p: 0.8, "monitor": lambda p: 0.6}
    assert not names(history(begun, end=0.7), GAME)  # much alike, no twins: it may still begin
    assert names(history(begun), GAME) == {"mode collapse", "missing modes"}
    falling = HEALTHY_GAME | {"watch/lost": lambda p: 0.9 - 0.8 * p}
    assert not names(history(falling, end=0.7), GAME)


def test_a_generator_that_is_taught_nothing_has_one_illness() -> None:
    """Its samples resemble each other for no other reason."""
    right: dict[str, Curve] = {k: lambda p: 1.0 for k in ("judge/real_accuracy", "judge/fake_accuracy")}
    untaught = (
        HEALTHY_GAME | right | {"gradient/forge": lambda p: 3 * math.exp(-30 * p), "watch/diversity": lambda p: 0.3}
    )
    assert names(history(untaught, n=60, end=0.4), GAME) == {"vanishing gradient"}
    assert names(history(untaught, n=60), GAME) == {"vanishing gradient"}


def test_a_sure_judge_wins_although_samples_creep_forward() -> None:
    right: dict[str, Curve] = {k: lambda p: 1.0 for k in ("judge/real_accuracy", "judge/fake_accuracy")}
    creeping = HEALTHY_GAME | right | {"monitor": lambda p: 0.8 - 0.1 * p}
    assert not names(history(creeping), GAME)
    assert names(history(creeping | {"loss/forge": lambda p: 4.5 + 4 * p}), GAME) == {"discriminator wins"}


def test_a_run_from_other_weights_may_stand_still() -> None:
    h = history({**HEALTHY_SOLO, "loss/vae": lambda p: 1.1})
    del h.series["watch/fresh"]
    assert not names(h, SOLO)


def test_rollbacks_are_counted() -> None:
    h = history(HEALTHY_SOLO)
    h.add({"step": 5, "event": "the loss of phase 'vae' was not finite at step 9", "attempt": 1})
    (found,) = diagnose(h, SOLO)
    assert (found.name, found.level) == ("not finite", "warning")
    for _ in range(2):
        h.add({"step": 5, "event": "the loss of phase 'vae' was not finite at step 9", "attempt": 3})
    (found,) = diagnose(h, SOLO)
    assert found.level == "serious"
    assert "0.125" in found.seen


# -- history ---------------------------------------------------------------------------------------------------------


def test_noise_is_right_for_noise_and_blind_to_slopes_and_jumps() -> None:
    rng = np.random.default_rng(1)
    for slope in (0.0, 3.0):
        values = slope * np.arange(400) + 0.5 * rng.standard_normal(400)
        values[200] += 1e3
        assert Series(list(range(400)), values.tolist()).noise() == pytest.approx(0.5, rel=0.2)
    assert Series([1, 2], [1.0, 2.0]).noise() == math.inf


def test_long_series_are_thinned_and_keep_their_course() -> None:
    s = Series()
    for i in range(5 * MOST):
        s.add(i, float(i))
    assert len(s) <= MOST
    assert s.steps == sorted(s.steps)
    assert s.last == 5 * MOST - 1
    assert all(abs(a - b) <= 1024 for a, b in zip(s.steps, s.values, strict=True))


def test_windows_are_shares_of_the_whole_run() -> None:
    h = history({"monitor": lambda p: p}, noise=0.0, n=20, end=0.5)
    window = lasting(h["monitor"], h, 3, 0.2)
    assert window is not None
    assert 8 <= len(window) <= 9
    assert lasting(h["monitor"], h, 21) is None
    assert improves(h["monitor"], h, 0.2) is False
    assert improves(Series([1], [1.0]), h, 0.2) is None


def test_null_and_text_in_rows_are_left_out() -> None:
    h = History([{"step": 1, "monitor": None, "event": "x", "loss/a": float("nan"), "flag": True}])
    assert not h.series
    assert h.events == [(1, "x")]


# -- advice ------------------------------------------------------------------------------------------------------------


def every_advice(s: Setting) -> list[str]:
    judge, other = s.players[0], s.players[-1]
    return [
        s.slower(), s.slower(judge), s.faster(), s.faster(other), s.clip(), s.decay(judge), s.more_data(),
        s.shorter(70), s.regularise(70), s.lighter_kl(), s.weaker(judge, other), s.stronger(judge, other),
        s.diversify(judge),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["vae", "vae-mlp", "gan-mlp", "gan-mlp-bn", "r3gan", "lapgan", "flow", "gpt"])
def test_all_advised_flags_exist_in_the_recipe(name: str) -> None:
    recipe = registry.get(name)
    from genloom.testing import fake_images, fake_text

    spec = (fake_text() if name == "gpt" else fake_images()).spec
    model = model_class(recipe.model)(recipe.config, spec)
    players = {p.name: p.optimizer for p in model.players()}
    setting = Setting(
        phases=tuple((p.name, p.player) for p in model.phases()),
        flags=flags_of({"config": recipe.config, "data": recipe.data, "train": recipe.train}),
        optimizers=optimizers_of(recipe.config, players),
        images=name != "gpt",
    )
    assert set(setting.optimizers) == set(players), "every player's optimizer is found in the configuration"
    if "generator0" in players:
        assert setting.optimizers["discriminator0"] == "config.discriminator"
        assert setting.optimizers["generator0"] == "config.generator"
    flags = 0
    for advice in every_advice(setting):
        words = advice.replace(";", " ").replace(",", " ").replace(":", " ").split()
        for i, word in enumerate(words):
            if not word.startswith("--"):
                continue
            value = words[i + 1 : i + 2] if i + 1 < len(words) and words[i + 1][0].isdigit() else []
            parsed = parse.parse(*parse.find_verb(["train", name, word, *value]))
            registry.override(recipe, parsed.fields)
            flags += 1
    assert flags >= 4


def test_advised_rates_follow_the_recipe() -> None:
    s = Setting(phases=(("p", "p"),), flags={"config.optimizer.lr": 3e-3, "config.optimizer.name": "muon",
                "config.optimizer.muon_lr": 0.03}, optimizers={"p": "config.optimizer"})  # fmt: skip
    assert s.slower().endswith("--config.optimizer.muon_lr 0.01 --config.optimizer.lr 0.001")
    assert [number(v) for v in (1e-5, 0.00034, 123.0, 1.0)] == ["1e-05", "0.00034", "120", "1"]


REWARDED: dict[str, Curve] = {
    "loss/reward": lambda p: 0.1 * math.cos(30 * p),
    "watch/moved/adapters": lambda p: 1e-2,
    "reward/worth": lambda p: 1 + 3 * p,
    "reward/known": lambda p: -1.5 - 0.2 * p,
    "reward/distinct": lambda p: 0.7 - 0.05 * p,
}
TUNED = Setting(phases=(("reward", "adapters"),), items=100)


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ({}, False),
        ({"reward/distinct": lambda p: 0.7 - 0.5 * p}, True),
        ({"reward/known": lambda p: -1.5 - 2 * p}, True),
        ({"reward/known": lambda p: -1.5 - 2 * p, "reward/worth": lambda p: 1.0}, False),
    ],
)
def test_a_reward_that_is_cheated(changed: dict[str, Curve], seen: bool) -> None:
    assert ("reward hacking" in names(history(REWARDED | changed), TUNED)) == seen
