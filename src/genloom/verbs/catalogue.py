"""`genloom runs`, `recipes` and `data`: what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genloom.errors import BadValue, GenloomError, NotFound
from genloom.modalities.registry import learnt, modality
from genloom.verbs.opened import AnyRun, find_run
from genloom.verbs.places import check_out
from genloom.verbs.results import Facts, Picture, Table, size_text


def runs(runs: str | Path = "runs") -> Table:
    """All runs of a folder, oldest name first: state, recipe, data, how far, how good."""
    from genloom.runs import list_runs

    rows = []
    for found in list_runs(runs):
        try:
            config, status = found.config, found.status
        except GenloomError as error:
            rows.append((found.name, f"damaged: {error}", None, None, None, None, None))
            continue
        best = status.get("best") or {}
        data = (config.get("data") or {}).get("source")
        state, seconds = state_of(found), status.get("seconds")
        rows.append((found.name, state, config.get("recipe"), data, status.get("step"), seconds, best.get("value")))
    columns = ("run", "state", "recipe", "data", "step", "seconds", "best monitor")
    empty = () if rows else (f"no runs under {runs} yet; `genloom train RECIPE` makes one",)
    return Table("runs", columns, tuple(rows), empty)


def state_of(run: Any) -> str:
    """The state in status.json, except that a "running" run whose process has died is "interrupted"."""
    state = str(run.status.get("state", "?"))
    if state not in ("running", "new"):
        return state
    try:
        with run.lock():
            return "interrupted"
    except GenloomError:  # somebody holds the lock, or the folder is not ours to lock
        return state


def run(run: AnyRun, runs: str | Path = "runs") -> Facts:
    """One run: configuration, state, cost, newest numbers, files, and its newest preview in a notebook."""
    found = find_run(run, runs)
    config, status, rows = found.config, found.status, found.metrics()
    previews = sorted(found.samples.glob("[0-9]*.png"))
    cost = status.get("cost") or {}
    last: dict[str, Any] = {}
    for row in rows:
        last |= row
    facts: list[tuple[str, Any]] = [
        ("state", state_of(found)),
        ("recipe", config.get("recipe")),
        ("data", (config.get("data") or {}).get("source")),
        ("budget", (config.get("train") or {}).get("budget")),
        ("seed", (config.get("train") or {}).get("seed")),
        ("step", status.get("step")),
        ("items", status.get("items")),
        ("seconds", status.get("seconds")),
        *((f"last {k}", v) for k, v in last.items() if k.startswith("loss/") or k == "monitor"),
        ("checkpoints", ", ".join(map(str, found.checkpoints()))),
        ("preview", str(previews[-1]) if previews else None),
        ("peak memory", size_text(cost["peak_memory_bytes"]) if "peak_memory_bytes" in cost else None),
    ]
    health = found.health()
    repairs = found.repairs()
    data = {"run": str(found.path), "config": config, "status": status, "last": last, "health": health,
            "repairs": repairs}  # fmt: skip
    shown = tuple((k, v) for k, v in facts if v not in (None, ""))
    picture = previews[-1].read_bytes() if previews else None
    done = tuple(line for r in repairs for line in ("", r["line"]))
    return Facts(str(found.path), shown, data, (*_ailments(health), *done), picture)


def _ailments(health: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What ails or ailed a run, three lines each."""
    notes: list[str] = []
    for f in health:
        when = f"since step {f['step']:,}" if f["until"] is None else f"from step {f['step']:,} to {f['until']:,}"
        notes += ["", f"{f['name']} ({f['level']}, {when}): {f['seen']}"]
        notes += [f"  {f['likely']}", f"  what to do: {f['advice']}"]
    return tuple(notes)


def recipes(recipe: str | None = None, size: str | None = None) -> Table:
    """All recipes with what they are for; or the fields of one (or of a recipe file), with values and meaning."""
    from genloom.recipes import fields, files, registry

    if recipe is None:
        rows = [(e.name, ", ".join(e.sizes) or None, e.build().model, e.summary) for e in registry.entries()]
        notes = tuple(f"recipe {name} could not be loaded: {reason}" for name, reason in registry.broken.items())
        return Table("recipes", ("recipe", "sizes", "model", "summary"), tuple(rows), notes)
    name, built = files.resolve(recipe, size)
    entry = registry.entry(name)
    infos = [i for i in fields.leaves(built) if i.path != "model"]
    shown = tuple((i.path, fields.shown(i.value), fields.type_name(i.type), i.help) for i in infos)
    more: dict[str, Any] = {
        "recipe": entry.name,
        "summary": entry.summary,
        "sizes": list(entry.sizes),
        "model": built.model,
    }
    more["partners"] = {role: partner.recipe for role, partner in entry.partners.items()}
    more["ranges"] = {path: str(within) for path, within in entry.ranges.items()}
    note = f"{entry.name}: {entry.summary}. Change a field with --FIELD VALUE, as in --{infos[0].path} {shown[0][1]}."
    note += "".join(f" It stands on a finished run: --given {role}=RUN, such as one of {name}."
                    for role, name in more["partners"].items())  # fmt: skip
    tried = [f"  {path}  {within}" for path, within in more["ranges"].items()]
    heading = ("", f"What `genloom tune {recipe}` tries:") if tried else ()
    return Table("fields", ("field", "value", "type", "meaning"), shown, ("", note, *heading, *tried), more)


