"""A finding, and what to do about it in flags that this run's recipe really has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """Something that ails a run. name: short and fixed; seen: what was measured; likely: what it probably means;
    advice: what to do. level: "note", "warning" or "serious"; step: when it was first seen."""

    name: str
    seen: str
    likely: str = ""
    advice: str = ""
    level: str = "warning"
    step: int | None = None


@dataclass(frozen=True)
class Setting:
    """What a run is, as far as its symptoms depend on it.

    phases: (phase, player) in the order of a step; monitor: what it measures; items: training items; samples: how many
    the watch compares; flags: every field of the recipe by dotted name, with its value; optimizers: the dotted name of
    each player's optimizer, where it has one of its own; images: whether items are images.
    """

    phases: tuple[tuple[str, str], ...]
    monitor: str = "validation"
    items: int = 0
    samples: int = 0
    flags: Mapping[str, Any] = field(default_factory=dict)
    optimizers: Mapping[str, str] = field(default_factory=dict)
    images: bool = True

    @property
    def players(self) -> tuple[str, ...]:
        """Who plays, the first first."""
        return tuple(dict.fromkeys(player for _, player in self.phases))

    @property
    def solo(self) -> bool:
        """Whether one player alone learns: then its loss says how well."""
        return len(self.players) == 1

    @property
    def phase(self) -> str:
        """The first phase."""
        return self.phases[0][0]

    def has(self, name: str) -> bool:
        """Whether the recipe has this field."""
        return name in self.flags

    def rates(self, factor: float, player: str | None = None) -> str:
        """Flags that multiply the learning rates of a player (None: of all)."""
        found: list[str] = []
        for name in self.players if player is None else (player,):
            path = self.optimizers.get(name)
            if path is None:
                continue
            kinds = ("muon_lr", "lr") if self.flags.get(f"{path}.name") == "muon" else ("lr",)
            for kind in kinds:
                value = self.flags.get(f"{path}.{kind}")
                flag = f"--{path}.{kind} {number(value * factor)}" if isinstance(value, float) else ""
                if flag and flag not in found:
                    found.append(flag)
        return " ".join(found)

    def slower(self, player: str | None = None) -> str:
        """A third of the rate."""
        flags = self.rates(1 / 3, player)
        return f"a lower learning rate: {flags}" if flags else "a lower learning rate"

    def faster(self, player: str | None = None) -> str:
        """A usual rate instead of one far too low."""
        path = self.optimizers.get(player or self.players[0])
        usual = "0.001" if self.solo else "0.0002"
        return f"a higher learning rate, such as --{path}.lr {usual}" if path else "a higher learning rate"

    def clip(self, player: str | None = None) -> str:
        """Clipping, where there is none."""
        flags = [
            f"--{path}.clip 1"
            for name, path in self.optimizers.items()
            if player in (None, name) and self.flags.get(f"{path}.clip") == 0
        ]
        return f"; or clip gradients: {' '.join(dict.fromkeys(flags))}" if flags else ""

    def decay(self, player: str) -> str:
        """Weight decay, where there is none."""
        path = self.optimizers.get(player)
        if path is None or self.flags.get(f"{path}.weight_decay") != 0:
            return ""
        return f"; or weight decay: --{path}.weight_decay 0.01"

    def more_data(self) -> str:
        """More items, in effect or in fact."""
        flip = self.images and self.flags.get("data.flip") is False
        return "more data" + ("; or --data.flip, if mirrored items are as good" if flip else "")

    def shorter(self, step: int) -> str:
        """A run that ends where this one was best."""
        return f"; or a run that ends where this one was best: --budget {step}steps" if step > 0 else ""

    def regularise(self, best: int) -> str:
        """Against learning by heart; best: the step at which held-out items were understood best."""
        parts = [self.more_data()]
        if self.flags.get("config.dropout") == 0:
            parts.append("or --config.dropout 0.1")
        for name in ("config.width", "config.hidden"):
            value = self.flags.get(name)
            if isinstance(value, int) and value >= 32:
                parts.append(f"or a smaller model: --{name} {value // 2}")
        return "; ".join(parts) + self.decay(self.players[0]) + self.shorter(best)

    def fewer_codes(self) -> str:
        """Codes that die are replaced, or there are fewer of them."""
        found = []
        if self.flags.get("config.alive") == 0:
            found.append("--config.alive 0.03 (dead codes get new places)")
        if isinstance(codes := self.flags.get("config.codes"), int) and codes > 16:
            found.append(f"--config.codes {codes // 4}")
        if self.has("config.quantiser"):
            found.append("--config.quantiser fsq (codes that cannot die)")
        return "; or ".join(found) or "fewer codes, and new places for the dead"

    def lighter_kl(self) -> str:
        """Against codes that say nothing."""
        beta = self.flags.get("config.beta")
        if isinstance(beta, float) and beta > 1:
            return "a lighter weight of the divergence: --config.beta 1"
        return self.slower()

    def weaker(self, player: str, opponent: str) -> str:
        """A judge that leaves its opponent a chance."""
        gamma = self.flags.get("config.gamma")
        parts = [f"a slower {player}: {self.rates(0.25, player)}"] if self.rates(0.25, player) else []
        if isinstance(gamma, float):
            parts.append(f"a heavier gradient penalty: --config.gamma {number(gamma * 10)}")
        else:
            parts.append("a penalised discriminator: recipe r3gan")
        return "; or ".join(parts)

    def stronger(self, player: str, opponent: str) -> str:
        """A judge with something to say."""
        parts = []
        if self.rates(2.0, player):
            parts.append(f"a faster {player}: {self.rates(2.0, player)}")
        if self.rates(0.5, opponent):
            parts.append(f"a slower {opponent}: {self.rates(0.5, opponent)}")
        gamma = self.flags.get("config.gamma")
        if isinstance(gamma, float):
            parts.append(f"a lighter penalty: --config.gamma {number(gamma / 10)}")
        return "; or ".join(parts) or f"a faster {player}"

    def diversify(self, player: str) -> str:
        """Against a generator that repeats itself."""
        gamma = self.flags.get("config.gamma")
        if isinstance(gamma, float):
            return f"a heavier gradient penalty: --config.gamma {number(gamma * 10)}; or {self.slower()}"
        return f"recipe r3gan, whose loss and penalties keep all kinds of items; or {self.slower()}"


def number(value: float) -> str:
    """A number to type, of two digits: 120, 0.0003, 1e-05."""
    return f"{float(f'{value:.2g}'):g}"


def flags_of(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of some dataclasses by dotted name: {"config": ..., "data": ..., "train": ...}."""
    found: dict[str, Any] = {}
    for name, value in parts.items():
        if is_dataclass(value) and not isinstance(value, type):
            found |= flags_of({f"{name}.{f.name}": getattr(value, f.name) for f in fields(value)})
        else:
            found[name] = value
    return found


def optimizers_of(config: Any, players: Mapping[str, Any]) -> dict[str, str]:
    """Where in a configuration each player's optimizer stands: {"generator": "config.generator"}; players: by name."""
    found: dict[str, str] = {}
    for player, optimizer in players.items():
        equal = [f.name for f in fields(config) if getattr(config, f.name) == optimizer] if is_dataclass(config) else []
        if equal:
            found[player] = f"config.{next((name for name in equal if player.startswith(name)), equal[0])}"
    return found
