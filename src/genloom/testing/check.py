"""The contract of models, executed. `check_model(MyModel)` raises AssertionError where a model breaks a promise.

from genloom.testing import check_model
check_model(MyModel)
check_model(MyModel, exceptions={"two_processes": "batch normalisation sees each process's rows alone"})
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from genloom.core import (
    CanContinue,
    CanDecode,
    CanEncode,
    CanSample,
    CanStream,
    HasCodes,
    HasLikelihood,
    Model,
)
from genloom.data import Dataset
from genloom.errors import BadData
from genloom.testing import abilities, promises
from genloom.testing.case import Case
from genloom.testing.fakes import (
    fake_answers,
    fake_captioned,
    fake_images,
    fake_pairs,
    fake_strokes,
    fake_text,
)

ALWAYS: dict[str, Callable[[Case], None]] = {
    "documented": promises.check_documented,
    "citation": promises.check_citation,
    "final": promises.check_final,
    "default_builds": promises.check_default_builds,
    "global_randomness": promises.check_global_randomness,
}
TRAINED: dict[str, Callable[[Case], None]] = {
    "players": promises.check_players,
    "gradients": promises.check_gradients,
    "loss_is_pure": promises.check_loss_is_pure,
    "learns": promises.check_learns,
    "resume": promises.check_resume,
    "two_processes": promises.check_two_processes,
}
COUNTED: dict[str, Callable[[Case], None]] = {"counts_last": promises.check_counts_last}
BY_CAPABILITY: dict[type, dict[str, Callable[[Case], None]]] = {
    CanSample: {"samples": abilities.check_samples, "listening": abilities.check_listening},
    CanDecode: {"latents": abilities.check_latents},
    CanEncode: {"encoding": abilities.check_encoding},
    HasCodes: {"codes": abilities.check_codes},
    HasLikelihood: {"likelihood": abilities.check_likelihood},
    CanStream: {"streaming": abilities.check_streaming},
    CanContinue: {"continuing": abilities.check_continuing},
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
