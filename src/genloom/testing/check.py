"""The contract of models, executed. `check_model(MyModel)` raises AssertionError where a model breaks a promise.

from genloom.testing import check_model
check_model(MyModel)
check_model(MyModel, exceptions={"two_processes": "batch normalisation sees each process's rows alone"})
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genloom.core import (
    Batch,
    CanContinue,
    CanDecode,
    CanEncode,
    CanSample,
    CanStream,
    HasCodes,
    HasLikelihood,
    Model,
    Sampling,
    config_from_json,
    config_to_json,
    derive_seed,
)
from genloom.data import Dataset
from genloom.engine import moments
from genloom.engine.checkpoint import put, write_tensors
from genloom.engine.distributed import World
from genloom.engine.ema import PowerEMA
from genloom.engine.game import Game, Moment, seeded
from genloom.engine.given import freeze
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan
from genloom.engine.preview import Monitor, resting
from genloom.testing.continuing import reads_on
from genloom.testing.fakes import (
    fake_answers,
    fake_captioned,
    fake_images,
    fake_pairs,
    fake_strokes,
    fake_text,
)

CPU = torch.device("cpu")
TRAIN = TrainOptions(batch=8, precision="fp32", device="cpu", ema=0.0)
_finished: dict[str, dict[str, Tensor]] = {}


@dataclass(frozen=True)
class Case:
    """A model class with a configuration and a data set small enough to check it on.

    given: cases of the models that it stands on, by role.
    """

    cls: type[Model]
    config: Any
    dataset: Dataset
    steps: int = 30
    given: Mapping[str, Case] = dataclasses.field(default_factory=dict)

    def build(self, seed: int = 0, config: Any = None) -> Model:
        """The model with first weights that depend on `seed` alone; config: another than the case's."""
        partners = self.partners()
        with seeded(seed, CPU):
            return self.cls(self.config if config is None else config, self.dataset.spec, partners)

    def partners(self) -> dict[str, Model]:
        """The finished models that this one stands on, by role: each trained for the steps of its own case, once."""
        found: dict[str, Model] = {}
        for role, case in self.given.items():
            key = f"{case.cls.__qualname__} {case.config} {case.dataset.digest} {case.steps}"
            model = case.build()
            if key not in _finished:
                case.play(case.game(model), 0, case.steps)
                moments.finish(model, case.dataset, Plan(), CPU, seed=0, step=case.steps, items=0)
                _finished[key] = model.state_dict()
            model.load_state_dict(_finished[key])
            found[role] = freeze(model)
        return found

    def game(self, model: Model, world: World | None = None) -> Game:
        """The game of this model on this data, batches of 8, fp32."""
        return Game(model, self.dataset.train, self.dataset.options, TRAIN, Plan(), CPU, world or World())

    def play(self, game: Game, first: int, last: int) -> None:
        """Plays steps first .. last - 1 of a run of `steps`."""
        game.model.train()
        for i in range(first, last):
            game.step(Moment(i, min(1.0, i / self.steps)))

    def train(self, model: Model) -> None:
        """A whole run of `steps`; models that only count do their counting."""
        game = self.game(model)
        self.play(game, 0, self.steps)
        if not model.phases():
            moments.finish(model, self.dataset, Plan(), CPU, seed=0, step=0, items=0)

    @property
    def item(self) -> str:
        """The name of the generated field."""
        return next(k for k, f in self.dataset.spec.items() if f.role == "item")


def _generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _sample(model: Model, n: int, seed: int = 1) -> dict[str, Tensor]:
    assert isinstance(model, CanSample)
    with resting(model):
        return dict(model.sample(n, options=Sampling(length=6), generator=_generator(seed)))


# -- the checks, by name; the first line of each docstring is what a model promises ------------------------------------


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


