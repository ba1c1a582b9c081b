"""What a finished model can do. Verbs, metrics and faces look only at these types, never at a model's name.

A model inherits those it honours: `class VAE(Model, CanSample, CanEncode, CanDecode, HasLikelihood)`.
All methods run without gradient, in evaluation mode, on the model's device; their batches lie in the spec's range.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from genloom.core.spec import Batch

Callback = Callable[[dict[str, object]], None]


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen, beside temperature, top_k and top_p. The defaults change nothing.

    strategy: "sample" draws; "greedy" takes the likeliest; "beam" keeps the likeliest beginnings; "diverse-beam" does
    so in groups that shun each other's tokens; "contrastive" shuns what resembles what was written.
    min_p: tokens are kept that are at least this times as likely as the likeliest; 0 keeps all.
    typical: tokens whose surprise is nearest to the expected one are kept, of this total probability; 1 keeps all.
    repetition: logits of tokens that occurred are divided by this where positive, else multiplied; 1 changes nothing.
    presence: taken off the logits of tokens that were written; frequency: the same times how often they were.
    beams: beginnings kept; groups: of diverse beams, a divisor of beams; diversity: taken off a token's logit for each
    earlier group that chose it; length_penalty: the power of the length by which a finished text's score is divided.
    alpha: weight of likeness to what was written against likelihood, of contrastive search.
    draft: tokens that a smaller model proposes at a time, of speculative decoding.
    overflow: what happens where prompt and new tokens exceed a model's context: "slide" forgets the oldest, "refuse".
    """

    strategy: Literal["sample", "greedy", "beam", "diverse-beam", "contrastive"] = "sample"
    min_p: float = 0.0
    typical: float = 1.0
    repetition: float = 1.0
    presence: float = 0.0
    frequency: float = 0.0
    beams: int = 4
    groups: int = 2
    diversity: float = 1.0
    length_penalty: float = 1.0
    alpha: float = 0.6
    draft: int = 4
    overflow: Literal["slide", "refuse"] = "slide"


@dataclass(frozen=True)
class Sampling:
    """Choices at sampling time; None leaves a choice to the model. A model ignores what does not concern it.

    steps: network evaluations of an iterative sampler; solver: its name; eta: noise of the solver ddim, from 0 (none)
    to 1; guidance: strength of guidance (1: none); interval: times (low, high), in [0, 1] from data to noise, between
    which it guides; negative: values of condition fields, one row each, that guidance leads away from instead of from
    "not told"; partner: a worse model of the same data that it leads away from instead; temperature, top_k, top_p: of
    token sampling (top_k 0 and top_p 1: off; temperature also scales a latent's spread); length: tokens to generate;
    decoding: further choices of how tokens are chosen; prior: "fitted" or "standard" latent distribution; truncation:
    psi, how far styles may be from their centre (1: as far as they are; 0: all at the centre).
    """

    steps: int | None = None
    solver: str | None = None
    eta: float | None = None
    guidance: float | None = None
    interval: tuple[float, float] | None = None
    negative: Batch | None = None
    partner: object | None = None
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    length: int | None = None
    decoding: Decoding = Decoding()
    prior: Literal["fitted", "standard"] | None = None
    truncation: float | None = None


class CanSample(ABC):
    """Draws new items.

    iterative: by many evaluations of a network, each of which mends what the last one left: these may run in the
    reduced precision that training ran in. listens_to: the data's condition fields that samples depend on, by name.
    """

    iterative: ClassVar[bool] = False
    listens_to: tuple[str, ...] = ()

    @abstractmethod
    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """n items (n = 0 gives empty tensors of the right shape).

        condition: values of condition fields, n rows each; what is missing is drawn from the training data's shares.
        A text condition is a prompt: item tokens (n, L) to continue, under the item's own name.
        callback: called after every network evaluation with {"i", "of", "x"}; may raise to stop. x: the item as it is
        expected to become; a sampler that refines noise adds "state": the item as it stands, noise included.
        """


class CanTranslate(ABC):
    """Turns given pictures into others: fills holes, sharpens, colours, denoises, or brings them into another
    domain, for the tasks it was trained for.

    `one_answer`: whether it always gives the same answer, so that nobody asks for several.
    """

    one_answer: ClassVar[bool] = False

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """What it was trained for, of `genloom.samplers.restore.TASKS` or of `translations` of the data's fields."""

    @abstractmethod
    def translate(
        self,
        given: Tensor,
        *,
        task: str,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
    ) -> Batch:
        """One item for each of `given` (B, C', H', W') in the scale [-1, 1], NaN where nothing is known; under the name
        of the field that the task makes, in its range."""


