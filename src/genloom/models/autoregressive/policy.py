"""A language model that is being tuned, and the one it began as: what tuning, DPO, reward models and GRPO share.

The frozen model stays as it is; `genloom.nets.adapters` holds what is learnt. With the adapters worn it is the policy,
without them the reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import Batch, DataSpec, Sampling, the_item, the_prompt
from genloom.errors import BadData
from genloom.modalities.ended import lengths, rows_of
from genloom.models.autoregressive.gpt import GPT
from genloom.nets.adapters import Adapters, worn
from genloom.samplers import decoding


@dataclass(frozen=True)
class Tuning:
    """rank: directions in which each chosen matrix may change (LoRA); 0 lets all weights change freely.
    alpha: the changes are multiplied by alpha / rank.
    layers: patterns of the layers that LoRA changes.
    apart: whether an end stands between prompt and answer; without, the answer goes on where the prompt stops.
    """

    rank: int = 8
    alpha: float = 16.0
    layers: tuple[str, ...] = ("*.query", "*.value")
    apart: bool = True


def joined(prompt_BP: Tensor, text_BL: Tensor, end: int, apart: bool) -> tuple[Tensor, Tensor]:
    """Prompts followed by their answers, and which tokens are the answers', ends included: (B, T) each, where T is the
    longest of both together. Behind an answer's end stand ends, which are not counted."""
    asked, told = lengths(prompt_BP, end) - (0 if apart else 1), lengths(text_BL, end)
    place = torch.arange(int((asked + told).max()) if len(asked) else 0, device=text_BL.device)[None]
    last = prompt_BP.shape[1] + text_BL.shape[1] - 1
    source = torch.where(place < asked[:, None], place, place - asked[:, None] + prompt_BP.shape[1]).clamp_max(last)
    ids = torch.cat((prompt_BP, text_BL), 1).gather(1, source)
    within = place < (asked + told)[:, None]
    return ids.masked_fill(~within, end), (place >= asked[:, None]) & within


class Policy(nn.Module):
    """`base` and its adapters, over data of prompts with answers (`prompt` is their field) or of plain texts ("").

    listens_to: the condition fields that what it writes depends on.
    """

    def __init__(self, base: GPT, tuning: Tuning, spec: DataSpec, who: str, asks: bool) -> None:
        super().__init__()
        self.base, self.tuning = base, tuning
        self.item, field = the_item(spec, "text", who)
        self.end, (self.length,) = field.end, field.shape
        self.prompt = ""
        if asks or field.end >= 0:
            self.prompt, told = the_prompt(spec, who)
            (self.reads,) = told.shape
        self.listens_to = (self.prompt,) if self.prompt else base.listens_to
        if base.vocabulary != field.vocabulary:
            raise BadData(
                f"the model that {who} stands on knows {base.vocabulary:,} tokens, this data set has "
                f"{field.vocabulary:,}: read it with that run's tokenizer (--data.tokenizer RUN)"
            )
        whole = self.length + (self.reads if self.prompt else 0)
        if whole > base.context:
            raise BadData(
                f"the model that {who} stands on reads {base.context} tokens, and prompts with their answers have "
                f"up to {whole}: lower --data.context to {base.context // 2}"
            )
        self.adapters = Adapters(base.network, tuning.rank, tuning.alpha, tuning.layers)

    @contextmanager
    def tuned(self) -> Iterator[None]:
        """The base with what was learnt inside."""
        with worn(self.base.network, self.adapters.weights(self.base.network)):
            yield

    def sequences(self, text_BL: Tensor, prompt_BP: Tensor | None) -> tuple[Tensor, Tensor]:
        """Whole sequences and which of their tokens are learnt."""
        if not self.prompt:
            return text_BL, torch.ones_like(text_BL, dtype=torch.bool)
        assert prompt_BP is not None
        return joined(prompt_BP, text_BL, self.end, self.tuning.apart)

    def states(self, ids_BT: Tensor) -> Tensor:
        """The vectors (B, T, width) from which each token is predicted."""
        before = F.pad(ids_BT[:, :-1], (1, 0), value=self.base.start)
        return self.base.network.states(before)

    def logp(self, ids_BT: Tensor, counts_BT: Tensor, *, reference: bool = False) -> Tensor:
        """log p of each counted token given all before it, (B, T); 0 elsewhere. reference: under the frozen model."""
        with torch.no_grad() if reference else nullcontext(), nullcontext() if reference else self.tuned():
            said = self.base.network.says(self.states(ids_BT)[counts_BT])
        nats = -F.cross_entropy(said, ids_BT[counts_BT], reduction="none")
        return nats.new_zeros(ids_BT.shape).masked_scatter(counts_BT, nats)

    def questions(self, prompt_BP: Tensor) -> list[Tensor]:
        """The tokens of each prompt after which an answer begins."""
        asked = lengths(prompt_BP, self.end) - (0 if self.tuning.apart else 1)
        return [row[:n] for row, n in zip(prompt_BP, asked.tolist(), strict=True)]

    @torch.no_grad()
    def answers(
        self, questions: Sequence[Tensor], options: Sampling, generator: decoding.Generators, length: int
    ) -> Tensor:
        """What is written after each question until its end, (n, length); drawn with what was learnt."""
        if not len(questions):
            return torch.zeros(0, length, dtype=torch.int64)
        with self.tuned():
            found = decoding.texts(
                self.base, questions, replace(options, length=length), generator,
                ended=(lambda ids: ids[-1] == self.end) if self.end >= 0 else decoding.never,
            )  # fmt: skip
        if self.end < 0:
            return torch.tensor([one.ids for one in found])
        return rows_of([[t for t in one.ids if t != self.end] for one in found], length + 1, self.end)[:, :length]

    def sample(self, n: int, condition: Batch | None, options: Sampling, generator: torch.Generator) -> Batch:
        """n answers to the prompts in `condition`, or to empty ones."""
        empty = torch.full((n, 1), self.end, dtype=torch.int64, device=generator.device)
        prompt = (condition or {}).get(self.prompt, empty)
        length = min(options.length or self.length, self.length)
        return {self.item: self.answers(self.questions(prompt), options, generator, length)}


def merged(policy: Policy) -> dict[str, Tensor]:
    """The base's weights with what was learnt in them, by the base's own names."""
    changed = policy.adapters.weights(policy.base.network)
    weights = {name: tensor.detach().clone() for name, tensor in policy.base.state_dict().items()}
    return weights | {f"network.{name}": tensor.detach().clone() for name, tensor in changed.items()}