def data(
    data: Any = None,
    out: str | Path | None = None,
    strict: bool = False,
    *,
    overrides: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Table | Facts | Picture:
    """The built-in data sets; or one data set (a name, a path, or an object of another library): counts, shapes,
    choices that were made, its card.

    out: writes a grid of 64 of its images there. overrides, fields: options of the data, by name (size=64).
    """
    if data is None:
        from genloom.data.sets.common import state
        from genloom.data.sets.registry import ENTRIES

        found = ((name, e.card, state(e)) for name, e in ENTRIES.items())
        rows = tuple((name, card.modality, state_, card.items, card.licence) for name, card, state_ in found)
        notes = (
            "",
            f"Recipes learn {learnt()}. `genloom data show NAME` tells more, `genloom data fetch NAME` gets one.",
            "Or your own: a folder of images or sounds (sub-folders are classes), a .npy or .npz array, a text file.",
        )
        return Table("data", ("name", "modality", "here", "items", "licence"), rows, notes)
    place = None if out is None else check_out(out, "image", folder=False)
    from genloom.data.foreign import source_of

    values = {**(overrides or {}), **fields}
    return _show(source_of(data, data_options("", values)), place, strict, values)


def data_options(source: str, values: Mapping[str, Any]) -> Any:
    """DataOptions for a source with some fields replaced, "size" or "data.size"."""
    from genloom.data.options import DataOptions
    from genloom.recipes import fields

    short = {k.removeprefix("data."): v for k, v in values.items()}
    return fields.override(DataOptions(source=source), short, prefix="data.", see="genloom data --help")


def _show(source: str, place: Path | None, strict: bool, values: Mapping[str, Any]) -> Facts:
    import torch

    from genloom import data as sets
    from genloom.core import pictures, spec_to_json
    from genloom.engine.preview import beside, item_field
    from genloom.modalities import image, text

    if about := _about_set(source, place):
        return about
    try:
        found = sets.load(data_options(source, {**values, **({"strict": True} if strict else {})}))
    except NotFound as e:
        if place is None and (about := _about_set(source, None, str(e))):
            return about
        raise
    name, kind = item_field(found.spec)[0], modality(item_field(found.spec)[1])
    facts: list[tuple[str, Any]] = [
        ("title", found.card.title),
        ("items", f"{found.train.items:,} train, {found.validation.items:,} validation, {found.test.items:,} test"),
        *((f"field {k}", _describe(f)) for k, f in found.spec.items()),
        ("source", found.card.source),
        ("licence", found.card.licence),
        ("digest", found.digest[:16]),
    ]
    chosen = torch.linspace(0, len(found.train) - 1, min(kind.preview, len(found.train))).long()
    notes, png = found.notes, None
    if not kind.written:
        both = pictures(found.spec)
        raw = found.train.raw(chosen[:: max(1, len(both))])
        shown = beside(*(raw[k] for k in both)) if len(both) > 1 else raw[name]
        columns = 8 if len(both) > 1 else None
        png = image.png(kind.codec.picture(shown, found.spec[name], columns))
        if place is not None:
            kind.codec.save(shown, found.spec[name], place, columns=columns)
            facts.append(("picture", str(place)))
    elif found.tokenizer is not None:
        begin = text.to_texts(found.train.raw(chosen[:1])[name], found.tokenizer)[0]
        notes = (*notes, "", "it begins:", *(f"  {line}" for line in begin.splitlines()[:12]))
    facts = [(k, v) for k, v in facts if v]
    counts = {"train": found.train.items, "validation": found.validation.items, "test": found.test.items}
    data = {"data": found.name, "digest": found.digest, "items": counts, "notes": list(found.notes)}
    data |= {"spec": spec_to_json(found.spec), "card": vars(found.card)}
    return Facts(found.name, tuple(facts), data, ("", *notes) if notes else (), png)


def _about_set(source: str, place: Path | None, unreachable: str = "") -> Facts | None:
    """The card and the files of a set that recipes cannot learn, or that is not here and asks to be fetched, or could
    not be, for the reason given."""
    from genloom.data.fetch import manifest
    from genloom.data.sets.common import asks, download_size, mega
    from genloom.data.sets.registry import ENTRIES

    entry = ENTRIES.get(source)
    here = None if entry is None else manifest.present(entry)
    if entry is None or (entry.load and not unreachable and (here or place or not asks(entry))):
        return None
    card, files = entry.card, (manifest.read(source) or {}).get("files", ())
    if place is not None:
        raise BadValue(f"{source} holds {card.modality}, of which there is no grid to draw: leave out --out")
    named = [f"{f['name']} ({f['size']:,} bytes)" for f in files[:6]] or [part.name for part in entry.files]
    facts = {
        "title": card.title,
        "holds": f"{card.modality}: {card.items}",
        "files": "; ".join(named) + ("; ..." if len(files) > len(named) else ""),
        "size": f"{len(files):,} files, {mega(entry.size)}" if files else f"{mega(entry.size)}",
        "folder": str(here) if here else f"not here: `genloom data fetch {source}` ({mega(download_size(entry))})",
        "source": card.source,
        "licence": card.licence,
        "terms": entry.restricted,
    }
    data = {"data": source, "card": vars(card), "folder": str(here) if here else None, "files": list(files)}
    shown = tuple((name, value) for name, value in facts.items() if value)
    missing: tuple[str, ...] = ("", f"genloom's recipes learn {learnt()} so far, not {card.modality}.")
    if entry.load:
        missing = ("", unreachable) if unreachable else ()
    return Facts(source, shown, data, missing)


def _describe(field: Any) -> str:
    shape = " x ".join(map(str, field.shape))
    if field.modality == "class":
        names = ", ".join(field.classes[:10]) + (", ..." if len(field.classes) > 10 else "")
        return f"one of {len(field.classes)} classes: {names}"
    kind = modality(field.modality)
    if kind.written:
        return f"{shape} tokens out of {field.vocabulary}"
    told = ", given" if field.role == "condition" else ", a collection of its own" if field.domain else ""
    return f"{field.modality} {shape} ({kind.codec.shaped(field)}){told}"
