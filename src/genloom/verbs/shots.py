"""Few-shot prompting: a model that continues texts is shown questions with their answers, then asked.

    EXAMPLE'S PROMPT \\n ANSWER \\n\\n ... PROMPT \\n

It answers by going on as the examples do, without being trained for it (Brown et al. 2020, arXiv:2005.14165). Its
answer ends with the line; where an example's answer has several lines, with the first empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from genloom.errors import BadValue
from genloom.verbs.places import check_out
from genloom.verbs.results import Texts
from genloom.verbs.writer import Writer

if TYPE_CHECKING:
    from genloom.core import Sampling
    from genloom.engine.load import Loaded

Example = tuple[str, str]
SHOTS = 3
LENGTH = 60  # tokens of an answer at most where nobody says otherwise


def examples(source: str | Path, count: int = SHOTS) -> list[Example]:
    """The first `count` prompts with answers of a file (.jsonl, .tsv, .csv), or of a built-in set's training rows.

    Raises NotFound, BadData, BadValue for what holds fewer.
    """
    from genloom import data
    from genloom.data.answers import ANSWER, PROMPT, answers_in
    from genloom.data.sets.registry import ENTRIES

    if count < 0:
        raise BadValue(f"--shots: expected a number of examples, 0 or more, got {count}")
    if str(source) in ENTRIES:
        import torch

        options = data.DataOptions(source=str(source), read="answers", tokenizer="byte", context=1 << 16)
        found = data.load(options)
        assert found.tokenizer is not None
        rows = found.train.batch(torch.arange(min(count, len(found.train))))
        sides = [[found.tokenizer.decode(ids) for ids in rows[name].tolist()] for name in (PROMPT, ANSWER)]
        shown = list(zip(*sides, strict=True))
    else:
        shown = answers_in(Path(source).expanduser())[:count]
    if len(shown) < count:
        raise BadValue(f"--examples {source} holds {len(shown)} examples, and --shots asks for {count}: lower it")
    return shown


def shown(prompts: Sequence[str], given: Sequence[Example]) -> list[str]:
    """Each prompt behind the examples."""
    before = "".join(f"{prompt}\n{answer}\n\n" for prompt, answer in given)
    return [f"{before}{prompt}\n" for prompt in prompts]


def answered(
    loaded: Loaded, prompts: Sequence[str], given: Sequence[Example], options: Sampling, seeds: Sequence[int]
) -> list[str]:
    """The model's answer to each prompt behind the examples. Raises BadValue where they do not fit into its context,
    and for a model that answers prompts by itself."""
    from genloom.core import CanContinue

    stop = "\n\n" if any("\n" in answer for _, answer in given) else "\n"
    length = options.length or LENGTH
    writer = Writer(loaded, replace(options, length=length), (stop,))
    if not writer.continues:
        raise BadValue(f"{loaded.run.path}: this model was taught to answer prompts and is shown no examples: leave "
                       "--examples out")  # fmt: skip
    asked = shown(prompts, given)
    assert isinstance(loaded.model, CanContinue)
    context = loaded.model.context
    longest = max((len(writer.tokenizer.encode(text)) for text in asked), default=0)
    if context is not None and longest + length > context:
        raise BadValue(
            f"{len(given)} examples and the prompt have {longest} tokens, with up to {length} to write, and "
            f"{loaded.run.path} reads {context}: lower --shots or --length"
        )
    return [text.strip() for text in writer(asked, seeds)]


def few_shot(
    loaded: Loaded,
    prompt: str | Sequence[str] | None,
    source: str | Path,
    count: int,
    n: int,
    seed: int,
    options: Sampling,
    out: str | Path | None = None,
) -> Texts:
    """n answers to a prompt behind examples, in a .txt, a .jsonl or a folder of texts if asked for."""
    from genloom.core import derive_seed
    from genloom.verbs.replies import kept

    if not isinstance(prompt, str) or not prompt.strip():
        raise BadValue("--examples are shown before a question: give one with --prompt")
    place = None if out is None else check_out(out, "text")
    given = examples(source, count)
    texts = answered(loaded, [prompt] * n, given, options, [derive_seed(seed, "text", i) for i in range(n)])
    kept(texts, place)
    told = {"run": str(loaded.run.path), "n": n, "seed": seed, "prompt": prompt, "examples": str(source),
            "shots": count}  # fmt: skip
    return Texts(tuple(texts), place, told)
