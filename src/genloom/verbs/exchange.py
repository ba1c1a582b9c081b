"""`genloom import` and `genloom export`: language models from and for other programs; `genloom merge`."""

from __future__ import annotations

from pathlib import Path

from genloom.errors import BadValue, unknown
from genloom.verbs.opened import AnyRun, open_run
from genloom.verbs.results import Facts


def import_model(place: str | Path, name: str | None = None, runs: str | Path = "runs") -> Facts:
    """A finished run from others' weights: a transformers folder in the shape of GPT-2 or Llama (safetensors and
    tokenizer.json), a llama2.c binary with its tokenizer.bin, or the name of fetched weights (stories15m).

    Raises NotFound, BadData, Damaged in one line.
    """
    from genloom.engine.exchange.reading import as_run, read_foreign

    source = _fetched(place)
    found = read_foreign(source)
    run = as_run(found, str(place), runs, name)
    count = sum(t.numel() for t in found.weights.values())
    shape = found.config.portable
    facts = (
        ("parameters", f"{count:,}"),
        ("shape", f"{found.config.depth} blocks of {found.config.width}, {shape.positions} positions, {shape.mlp}"),
        ("context", f"{found.context:,} tokens"),
        ("vocabulary", f"{found.vocabulary:,} tokens"),
    )
    told = {"run": str(run.path), "source": str(place), "parameters": count, **found.about}
    note = f"write with it: genloom sample {run.path}; tune it: genloom train --from {run.path} --data D"
    return Facts(str(run.path), facts, told, (note,))


def _fetched(place: str | Path) -> Path:
    """The folder of weights that are named, fetched if they are small and free; a path as it is."""
    from genloom.data.sets.common import folder_of
    from genloom.data.sets.registry import ENTRIES

    if isinstance(place, str) and place in ENTRIES and not Path(place).exists():
        entry = ENTRIES[place]
        if entry.card.modality != "weights":
            raise BadValue(f"{place} is a data set, not a model: `genloom train RECIPE --data {place}` learns from it")
        return folder_of(entry)
    return Path(place).expanduser()


def export_model(
    run: AnyRun,
    format: str = "transformers",
    out: str | Path | None = None,
    raw: bool = False,
    runs: str | Path = "runs",
) -> Facts:
    """A run's language model for other programs, by default beside the run's checkpoints.

    format: "transformers", a folder that AutoModelForCausalLM opens, or "gguf", one file. Raises BadData for a model
    that cannot be said so, BadValue, NotFound.
    """
    from genloom.engine.exchange.writing import FORMATS, to_gguf, to_transformers

    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    loaded = open_run(run, runs, raw)
    where = str(loaded.run.path)
    if loaded.tokenizer is None:
        raise BadValue(f"{where}: only models of texts are exported")
    ending = "" if format == "transformers" else ".gguf"
    place = Path(out).expanduser() if out is not None else loaded.run.path / "export" / f"{loaded.run.name}{ending}"
    if format == "gguf" and place.suffix != ".gguf":
        raise BadValue(f"--out {place}: expected a file that ends in .gguf")
    write = to_transformers if format == "transformers" else to_gguf
    write(loaded.model, loaded.tokenizer, place, where)
    opened = "AutoModelForCausalLM.from_pretrained" if format == "transformers" else "the gguf package, or llama.cpp"
    return Facts(
        str(place), (("format", format), ("opened by", opened)), {"run": where, "format": format, "out": str(place)}
    )


def merge(run: AnyRun, name: str | None = None, raw: bool = False, runs: str | Path = "runs") -> Facts:
    """A finished run of the model that a tuned one stands on, with what was learnt in its weights: it streams, is tuned
    further and exported like any other. Raises BadValue for a model that has nothing to merge."""
    from genloom.core import CanMerge
    from genloom.engine.exchange.reading import finish
    from genloom.runs import Run, read_json

    loaded = open_run(run, runs, raw)
    if not isinstance(loaded.model, CanMerge):
        raise BadValue(
            f"{loaded.run.path}: a {type(loaded.model).__name__} holds no changes to another model's weights"
        )
    role, weights = loaded.model.merged()
    folder = loaded.run.path / "given" / role
    config = {k: v for k, v in read_json(folder / "config.json").items() if k != "format"}
    made = Run.create(runs, config["recipe"], name=name, config={**config, "merged": {"from": loaded.run.name}})
    try:
        made.write("tokenizer.json", read_json(folder / "tokenizer.json"))
        finish(made, weights)
    except BaseException:
        made.remove()
        raise
    facts = (("from", str(loaded.run.path)), ("model", config["model"]))
    return Facts(str(made.path), facts, {"run": str(made.path), "from": str(loaded.run.path)})