class CanDecode(ABC):
    """Has a latent space whose points can be turned into items: interpolation, walks, maps."""

    @abstractmethod
    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        """n latents as `sample` would draw them, shape (n, ...)."""

    @abstractmethod
    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The items at these latents; the same latents give the same items."""


class OnePass(CanSample, CanDecode):
    """Draws an item in one pass: a latent, and what that decodes to."""

    @abstractmethod
    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        """n latents (n, ...). told: values of the condition fields that a latent carries, n rows each; what is missing
        is drawn from the training data's shares."""

    @final
    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.latents(n, None, options, generator)

    @final
    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        out = self.decode(self.latents(n, condition, options, generator))
        if callback is not None:
            callback({"i": 1, "of": 1, "x": next(iter(out.values()))})
        return out


class HasStyles(ABC):
    """Its latents (n, levels, D) are rows of styles, from coarse to fine, around a centre: rows of one may be put
    beside rows of another (style mixing), and all may be drawn closer to the centre (`Sampling.truncation`).

    levels: how many rows; coarse: how many of the first shape an item as a whole; middle: of those after them, parts.
    """

    levels: int
    coarse: int
    middle: int


class CanEncode(ABC):
    """Finds the latents of given items: reconstruction, editing, two-dimensional maps.

    `quick`: False where that takes as long as drawing samples does, so that nobody does it in passing.
    """

    quick: ClassVar[bool] = True

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """The most representative latent of each item, without randomness, shape (B, ...); `decode` takes it back."""


class CanCompress(ABC):
    """Turns items into smaller maps of numbers and back: what a model of latents stands on.

    latent_shape: of one item's latent, (c, h, w) for images.
    """

    latent_shape: tuple[int, ...]

    @abstractmethod
    def compress(self, batch: Batch) -> Tensor:
        """The continuous latent of each item, without randomness and before any quantisation, (B, *latent_shape)."""

    @abstractmethod
    def expand(self, latent: Tensor) -> Batch:
        """The items of these latents (B, *latent_shape), in the spec's range; quantised first where codes are."""

    @abstractmethod
    def latent_scale(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (c,) of each latent channel over training items, as a finished run recorded
        them. Raises BadData before `finish`."""


class CanTokenise(ABC):
    """Turns items into small maps of words and back: what a model of sequences stands on.

    code_shape: height and width of an item's map; vocabulary: how many words there are, numbered from 0.
    """

    code_shape: tuple[int, int]
    vocabulary: int

    @abstractmethod
    def codes(self, batch: Batch) -> Tensor:
        """The words of each item, int64 (B, *code_shape), without randomness."""

    @abstractmethod
    def decode_codes(self, codes: Tensor) -> Batch:
        """The items of these words, in the spec's range. Raises BadValue for words that do not exist."""


@dataclass(frozen=True)
class Code:
    """A number of a latent that means something. values: how many a categorical code takes; 0 for a continuous one,
    which lies between -1 and 1."""

    name: str
    values: int = 0


class HasCodes(ABC):
    """Names a few numbers of its latents as codes, found without labels, and reads them off items: traversals, and
    whether a code is a known factor."""

    codes: tuple[Code, ...]

    @abstractmethod
    def infer(self, batch: Batch) -> dict[str, Tensor]:
        """The likeliest value of each code, by name: int64 (B,) of categorical ones, floats (B,) of continuous ones."""

    @abstractmethod
    def with_code(self, latent: Tensor, name: str, value: Tensor) -> Tensor:
        """Latents (B, ...) with the code `name` at `value` (B,) and all else as it was. Raises BadValue."""


class CanClassify(ABC):
    """Tells the class of items, also of items of a domain whose labels it was never told."""

    @abstractmethod
    def classify(self, name: str, items: Tensor) -> Tensor:
        """Logits (B, K) over the classes of the data's class field, of items (B, ...) of the field `name`."""


class CanJudge(ABC):
    """Gives answers to prompts a number: how good they are thought to be."""

    @abstractmethod
    def judge(self, prompt: Tensor, text: Tensor) -> Tensor:
        """The worth (B,) of texts (B, L) as answers to prompts (B, P), rows of ids with their ends; greater is
        better."""


class CanMerge(ABC):
    """Stands on a finished model and has learnt changes of its weights, which can be put into it."""

    @abstractmethod
    def merged(self) -> tuple[str, dict[str, Tensor]]:
        """The role of that model, and all its tensors with the changes in them, by its own names."""


class HasLikelihood(ABC):
    """Gives items a probability. `kind`: "exact", "bound" (no less than the negative log-likelihood) or "estimate".

    `items`: how many items it is measured on at most where that takes long; None where it is quick. `facts`: how an
    estimate is made, for the protocol of figures.
    """

    kind: ClassVar[Literal["exact", "bound", "estimate"]]
    items: ClassVar[int | None] = None
    facts: ClassVar[Mapping[str, object]] = {}

    @abstractmethod
    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """Negative log-likelihood in nats of each stored item, shape (B,): of 8-bit pixels or of tokens."""


class CanStream(ABC):
    """Writes an item piece by piece."""

    @abstractmethod
    def stream(self, prompt: Tensor, *, options: Sampling = Sampling(), generator: torch.Generator) -> Iterator[Tensor]:
        """Continues the token ids `prompt` (L,) one token id (a 0-d tensor) at a time, options.length of them."""
