"""What decoding gives: tokens as they come, and finished texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

NOTHING = -1
"""In place of a token where a text ends without one more."""

Ended = Callable[[Sequence[int]], bool]
"""Whether a text ends with the last of these tokens, which follow the prompt."""


def never(ids: Sequence[int]) -> bool:
    """Texts end at their length alone."""
    return False


class Grammar(Protocol):
    """What a text must be, as an automaton over tokens: a state says all that matters of what was written."""

    @property
    def start(self) -> int: ...

    def allowed(self, state: int, left: int) -> Tensor:
        """Which tokens may come, (V,) of bool, if the text is to be complete within `left` tokens, these included."""

    def follow(self, state: int, token: int) -> int:
        """The state after an allowed token."""

    def complete(self, state: int) -> bool:
        """Whether the text may end here."""


class Chosen(NamedTuple):
    """One more token of some texts.

    rows: which of the prompts; token_R: what, or NOTHING; logits_RV: all that the model said, before penalties and
    filters; over: why each of them ends here, or "".
    """

    rows: Sequence[int]
    token_R: Tensor
    logits_RV: Tensor
    over: Sequence[str]


@dataclass(frozen=True)
class Written:
    """A text. ids: its tokens, without the prompt; logprobs: of each, under the model itself, where they were asked
    for; top: of each, the likeliest tokens with theirs; why: it ended, by "length", "stop", or "grammar" where it was
    complete; score: of beam search."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    top: tuple[tuple[tuple[int, float], ...], ...] = ()
    why: str = "length"
    score: float | None = None


def logprob(logits_RV: Tensor, token_R: Tensor) -> Tensor:
    """log p of each row's token (R,); 0 for NOTHING."""
    known = token_R.clamp_min(0)[:, None]
    found = logits_RV.gather(1, known)[:, 0] - logits_RV.logsumexp(-1)
    return torch.where(token_R == NOTHING, 0.0, found)


def gathered(chosen: Iterable[Chosen], count: int, top: int | None = None) -> list[Written]:
    """The `count` texts. top: with log-probabilities, and the `top` likeliest tokens at each place; None: without."""
    ids: list[list[int]] = [[] for _ in range(count)]
    logprobs: list[list[float]] = [[] for _ in range(count)]
    tops: list[list[tuple[tuple[int, float], ...]]] = [[] for _ in range(count)]
    why = ["length"] * count
    for one in chosen:
        tokens = one.token_R.tolist()
        logs = logprob(one.logits_RV, one.token_R).tolist() if top is not None else None
        best = one.logits_RV.log_softmax(-1).topk(min(top, one.logits_RV.shape[-1])) if top else None
        for j, row in enumerate(one.rows):
            why[row] = one.over[j] or why[row]
            if tokens[j] == NOTHING:
                continue
            ids[row].append(tokens[j])
            if logs is not None:
                logprobs[row].append(logs[j])
            if best is not None:
                pairs = zip(best.indices[j].tolist(), best.values[j].tolist(), strict=True)
                tops[row].append(tuple((int(t), float(v)) for t, v in pairs))
    return [Written(tuple(i), tuple(p), tuple(t), w) for i, p, t, w in zip(ids, logprobs, tops, why, strict=True)]
