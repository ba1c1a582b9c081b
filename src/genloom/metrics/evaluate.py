"""All that can be measured of a finished model, or of samples that any tool made, each figure with its protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from genloom import __version__
from genloom.core import Batch, CanSample, CanStream, Field, HasLikelihood, Model, Sampling
from genloom.errors import BadData, BadValue
from genloom.metrics.answers import MOST as ANSWERS
from genloom.metrics.answers import Answered, answer_results, answered, told
from genloom.metrics.base import Result, spread
from genloom.metrics.drawing import CHUNK, checked_items, draw_floats, draw_ids
from genloom.metrics.drawing import draw as draw
from genloom.metrics.drawing import write as write
from genloom.metrics.drawn_molecules import TARGETS, HasSmiles, heeded, of_molecules
from genloom.metrics.features import Extractor
from genloom.metrics.figures import compare
from genloom.metrics.latents import latent_results
from genloom.metrics.likelihood import Decodes, likelihood
from genloom.metrics.lpips import load_lpips
from genloom.metrics.music.likelihood import note_likelihood
from genloom.metrics.music.samples import MOST as PIECES
from genloom.metrics.music.samples import HasPieces, of_music
from genloom.metrics.originality import Originality, originality
from genloom.metrics.pairs import pair_results, source_of, tasks_of, to_be_made
from genloom.metrics.pairwise import pairwise_result
from genloom.metrics.pictured import pictured_set, seen
from genloom.metrics.points import of_points
from genloom.metrics.recitation import Recitation, recitation
from genloom.metrics.recited import beside
from genloom.metrics.retrieval import MOST, CaptionedSet, retrieval
from genloom.metrics.rows import of_rows
from genloom.metrics.store import DatasetLike, extractor_for
from genloom.metrics.texts import of_texts
from genloom.metrics.told import MOST as ASKED
from genloom.metrics.told import class_accuracy
from genloom.metrics.weights import here
from genloom.modalities import modality
from genloom.modalities.image import to_bytes
from genloom.modalities.words import WordTokenizer


class EvaluatedSet(CaptionedSet, Protocol):
    """A data set with the tokenizer of its texts."""

    @property
    def tokenizer(self) -> Decodes | None: ...


@dataclass(frozen=True)
class Evaluation:
    """results: every figure; n: samples that were drawn; extractor: name@hash, or "" where none was needed;
    facts: of the extractor; seconds: by part of the work; notes: what a reader must know; memorisation: the verdict on
    copies of training items (of texts: on recited stretches), empty where nothing was asked or can be said."""

    data: str
    digest: str
    n: int
    results: tuple[Result, ...]
    extractor: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    memorisation: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form; `results` by key stand under "values" too, for programs that want one number."""
        return {
            **asdict(self),
            "results": [r.to_json() for r in self.results],
            "values": {r.key: r.value for r in self.results},
            "notes": list(self.notes),
        }

    def __getitem__(self, key: str) -> Result:
        """The result with this key. Raises KeyError."""
        return {r.key: r for r in self.results}[key]