def check_global_randomness(case: Case) -> None:
    """Losses and samples neither use nor disturb the global random generator."""
    results = []
    for outer in (11, 12):
        torch.manual_seed(outer)
        before = torch.get_rng_state()
        model = case.build()
        case.play(case.game(model), 0, 2)
        drawn = _sample(model, 2)[case.item] if isinstance(model, CanSample) else torch.zeros(1)
        assert torch.equal(before, torch.get_rng_state()), "the global generator was moved"
        results.append([*model.state_dict().values(), drawn])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b), "training or sampling depends on the global generator"


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
        from safetensors.torch import load_file

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


def check_loss_is_pure(case: Case) -> None:
    """A loss in evaluation mode changes no weight and no buffer, and is the same for the same step."""
    model = case.build().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    from genloom.core import Step

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


def check_samples(case: Case) -> None:
    """Samples of n = 0, 1 and 3 fit the specification; the same generator gives the same ones, another does not."""
    model = case.build()
    case.play(case.game(model), 0, 3)
    field = case.dataset.spec[case.item]
    for n in (0, 1, 3):
        drawn = _sample(model, n)[case.item]
        assert len(drawn) == n, f"asked for {n} items, got {len(drawn)}"
        if not field.vocabulary:
            assert tuple(drawn.shape[1:]) == field.shape, f"samples are {tuple(drawn.shape[1:])}, data {field.shape}"
            assert drawn.dtype == torch.float32, f"samples are {drawn.dtype}"
            low, high = field.range
            assert n == 0 or (drawn.min() >= low and drawn.max() <= high), "samples leave the range of the data"
        else:
            assert not drawn.is_floating_point(), "token ids are integers"
            assert n == 0 or (drawn.min() >= 0 and drawn.max() < field.vocabulary), "tokens outside the vocabulary"
    once, again, other = _sample(model, 3), _sample(model, 3), _sample(model, 3, seed=2)
    assert torch.equal(once[case.item], again[case.item]), "the same generator gives different samples"
    assert not torch.equal(once[case.item], other[case.item]), "another generator gives the same samples"


