"""What each verb does with what was parsed: it calls the Python function of the same name with the same defaults."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from genloom.cli.parse import Parsed
from genloom.errors import BadValue

SAMPLING = ("steps", "solver", "guidance", "temperature", "top_k", "top_p", "length", "prior", "truncation")
WRITING = ("decode", "stop", "logprobs", "draft", "weights", "pattern", "schema")


def _given(parsed: Parsed, *names: str) -> dict[str, Any]:
    """The values of those flags that were given; the others keep the function's defaults."""
    return {name: parsed.values[name] for name in names if name in parsed.values}


def train(parsed: Parsed) -> Any:
    from genloom.verbs.train import train

    keys = ("data", "budget", "seed", "runs", "name", "resume", "start_from", "replay", "dry_run", "size", "on_illness")
    partners = _partners(str(parsed.values["given"])) if "given" in parsed.values else None
    return train(parsed.word(0), **_given(parsed, *keys), given=partners, overrides=dict(parsed.fields))


def _partners(text: str) -> dict[str, str]:
    """ROLE=RUN, several by semicolon, as {role: run}. Raises BadValue."""
    found = {}
    for part in text.split(";"):
        role, equals, run = part.partition("=")
        if not (role and equals and run) or role in found:
            raise BadValue(f"--given: expected ROLE=RUN, such as autoencoder=3, each role once; got {part!r}")
        found[role] = run
    return found


