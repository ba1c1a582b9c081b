"""What a run does about what ails it, when asked with `--on-illness repair`: one change at a time, each recorded.

Treatments are data: for each finding of the watch, changes to fields of the configuration, in the order in which the
literature tries them. A change takes effect between two steps by giving the model another (frozen) configuration; no
weight is touched. Where a treatment goes back, the run takes up the newest checkpoint from before the illness, with new
draws: weights that have diverged, and a generator that has collapsed, find back slowly or never. Each stands in
repairs.jsonl with its step before it takes effect, so a run that is resumed repeats it there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from genloom.core import DataSpec, Model
from genloom.engine import checkpoint
from genloom.engine.advice import Finding, flags_of, optimizers_of
from genloom.engine.history import History
from genloom.errors import BadValue
from genloom.runs import Run

PATIENCE = 0.1
"""The share of the run that a treatment is given before the next one is tried."""
LAST = 0.9
"""Progress after which nothing new is tried: it could not work any more."""


@dataclass(frozen=True)
class Change:
    """One field and what becomes of it.

    field: below `config.`; "first" and "others" stand for the optimizers of the first player and of all others.
    of: from the present value (and what is known of the run) to the new one, or None where nothing is to change.
    """

    field: str
    of: Callable[[Any, Known], Any]


@dataclass(frozen=True)
class Treatment:
    """name: what is done, for people; source: who says so; changes: those that fit are made, and there must be one;
    back: whether the run goes back to before the illness; again: how often it may be repeated."""

    name: str
    source: str
    changes: tuple[Change, ...]
    back: bool = False
    again: int = 1


@dataclass(frozen=True)
class Known:
    """What a change may depend on. area: values of an item as a share of 28 x 28 ones; progress: of the run."""

    area: float = 1.0
    progress: float = 0.0


def to(field: str, value: Any, *only: Any) -> Change:
    """Sets a field, where its value is one of `only` (or any other, where none is named)."""
    return Change(field, lambda now, _: value if now != value and (not only or now in only) else None)


def at_least(field: str, value: float, by_area: bool = False) -> Change:
    """Raises a number; by_area: in proportion to the values of an item, as a squared gradient's weight must grow."""

    def of(now: Any, known: Known) -> float | None:
        wanted = float(f"{value * (known.area if by_area else 1.0):.2g}")
        return wanted if isinstance(now, int | float) and now < wanted else None

    return Change(field, of)


def at_most(field: str, value: float) -> Change:
    """Lowers a number."""
    return Change(field, lambda now, _: value if isinstance(now, int | float) and now > value else None)


def times(field: str, factor: float) -> Change:
    """Multiplies a number above 0."""
    return Change(field, lambda now, _: now * factor if isinstance(now, float) and now > 0 else None)


def rising(field: str, share: float) -> Change:
    """Sets a pair (from, to) of progress: now, and `share` of the run later."""
    return Change(field, lambda now, known: (round(known.progress, 6), round(min(known.progress + share, 1.0), 6)))


NON_SATURATING = Treatment(
    "the non-saturating loss instead of minimax", "Goodfellow et al. 2014, section 3",
    (to("loss", "non-saturating", "minimax"),),
)  # fmt: skip
NOISE = Treatment(
    "noise on all the discriminator sees, fading until the end", "Sonderby et al. 2017; Arjovsky and Bottou 2017",
    (at_least("instance_noise", 0.3), at_least("instance_noise_until", 1.0)),
)  # fmt: skip
PENALTY = Treatment(
    "a penalty on the discriminator's gradient at real items (R1)", "Mescheder et al. 2018",
    (at_least("r1", 1.0, by_area=True), times("gamma", 10.0), times("gamma_end", 10.0)),
)  # fmt: skip
DECAY = Treatment("weight decay of the discriminator", "Krogh and Hertz 1992", (at_least("first.weight_decay", 1e-3),))
SLOWER_JUDGE = Treatment(
    "a slower discriminator, one turn in a step", "Heusel et al. 2017", (times("first.lr", 0.5), to("n_critic", 1))
)
FASTER_JUDGE = Treatment("a slower generator", "Heusel et al. 2017 (two time scales)", (times("others.lr", 0.5),))
RELATIVISTIC = Treatment(
    "a relativistic loss, penalised at real and generated items (R1 and R2)", "Huang et al. 2024",
    (to("loss", "relativistic"), to("label_smoothing", 0.0), at_least("r1", 1.0, by_area=True),
     at_least("r2", 1.0, by_area=True), times("gamma", 10.0), times("gamma_end", 10.0)),
)  # fmt: skip
FALLING = tuple(  # the last steps decide which kinds a constant rate has just neglected
    change
    for who in ("first", "others")
    for change in (to(f"{who}.decay", "cosine", "constant"), to(f"{who}.final", 0.1, 1.0))
)
ANEW = Treatment(
    f"{RELATIVISTIC.name}, at a falling rate", RELATIVISTIC.source, (*RELATIVISTIC.changes, *FALLING), back=True
)
LOWER_RATE = Treatment(
    "a third of the learning rate, from before the illness", "Bengio 2012, section 3.1",
    tuple(times(f"{who}.{rate}", 1 / 3) for who in ("first", "others") for rate in ("lr", "muon_lr")),
    back=True, again=3,
)  # fmt: skip
CLIPPING = Treatment(
    "gradients clipped at norm 1", "Pascanu, Mikolov and Bengio 2013",
    (to("first.clip", 1.0, 0.0), to("others.clip", 1.0, 0.0)), back=True,
)  # fmt: skip
LIGHTER_KL = Treatment("a KL divergence of weight 1", "Kingma and Welling 2014", (at_most("beta", 1.0),))
KL_WARMUP = Treatment("a KL divergence that rises from 0 anew", "Bowman et al. 2016", (rising("kl_warmup", 0.2),))
FREE_BITS = Treatment("free bits for every latent", "Kingma et al. 2016, section 4", (at_least("free_bits", 0.1),))
NEW_PLACES = Treatment(
    "new places for dead codes", "Dhariwal et al. 2020, Jukebox, section 3", (at_least("alive", 0.03),)
)

