"""N-grams: the next token from the last few, by counting (Shannon 1948). Nothing is learnt by gradients.

Interpolated Kneser-Ney smoothing (Kneser and Ney 1995; Chen and Goodman 1998, section 4). For a history h of k - 1
tokens, h' the same without its first, and c(hw) the count of token w after it,

    p_k(w | h) = max(c(hw) - D(c(hw)), 0) / c(h.) + gamma(h) p_{k-1}(w | h')                (1)
    gamma(h)   = sum over w of min(D(c(hw)), c(hw)) / c(h.)                                 (2)

where for all but the longest histories c(hw) is the number of different tokens seen before hw, not its count (section
2.7), and p_0 = 1 / V. One discount D = n_1 / (n_1 + 2 n_2) an order, or three, for counts of 1, 2 and more (modified
Kneser-Ney, their equation 17), where n_i is how many of its grams have count i. A history never seen is left out.

Stupid back-off (Brants et al. 2007): S(w | h) = c(hw) / c(h.) where hw was seen, 0.4 S(w | h') elsewhere. These are no
probabilities; here, unlike in the paper, they are divided by their sum, so that they can be drawn from and compared.

Every window begins with a start symbol, whose grams nothing can precede: these keep their counts. No gram crosses from
one window into the next, and `nll` is the exact -log p of a window's L tokens. Of whole items (molecules) nothing
behind the end is counted.

Grams are kept as a trie of sorted tables: a gram's key is (number of the gram without its last token) * (V + 1) + last
token, so numbers of any order fit into 64 bits, and looking up is a binary search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    TOKENS,
    Batch,
    CanContinue,
    CanSample,
    CanStream,
    DataSpec,
    HasLikelihood,
    Loss,
    Model,
    Phase,
    Player,
    Reading,
    Sampling,
    Step,
    counted,
    shortened,
    the_item,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadData, BadValue, unknown
from genloom.samplers import decoding

SMOOTHINGS = ("kneser-ney", "modified-kneser-ney", "stupid-backoff")
BACK_OFF = 0.4


@dataclass(frozen=True)
class NgramConfig:
    """order: tokens of the longest gram, the predicted one included.
    smoothing: "kneser-ney", "modified-kneser-ney" (three discounts an order) or "stupid-backoff".
    discount: of Kneser-Ney, in place of the estimate from the counts; 0 estimates it.
    tokens: the most training tokens that are counted.
    """

    order: int = 5
    smoothing: Literal["kneser-ney", "modified-kneser-ney", "stupid-backoff"] = "modified-kneser-ney"
    discount: float = 0.0
    tokens: int = 50_000_000


class Ngram(Model, CanSample, CanStream, CanContinue, HasLikelihood):
    """Counts of grams of 1 to `order` tokens."""

    Config = NgramConfig
    citation = """@techreport{chen1998empirical,
  title = {An Empirical Study of Smoothing Techniques for Language Modeling},
  author = {Chen, Stanley F. and Goodman, Joshua},
  institution = {Harvard University},
  number = {TR-10-98},
  year = {1998},
}"""
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "exact"

    keys_1: Tensor

    def __init__(self, config: NgramConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, TOKENS, "ngram")
        self.field, (self.window,), self.vocabulary = field, field.shape, field.vocabulary
        if self.vocabulary < 1:
            raise BadData("ngram needs a vocabulary, got one of 0 tokens: give texts with content")
        if config.order < 1:
            raise BadValue(f"config.order must be at least 1 token, got {config.order}")
        if config.smoothing not in SMOOTHINGS:
            raise unknown("config.smoothing", config.smoothing, SMOOTHINGS)
        if not 0 <= config.discount < 1:
            raise BadValue(f"config.discount must lie from 0 (estimated) to below 1, got {config.discount}")
        self.context: int | None = config.order - 1
        self.start, self.base = self.vocabulary, self.vocabulary + 1
        for k in range(1, config.order + 1):  # empty: every token is as likely as any other
            keys = torch.arange(self.base if k == 1 else 0)  # of all grams of k tokens that were seen, sorted
            self.register_buffer(f"keys_{k}", keys)
            self.register_buffer(f"share_{k}", torch.zeros(self.base if k == 1 else 0))  # of its history's mass, (1)
            self.register_buffer(f"rest_{k}", torch.ones({1: 1, 2: self.base}.get(k, 0)))  # gamma of a history, (2)

    def players(self) -> tuple[Player, ...]:
        return ()

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """Mean nats a token that counts; nothing learns from it."""
        count_B = counted(batch[self.item], self.field).sum(1).float()
        return Loss(self.surprise(batch[self.item]).sum(1).mean() / step.gather(count_B).mean())

    def make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for name, old in list(self.named_buffers()):
            if name in shapes and shapes[name] != tuple(old.shape):
                setattr(self, name, old.new_zeros(shapes[name]))

    # -- counting ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """Counts the training items."""
        rows, seen = [], 0
        for batch in batches:
            rows.append(batch[self.item].cpu().to(torch.int32))
            seen += rows[-1].numel()
            if seen >= self.config.tokens:
                break
        if not rows:
            return
        device = self.keys_1.device
        ids_BL = F.pad(torch.cat(rows).long(), (1, 0), value=self.start)
        grams = list(self._grams(ids_BL))
        for k, (keys, counts, before, begins) in enumerate(grams, 1):
            if k < self.config.order and self.config.smoothing != "stupid-backoff":
                counts = torch.where(begins, counts, before)
            histories = 1 if k == 1 else len(grams[k - 2][0])
            share, rest = self._weigh(keys // self.base, counts, histories)
            for name, value in (("keys", keys), ("share", share.float()), ("rest", rest.float())):
                setattr(self, f"{name}_{k}", value.to(device))

    def _grams(self, ids_BL: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Of each order: keys of the grams seen, sorted; their counts; how many different tokens were seen before each;
        whether each begins with the start symbol, which is itself never predicted."""
        number = ids_BL  # of the gram of this order that ends here, for places where it lies inside the window
        own_BL = F.pad(counted(ids_BL[:, 1:], self.field), (1, 0), value=True)  # no gram ends behind an item's end
        keys, counts = torch.arange(self.base), torch.bincount(ids_BL[:, 1:][own_BL[:, 1:]], minlength=self.base)
        begins = keys == self.start
        for k in range(2, self.config.order + 1):
            own = own_BL[:, k - 1 :]
            longer, inverse = torch.unique((number[:, :-1] * self.base + ids_BL[:, k - 1 :])[own], return_inverse=True)
            suffix = torch.zeros(len(longer), dtype=torch.int64)  # the number of each gram without its first token
            suffix[inverse] = number[:, 1:][own]
            yield keys, counts, torch.bincount(suffix, minlength=len(keys)), begins
            begins = begins[longer // self.base]
            keys, counts = longer, torch.bincount(inverse, minlength=len(longer))
            number = torch.zeros(own.shape, dtype=torch.int64).masked_scatter(own, inverse)
        yield keys, counts, counts, begins  # nothing longer is counted, so nothing is known of what came before

    def _weigh(self, history: Tensor, counts: Tensor, histories: int) -> tuple[Tensor, Tensor]:
        """Each gram's own share of its history's mass, and what each history leaves to shorter ones."""
        total = torch.zeros(histories, dtype=torch.float64).index_add_(0, history, counts.double())
        if self.config.smoothing == "stupid-backoff":
            return counts / total.clamp_min(1)[history], torch.full((histories,), BACK_OFF)
        off = torch.minimum(self._discounts(counts)[counts.clamp_max(3)], counts.double())
        given_back = torch.zeros(histories, dtype=torch.float64).index_add_(0, history, off)
        rest = torch.where(total > 0, given_back / total.clamp_min(1), 1.0)
        return (counts - off) / total.clamp_min(1)[history], rest

    def _discounts(self, counts: Tensor) -> Tensor:
        """D for counts of 0, 1, 2 and more."""
        if self.config.discount:
            return torch.tensor([0.0, *[self.config.discount] * 3], dtype=torch.float64)
        n = [0.0, *(float((counts == i).sum()) for i in range(1, 5))]
        three = self.config.smoothing == "modified-kneser-ney" and all(n[1:])
        if not (n[1] and n[2]):  # too little text to tell
            return torch.tensor([0.0, 0.5, 0.5, 0.5], dtype=torch.float64)
        y = n[1] / (n[1] + 2 * n[2])
        found = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)] if three else [y, y, y]
        return torch.tensor([0.0, *found], dtype=torch.float64).clamp_min(0)

    # -- probabilities -------------------------------------------------------------------------------------------------

    def _table(self, name: str, k: int) -> Tensor:
        return self.get_buffer(f"{name}_{k}")

    def _find(self, k: int, history: Tensor, token: Tensor) -> Tensor:
        """Numbers of grams of order k, -1 where they or their histories were not seen."""
        if k == 1:
            return token.expand(torch.broadcast_shapes(history.shape, token.shape))
        keys, wanted = self._table("keys", k), history * self.base + token
        if not len(keys):
            return torch.full_like(wanted, -1)
        at = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
        return torch.where((keys[at] == wanted) & (history >= 0), at, -1)

    def _histories(self, ids_BT: Tensor) -> list[Tensor]:
        """Before each place behind the first: numbers of the grams of 0 ... order - 1 tokens that end there, (B, T - 1)
        each; -1 where there is none."""
        found = [torch.zeros_like(ids_BT)]
        for k in range(1, self.config.order):
            shorter = F.pad(found[-1][:, :-1], (1, 0), value=0 if k == 1 else -1)
            found.append(self._find(k, shorter, ids_BT))
        return [h[:, :-1] for h in found]

    def _mixed(self, histories: list[Tensor], token: Tensor) -> Tensor:
        """p(token | histories) by (1), shorter histories first; not yet normalised with stupid back-off."""
        p = torch.full(torch.broadcast_shapes(histories[0].shape, token.shape), 1 / self.vocabulary)
        p = p.to(token.device)
        for k, history in enumerate(histories, 1):
            share, rest = self._table("share", k), self._table("rest", k)
            if not len(share) or not len(rest):
                break
            at = self._find(k, history, token)
            own = torch.where(at >= 0, share[at.clamp_min(0)], 0.0)
            left = torch.where(history >= 0, rest[history.clamp_min(0)], 1.0) * p
            p = torch.where(own > 0, own, left) if self.config.smoothing == "stupid-backoff" else own + left
        return p

    def _spread(self, histories: list[Tensor]) -> Tensor:
        """p of every token (..., V)."""
        tokens = torch.arange(self.vocabulary, device=self.keys_1.device)
        p = self._mixed([h[..., None] for h in histories], tokens)
        return p / p.sum(-1, keepdim=True) if self.config.smoothing == "stupid-backoff" else p

    def surprise(self, ids_BL: Tensor) -> Tensor:
        """-log p(x_t | x_<t) of every token, in nats, (B, L); of whole items up to the longest's end, 0 behind ends."""
        ids_BL, own_BL = shortened(ids_BL, self.field)
        histories = self._histories(F.pad(ids_BL, (1, 0), value=self.start))
        if self.config.smoothing != "stupid-backoff":
            return -self._mixed(histories, ids_BL).log() * own_BL
        return -self._spread(histories).gather(-1, ids_BL[..., None])[..., 0].log() * own_BL

    @torch.no_grad()
    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """-log p(x_1 ... x_L) in nats, (B,): the sum over all tokens that count, the first included. Exact; draws
        nothing."""
        spread = self.vocabulary if self.config.smoothing == "stupid-backoff" else 1
        rows = max(1, 2**22 // (batch[self.item].shape[1] * spread))
        parts = [self.surprise(part).sum(1) for part in batch[self.item].split(rows) if len(part)]
        return torch.cat([batch[self.item].new_zeros(0, dtype=torch.float32), *parts])

    # -- writing -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        reading = TailReading(self, F.pad(prompt_BL.to(self.keys_1.device), (1, 0), value=self.start))
        return reading, reading.said(1)[:, -1]

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """n texts (n, P + N): the prompts of P tokens in `condition`, or nothing, and N = options.length new tokens, by
        default as many as an item holds."""
        return decoding.sampled(self, n, condition, self._long(options), generator, callback, self.keys_1.device,
                                self.spec[self.item])  # fmt: skip

    def stream(self, prompt: Tensor, *, options: Sampling = Sampling(), generator: torch.Generator) -> Iterator[Tensor]:
        """What `sample` would write after this prompt (P,) alone, token by token."""
        return decoding.streamed(self, prompt.to(self.keys_1.device), self._long(options), generator)

    def _long(self, options: Sampling) -> Sampling:
        return options if options.length is not None else replace(options, length=self.window)

    def after(self, ids_BT: Tensor, last: int) -> Tensor:
        """log p of every token after each of the `last` places of these texts, start symbols included, (B, last, V)."""
        tail = ids_BT[:, -(last + self.config.order) :]
        histories = self._histories(F.pad(tail, (0, 1)))
        return self._spread([h[:, -last:] for h in histories]).log()


class TailReading(Reading):
    """Texts of which only the last tokens matter."""

    def __init__(self, model: Ngram, ids_BT: Tensor) -> None:
        self.model, self.ids_BT = model, ids_BT

    def said(self, last: int) -> Tensor:
        """The logits after each of the last places."""
        return self.model.after(self.ids_BT, last)

    @torch.no_grad()
    def read(self, ids_BL: Tensor) -> Tensor:
        self.ids_BT = torch.cat((self.ids_BT[:, -(self.model.config.order + self.reach) :], ids_BL), 1)
        return self.said(ids_BL.shape[1])

    def select(self, rows_N: Tensor) -> None:
        self.ids_BT = self.ids_BT[rows_N]

    def forget(self, count: int) -> None:
        self.ids_BT = self.ids_BT[:, : self.ids_BT.shape[1] - count]