def sample(parsed: Parsed) -> Any:
    from genloom.verbs import sample as verb
    from genloom.verbs.opened import open_run

    keys = ("n", "seed", "raw", "prompt", "prompts", "tell", "negative", "label", "runs", *SAMPLING)
    given = _given(parsed, *keys, "examples", "shots", "eta", "interval", "partner", "animate", *WRITING)
    if parsed.fields:
        given["decoding"] = _decoding(parsed)
    run = parsed.words[0]
    if "out" in parsed.values or parsed.on("json") or parsed.on("animate"):
        return verb.sample(run, **given, **_given(parsed, "out"))
    loaded = open_run(run, runs=str(given.get("runs", "runs")), raw=bool(given.get("raw", False)))
    whole = {"prompts", "negative", "logprobs", "examples", "shots"} & set(given)
    alone = not whole and "\x1e" not in str(given.get("prompt", ""))
    if alone and verb.streams(loaded) and given.get("n", 1) == 1:
        for note in verb.notes_on(loaded, given.get("prompt")):
            print(f"genloom: {note}", file=sys.stderr)
        for piece in verb.stream(loaded, **{k: v for k, v in given.items() if k not in ("n", "runs", "raw")}):
            sys.stdout.write(piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
        return None
    return verb.sample(loaded, **given)


def _decoding(parsed: Parsed) -> dict[str, Any]:
    """The fields of Decoding that were given, by name. Raises NotFound for others."""
    from genloom.core import Decoding
    from genloom.recipes import fields

    flags = [flag.name[2:] for flag in parsed.verb.flags]
    made = fields.override(Decoding(), dict(parsed.fields), flags, see="genloom sample --help")
    return {k: v for k, v in vars(made).items() if v != getattr(Decoding(), k)}


def complete(parsed: Parsed) -> Any:
    from genloom.verbs.complete import complete

    keys = ("what", "n", "length", "temperature", "seed", "raw", "runs")
    run, file = parsed.words
    return complete(run, file, **_given(parsed, *keys))


def revise(parsed: Parsed) -> Any:
    from genloom.verbs.revise import revise

    for flag in ("prompts", "principles"):
        if flag not in parsed.values:
            raise BadValue(f"--{flag} is missing: give the file (see `genloom revise --help`)")
    keys = ("prompts", "principles", "n", "tries", "length", "temperature", "top_p", "top_k", "seed", "raw", "out")
    return revise(parsed.words[0], **_given(parsed, *keys, "runs"))


def evaluate(parsed: Parsed) -> Any:
    from genloom.verbs.evaluate import evaluate

    keys = ("n", "seed", "raw", "runs", "data", "against", "extractor", "path_length", *SAMPLING)
    return evaluate(parsed.words[0], **_given(parsed, *keys), overrides=dict(parsed.fields))


def interpolate(parsed: Parsed) -> Any:
    from genloom.verbs.latent import interpolate

    keys = ("n", "points", "map", "mix", "label", "animate", "seed", "raw", "out", "runs")
    between = str(parsed.values["between"]).split("\x1e") if "between" in parsed.values else None
    return interpolate(parsed.words[0], **_given(parsed, *keys), between=between)


def arithmetic(parsed: Parsed) -> Any:
    from genloom.verbs.arithmetic import arithmetic

    plus, minus = (str(parsed.values[k]).split(";") if k in parsed.values else [] for k in ("plus", "minus"))
    return arithmetic(parsed.words[0], plus, minus, **_given(parsed, "n", "of", "seed", "raw", "out", "runs"))


def traverse(parsed: Parsed) -> Any:
    from genloom.verbs.traverse import traverse

    return traverse(parsed.words[0], **_given(parsed, "n", "points", "code", "seed", "raw", "out", "runs"))


def reconstruct(parsed: Parsed) -> Any:
    from genloom.verbs.latent import reconstruct

    return reconstruct(parsed.words[0], **_given(parsed, "n", "seed", "raw", "out", "runs"))


def translate(parsed: Parsed) -> Any:
    from genloom.verbs.translate import translate

    keys = ("text", "mask", "n", "factor", "sigma", "strength", "share", "label", "steps", "solver", "guidance",
            "temperature", "top_p", "length", "seed", "raw")  # fmt: skip
    run, *photo = parsed.words
    task = str(parsed.values.get("task", ""))
    return translate(run, task, photo[0] if photo else None, **_given(parsed, *keys, "out", "runs"))


def anomaly(parsed: Parsed) -> Any:
    from genloom.verbs.anomaly import anomaly

    keys = ("data", "score", "anomalous", "n", "seed", "raw", "out", "runs")
    return anomaly(parsed.words[0], **_given(parsed, *keys), overrides=dict(parsed.fields))


def import_(parsed: Parsed) -> Any:
    from genloom.verbs.exchange import import_model

    return import_model(parsed.words[0], **_given(parsed, "name", "runs"))


def export(parsed: Parsed) -> Any:
    from genloom.verbs.exchange import export_model

    return export_model(parsed.words[0], **_given(parsed, "format", "out", "raw", "runs"))


def edit(parsed: Parsed) -> Any:
    from genloom.verbs.edit import edit

    keys = ("painted", "to", "label", "identity", "weight", "steps", "seed", "raw", "out", "runs")
    return edit(parsed.words[0], parsed.words[1], **_given(parsed, *keys))


def search(parsed: Parsed) -> Any:
    from genloom.verbs.search import search

    if "property" not in parsed.values:
        raise BadValue("--property: expected what is sought, such as --property logp or package.module:function")
    keys = ("target", "minimise", "n", "start", "rounds", "tries", "seed", "raw", "out", "runs")
    return search(parsed.words[0], str(parsed.values["property"]), **_given(parsed, *keys))


def merge(parsed: Parsed) -> Any:
    from genloom.verbs.exchange import merge

    return merge(parsed.words[0], **_given(parsed, "name", "raw", "runs"))


def report(parsed: Parsed) -> Any:
    from genloom.verbs.report import report

    return report(*parsed.words, **_given(parsed, "out", "title", "n", "seed", "runs"))


def compare(parsed: Parsed) -> Any:
    from genloom.compare.contest import compare

    keys = ("data", "budget", "seeds", "first_seed", "n", "out", "curve", "engine", "workers")
    score = str(parsed.values["score"]).split(";") if "score" in parsed.values else None
    return compare(*parsed.words, **_given(parsed, *keys), score=score, overrides=dict(parsed.fields))


def tune(parsed: Parsed) -> Any:
    from genloom.compare.tune import tune

    keys = ("data", "trials", "budget", "trial_budget", "confirm", "ranges", "size", "seed", "out", "runs")
    return tune(parsed.words[0], **_given(parsed, *keys), overrides=dict(parsed.fields))


def experiment_collapse(parsed: Parsed) -> Any:
    from genloom.compare.collapse import collapse

    keys = ("data", "generations", "fresh", "budget", "seeds", "first_seed", "n", "items", "size", "out")
    return collapse(parsed.words[0], **_given(parsed, *keys), overrides=dict(parsed.fields))


def runs(parsed: Parsed) -> Any:
    from genloom.verbs import catalogue

    root = str(parsed.values.get("runs", "runs"))
    name = parsed.word(0)
    return catalogue.runs(root) if name is None else catalogue.run(name, root)


def recipes(parsed: Parsed) -> Any:
    from genloom.verbs import catalogue

    return catalogue.recipes(parsed.word(0), **_given(parsed, "size"))


def data_list(parsed: Parsed) -> Any:
    from genloom.verbs import catalogue

    return catalogue.data()


def data_show(parsed: Parsed) -> Any:
    from genloom.verbs import catalogue

    return catalogue.data(parsed.words[0], **_given(parsed, "out", "strict"), overrides=dict(parsed.fields))


def data_fetch(parsed: Parsed) -> Any:
    from genloom.verbs.fetch import fetch

    return fetch(parsed.words, **_given(parsed, "yes", "verify", "remove"), quiet=parsed.on("json"))


def data_report(parsed: Parsed) -> Any:
    from genloom.verbs.inspect import report

    return report(parsed.words[0], **_given(parsed, "out", "limit", "fail_on"))


def data_split(parsed: Parsed) -> Any:
    from genloom.verbs.inspect import split

    return split(parsed.words[0], **_given(parsed, "by", "shares", "folds", "group", "seed", "out"))


def doctor(parsed: Parsed) -> Any:
    from genloom.verbs.doctor import doctor

    return doctor()


def cite(parsed: Parsed) -> Any:
    from genloom.verbs.cite import cite

    return cite(parsed.word(0), **_given(parsed, "runs"))


def demo(parsed: Parsed) -> Any:
    from genloom.verbs.demo import demo

    return demo(**_given(parsed, "budget", "seed", "runs", "out"))


COMMANDS: dict[str, Callable[[Parsed], Any]] = {
    "train": train,
    "sample": sample,
    "complete": complete,
    "revise": revise,
    "evaluate": evaluate,
    "interpolate": interpolate,
    "arithmetic": arithmetic,
    "traverse": traverse,
    "reconstruct": reconstruct,
    "translate": translate,
    "anomaly": anomaly,
    "edit": edit,
    "search": search,
    "compare": compare,
    "tune": tune,
    "experiment collapse": experiment_collapse,
    "import": import_,
    "export": export,
    "merge": merge,
    "report": report,
    "runs": runs,
    "recipes": recipes,
    "data list": data_list,
    "data show": data_show,
    "data fetch": data_fetch,
    "data report": data_report,
    "data split": data_split,
    "doctor": doctor,
    "cite": cite,
    "demo": demo,
}
