"""What every model promises, and what one that is trained does. The first line of each docstring is the promise."""

from __future__ import annotations

import dataclasses
import inspect
import re
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from genloom.core import Batch, CanSample, Model, Step, config_from_json, config_to_json
from genloom.engine.checkpoint import put, write_tensors
from genloom.engine.distributed import World
from genloom.engine.ema import PowerEMA
from genloom.engine.game import Moment
from genloom.engine.precision import Plan
from genloom.engine.preview import Monitor
from genloom.testing.case import CPU, Case, draw
from genloom.testing.pair import first_gradients, gradients_in_two


def check_documented(case: Case) -> None:
    """The model and each field of its Config are documented; the Config is a frozen dataclass that JSON can hold."""
    config_class = case.cls.Config
    assert dataclasses.is_dataclass(config_class), f"{config_class} is no dataclass"
    assert config_class.__dataclass_params__.frozen, f"{config_class.__name__} is not frozen"  # type: ignore[attr-defined]
    assert inspect.getdoc(case.cls), f"{case.cls.__name__} has no docstring"
    text = config_class.__doc__ or ""
    for field in dataclasses.fields(config_class):
        assert re.search(rf"\b{field.name}\b", text), (
            f"{config_class.__name__}'s docstring does not name {field.name!r}"
        )
    assert config_from_json(config_class, config_to_json(case.config)) == case.config, "the Config changes through JSON"


def check_citation(case: Case) -> None:
    """A BibTeX entry says where the model comes from."""
    assert re.match(r"\s*@\w+\{\S+,", case.cls.citation), f"{case.cls.__name__}.citation is no BibTeX entry"


def check_final(case: Case) -> None:
    """The class is final: it derives from Model and capabilities, from no other concrete model."""
    parents = [b for b in case.cls.__mro__[1:] if issubclass(b, Model) and b is not Model]
    assert not parents, f"{case.cls.__name__} derives from the model {parents[0].__name__}"


def check_default_builds(case: Case) -> None:
    """The default configuration builds."""
    case.build(config=case.cls.Config())


def check_global_randomness(case: Case) -> None:
    """Losses and samples neither use nor disturb the global random generator."""
    results = []
    for outer in (11, 12):
        torch.manual_seed(outer)
        before = torch.get_rng_state()
        model = case.build()
        case.play(case.game(model), 0, 2)
        drawn = draw(model, 2)[case.item] if isinstance(model, CanSample) else torch.zeros(1)
        assert torch.equal(before, torch.get_rng_state()), "the global generator was moved"
        results.append([*model.state_dict().values(), drawn])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b), "training or sampling depends on the global generator"


def check_players(case: Case) -> None:
    """Each player's patterns match parameters, no parameter has two players, phases name players that exist."""
    model = case.build()
    game = case.game(model)
    seen: set[int] = set()
    for name, player in game.players.items():
        assert player.parameters, f"player {name!r} owns no parameter: its patterns match nothing"
        assert not seen & set(map(id, player.parameters)), f"player {name!r} shares a parameter with another"
        seen |= set(map(id, player.parameters))
    for phase in model.phases():
        assert phase.player in game.players, (
            f"phase {phase.name!r} names a player that does not exist: {phase.player!r}"
        )


def check_gradients(case: Case) -> None:
    """Every parameter of a player gets a gradient in one of its phases within eight steps; no other ever gets one."""
    model = case.build()
    game = case.game(model)
    reached: set[str] = set()
    turn = game.turn

    def watch(phase: Any, batch: Batch, step: Any, moment: Moment) -> dict[str, float]:
        for p in model.parameters():
            p.grad = None
        values = turn(phase, batch, step, moment)
        own = set(game.players[phase.player].names)
        for name, p in model.named_parameters():
            if p.grad is not None and p.grad.any():
                assert name in own, f"phase {phase.name!r} sends a gradient to {name!r}, which is not its player's"
                reached.add(name)
        return values

    game.turn = watch  # type: ignore[method-assign]
    everything = {n for player in game.players.values() for n in player.names}
    for i in range(8):  # zero-initialised outputs, and rates that warm up from 0, let gradients through only later
        case.play(game, i, i + 1)
        if reached == everything:
            break
    for player in game.players.values():
        missing = [n for n in player.names if n not in reached]
        assert not missing, f"no phase sends a gradient to {missing[0]!r} (nor to {len(missing) - 1} others)"


def check_loss_is_pure(case: Case) -> None:
    """A loss in evaluation mode changes no weight and no buffer, and is the same for the same step."""
    model = case.build().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    phase = model.phases()[0]
    batch = case.dataset.train.batch(torch.arange(4))
    losses = []
    for _ in range(2):
        step = Step(seed=3, rows=(0, 4, 4))
        losses.append(model.loss(phase, model.prepare(batch, step), step).total)
    assert torch.equal(losses[0], losses[1]), "the same step gives different losses"
    assert losses[0].ndim == 0, f"a loss is a scalar, got shape {tuple(losses[0].shape)}"
    for name, value in model.state_dict().items():
        assert torch.equal(before[name], value), f"loss changed {name!r}"


def check_learns(case: Case) -> None:
    """A run of some dozen steps improves the model's monitor."""
    model = case.build()
    monitor = Monitor(model, case.dataset, 0, 32, Plan(), CPU)
    before = monitor.measure(model)
    case.play(case.game(model), 0, case.steps)
    after = monitor.measure(model)
    assert after < before, (
        f"the monitor {case.cls.monitor!r} went from {before:.4g} to {after:.4g} in {case.steps} steps"
    )


def check_resume(case: Case) -> None:
    """Stopped, stored as safetensors and taken up again equals never stopped, bit for bit."""
    whole = case.build()
    game = case.game(whole)
    average = PowerEMA(whole, 0.1)
    case.play(game, 0, 2)
    average.update(whole, 2)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{n}.safetensors") for n in ("model", "optimizer", "ema")]
        for path, tensors in zip(
            paths, (whole.state_dict(), game.optimizer_state(), average.state(whole)), strict=True
        ):
            write_tensors(path, tensors)
        weights, optimizer, averages = (load_file(p) for p in paths)
    case.play(game, 2, 4)
    again = case.build(seed=5)
    again.load_state_dict(weights)
    second = case.game(again)
    second.load_optimizer_state(optimizer)
    restored = PowerEMA(again, 0.1)
    restored.load(averages)
    case.play(second, 2, 4)
    average.update(whole, 4)
    restored.update(again, 4)
    pairs = zip(average.state(whole).items(), restored.state(again).values(), strict=True)
    for (name, a), b in [*zip(whole.state_dict().items(), again.state_dict().values(), strict=True), *pairs]:
        assert torch.equal(a, b), f"{name!r} differs after a resume"


def check_two_processes(case: Case) -> None:
    """Two processes with half a batch each have the gradients one has from the whole batch (fp32, to 1e-6)."""
    alone, together = first_gradients(case, World()), gradients_in_two(case)
    scale = max(1.0, max(float(g.norm()) for g in alone.values()))
    for name, expected in alone.items():
        gap = (expected - together[name]).abs().max().item()
        assert gap <= 1e-6 * scale, f"the gradient {name!r} differs by {gap:.2g} between one process and two"


def check_counts_last(case: Case) -> None:
    """What was counted, stored as safetensors and taken up by a new model, gives the same samples."""
    model, again = case.build(), case.build(seed=5)
    case.train(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        write_tensors(path, model.state_dict())
        put(again, load_file(path))
    assert torch.equal(draw(model, 3)[case.item], draw(again, 3)[case.item]), "counts differ once stored"