GAME = (NON_SATURATING, NOISE, PENALTY, SLOWER_JUDGE, RELATIVISTIC)
TREATMENTS: Mapping[str, tuple[Treatment, ...]] = {
    "divergence": (LOWER_RATE, CLIPPING),
    "rate too high": (LOWER_RATE,),
    "exploding gradients": (CLIPPING, LOWER_RATE),
    "exploding activations": (LOWER_RATE, CLIPPING),
    "not finite": (CLIPPING, LOWER_RATE),
    "dead units": (LOWER_RATE,),
    "loss spike": (LOWER_RATE, CLIPPING),
    "vanishing gradient": GAME,
    "discriminator wins": GAME,
    "mode collapse": (NON_SATURATING, ANEW, SLOWER_JUDGE, NOISE),
    "missing modes": (NON_SATURATING, PENALTY, RELATIVISTIC, NOISE),
    "discriminator overfits": (NOISE, PENALTY, DECAY),
    "discriminator at chance": (FASTER_JUDGE,),
    "samples get worse": (PENALTY, LOWER_RATE),
    "oscillation": (PENALTY, NOISE, LOWER_RATE),
    "posterior collapse": (LIGHTER_KL, KL_WARMUP, FREE_BITS),
    "dead codes": (NEW_PLACES,),
}
"""What is tried for each finding, first to last. A finding that is not here is only reported."""


@dataclass(frozen=True)
class Repair:
    """A treatment as it was made: what repairs.jsonl holds, a line each.

    step: the first step that is played with the changes; seen: the step at which it was decided, later than `step`
    where the run went back; progress: at `step`; evidence: what was seen; changes: {"config.r1": [0.0, 1.0]}.
    """

    step: int
    seen: int
    progress: float
    finding: str
    treatment: str
    source: str
    changes: Mapping[str, Sequence[Any]]
    back: bool = False
    evidence: str = ""

    @property
    def line(self) -> str:
        """As the terminal shows it."""
        made = ", ".join(f"{name} {shown(old)} -> {shown(new)}" for name, (old, new) in self.changes.items())
        went = f"; back from step {self.seen:,} to {self.step:,}" if self.back else f" from step {self.step:,} on"
        return f"repair of {self.finding}: {self.treatment} ({self.source}): {made}{went}"


def shown(value: Any) -> str:
    """A value as a person would type it."""
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def repairs_of(run: Run) -> list[Repair]:
    """What was done to a run, first to last."""
    names = [f.name for f in fields(Repair)]
    return [Repair(**{k: line[k] for k in names}) for line in run.repairs()]


def beginnings(repairs: Sequence[Repair]) -> list[int]:
    """The step from which each repair counts: its own, or where a later one went back further, that one's."""
    found: list[int] = []
    for repair in reversed(repairs):
        found.append(min([repair.step, *found[-1:]]))
    return found[::-1]


def repaired(config: Any, repairs: Iterable[Repair]) -> Any:
    """The configuration after some repairs."""
    for repair in repairs:
        config = changed(config, {name: new for name, (_, new) in repair.changes.items()})
    return config


