"""What guidance leads towards and away from, what truncation draws together: flags of `genloom sample` that only the
run's model makes sense of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue

if TYPE_CHECKING:
    from genloom.core import Sampling
    from genloom.engine.load import Loaded


def interval(text: str | tuple[float, float]) -> tuple[float, float]:
    """Times (low, high) of guidance, written LOW:HIGH. Raises BadValue."""
    try:
        low, high = (float(x) for x in (text.split(":") if isinstance(text, str) else text))
    except ValueError:
        low, high = -1.0, -1.0
    if not 0 <= low < high <= 1:
        raise BadValue(
            f"--interval {text}: expected LOW:HIGH, two times from 0 (data) to 1 (noise), as in --interval 0.2:0.8"
        )
    return low, high


def guided(
    loaded: Loaded,
    options: Sampling,
    between: str | tuple[float, float] | None = None,
    partner: Any = None,
    runs: Any = "runs",
) -> Sampling:
    """The choices with interval and partner, checked against what the run's model can follow. Raises BadValue."""
    who = loaded.run.path
    if between is not None:
        options = replace(options, interval=interval(between))
    if partner is not None:
        return replace(options, partner=_worse(loaded, options, partner, runs))
    told = any(f.role == "condition" for f in loaded.spec.values())
    if not told and options.guidance not in (None, 1.0):
        raise BadValue(
            f"--guidance {options.guidance:g}: the model of {who} was trained without classes or captions, so there is "
            "nothing to guide towards; leave --guidance out, or give --partner RUN, a worse model of the same data"
        )
    usual = getattr(getattr(loaded.model, "config", None), "guidance", None)
    if between is not None and told and (usual if options.guidance is None else options.guidance) == 1.0:
        raise BadValue("--interval says when to guide, and guidance is 1, which is none: give --guidance 2, say")
    if between is not None and not told:
        raise BadValue(f"--interval: the model of {who} is not guided; leave it out, or give --partner RUN")
    return options


def check_truncation(loaded: Loaded, options: Sampling) -> None:
    """Raises BadValue where --truncation is asked of a model that has no centre to draw towards."""
    from genloom.core import HasStyles

    psi = options.truncation
    if psi is None:
        return
    if not 0 <= psi <= 1.5:
        raise BadValue(f"--truncation: expected psi from 0 (the centre alone) over 1 (none) to 1.5, got {psi:g}")
    if not isinstance(loaded.model, HasStyles):
        raise BadValue(
            f"--truncation {psi:g}: the model of {loaded.run.path} has no styles to draw towards their centre; leave "
            "it out (recipe stylegan has)"
        )


def _worse(loaded: Loaded, options: Sampling, partner: Any, runs: Any) -> object:
    """The model that guidance leads away from."""
    from genloom.verbs.opened import open_run

    if options.guidance == 1.0:
        raise BadValue("--partner needs guidance, and --guidance 1 is none: leave one of them out")
    other = open_run(partner, runs)
    same = type(other.model) is type(loaded.model) and hasattr(other.model, "velocity")
    if not same or dict(other.spec) != dict(loaded.spec):
        raise BadValue(
            f"--partner {partner}: autoguidance needs a run of the same kind on the same data as {loaded.run.path}, "
            "smaller or trained for less long"
        )
    if other.run.path.resolve() == loaded.run.path.resolve():
        raise BadValue(f"--partner {partner}: this is the run itself; give a smaller one, or one trained for less long")
    return other.model.to(loaded.device)


def avoided_class(loaded: Loaded, options: Sampling, word: str | int) -> Sampling:
    """The choices with guidance led away from one class instead of from no class. Raises BadValue, NotFound."""
    import torch

    from genloom.core import the_class
    from genloom.verbs.opened import class_indices, listens

    found = the_class(loaded.spec)
    if found is None:
        raise BadValue(f"--negative {word}: the model of {loaded.run.path} was trained without classes or captions")
    indices = class_indices(loaded.spec, word)
    if len(indices) != 1:
        raise BadValue(f"--negative {word}: expected one class to lead away from")
    if not listens(loaded, found[0]):
        raise BadValue(f"--negative {word}: the model of {loaded.run.path} does not listen to classes; leave it out")
    return replace(options, negative={found[0]: torch.tensor(indices)})
