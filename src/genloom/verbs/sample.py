"""`genloom sample`: new items from a run, as pictures, arrays or texts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue
from genloom.modalities.registry import modality
from genloom.verbs.drawn import draw, picture
from genloom.verbs.guiding import avoided_class, check_truncation, guided
from genloom.verbs.opened import AnyRun, class_indices, open_run, prompt_ids, sampling, several, told_number
from genloom.verbs.places import check_count, check_out
from genloom.verbs.prompts import ALONE, EACH, SEPARATOR, caption_field, gathered, ids_of, sheet
from genloom.verbs.results import Picture, Texts

if TYPE_CHECKING:
    from genloom.core import Batch


def sample(
    run: AnyRun,
    n: int | None = None,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    prompt: str | Sequence[str] | None = None,
    label: str | int | None = None,
    *,
    negative: str | None = None,
    prompts: str | Path | None = None,
    examples: str | Path | None = None,
    shots: int | None = None,
    tell: str | None = None,
    steps: int | None = None,
    solver: str | None = None,
    eta: float | None = None,
    guidance: float | None = None,
    interval: str | tuple[float, float] | None = None,
    partner: AnyRun = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    length: int | None = None,
    prior: str | None = None,
    truncation: float | None = None,
    decode: str | None = None,
    stop: str | Sequence[str] | None = None,
    logprobs: int | None = None,
    draft: AnyRun = None,
    weights: str | None = None,
    pattern: str | None = None,
    schema: Any = None,
    decoding: Mapping[str, Any] | None = None,
    animate: bool = False,
    runs: str | Path = "runs",
) -> Picture | Texts:
    """n new items (64 images, 16 sounds or clips, 1 text) of a run; the same seed gives the same items.

    out: for images a .png (one grid) or a .npy (uint8 (n, h, w) or (n, h, w, 3)); for sounds a .wav (in a row),
    for clips a .gif or .mp4, for both a .png or .npy too; for texts a .txt or a .jsonl; for any a folder of single
    items. None: all but texts go to RUN/samples/. raw: the trained weights, not their average.
    prompt: the text to continue; for models that are told captions what to draw, or several of that, each of which gets
    n items from the same noise; prompts: a file of them, one a line; negative: what guidance is to lead away from,
    words or a class; interval: times at which it guides, "0.2:0.8"; partner: a worse run to lead away from instead.
    tell: a number that the model is told of the items, "logp=3.5".
    examples: prompts with answers (a file, or a set's name), of which a model of texts is shown `shots` (3) before it
    answers `prompt`; of n answers each is then given without prompt and examples.
    animate: how the items come out of noise, as a .gif or .mp4; for models that refine noise.
    decode, stop, logprobs, draft, weights, pattern, schema, decoding: of texts, see `genloom.verbs.writing.Wishes` and
    `genloom.core.Decoding`, of which `decoding` holds fields by name. A text is the same whatever n.
    Raises BadValue for what does not fit the run's modality, before any work.
    """
    from genloom.engine import preview
    from genloom.verbs import animate as film
    from genloom.verbs import replies, writing
    from genloom.verbs import shots as few

    n = None if n is None else check_count(n)
    options = sampling(
        steps=steps,
        solver=solver,
        eta=eta,
        guidance=guidance,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        length=length,
        prior=prior,
        truncation=truncation,
    )
    made = writing.wishes(decode, stop, logprobs, draft, weights, pattern, schema, decoding)
    loaded = open_run(run, runs, raw)
    check_truncation(loaded, options)
    name, kind = preview.item_field(loaded.spec)
    shown, written = loaded.spec[name], modality(kind).written
    if made.given() and not written:
        raise BadValue(
            f"--{next(iter(made.given()))}: the model of {loaded.run.path} makes {modality(kind).plural}, no texts"
        )
    if examples is None and shots is not None:
        raise BadValue("--shots says how many --examples are shown: give a file of them, or a set's name")
    if examples is not None:
        if made.given() or label is not None or animate:
            raise BadValue("--examples: choose --temperature, --top-k, --top-p or --length beside it alone")
        return few.few_shot(loaded, prompt, examples, few.SHOTS if shots is None else shots, n or 1, seed, options, out)
    if replies.asked_field(loaded) is not None:
        if made.given() or label is not None or animate:
            raise BadValue(
                f"{loaded.run.path}: this model answers prompts: choose --temperature, --top-k or --top-p alone"
            )
        return replies.replies(loaded, prompt, n or 1, seed, options, out)
    if animate:
        film.check_kind(kind, loaded.run.path)
    place = None if out is None else film.check_moving(out) if animate else check_out(out, kind)
    texts = [] if written else gathered(prompt, prompts)
    if written and (negative is not None or prompts is not None or not isinstance(prompt, str | None)):
        raise BadValue(f"{loaded.run.path}: models of texts continue one prompt; give one, and no --negative")
    if written and SEPARATOR in (prompt or ""):
        raise BadValue("--prompt is given twice, with different values: models of texts continue one prompt")
    usual = film.usual_count(shown) if animate else modality(kind).count
    n = n or (usual if not texts else ALONE if len(texts) == 1 else EACH)
    if animate:
        film.check_items(n * max(1, len(texts)))
    if written:
        ids = None if prompt is None else prompt_ids(loaded, prompt, kind)  # type: ignore[arg-type]
        if label is not None:
            class_indices(loaded.spec, label)
        desk = writing.desk(loaded, prompt, options, made, runs, ids)  # type: ignore[arg-type]
        options = desk.options
    chosen = {k: v for k, v in vars(options).items() if v != getattr(type(options)(), k) and k != "decoding"}
    options = guided(loaded, options, interval, partner, runs)
    chosen |= {k: v for k, v in (("interval", interval), ("partner", _named(partner))) if v is not None}
    data = {"run": str(loaded.run.path), "n": n, "seed": seed, "raw": raw, **chosen, **made.given()}
    said = prompt if written else texts[0] if len(texts) == 1 else texts or None
    data |= {k: v for k, v in (("label", label), ("prompt", said), ("negative", negative)) if v is not None}
    data |= {} if tell is None else {"tell": tell}
    number = {} if tell is None else told_number(loaded, tell)
    if place is None and not written:
        words = {k: v for k, v in (("prompt", "-".join(texts)[:60]), ("not", negative), ("tell", tell)) if v}
        stem = loaded.run.samples / _file_name(n, seed, raw, {**chosen, **words}, label)
        place = film.check_moving(f"{stem}.gif") if animate else check_out(f"{stem}{modality(kind).writes[0]}", kind)
    notes: list[str] = []
    told: list[Batch] = [{}]
    if texts or negative is not None:
        found = caption_field(loaded)
        if negative is not None:
            if options.guidance == 1.0:
                raise BadValue("--negative needs guidance, and --guidance 1 is none: leave one of them out")
            if found:
                options = replace(options, negative={found[0]: ids_of(loaded, [negative], "--negative", notes)})
            else:
                options = avoided_class(loaded, options, negative)
        if texts:
            ids = ids_of(loaded, texts, "--prompt", notes)
            told = [{found[0]: row[None]} for row in ids] if found else told
    told = [{**one, **number} for one in told]
    started = time.perf_counter()
    if written:
        return writing.written(desk, n, seed, place, data)
    watches = [film.Watch(shown, loaded.run.path) if animate else None for _ in told]
    drawn = [
        draw(loaded, n, seed=seed, options=options, label=label, told=one, watch=watch)
        for one, watch in zip(told, watches, strict=True)
    ]
    data["seconds"] = round(time.perf_counter() - started, 3)
    assert place is not None
    if animate:
        return film.path(watches, drawn, shown, place, data, tuple(notes))
    if len(texts) > 1:
        return sheet(list(zip(texts, drawn, strict=True)), shown, place, data, notes, out)
    across = several(loaded.spec)
    columns = max(across, 8 // across * across) if across else None
    drawing = picture(drawn[0], shown, place, data, exact=out is not None, out=out, columns=columns)
    return replace(drawing, notes=(*notes, *drawing.notes))


def _named(run: AnyRun) -> str | None:
    return None if run is None else Path(str(getattr(run, "path", run))).name


def _file_name(n: int, seed: int, raw: bool, chosen: Mapping[str, Any], label: object) -> str:
    parts = [
        "sample",
        f"n{n}",
        f"seed{seed}",
        *(["raw"] if raw else []),
        *([f"label{label}"] if label is not None else []),
    ]
    parts += [f"{k}{v}" for k, v in chosen.items()]
    return "".join(c if c.isalnum() or c in "-." else "_" for c in "-".join(parts))


def streams(run: AnyRun, runs: str | Path = "runs") -> bool:
    """Whether the run's model writes its items piece by piece."""
    from genloom.core import CanStream

    return isinstance(open_run(run, runs).model, CanStream)


def notes_on(run: AnyRun, prompt: str | None, runs: str | Path = "runs") -> tuple[str, ...]:
    """What a person should know before a text after this prompt is streamed."""
    from genloom.verbs import writing

    return writing.unseen(open_run(run, runs), prompt)


def stream(
    run: AnyRun,
    prompt: str | None = None,
    seed: int = 0,
    *,
    raw: bool = False,
    label: str | int | None = None,
    decode: str | None = None,
    stop: str | Sequence[str] | None = None,
    draft: AnyRun = None,
    weights: str | None = None,
    pattern: str | None = None,
    schema: Any = None,
    decoding: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    **choices: Any,
) -> Iterator[str]:
    """The prompt, then what the model adds to it, piece by piece as it is written: the text that `sample` gives.
    `choices`: those of `sampling`; the others as in `sample`."""
    from genloom.core import CanStream
    from genloom.engine import preview
    from genloom.verbs import writing

    options = sampling(**choices)
    made = writing.wishes(decode, stop, None, draft, weights, pattern, schema, decoding)
    loaded = open_run(run, runs, raw)
    _, kind = preview.item_field(loaded.spec)
    if label is not None:
        class_indices(loaded.spec, label)
        raise BadValue("--label cannot be streamed: give --out")
    if not isinstance(loaded.model, CanStream) or loaded.tokenizer is None:
        raise BadValue(f"{loaded.run.path}: its model makes {modality(kind).plural} and does not stream; use sample")
    ids = None if prompt is None else prompt_ids(loaded, prompt, kind)
    yield from writing.pieces(writing.desk(loaded, prompt, options, made, runs, ids), seed)
