"""`genloom evaluate`: how good a run's model is, or samples that any tool made, each figure with its protocol and
beside what real data reach.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue, Storage
from genloom.verbs.evaluation_page import page_of, write_page
from genloom.verbs.guiding import check_truncation
from genloom.verbs.opened import OWN, AnyRun, data_of, images_in, open_run, sampling
from genloom.verbs.places import check_count
from genloom.verbs.results import Table, aligned, cell, finite, html_table

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.metrics.evaluate import Evaluation

FILE = "evaluation.json"
SAMPLES = 5000  # images drawn of a run where nobody says otherwise
_BESIDE = (
    "fd_floor",
    "fid_floor",
    "precision_real",
    "recall_real",
)  # figures that a table shows in its column of real items


@dataclass(frozen=True)
class Evaluated:
    """The figures of one run, or of samples. run: where they are; made: how the samples were made; evaluation: as
    `genloom.metrics.evaluate` gives them; kind: "run" or "samples"; page: where it is shown with pictures."""

    run: str
    made: Mapping[str, Any]
    evaluation: Evaluation
    kind: str = "run"
    page: str = ""

    def __getitem__(self, key: str) -> float:
        """One figure by its key: result["fd"]."""
        return self.evaluation[key].value

    def to_json(self) -> dict[str, Any]:
        """Everything, as RUN/evaluation.json holds it."""
        page = {"page": self.page} if self.page else {}
        return {self.kind: self.run, **self.made, **page, **self.evaluation.to_json()}

    def rows(self) -> list[tuple[Any, ...]]:
        """(name, value, interval, what real items score, n, which way is better) of every figure."""
        found = []
        for r in self.evaluation.results:
            if r.key in _BESIDE:
                continue
            interval = f"{r.interval[0]:.4g} .. {r.interval[1]:.4g}" if r.interval else ""
            floor = r.protocol.get("held_out_share") if r.floor is None else r.floor
            found.append((r.name, cell(float(r.value)), interval, "" if floor is None else cell(float(floor)), r.n,
                          r.better))  # fmt: skip
        return found

    _columns = ("figure", "value", "95% interval", "real items", "n", "better")

    def notes(self) -> list[str]:
        """What a reader must know."""
        seconds = ", ".join(f"{k} {v:.1f} s" for k, v in self.evaluation.seconds.items())
        page = [f"{self.page} shows it with pictures"] if self.page else []
        return [*self.evaluation.notes, f"{self.run} on {self.evaluation.data}: {seconds}", *page]

    def __str__(self) -> str:
        return "\n".join([aligned(self._columns, self.rows()), *self.notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self._columns, self.rows()) + "".join(f"<p>{n}</p>" for n in self.notes())


def evaluate(
    run: AnyRun,
    n: int | None = None,
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
    truncation: float | None = None,
    runs: str | Path = "runs",
    samples: Tensor | None = None,
    repeats: int = 1,
    data: Any = None,
    against: AnyRun = None,
    extractor: str = OWN,
    path_length: bool = False,
    overrides: Mapping[str, Any] | None = None,
    page: bool = True,
) -> Evaluated | Table:
    """Figures of n samples (5,000) against held-out data (texts: of n held-out windows); also written to
    RUN/evaluation.json, and with pictures to RUN/evaluation.html (of samples: SAMPLES-evaluation.html) unless `page` is
    False.

    Images: Frechet distance, precision and recall, shares of classes and more in the features of a small extractor
    trained on the data set, beside what training items reach, and whether training items were copied. Wherever the
    model gives a likelihood: bits per dimension or nats per token. samples: images that were drawn already, instead of
    drawing. repeats: disjoint sets of n samples; from three on, the Frechet distance comes with a t-interval over them.

    data: then `run` is a file or folder of samples that any tool made, all of which (or the first n) are measured
    against this data set; overrides: fields of the data. against: another run (with data: other samples), measured
    alike; the result is a table of differences.

    extractor: what images are compared in: "own", the data set's; "inception", the FID's, "lpips-vgg" or "lpips-alex",
    whose weights are fetched; or "package.module:function". With another than the data set's own the figures stand in
    RUN/evaluation-NAME.json. path_length: also the perceptual path length of a model with a latent space.
    Raises BadValue, BadData, NotFound.
    """
    choices: dict[str, Any] = {
        "steps": steps,
        "solver": solver,
        "guidance": guidance,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "prior": prior,
        "truncation": truncation,
    }
    n = None if n is None else check_count(n)
    given = {k: v for k, v in choices.items() if v is not None}
    if data is not None:
        if raw or given or samples is not None or repeats != 1 or path_length:
            raise BadValue(
                f"{run}: with --data it is samples, which --seed, -n and --extractor alone concern; leave the rest out"
            )
        return _of_samples(run, n, seed, data, overrides or {}, against, extractor, page)
    if overrides:
        raise BadValue(f"--data.{next(iter(overrides))} goes with --data; a run is measured on its own data")
    if isinstance(run, str | Path) and Path(run).suffix == ".jsonl" and Path(run).is_file():
        return _of_pairs(Path(run), n, seed, against, page)
    if against is not None:
        from genloom.verbs.against import runs_apart

        if path_length:
            raise BadValue("--path-length goes with one run; leave out --against")
        return runs_apart(run, against, n or SAMPLES, seed, raw, sampling(**choices), runs, extractor)
    return _of_run(run, n or SAMPLES, seed, raw, given, runs, samples, repeats, extractor, path_length, page)


def _of_run(
    run: AnyRun,
    n: int,
    seed: int,
    raw: bool,
    choices: Mapping[str, Any],
    runs: str | Path,
    samples: Tensor | None,
    repeats: int,
    extractor: str,
    path_length: bool,
    page: bool,
) -> Evaluated:
    import torch

    from genloom.engine.preview import item_field
    from genloom.metrics.domains import evaluate_domains
    from genloom.metrics.evaluate import evaluate as measure

    options = sampling(**choices)
    loaded = open_run(run, runs, raw)
    check_truncation(loaded, options)
    dataset = data_of(loaded)
    modality = item_field(loaded.spec)[1]
    text = modality == "text"
    net = images_in(extractor, modality, dataset, loaded.device)
    generator = torch.Generator(loaded.device).manual_seed(seed)
    drawn: list[Any] = []
    several = len(dataset.items) > 1
    found = (evaluate_domains if several else measure)(
        loaded.model,
        dataset,
        max(n, 2) if text else n,
        generator,
        options=options,
        repeats=repeats,
        samples=samples,
        likelihood_items=n if text else min(n, 2_000),
        extractor=net,
        path_length=path_length,
        keep=drawn.append,
        drawing=loaded.drawing,
    )
    made: dict[str, Any] = {"step": loaded.step, "asked": n, "seed": seed, "raw": raw}
    made |= {"repeats": repeats} if repeats != 1 else {}
    made |= {"asked_extractor": extractor} if extractor != OWN else {}
    result = Evaluated(str(loaded.run.path), {**made, **choices}, found)
    if page:
        place = loaded.run.path / Path(file_of(extractor)).with_suffix(".html")
        flags = {"n": n, "seed": seed, "raw": raw, "extractor": extractor, **choices}
        command = _command([str(loaded.run.path)], flags)
        first = dataset.only(dataset.items[0]) if several else dataset
        shown = write_page(place, f"{loaded.run.name} on {dataset.name}", finite(result.to_json()), command, first,
                           next(iter(drawn), None))  # fmt: skip
        result = replace(result, page=shown)
    with contextlib.suppress(Storage):  # a run on a read-only disk can be evaluated, only not remembered
        loaded.run.write(file_of(extractor), finite(result.to_json()))
    return result


def file_of(extractor: str) -> str:
    """Where a run's figures in this extractor stand: those in the data set's own are what comparisons take up."""
    word = "".join(c if c.isalnum() or c in "-." else "_" for c in extractor)
    return FILE if extractor == OWN else f"evaluation-{word}.json"


def _of_samples(
    path: Any, n: int | None, seed: int, data: Any, overrides: Mapping[str, Any], against: Any, extractor: str,
    page: bool,
) -> Evaluated | Table:  # fmt: skip
    from genloom import data as sets
    from genloom.data.foreign import source_of
    from genloom.data.samples import load_samples, references_in
    from genloom.metrics.evaluate import evaluate_samples
    from genloom.metrics.texts import of_pairs
    from genloom.verbs.catalogue import data_options

    dataset = sets.load(data_options(source_of(data, data_options("", overrides)), overrides))
    item = next(f for f in dataset.spec.values() if f.role == "item")
    notes: list[str] = []
    net = images_in(extractor, item.modality, dataset)
    items = load_samples(Path(path).expanduser(), item, dataset.options, n, notes)
    if against is not None:
        from genloom.verbs.against import samples_apart

        others = load_samples(Path(against).expanduser(), item, dataset.options, n, notes)
        return samples_apart((str(path), items), (str(against), others), dataset, seed, notes, net)
    found = evaluate_samples(items, dataset, seed=seed, extractor=net)
    references = references_in(Path(path).expanduser(), n)
    if references is not None and isinstance(items, list):
        found = replace(found, results=(*found.results, *of_pairs(items, references, seed=seed)))
    told = tuple(dict.fromkeys((*notes, *found.notes)))
    result = Evaluated(str(path), {"asked": n, "seed": seed}, replace(found, notes=told), "samples")
    if not page:
        return result
    here = Path(path).expanduser()
    source = data if isinstance(data, str | Path) else dataset.name
    shaped = {f"data.{k.removeprefix('data.')}": v for k, v in overrides.items()}
    flags = {"data": source, "n": n, "seed": seed, "extractor": extractor, **shaped}
    shown = write_page(page_of(here), f"{here.name} against {dataset.name}", finite(result.to_json()),
                       _command([str(path)], flags), dataset, items, references)  # fmt: skip
    return replace(result, page=shown)


def _command(words: list[str], flags: Mapping[str, Any]) -> str:
    """The command that measures this again, with the flags that are not as usual."""
    import shlex

    usual = {"seed": 0, "raw": False, "extractor": OWN}
    found = ["genloom", "evaluate", *words]
    for name, value in flags.items():
        if value is not None and value != usual.get(name):
            found += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(found)


def _of_pairs(path: Path, n: int | None, seed: int, against: Any, page: bool) -> Evaluated:
    """Texts beside their references or sources, which needs no data set. Raises BadValue where there are none."""
    import hashlib

    from genloom.data.samples import load_texts, references_in, sources_in
    from genloom.metrics.answers import line_results
    from genloom.metrics.evaluate import Evaluation

    references, sources = references_in(path, n), sources_in(path, n)
    if references is None and sources is None:
        raise BadValue(
            f'{path}: to be measured, samples need --data D, or lines with "text" and "reference" or "source"'
        )
    if against is not None:
        raise BadValue("--against: texts with references are not compared yet; evaluate each file by itself")
    texts, notes = load_texts(path)[:n], list[str]()
    beside = references if sources is None else (references, sources)
    digest = hashlib.sha256(repr(beside).encode()).hexdigest()
    results = tuple(
        replace(r, protocol={**r.protocol, "data": digest[:12]})
        for r in line_results(texts, references, sources, notes, seed=seed)
    )
    found = Evaluation(
        "its sources" if references is None else "its references", digest, len(texts), results, notes=tuple(notes)
    )
    result = Evaluated(str(path), {"asked": n, "seed": seed}, found, "samples")
    if not page:
        return result
    shown = write_page(page_of(path), f"{path.name} beside {found.data}", finite(result.to_json()),
                       _command([str(path)], {"n": n, "seed": seed}), None, texts, references)  # fmt: skip
    return replace(result, page=shown)