def check_counts_last(case: Case) -> None:
    """What was counted, stored as safetensors and taken up by a new model, gives the same samples."""
    model, again = case.build(), case.build(seed=5)
    case.train(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        write_tensors(path, model.state_dict())
        from safetensors.torch import load_file

        put(again, load_file(path))
    assert torch.equal(_sample(model, 3)[case.item], _sample(again, 3)[case.item]), "counts differ once stored"


def check_latents(case: Case) -> None:
    """Latents drawn from the prior decode to items, the same latents to the same items."""
    model = case.build()
    assert isinstance(model, CanDecode)
    with resting(model):
        z = model.prior(3, generator=_generator())
        first, second = (dict(model.decode(z))[case.item] for _ in range(2))
    assert len(z) == 3, f"asked for 3 latents, got {len(z)}"
    assert tuple(first.shape) == (3, *case.dataset.spec[case.item].shape), f"decoded {tuple(first.shape)}"
    assert torch.equal(first, second), "the same latents give different items"


def check_encoding(case: Case) -> None:
    """Items are encoded without randomness into latents that `decode` takes back."""
    model = case.build()
    assert isinstance(model, CanEncode)
    assert isinstance(model, CanDecode)
    batch = case.dataset.validation.batch(torch.arange(3))
    with resting(model):
        first, second = model.encode(batch), model.encode(batch)
        decoded = model.decode(first)[case.item]
    assert torch.equal(first, second), "encode is random"
    assert decoded.shape == batch[case.item].shape, (
        f"{tuple(batch[case.item].shape)} came back as {tuple(decoded.shape)}"
    )


def check_codes(case: Case) -> None:
    """Codes are read off items without randomness, each within its values; setting one changes items, and undoes."""
    model = case.build()
    case.play(case.game(model), 0, 3)
    assert isinstance(model, HasCodes)
    assert isinstance(model, CanDecode)
    assert model.codes, "there is no code"
    batch = case.dataset.validation.batch(torch.arange(3))
    with resting(model):
        first, second = model.infer(batch), model.infer(batch)
        z = model.prior(3, generator=_generator())
        plain = model.decode(z)[case.item]
        assert set(first) == {c.name for c in model.codes}, f"{sorted(first)} were read, not all codes"
        for code in model.codes:
            value = first[code.name]
            assert torch.equal(value, second[code.name]), f"reading {code.name!r} is random"
            if code.values:
                assert 0 <= value.min() <= value.max() < code.values, f"{code.name!r} leaves its values"
            ends = [torch.tensor(v).repeat(3) for v in ((0, code.values - 1) if code.values else (-1.0, 1.0))]
            low, high = (model.with_code(z, code.name, v) for v in ends)
            assert torch.equal(model.with_code(high, code.name, ends[0]), low), f"{code.name!r} is not set but added"
            apart = (model.decode(low)[case.item] - model.decode(high)[case.item]).abs().max()
            assert apart > 0, f"{code.name!r} changes no item"
    assert plain.shape[0] == 3


def check_likelihood(case: Case) -> None:
    """Likelihoods are one finite number an item, the same for the same generator, and better after training."""
    model = case.build()
    assert isinstance(model, HasLikelihood)
    assert model.kind in ("exact", "bound", "estimate")
    batch = case.dataset.validation.batch(torch.arange(4))
    with resting(model):
        before = model.nll(batch, generator=_generator())
        again = model.nll(batch, generator=_generator())
    case.train(model)
    with resting(model):
        after = model.nll(batch, generator=_generator())
    assert before.shape == (4,), f"expected shape (4,), got {tuple(before.shape)}"
    assert torch.isfinite(after).all(), "a likelihood is not finite"
    assert torch.equal(before, again), "the same generator gives different likelihoods"
    assert after.mean() < before.mean(), "training does not raise the likelihood"


def check_streaming(case: Case) -> None:
    """A stream gives as many tokens as asked for, from the vocabulary, the same for the same generator."""
    model = case.build()
    assert isinstance(model, CanStream)
    prompt = case.dataset.train.batch(torch.arange(1))[case.item][0, :4]
    with resting(model):
        runs = [
            [int(t) for t in model.stream(prompt, options=Sampling(length=5), generator=_generator())] for _ in range(2)
        ]
    assert len(runs[0]) == 5, f"asked for 5 tokens, got {len(runs[0])}"
    assert runs[0] == runs[1], "the same generator gives different tokens"


def check_continuing(case: Case) -> None:
    """Reading token by token, several at a time, rows selected, tokens taken back: the same logits as reading at once;
    and greedy texts of a ragged batch are those of each prompt alone."""
    model = case.build()
    assert isinstance(model, CanContinue)
    case.play(case.game(model), 0, case.steps)
    with resting(model):
        reads_on(model, case.dataset.train.batch(torch.arange(3))[case.item])


def first_gradients(case: Case, world: World) -> dict[str, Tensor]:
    """The gradient of every turn of the first step by "phase/parameter", averaged over processes; no weight moves."""
    model = case.build()
    game = case.game(model, world)
    turn, found = game.turn, {}

    def watch(phase: Any, batch: Batch, step: Any, moment: Moment) -> dict[str, float]:
        values = turn(phase, batch, step, moment)
        player = game.players[phase.player]
        grads = zip(player.names, player.parameters, strict=True)
        found.update({f"{phase.name}/{n}": p.grad.clone() for n, p in grads if p.grad is not None})
        return values

    game.turn = watch  # type: ignore[method-assign]
    model.train()
    game.step(Moment(0, 0.5, rate_scale=0.0))
    return found


def check_two_processes(case: Case) -> None:
    """Two processes with half a batch each have the gradients one has from the whole batch (fp32, to 1e-6)."""
    from genloom.testing.pair import gradients_in_two

    alone, together = first_gradients(case, World()), gradients_in_two(case)
    scale = max(1.0, max(float(g.norm()) for g in alone.values()))
    for name, expected in alone.items():
        gap = (expected - together[name]).abs().max().item()
        assert gap <= 1e-6 * scale, f"the gradient {name!r} differs by {gap:.2g} between one process and two"


ALWAYS: dict[str, Callable[[Case], None]] = {
    "documented": check_documented,
    "citation": check_citation,
    "final": check_final,
    "default_builds": check_default_builds,
    "global_randomness": check_global_randomness,
}
TRAINED: dict[str, Callable[[Case], None]] = {
    "players": check_players,
    "gradients": check_gradients,
    "loss_is_pure": check_loss_is_pure,
    "learns": check_learns,
    "resume": check_resume,
    "two_processes": check_two_processes,
}
COUNTED: dict[str, Callable[[Case], None]] = {"counts_last": check_counts_last}
BY_CAPABILITY: dict[type, dict[str, Callable[[Case], None]]] = {
    CanSample: {"samples": check_samples},
    CanDecode: {"latents": check_latents},
    CanEncode: {"encoding": check_encoding},
    HasCodes: {"codes": check_codes},
    HasLikelihood: {"likelihood": check_likelihood},
    CanStream: {"streaming": check_streaming},
    CanContinue: {"continuing": check_continuing},
}


def make_case(
    cls: type[Model],
    config: Any = None,
    dataset: Dataset | None = None,
    steps: int = 30,
    given: Mapping[str, tuple[type[Model], Any]] = {},
) -> Case:
    """A case with the default configuration, and the first of some small data sets that the model accepts.

    given: class and configuration of the models that it stands on, by role; they learn the same data.
    """
    config = cls.Config() if config is None else config
    if dataset is None and given:
        dataset = fake_images()
    if dataset is not None:
        partners = {role: Case(kind, settings, dataset, steps) for role, (kind, settings) in given.items()}
        return Case(cls, config, dataset, steps, partners)
    from genloom.errors import BadData

    reasons = []
    made_up = (
        fake_images(),
        fake_text(),
        fake_answers(),
        fake_pairs(),
        fake_pairs(pairing="hidden"),
        fake_strokes(),
        fake_captioned(),
    )
    for made in made_up:
        try:
            cls(config, made.spec)
            return Case(cls, config, made, steps)
        except BadData as e:
            reasons.append(str(e))
    raise AssertionError(f"{cls.__name__} accepts none of the small data sets: {'; '.join(reasons)}")


def checks_of(case: Case) -> Iterator[tuple[str, Callable[[Case], None]]]:
    """(name, check) of everything that applies to this model: for pytest.mark.parametrize."""
    yield from ALWAYS.items()
    yield from (TRAINED if case.build().phases() else COUNTED).items()
    for capability, checks in BY_CAPABILITY.items():
        if issubclass(case.cls, capability):
            yield from checks.items()


def check_model(
    cls: type[Model],
    *,
    config: Any = None,
    dataset: Dataset | None = None,
    steps: int = 30,
    exceptions: Mapping[str, str] = {},
    given: Mapping[str, tuple[type[Model], Any]] = {},
) -> None:
    """Runs every check that applies. given: as in `make_case`; exceptions: {check: the reason why it cannot hold}; such
    a check must then fail.

    Raises AssertionError that names the first check that does not hold, or an exception that is no longer needed.
    """
    case = make_case(cls, config, dataset, steps, given)
    for name, check in checks_of(case):
        try:
            check(case)
        except AssertionError as e:
            if name not in exceptions:
                raise AssertionError(f"{cls.__name__}: {name}: {e}") from e
        else:
            assert name not in exceptions, f"{cls.__name__}: {name} holds; take it out of the exceptions"


def seed_of(case: Case) -> int:
    """A seed that depends on the model's name: for tests that draw."""
    return derive_seed(case.cls.__name__)
