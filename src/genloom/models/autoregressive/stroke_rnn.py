"""Stroke-RNN: drawings as movements of a pen, each from a mixture of Gaussians that an LSTM has after those before it
(Graves 2013, arXiv:1308.0850, section 4, for handwriting; for sketches, with three states of the pen, Ha and Eck 2017,
arXiv:1704.03477, whose decoder alone this is).

    p(drawing) = prod_t  sum_k pi_k N((dx, dy)_t | mu_k, sigma_k, rho_k)  *  q(pen_t)

with pi, mu, sigma, rho and q from the state after t - 1 movements. Differs from the papers: where offsets are stored
as whole numbers, each is spread evenly over its unit (as Theis et al. 2016 do for pixels). So a component cannot win
without end by growing narrow on the offsets that are exactly 0, of which drawings are full, and `nll` bounds the -log
probability of the stored numbers. A drawing that is not over after its last row is ended there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    Batch,
    CanSample,
    DataSpec,
    HasLikelihood,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_item,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadData, BadValue
from genloom.nets.dropout import Dropout
from genloom.nets.recurrent import Cell, Recurrent, RecurrentShape, State
from genloom.objectives.mixture import NUMBERS, mixture_draw, mixture_nll, mixture_of

PENS = 3
"""States of the pen after a movement: on the paper, lifted, the drawing over."""


@dataclass(frozen=True)
class StrokeRNNConfig:
    """cell: "lstm", "gru" or "rnn"; width: of its state; depth: layers; components: Gaussians of each mixture.
    dropout: share of what a layer shows that is dropped in training.
    optimizer: how it learns.
    """

    cell: Cell = "lstm"
    width: int = 256
    depth: int = 1
    components: int = 20
    dropout: float = 0.0
    optimizer: Optimizer = Optimizer(lr=3e-3, betas=(0.9, 0.99), clip=1.0, warmup=0.03, hold=0.3)


class StrokeRNN(Model, CanSample, HasLikelihood):
    """A recurrent network that draws."""

    Config = StrokeRNNConfig
    citation = """@article{graves2013generating,
  title = {Generating Sequences With Recurrent Neural Networks},
  author = {Graves, Alex},
  journal = {arXiv preprint arXiv:1308.0850},
  year = {2013},
}"""
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "bound"
    facts = {"unit": "offsets as stored, spread evenly over the distance between neighbouring values"}

    def __init__(self, config: StrokeRNNConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "strokes", "stroke-rnn")
        self.rows, self.grain = field.shape[0], field.grain
        if self.rows < 2:
            raise BadData("stroke-rnn needs drawings of at least one movement and an end: raise data.context")
        if config.components < 1:
            raise BadValue(f"config.components must be at least 1 Gaussian, got {config.components}")
        self.layers = Recurrent(RecurrentShape(2 + PENS, config.width, config.depth, config.cell, config.dropout))
        self.dropout = Dropout(config.dropout)
        self.head = nn.Linear(config.width, NUMBERS * config.components + PENS)
        nn.init.normal_(self.head.weight, std=0.05)
        nn.init.zeros_(self.head.bias)
        nn.init.normal_(self.head.bias.data[config.components : 3 * config.components])  # Gaussians at many places

    def players(self) -> tuple[Player, ...]:
        return (Player("pen", ("*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("draw", "pen"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """Mean nats of a drawing, over its most rows."""
        items = batch[self.item]
        place, pen, length = self.surprise(self._spread(items, step.rand(*items.shape[:2], 2)))
        per = length.sum().clamp_min(1)
        parts = {"place": place.sum() / per, "pen": pen.sum() / per}
        return Loss((place + pen).sum(1).mean() / self.rows, {k: v.detach() for k, v in parts.items()})

    def _spread(self, items_BL3: Tensor, uniform_BL2: Tensor) -> Tensor:
        """Offsets spread evenly over their unit."""
        offset = items_BL3[..., :2] + self.grain * (uniform_BL2 - 0.5)
        return torch.cat((offset, items_BL3[..., 2:]), -1)

    def surprise(self, items_BL3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """-log p of each place and of each state of the pen (B, L), 0 after the end; movements of each drawing (B,)."""
        pen_BL = items_BL3[..., 2].long()
        moves_BL = (pen_BL < PENS - 1).long().cumprod(1)
        raw, _ = self._read(F.pad(items_BL3[:, :-1], (0, 0, 1, 0)), begins=True)
        mixture = mixture_of(raw[..., PENS:])
        place_BL = mixture_nll(items_BL3[..., :2].float(), mixture) * moves_BL
        said = F.cross_entropy(raw[..., :PENS].float().flatten(0, 1), pen_BL.flatten(), reduction="none")
        ends_BL = F.pad(moves_BL[:, :-1], (1, 0), value=1)  # the pen is predicted once more, at the end
        return place_BL, said.view(pen_BL.shape) * ends_BL, moves_BL.sum(1)

    def _read(self, items_BL3: Tensor, begins: bool, state: State | None = None) -> tuple[Tensor, State]:
        """What is said of the row after each of these. begins: the first stands for the empty paper."""
        pens = F.one_hot(items_BL3[..., 2].long(), PENS).to(items_BL3.dtype)
        if begins:
            pens = torch.cat((torch.zeros_like(pens[:, :1]), pens[:, 1:]), 1)
        h, state = self.layers(torch.cat((items_BL3[..., :2], pens), -1), state)
        return self.head(self.dropout(h)), state

    @torch.no_grad()
    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """A bound on -log of the probability of the stored numbers, in nats, (B,): density times the unit's area."""
        items = batch[self.item]
        noise = torch.rand(*items.shape[:2], 2, generator=generator, device=items.device)
        place, pen, length = self.surprise(self._spread(items, noise))
        return (place + pen).sum(1) - 2 * length * (math.log(self.grain) if self.grain else 0.0)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """n drawings (n, L, 3). options.temperature: below 1 the pen is surer of itself; options.length: the most
        movements."""
        if not (math.isfinite(options.temperature) and options.temperature >= 0):
            raise BadValue(f"temperature must be at least 0 (0: always the likeliest), got {options.temperature}")
        device = self.head.weight.device
        items = torch.zeros(n, self.rows, 3, device=device)
        items[..., 2] = PENS - 1
        last, state = torch.zeros(n, 1, 3, device=device), None
        drawing = torch.ones(n, dtype=torch.bool, device=device)
        most = min(self.rows - 1, options.length or self.rows)
        for t in range(most):
            if not bool(drawing.any()):
                break
            raw, state = self._read(last, begins=t == 0, state=state)
            place = mixture_draw(mixture_of(raw[:, -1, PENS:]), generator, options.temperature)
            pen = self._pen(raw[:, -1, :PENS].float(), options.temperature, generator)
            drawing = drawing & (pen < PENS - 1)
            last = torch.cat((place, pen[:, None].to(place.dtype)), -1)[:, None]
            items[:, t] = torch.where(drawing[:, None], last[:, 0], items[:, t])
            if callback is not None:
                callback({"i": t, "of": most, "x": items})
        return {self.item: items}

    @staticmethod
    def _pen(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        if temperature == 0:
            return logits.argmax(-1)
        return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
