"""`genloom evaluate`: how good a run's model is, each figure with its protocol and beside what real data reach."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, Storage
from genloom.verbs.places import check_count
from genloom.verbs.results import aligned, cell, finite, html_table
from genloom.verbs.sample import AnyRun, open_run, sampling

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.data import Dataset
    from genloom.engine.load import Loaded
    from genloom.metrics.evaluate import Evaluation

FILE = "evaluation.json"


@dataclass(frozen=True)
class Evaluated:
    """The figures of one run. evaluation: as `genloom.metrics.evaluate` gives them; made: how the samples were made."""

    run: str
    made: Mapping[str, Any]
    evaluation: Evaluation

    def __getitem__(self, key: str) -> float:
        """One figure by its key: result["fd"]."""
        return self.evaluation[key].value

    def to_json(self) -> dict[str, Any]:
        """Everything, as RUN/evaluation.json holds it."""
        return {"run": self.run, **self.made, **self.evaluation.to_json()}

    def rows(self) -> list[tuple[Any, ...]]:
        """(name, value, interval, n, which way is better) of every figure."""
        found = []
        for r in self.evaluation.results:
            interval = f"{r.interval[0]:.4g} .. {r.interval[1]:.4g}" if r.interval else ""
            found.append((r.name, cell(float(r.value)), interval, r.n, r.better))
        return found

    _columns = ("figure", "value", "95% interval", "n", "better")

    def notes(self) -> list[str]:
        """What a reader must know."""
        seconds = ", ".join(f"{k} {v:.1f} s" for k, v in self.evaluation.seconds.items())
        return [*self.evaluation.notes, f"{self.run} on {self.evaluation.data}: {seconds}"]

    def __str__(self) -> str:
        return "\n".join([aligned(self._columns, self.rows()), *self.notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self._columns, self.rows()) + "".join(f"<p>{n}</p>" for n in self.notes())


def data_of(loaded: Loaded) -> Dataset:
    """The data the run was trained on, with its labels: they make the extractor, the same for all models of the data.

    Raises BadData where the data has changed since: held-out items may be so no longer.
    """
    from genloom import data as sets

    found = sets.load(loaded.settings.data)
    known = (loaded.run.config.get("dataset") or {}).get("digest")
    if known is not None and known != found.digest:
        raise BadData(
            f"the data changed since {loaded.run.path} was trained ({known[:8]} then, {found.digest[:8]} now): "
            "bring the old data back, or train a new run"
        )
    return found if found.options.labels else sets.load(replace(found.options, labels=True))


def evaluate(
    run: AnyRun,
    n: int = 5000,
    seed: int = 0,
    raw: bool = False,
    *,
    steps: int | None = None,
    solver: str | None = None,
    guidance: float | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    prior: str | None = None,
    runs: str | Path = "runs",
    samples: Tensor | None = None,
    repeats: int = 1,
) -> Evaluated:
    """Figures of n samples against held-out data (texts: of n held-out windows); also written to RUN/evaluation.json.

    Images: Frechet distance, precision and recall, shares of classes in the features of a small extractor trained on
    the data set, beside what training items reach. Wherever the model gives a likelihood: bits per dimension or nats
    per token. samples: images that were drawn already, instead of drawing. repeats: disjoint sets of n samples;
    from three on, the Frechet distance comes with a t-interval over them. Raises BadValue, BadData.
    """
    import torch

    from genloom.engine.preview import item_field
    from genloom.metrics.evaluate import evaluate as measure

    check_count(n)
    choices: dict[str, Any] = {
        "steps": steps,
        "solver": solver,
        "guidance": guidance,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "prior": prior,
    }
    options = sampling(**choices)
    loaded = open_run(run, runs, raw)
    dataset = data_of(loaded)
    text = item_field(loaded.spec)[1] == "text"
    generator = torch.Generator(loaded.device).manual_seed(seed)
    found = measure(
        loaded.model,
        dataset,
        max(n, 2) if text else n,
        generator,
        options=options,
        repeats=repeats,
        samples=samples,
        likelihood_items=n if text else min(n, 2_000),
    )
    made = {"step": loaded.step, "asked": n, "seed": seed, "raw": raw}
    made |= {"repeats": repeats} if repeats != 1 else {}
    made |= {k: v for k, v in choices.items() if v is not None}
    result = Evaluated(str(loaded.run.path), made, found)
    with contextlib.suppress(Storage):  # a run on a read-only disk can be evaluated, only not remembered
        loaded.run.write(FILE, finite(result.to_json()))
    return result