def evaluate(
    model: Model,
    dataset: EvaluatedSet,
    n: int,
    generator: torch.Generator,
    *,
    extractor: Extractor | None = None,
    batch: int = CHUNK,
    options: Sampling = Sampling(),
    repeats: int = 1,
    likelihood_items: int | None = 2_000,
    samples: Tensor | None = None,
    copies: bool = True,
    path_length: bool = False,
    keep: Callable[[Tensor | list[str]], None] | None = None,
    drawing: Callable[[], AbstractContextManager[None]] = nullcontext,
    made_of: Batch | None = None,
) -> Evaluation:
    """Measures `model` against the held-out (test) items of `dataset`, always in fp32.

    n: images to draw; generator: for samples and estimates; extractor: by default the data set's own, trained now or
    cached; options: of sampling; repeats: disjoint sets of n samples, from three on the Frechet distance gets a
    t-interval; likelihood_items: held-out items for the likelihood (None: all); samples: floats or bytes (n, C, H, W)
    already drawn, instead of drawing; copies: whether to look for copies of training items; of models of text 100
    texts are drawn for that; path_length: also the perceptual path length; keep: is given the measured samples;
    drawing: the arithmetic in which samples are drawn; made_of: pictures that samples are made of; None takes the
    held-out ones of a model that needs some, each once. Raises
    BadValue for n < 2 and for a path length without a latent space, BadData where nothing can be measured and for
    samples that are not finite.
    """
    if n < 2 or repeats < 1:
        raise BadValue(f"expected at least 2 samples and 1 repeat, got n = {n} and {repeats}: raise -n")
    key, item = next((k, f) for k, f in dataset.spec.items() if f.role == "item")
    seed = generator.initial_seed()
    seconds: dict[str, float] = {}
    notes: list[str] = []
    found: Evaluation | None = None
    rows: Tensor | None = None  # of tables and points, which have no pictures
    replies: Answered | None = None  # of models that answer prompts
    given: Tensor | list[str] | None = None if samples is None else checked_items(samples, item, notes)
    if made_of is None and samples is None and (source := source_of(model, dataset.spec, key)) is not None:
        n = min(n, len(dataset.test))
        made_of = to_be_made(model, dataset.spec, dataset.test, key, n)
        notes.append(f"samples are made of the {source} form of {n:,} held-out items")
    if samples is None and isinstance(model, CanSample):
        started = time.perf_counter()
        if seen(item):
            with drawing():
                given = torch.cat(
                    [draw(model, key, n, generator, options, batch, item, made_of) for _ in range(repeats)]
                )
        elif item.modality in ("table", "vector"):
            with drawing():
                rows = draw_floats(model, key, n, generator, options, batch)
        elif item.modality == "molecule":
            rows = draw_ids(model, key, n, generator, options)
        elif item.modality == "music":
            rows = draw_ids(model, key, min(n, PIECES), generator, options)
        elif (prompt := told(dataset.spec)) is not None and dataset.tokenizer is not None:
            replies = answered(model, dataset.test, key, prompt, dataset.tokenizer, generator, options, min(n, ANSWERS))
            given = list(replies.texts)
        elif item.modality == "text" and copies and dataset.tokenizer is not None:
            given = write(model, key, item, dataset.tokenizer, generator, options)
        seconds["sampling"] = time.perf_counter() - started
    if given is not None:
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        sets = repeats if samples is None and seen(item) else 1
        found = _measured(given, pictured_set(dataset), extractor, device, sets, seed, copies)
        found = replace(found, data=dataset.name)
    if keep is not None and given is not None:
        keep(given)
    results, seconds = list(found.results) if found else [], {**seconds, **(found.seconds if found else {})}
    if rows is not None:
        started = time.perf_counter()
        found = Evaluation(dataset.name, dataset.digest, len(rows), ())
        if item.modality == "music":
            figures = of_music(rows, item, cast(HasPieces, dataset.train), cast(HasPieces, dataset.test), notes, seed)
        elif item.modality == "vector":
            figures = of_points(rows, key, dataset.train, dataset.test)
        elif item.modality == "molecule":
            figures = of_molecules(rows, item, cast(HasSmiles, dataset.train), cast(HasSmiles, dataset.test), seed)
            batch_of = dataset.test.batch(spread(len(dataset.test), TARGETS, seed))
            numbers = next((v for k, v in batch_of.items() if k != key), None)
            figures += [] if numbers is None else heeded(model, dataset.spec, key, numbers, generator, options)
        else:
            figures = of_rows(rows, item, dataset.train, dataset.test, seed)
        results += [_signed(r, dataset, seed, item) for r in figures]
        seconds["columns" if item.modality == "table" else "distances"] = time.perf_counter() - started
    if replies is not None:
        started = time.perf_counter()
        scored = answer_results(replies, notes, seed=seed, abstain=dataset.options.abstain)
        results = [_signed(r, dataset, seed, item) for r in scored] + results
        seconds["answers"] = time.perf_counter() - started
    if samples is None and isinstance(model, CanSample) and seen(item):
        started = time.perf_counter()
        kept = generator.get_state()
        shown = pictured_set(dataset)
        judge = extractor or extractor_for(shown, device=generator.device)
        with drawing():
            asked = class_accuracy(model, shown, judge, item, generator, options=options, most=min(n, ASKED))
        generator.set_state(kept)
        results += [_signed(r, dataset, seed, item) for r in asked]
        seconds["class accuracy"] = time.perf_counter() - started
    words = dataset.tokenizer
    if (
        samples is None
        and isinstance(words, WordTokenizer)
        and isinstance(model, CanSample)
        and item.modality == "image"
    ):
        started = time.perf_counter()
        kept = generator.get_state()  # what follows is as it is without captions
        figures = retrieval(model, dataset, words, generator, options=options, most=min(n, MOST), notes=notes)
        generator.set_state(kept)
        results += [_signed(r, dataset, seed, item) for r in figures]
        seconds["retrieval"] = time.perf_counter() - started
    if seen(item) and item.modality not in ("image", "strokes"):  # movements of a pen are what was stored
        named = modality(item.modality)
        notes.append(
            f"{named.plural} are compared by their {named.codec.seen_as}; a likelihood of them is not given: it would "
            "count the numbers of a format"
        )
    elif item.modality == "music" and isinstance(model, HasLikelihood) and isinstance(model, CanStream):
        started = time.perf_counter()
        probable = note_likelihood(model, cast(HasPieces, dataset.test).pieces(), key, item, generator=generator)
        results = [_signed(r, dataset, seed, item) for r in probable] + results
        seconds["likelihood"] = time.perf_counter() - started
    elif isinstance(model, HasLikelihood):
        started = time.perf_counter()
        probable = likelihood(
            model,
            dataset.test,
            item,
            generator=generator,
            limit=likelihood_items,
            batch=min(batch, 128),
            tokenizer=dataset.tokenizer if item.modality == "text" else None,
            text_key=key,
        )
        likely = [_signed(r, dataset, seed, item) for r in probable]
        results = likely + results if item.modality == "text" else results + likely
        seconds["likelihood"] = time.perf_counter() - started
    if tasks_of(model, dataset.spec):
        started = time.perf_counter()
        with drawing():
            alike = pair_results(model, dataset.spec, dataset.test, generator, options)
        results += [_signed(r, dataset, seed, item) for r in alike]
        seconds["pairs"] = time.perf_counter() - started
    about = latent_results(model, dataset, key, generator, seconds, path_length)
    results += [_signed(r, dataset, seed, item) for r in about]
    if not results:
        raise BadData(f"{type(model).__name__} neither draws images nor gives probabilities: nothing can be measured")
    found = found or Evaluation(dataset.name, dataset.digest, 0, ())
    seconds = {k: round(v, 3) for k, v in seconds.items()}
    return replace(found, results=tuple(results), seconds=seconds, notes=(*notes, *found.notes))


