"""What a run's model writes after prompts, whichever kind it is: one that continues texts, or one that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from genloom.errors import BadValue
from genloom.verbs.replies import asked_field, question

if TYPE_CHECKING:
    from genloom.core import Sampling
    from genloom.engine.load import Loaded
    from genloom.modalities.text import Tokenizer

TOGETHER = 32  # texts that are written side by side


class Writer:
    """Texts after prompts, each drawn from a seed of its own, so that it is the same whatever is written beside it.

    options: of sampling, with a length; stops: strings before which a text ends. Raises BadValue for a run whose model
    writes no texts.
    """

    def __init__(self, loaded: Loaded, options: Sampling, stops: Sequence[str] = ()) -> None:
        from genloom.core import CanContinue, CanSample
        from genloom.samplers import decoding

        self.loaded, self.options, self.stops = loaded, options, tuple(stops)
        self.asks = asked_field(loaded)
        if loaded.tokenizer is None or not isinstance(loaded.model, CanSample if self.asks else CanContinue):
            raise BadValue(
                f"{loaded.run.path}: a model of type {type(loaded.model).__name__} writes no text after a prompt: name "
                "a run of texts, such as of gpt or sft"
            )
        self.tokenizer: Tokenizer = loaded.tokenizer
        decoding.check(options)

    @property
    def continues(self) -> bool:
        """Whether a text can be written on from where another one stands: not by models that answer prompts."""
        return self.asks is None

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int], begun: Sequence[str] = ()) -> list[str]:
        """One text for each prompt. begun: what the texts begin with already, which they then hold and which counts
        into their length. Raises BadValue for a prompt that the model cannot read."""
        begun = begun or [""] * len(prompts)
        write: Callable[..., list[str]] = self._continued if self.continues else self._answered
        return [
            text
            for start in range(0, len(prompts), TOGETHER)
            for text in write(*(side[start : start + TOGETHER] for side in (prompts, seeds, begun)))
        ]

    def _continued(self, prompts: Sequence[str], seeds: Sequence[int], begun: Sequence[str]) -> list[str]:
        import torch

        from genloom.core import CanContinue
        from genloom.engine import preview
        from genloom.modalities import text
        from genloom.modalities.ended import Ends
        from genloom.samplers import decoding

        assert isinstance(self.loaded.model, CanContinue)
        device, tokenizer = self.loaded.device, self.tokenizer
        ids = [torch.tensor(tokenizer.encode(p + b), dtype=torch.int64, device=device)
               for p, b in zip(prompts, begun, strict=True)]  # fmt: skip
        ends = text.Stops(tokenizer, self.stops) if self.stops or isinstance(tokenizer, Ends) else decoding.never
        with preview.resting(self.loaded.model):
            found = decoding.texts(
                self.loaded.model, ids, self.options,
                [torch.Generator(device).manual_seed(s) for s in seeds], ended=ends,
            )  # fmt: skip
        room = [(self.options.length or 0) - len(tokenizer.encode(b)) for b in begun]
        return [
            b + text.cut(tokenizer.decode(one.ids[: max(left, 0)]), self.stops)
            for b, one, left in zip(begun, found, room, strict=True)
        ]

    def _answered(self, prompts: Sequence[str], seeds: Sequence[int], begun: Sequence[str]) -> list[str]:
        import torch

        from genloom.core import CanSample
        from genloom.engine import preview
        from genloom.modalities import text

        loaded = self.loaded
        model, found = loaded.model, []
        assert isinstance(model, CanSample)
        assert self.asks is not None
        key, _ = preview.item_field(loaded.spec)
        with preview.resting(model), loaded.drawing():
            for prompt, seed in zip(prompts, seeds, strict=True):
                told = {self.asks: question(loaded, prompt)[None].to(loaded.device)}
                generator = torch.Generator(loaded.device).manual_seed(seed)
                ids = preview.sample(model, 1, generator, told, self.options)[key]
                found += [text.cut(one, self.stops) for one in text.to_texts(ids, self.tokenizer)]
        return found


def greedy(writer: Writer, length: int) -> Writer:
    """The same writer, but short and without chance: for questions to the model itself."""
    return Writer(writer.loaded, replace(writer.options, temperature=0.0, length=length))
