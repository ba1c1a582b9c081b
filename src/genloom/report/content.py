"""What a report is made of: plain data, so that it can be written without torch and from anybody's runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

Shown = Image.Image | str | None


class Playable(Protocol):
    """A sound or a moving picture: a whole file. kind: "audio/wav" or "image/gif"."""

    @property
    def kind(self) -> str: ...
    @property
    def content(self) -> bytes: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True)
class Finding:
    """Something that ails a run, or is worth knowing of it.

    name: short and fixed ("overfitting"); seen: what was measured, with figures; likely: what it probably means;
    advice: what to do. level: "note", "warning" or "serious"; step: when it was first seen, None for the whole run;
    until: the step at which it was gone, None where it is still there.
    """

    name: str
    seen: str
    likely: str = ""
    advice: str = ""
    level: str = "warning"
    step: int | None = None
    until: int | None = None


@dataclass(frozen=True)
class ReportRun:
    """One trained model.

    name: of the run; recipe, family: what was trained ("flow", "diffusion").
    rows: of metrics.jsonl: "step", "seconds" and scalars; samples, real: a picture, or text; neighbours: a picture with
    samples above their nearest training items; evaluation: as `Evaluation.to_json` gives it; cost: as status.json holds
    it; config: the run's resolved configuration; command: what to type to train it again.
    parameters, items: how many weights it has and training items it saw; data: name of its data set; monitor: what its
    monitor measures; plan: how it was computed, with the reason; notes: what a reader must know.
    clips, real_clips: samples and held-out items that can be played.
    """

    name: str
    recipe: str
    family: str
    rows: Sequence[Mapping[str, Any]]
    samples: Shown = None
    real: Shown = None
    neighbours: Image.Image | None = None
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    parameters: int | None = None
    items: int | None = None
    data: str = ""
    monitor: str = "monitor"
    plan: str = ""
    notes: Sequence[str] = ()
    health: Sequence[Finding] = ()
    walks: Image.Image | None = None
    map: Image.Image | None = None
    path: Image.Image | None = None
    clips: Sequence[Playable] = ()
    real_clips: Sequence[Playable] = ()

    def result(self, key: str) -> Mapping[str, Any] | None:
        """The figure with this key, or None where it was not measured."""
        return next((r for r in self.evaluation.get("results", ()) if r["key"] == key), None)


@dataclass(frozen=True)
class DataNote:
    """Where a data set comes from, and on what terms. name: what `--data` calls it; digest: of its items."""

    title: str
    source: str
    licence: str
    items: str = ""
    citation: str = ""
    name: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Estimate:
    """A figure of one contestant over its seeds.

    value: the mean; values: one a seed; interval: 95%, None where no honest one is known; n: items a seed was measured
    on; how: the interval's method in words ("t over 3 seeds").
    """

    value: float
    values: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    n: int = 0
    how: str = ""


@dataclass(frozen=True)
class Curve:
    """Quality against training time of one contestant. points: (seconds, value, low, high); low and high are the
    smallest and largest over seeds, equal to the value where there is one seed."""

    name: str
    points: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Standing:
    """One contestant in a comparison. name: as it was asked for; figures: estimates by key ("fd", "precision");
    tied: contestants from which its ranking figure does not differ significantly; curve: None where only the end was
    measured; runs: names of its runs, one a seed; cost: means over seeds, as status.json holds them."""

    name: str
    recipe: str
    family: str
    rank: int
    figures: Mapping[str, Estimate]
    tied: tuple[str, ...] = ()
    curve: Curve | None = None
    runs: tuple[str, ...] = ()
    parameters: int | None = None
    cost: Mapping[str, Any] = field(default_factory=dict)
    samples: Image.Image | str | None = None


@dataclass(frozen=True)
class Comparison:
    """Several recipes on the same data with the same budget, the best first.

    key, name: the figure that ranks them, as in Result; better: "lower" or "higher"; floor: what real items score;
    labels: name and direction of each other figure by key; test: how differences were judged, in words;
    blind: address of a page to judge samples without knowing their makers, relative to the report.
    """

    key: str
    name: str
    better: str
    standings: Sequence[Standing]
    floor: float | None = None
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    budget: str = ""
    seeds: Sequence[int] = ()
    test: str = ""
    blind: str = ""


@dataclass(frozen=True)
class Report:
    """title: the heading; summary: in words, made from the runs where it is empty; runs, data: what it is about;
    protocol: how figures were taken, a paragraph each; commands: what to type to repeat it all; versions: of software
    and machine; made: date and time in words; comparison: the leaderboard, where the runs were contestants in one."""

    title: str
    runs: Sequence[ReportRun]
    summary: str = ""
    data: Sequence[DataNote] = ()
    protocol: Sequence[str] = ()
    commands: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    made: str = ""
    comparison: Comparison | None = None


PROTOCOL = (
    "FD is the Frechet distance between samples and held-out items in the features of a small network trained on the "
    "training split. The name holds the hash of its weights: compare only figures of one name and one n. It is not the "
    "FID, which stands for one certain network trained on photographs.",
    "The floor is what real training items score against the same held-out items at the same n. A model that reaches "
    "it cannot be told from real data in these features; other features may still tell.",
    "Precision is the share of samples that lie among real items, recall the share of held-out items that lie among "
    "samples, each judged by distances to fifth neighbours in the same features.",
    "Nats per token and bits per dimension are means over held-out items. A bound may be above the truth, never below.",
    "Nearest neighbours show each sample above the training item closest to it in pixels: twins would mean copying.",
    "Seconds and memory are measured. Energy and CO2 are estimates, given as ranges from an efficient processor on a "
    "clean grid to a hungry one on coal.",
)
"""How the figures of `genloom.metrics` are to be read, in the words of the guide on evaluation."""
