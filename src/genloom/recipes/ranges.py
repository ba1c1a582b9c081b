"""What `genloom tune` may try of a field: an interval, on a linear or logarithmic scale, or a list of choices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from genloom.errors import BadValue
from genloom.recipes import fields
from genloom.recipes.fields import FieldInfo


@dataclass(frozen=True)
class Linear:
    """Numbers from low to high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(self.low, self.high)

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}"


@dataclass(frozen=True)
class Log:
    """Numbers from low to high, both above 0, each factor as likely as another."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, got {self.low:g}")

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}:log"


@dataclass(frozen=True)
class Whole:
    """Whole numbers from low to high, both included; log: each factor as likely as another."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check(self.low, self.high)
        if self.log and self.low < 1:
            raise ValueError(f"a logarithmic range begins above 0, got {self.low}")

    def __str__(self) -> str:
        return f"{self.low}:{self.high}" + (":log" if self.log else "")


@dataclass(frozen=True, init=False)
class Choice:
    """One of several values, without an order."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        if len(values) < 2:
            raise ValueError("a choice is between two values or more")
        object.__setattr__(self, "values", values)

    def __str__(self) -> str:
        nested = any(isinstance(v, tuple | list) for v in self.values)
        return ("|" if nested else ",").join(map(fields.shown, self.values))


Range = Linear | Log | Whole | Choice


def _check(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"a range goes from a lower to a higher number, got {low:g} to {high:g}")


def holds(within: Range, value: Any) -> bool:
    """Whether `value` lies in the range."""
    if isinstance(within, Choice):
        return value in within.values
    number = isinstance(value, int if isinstance(within, Whole) else int | float) and not isinstance(value, bool)
    return number and within.low <= value <= within.high


def including(within: Range, value: Any) -> Range:
    """The range, widened where it does not hold `value`, so that a recipe can be searched from where it stands.

    Raises ValueError where no such range could hold it (0 on a logarithmic scale).
    """
    if holds(within, value):
        return within
    if isinstance(within, Choice):
        return Choice(*within.values, value)
    if isinstance(within, Whole):
        return Whole(min(within.low, value), max(within.high, value), within.log)
    return type(within)(min(within.low, value), max(within.high, value))


def parse(info: FieldInfo, text: str) -> Range:
    """The range that a person wrote for a field: LOW:HIGH, LOW:HIGH:log or VALUE,VALUE,...; where a value itself holds
    commas, VALUE|VALUE. Raises BadValue."""
    name = f"--range {info.path}"
    wanted = f"{name}: expected LOW:HIGH, LOW:HIGH:log or VALUE,VALUE,..."
    number = next((t for t in (info.type, *get_args(info.type)) if t in (int, float)), None)
    try:
        if ":" in text:
            low, high, *scale = text.split(":")
            if number is None or scale not in ([], ["log"]):
                raise BadValue(f"{wanted}, got {text!r}")
            bounds = [fields.parse(number, bound, name) for bound in (low, high)]
            if number is int:
                return Whole(bounds[0], bounds[1], bool(scale))
            return Log(*bounds) if scale else Linear(*bounds)
        parts = [p for p in text.split("|" if "|" in text else ",") if p.strip()]
        if len(parts) < 2:
            raise BadValue(f"{wanted}, got {text!r}")
        return Choice(*dict.fromkeys(fields.parse(info.type, part.strip(), name) for part in parts))
    except ValueError as error:
        raise BadValue(f"{name}: {error}") from None


def given(infos: Sequence[FieldInfo], ranges: str | Mapping[str, Any]) -> dict[str, Range]:
    """Ranges by full dotted path, as a person gave them: "lr=1e-4:1e-2:log;batch=32,64", or a mapping whose values are
    ranges or texts. Raises NotFound for unknown fields, BadValue."""
    known = {info.path: info for info in infos}
    if isinstance(ranges, str):
        pairs: dict[str, Any] = {}
        for part in filter(None, map(str.strip, ranges.split(";"))):
            name, equals, text = part.partition("=")
            if not equals:
                raise BadValue(
                    f"--range {part}: expected FIELD=LOW:HIGH, as in --range config.optimizer.lr=1e-4:1e-2:log"
                )
            pairs[name.strip().lstrip("-")] = text
        ranges = pairs
    found: dict[str, Range] = {}
    for name, value in ranges.items():
        info = known[fields.resolve(name, known, prefix="range ")]
        if info.path in found:
            raise BadValue(f"--range {info.path} is given twice")
        found[info.path] = value if isinstance(value, Range) else parse(info, str(value))
    return found
