"""Texts of `genloom sample`: how they are decoded, where they stop, what is told of their tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from genloom.errors import BadValue
from genloom.verbs.prompts import SEPARATOR
from genloom.verbs.replies import kept
from genloom.verbs.results import Texts, aligned

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from genloom.core import CanContinue, Sampling
    from genloom.engine.load import Loaded
    from genloom.samplers.decoding import Grammar, Written

AnyRun: TypeAlias = Any
LENGTH = 500  # tokens of a text where nobody says otherwise: enough to judge one


@dataclass(frozen=True)
class Wishes:
    """What holds for texts alone. decode: the strategy; stop: strings before which a text ends; logprobs: how many of
    the likeliest tokens are told at each place, with the probabilities; draft: a smaller run that proposes tokens;
    fields: further fields of `Decoding`."""

    decode: str | None = None
    stop: Sequence[str] = ()
    logprobs: int | None = None
    draft: AnyRun = None
    weights: str | None = None
    pattern: str | None = None
    schema: Any = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def given(self) -> dict[str, Any]:
        """Those that were made, for the record."""
        named = None if self.draft is None else Path(str(getattr(self.draft, "path", self.draft))).name
        own = {
            "decode": self.decode,
            "stop": list(self.stop),
            "logprobs": self.logprobs,
            "draft": named,
            "weights": self.weights,
        }
        return {k: v for k, v in own.items() if v not in (None, [])} | dict(self.fields)


def wishes(
    decode: str | None,
    stop: str | Sequence[str] | None,
    logprobs: int | None,
    draft: AnyRun,
    weights: str | None,
    pattern: str | None,
    schema: Any,
    fields: Mapping[str, Any] | None,
) -> Wishes:
    """Checked. Raises BadValue."""
    stops = stop.split(SEPARATOR) if isinstance(stop, str) else list(stop or ())
    if "" in stops:
        raise BadValue("--stop is empty: expected the string before which a text ends")
    if logprobs is not None and not 0 <= logprobs <= 100:
        raise BadValue(f"--logprobs: expected from 0 to 100 likeliest tokens, got {logprobs}")
    if weights not in (None, "fp32", "int8"):
        raise BadValue(f"--weights: expected fp32 or int8, got {weights!r}")
    if pattern is not None and schema is not None:
        raise BadValue("--pattern and --schema are two ways to say what a text must be: keep one")
    stops = [s.replace("\\n", "\n").replace("\\t", "\t") for s in stops]
    return Wishes(decode, stops, logprobs, draft, weights, pattern, schema, fields or {})


@dataclass(frozen=True)
class Desk:
    """All that writing needs: the model, the ids of the prompt, the choices."""

    loaded: Loaded
    model: CanContinue
    prompt: str
    ids: Tensor
    options: Sampling
    wishes: Wishes
    small: CanContinue | None
    grammar: Grammar | None
    notes: tuple[str, ...]

    def generators(self, n: int, seed: int) -> list[Generator]:
        """One for each text, so that a text is the same whatever is written beside it."""
        import torch

        from genloom.core import derive_seed

        device = self.loaded.device
        return [torch.Generator(device).manual_seed(derive_seed(seed, "text", i)) for i in range(n)]

    def ended(self) -> Any:
        """Whether a text ends with its last token."""
        from genloom.modalities.ended import Ends
        from genloom.modalities.text import Stops
        from genloom.samplers.decoding import never

        tokenizer = self.loaded.tokenizer
        assert tokenizer is not None
        ends = isinstance(tokenizer, Ends)  # its texts end of themselves
        return Stops(tokenizer, self.wishes.stop) if self.wishes.stop or ends else never


def desk(
    loaded: Loaded, prompt: str | None, options: Sampling, made: Wishes, runs: str | Path, ids: Tensor | None
) -> Desk:
    """Raises BadValue and NotFound for what does not go together. ids: of the prompt, None without one."""
    import torch

    from genloom.core import CanContinue
    from genloom.recipes import fields
    from genloom.samplers import decoding

    if not isinstance(loaded.model, CanContinue) or loaded.tokenizer is None:
        raise BadValue(
            f"{loaded.run.path}: a model of type {type(loaded.model).__name__} writes no text token by token"
        )
    chosen = fields.override(options.decoding, made.fields, see="genloom sample --help")
    if made.decode is not None:
        chosen = replace(chosen, strategy=made.decode)  # type: ignore[arg-type]
    options = replace(options, length=options.length or LENGTH, decoding=chosen)
    decoding.check(options)
    ids = torch.zeros(0, dtype=torch.int64) if ids is None else ids
    ids = ids.to(loaded.device)
    model = _light(loaded) if made.weights == "int8" else loaded.model
    small = _small(loaded, made.draft, runs)
    grammar = _grammar(loaded, made)
    desk = Desk(loaded, model, prompt or "", ids, options, made, small, grammar, unseen(loaded, prompt))
    decoding.checked(desk.model, [ids], options, grammar)
    return desk


def _grammar(loaded: Loaded, made: Wishes) -> Grammar | None:
    """What the text must be. Raises BadValue for what cannot be."""
    from genloom.modalities import grammar

    assert loaded.tokenizer is not None
    if made.pattern is not None:
        return grammar.of_pattern(made.pattern, loaded.tokenizer)
    if made.schema is None:
        return None
    schema = made.schema
    if isinstance(schema, str | Path):
        content = str(schema)
        try:
            if not content.lstrip().startswith(("{", "true", "false")):
                content = Path(schema).expanduser().read_text(encoding="utf-8")
            schema = json.loads(content)
        except OSError as error:
            raise BadValue(f"--schema {made.schema} cannot be read: {error.strerror or error}") from None
        except ValueError as error:
            raise BadValue(f"--schema {made.schema} is no JSON: {error}") from None
    return grammar.of_schema(schema, loaded.tokenizer)


def _light(loaded: Loaded) -> CanContinue:
    from genloom.core import CanLighten

    if not isinstance(loaded.model, CanLighten):
        raise BadValue(f"--weights int8: a model of type {type(loaded.model).__name__} has no weights of one byte")
    return loaded.model.lightened()


def _small(loaded: Loaded, run: AnyRun, runs: str | Path) -> CanContinue | None:
    from genloom.core import CanContinue
    from genloom.verbs.opened import open_run

    if run is None:
        return None
    other = open_run(run, runs)
    assert loaded.tokenizer is not None
    if not isinstance(other.model, CanContinue) or other.tokenizer is None:
        raise BadValue(f"--draft {other.run.path}: its model continues no text; name a smaller model of the same texts")
    if other.tokenizer.to_json() != loaded.tokenizer.to_json():
        raise BadValue(
            f"--draft {other.run.path} has another tokenizer than {loaded.run.path}: train both on the same data"
        )
    return other.model


def unseen(loaded: Loaded, prompt: str | None) -> tuple[str, ...]:
    """A note that names the characters of the prompt which the model never saw."""
    assert loaded.tokenizer is not None
    known = loaded.tokenizer
    missing = [c for c in dict.fromkeys(prompt or "") if c not in known.decode(known.encode(c))]
    if not missing:
        return ()
    return (
        f"the model never saw {', '.join(map(repr, missing))} of the prompt, and reads each as an unknown character",
    )


def written(desk: Desk, n: int, seed: int, place: Path | None, data: Mapping[str, Any]) -> Texts:
    """n texts that begin with the prompt."""
    from genloom.engine import preview
    from genloom.modalities import text
    from genloom.samplers import decoding

    tokenizer = desk.loaded.tokenizer
    assert tokenizer is not None
    top = desk.wishes.logprobs
    with preview.resting(desk.loaded.model):
        found = decoding.texts(
            desk.model,
            [desk.ids] * n,
            desk.options,
            desk.generators(n, seed),
            ended=desk.ended(),
            grammar=desk.grammar,
            small=desk.small,
            top=top,
        )
    texts = [desk.prompt + text.cut(tokenizer.decode(one.ids), desk.wishes.stop) for one in found]
    notes = desk.notes
    data = {**data, "finish": [one.why for one in found]}
    if desk.wishes.logprobs is not None:
        told = [_told(one, tokenizer.piece) for one in found]
        data["logprobs"] = told
        if n == 1:
            notes += (_table(told[0]),)
    kept(texts, place)
    return Texts(tuple(texts), place, data, notes)


def _told(one: Written, piece: Any) -> list[dict[str, Any]]:
    """Each token with its log p under the model and the likeliest in its place."""

    def named(token: int, logprob: float) -> dict[str, Any]:
        content = piece(token)
        return {"token": content.decode("utf-8", "replace"), "bytes": list(content), "logprob": logprob}

    tops = one.top or ((),) * len(one.ids)
    return [
        named(token, logprob) | {"top": [named(*t) for t in top]}
        for token, logprob, top in zip(one.ids, one.logprobs, tops, strict=True)
    ]


def _table(told: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [repr(t["token"]), f"{t['logprob']:.3f}", "  ".join(f"{o['token']!r} {o['logprob']:.3f}" for o in t["top"])]
        for t in told
    ]
    return aligned(("token", "log p", "likeliest"), rows)


def pieces(desk: Desk, seed: int) -> Iterator[str]:
    """The prompt, then what the model adds to it, as soon as it can be shown."""
    from genloom.engine import preview
    from genloom.modalities.text import StreamDecoder
    from genloom.samplers import decoding

    assert desk.loaded.tokenizer is not None
    decoder = StreamDecoder(desk.loaded.tokenizer, desk.wishes.stop)
    if desk.prompt:
        yield desk.prompt
    with preview.resting(desk.loaded.model):
        chosen = decoding.tokens(
            desk.model,
            [desk.ids],
            desk.options,
            desk.generators(1, seed),
            ended=desk.ended(),
            grammar=desk.grammar,
            small=desk.small,
        )
        for one in chosen:
            token = int(one.token_R[0])
            if token != decoding.NOTHING and (piece := decoder.feed(token)):
                yield piece
    if rest := decoder.finish():
        yield rest