def changed(config: Any, values: Mapping[str, Any]) -> Any:
    """A configuration with fields replaced by dotted name: {"config.r1": 1.0, "config.generator.lr": 1e-4}. Raises
    BadValue where the configuration refuses the combination."""
    mine: dict[str, Any] = {}
    for path, value in values.items():
        first, _, rest = path.removeprefix("config.").partition(".")
        value = tuple(value) if isinstance(value, list) else value
        mine[first] = replace(mine.get(first, getattr(config, first)), **{rest: value}) if rest else value
    return replace(config, **mine)


def drop_stale(run: Run) -> None:
    """Deletes checkpoints of a course that a repair gave up: there are some where a run was killed in between."""
    repairs = repairs_of(run)
    for step in run.checkpoints():
        known = int(checkpoint.read_state(run, step).get("repairs", 0))
        if any(r.step < step for r in repairs[known:]):
            checkpoint.remove(run, step)


def onset(history: History, finding: str) -> int | None:
    """The step at which an illness began, where readings tell: a collapse is as old as they have shown it since."""
    if finding != "mode collapse":
        return None
    diversity, twins = history["watch/diversity"], history["watch/twins"]
    began: int | None = None
    for step, apart, twin in zip(diversity.steps[::-1], diversity.values[::-1], twins.values[::-1], strict=False):
        if apart >= 0.5 and twin <= 0.5:
            break
        began = step
    return began


class Physician:
    """Chooses treatments for one run. `decide` is asked after every look of the watch."""

    def __init__(self, model: Model, spec: DataSpec, compiled: bool = False) -> None:
        field = next(f for f in spec.values() if f.role == "item")
        self.model: Any = model
        self.compiled = compiled
        self.area = math.prod(field.shape) / 784
        self.helpless: set[str] = set()  # findings of which it was said that nothing is left

    def decide(
        self,
        seen: Sequence[Finding],
        repairs: Sequence[Repair],
        step: int,
        progress: float,
        before: Mapping[str, Sequence[int]],
    ) -> Repair | str | None:
        """The next repair; or a line that says that nothing is left to try; or None.

        seen: findings that are there now; repairs: those made; before: for each, steps of checkpoints from before it.
        """
        last = repairs[-1].progress if repairs else -1.0
        if progress < last + PATIENCE or progress > LAST:
            return None
        for finding in sorted(seen, key=lambda f: ("serious", "warning", "note").index(f.level)):
            if (found := self._next(finding, repairs, step, progress, before.get(finding.name, ()))) is not None:
                return found
        for finding in seen:
            if finding.name in TREATMENTS and finding.name not in self.helpless:
                self.helpless.add(finding.name)
                tried = ", ".join(r.treatment for r in repairs) or "nothing fits this model"
                return f"no repair is left for {finding.name} (tried: {tried}); in a new run: {finding.advice}"
        return None

    def _next(
        self, finding: Finding, repairs: Sequence[Repair], step: int, progress: float, before: Sequence[int]
    ) -> Repair | None:
        for treatment in TREATMENTS.get(finding.name, ()):
            if sum(r.treatment == treatment.name for r in repairs) >= treatment.again:
                continue
            changes = self._changes(treatment, progress)
            if not changes:
                continue
            back = max((s for s in before if s < step), default=None) if treatment.back else None
            start = step if back is None else back
            at = progress if back is None else progress * back / max(step, 1)
            return Repair(
                start, step, at, finding.name, treatment.name, treatment.source, changes, back is not None, finding.seen
            )
        return None

    def _changes(self, treatment: Treatment, progress: float) -> dict[str, list[Any]]:
        """{field: [old, new]} of a treatment for this model as it is configured; {} where it cannot be given."""
        config = self.model.config
        players = {p.name: p.optimizer for p in self.model.players()}
        places = optimizers_of(config, players)
        flags, known = flags_of({"config": config}), Known(self.area, progress)
        made: dict[str, list[Any]] = {}
        for change in treatment.changes:
            head, _, rest = change.field.partition(".")
            names = list(players)
            who = names[:1] if head == "first" else names[1:] if head == "others" else []
            paths = [f"{places[w]}.{rest}" for w in who if w in places] if rest else [f"config.{change.field}"]
            for path in paths:
                unused = path.endswith(".muon_lr") and flags.get(path.replace(".muon_lr", ".name")) != "muon"
                if path in flags and not unused and (new := change.of(flags[path], known)) is not None:
                    made[path] = [flags[path], new]
        return made if self._fits(made) else {}

    def _fits(self, changes: Mapping[str, Sequence[Any]]) -> bool:
        """Whether the model can go on with these changes: its Config allows them, and a compiled network can."""
        now = self.model.config
        try:
            self.model.config = changed(now, {k: new for k, (_, new) in changes.items()})
            return not (self.compiled and any(p.second_order for p in self.model.phases()))
        except BadValue:
            return False
        finally:
            self.model.config = now