def evaluate_samples(
    items: Tensor | Sequence[str],
    dataset: EvaluatedSet,
    *,
    extractor: Extractor | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
    copies: bool = True,
) -> Evaluation:
    """Measures samples that anything made against the held-out (test) items of `dataset`.

    items: images (n, C, H, W) of the data set's shape, bytes or floats in [-1, 1], or texts. They are put into a random
    order by `seed` first, since figures that cannot use all of them use the first. Raises BadValue for fewer than two,
    BadData for another shape or modality, values that are not finite, and pictures that are all of one flat colour.
    """
    item = next(f for f in dataset.spec.values() if f.role == "item")
    kind = "image" if isinstance(items, Tensor) else "text"
    if (kind == "text") != (item.modality == "text"):
        held = modality(item.modality).plural
        raise BadData(f"the samples are {kind}s and {dataset.name} holds {held}: give samples of its kind")
    if len(items) < 2:
        raise BadValue(f"expected at least 2 samples, got {len(items)}: give more")
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    notes: list[str] = []
    if isinstance(items, Tensor):
        shuffled: Tensor | list[str] = checked_items(items, item, notes)[order]
    else:
        shuffled = [items[i] for i in order.tolist()]
    found = _measured(shuffled, pictured_set(dataset), extractor, torch.device(device), 1, seed, copies)
    found = replace(found, data=dataset.name)
    pairs = found.memorisation.get("pairs")
    if pairs is not None:  # by the place in what was given, not in the shuffled order
        told = {**found.memorisation, "pairs": [(int(order[i]), j, score) for i, j, score in pairs]}
        found = replace(found, memorisation=told)
    return replace(found, notes=(*notes, *found.notes))


def _measured(
    items: Tensor | Sequence[str],
    dataset: EvaluatedSet,
    extractor: Extractor | None,
    device: torch.device,
    repeats: int,
    seed: int,
    copies: bool,
) -> Evaluation:
    """Figures of samples in random order; images: `repeats` sets of equal size one after the other."""
    item = next(f for f in dataset.spec.values() if f.role == "item")
    results: list[Result] = []
    seconds: dict[str, float] = {}
    notes: list[str] = []
    used: Extractor | None = None
    found: Originality | Recitation | None = None
    if isinstance(items, Tensor):
        images = to_bytes(items)
        started = time.perf_counter()
        used = extractor or extractor_for(dataset, device=device)
        seconds["extractor"] = time.perf_counter() - started
        started = time.perf_counter()
        features = used.features(images)
        seconds["features"] = time.perf_counter() - started
        started = time.perf_counter()
        results += compare(used, dataset, list(features.tensor_split(repeats)), notes)
        if here("lpips") and len(images) > 2:
            results.append(pairwise_result(load_lpips("alex", device), images, dataset))
        seconds["distances"] = time.perf_counter() - started
        if copies:
            started = time.perf_counter()
            found = originality(images, dataset)
            results += [found.result] if found else []
            seconds["copies"] = time.perf_counter() - started
    elif copies:
        started = time.perf_counter()
        known = beside(items, dataset, dataset.tokenizer)
        if known is not None:
            found = replace(recitation(known.texts, known.held_out, known.source), notes=known.notes)
            results += found.results
            seconds["copies"] = time.perf_counter() - started
            started = time.perf_counter()
            results += of_texts(known.texts, known.held_out, known.source, notes, seed=seed)
            seconds["texts"] = time.perf_counter() - started
    if copies and found is None:
        notes.append("there are too few items to say anything on copies")
    notes += [found.sentence, *found.notes] if found else []
    return Evaluation(
        data=dataset.name,
        digest=dataset.digest,
        n=len(items),
        results=tuple(_signed(r, dataset, seed, item) for r in results),
        extractor=used.identity if used else "",
        facts=dict(used.facts) if used else {},
        seconds={k: round(v, 3) for k, v in seconds.items()},
        notes=tuple(notes),
        memorisation=found.to_json() if found else {},
    )


def _signed(result: Result, dataset: DatasetLike, seed: int, item: Field) -> Result:
    """The result with what all figures of an evaluation share in its protocol."""
    shared = {"seed": seed, "split": "test", "data": dataset.digest[:12], "version": __version__}
    return replace(result, protocol={**result.protocol, "size": "x".join(map(str, item.shape)), **shared})
