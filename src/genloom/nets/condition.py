"""What a model may be told beforehand: condition fields become one vector per item.

Each class field has a table of embeddings with one row more than it has classes: the null row stands for "not told",
learnt by dropping labels and used for classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genloom.core import Batch, DataSpec
from genloom.errors import BadValue


@dataclass(frozen=True)
class Cond:
    """What a network is told of each item; None for what nobody tells.

    vector: (B, D), added to the time's embedding; tokens: (B, L, D) to attend to, mask: (B, L), True where a token
    counts; planes: (B, C', *S) beside the item's channels, of the item's spatial shape S.
    """

    vector: Tensor | None = None
    tokens: Tensor | None = None
    mask: Tensor | None = None
    planes: Tensor | None = None


class Conditioner(nn.Module):
    """Embeds the class fields of role "condition" and remembers how often each class occurs.

    spec: the data's fields; width: D of the vector. Without class fields it is empty and `fields` is ().
    """

    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__()
        self.classes = {
            name: field.classes
            for name, field in spec.items()
            if field.role == "condition" and field.modality == "class"
        }
        self.fields = tuple(self.classes)
        self.tables = nn.ModuleDict({k: nn.Embedding(len(c) + 1, width) for k, c in self.classes.items()})
        for name, classes in self.classes.items():
            self.register_buffer(f"count_{name}", torch.zeros(len(classes), dtype=torch.int64))

    def forward(self, condition: Batch, drop_B: Tensor | None = None) -> Cond:
        """The sum of the embeddings. condition: (B,) indices of every field; drop_B: who is told nothing."""
        total: Tensor | None = None
        for name, table in self.tables.items():
            index = condition[name] if drop_B is None else condition[name].masked_fill(drop_B, len(self.classes[name]))
            total = table(index) if total is None else total + table(index)
        return Cond(vector=total)

    def null(self, n: int, device: torch.device) -> dict[str, Tensor]:
        """The condition that tells nothing, for n items."""
        return {k: torch.full((n,), len(c), dtype=torch.int64, device=device) for k, c in self.classes.items()}

    @torch.no_grad()
    def count(self, condition: Batch) -> None:
        """Adds a batch's classes to the tally that `draw` follows."""
        for name, classes in self.classes.items():
            self.get_buffer(f"count_{name}").add_(torch.bincount(condition[name], minlength=len(classes)))

    def draw(self, n: int, given: Batch | None, generator: torch.Generator) -> dict[str, Tensor]:
        """The given classes, and where none are given, classes in the proportions counted (even ones before any count).

        Raises BadValue where the given classes have another length or do not exist.
        """
        out: dict[str, Tensor] = {}
        for name, classes in self.classes.items():
            counts = self.get_buffer(f"count_{name}")
            if given is not None and name in given:
                index = given[name].to(counts.device)
                if index.shape != (n,) or (n and (int(index.min()) < 0 or int(index.max()) >= len(classes))):
                    raise BadValue(
                        f"expected {n} values of {name!r} from 0 to {len(classes) - 1}, got shape {tuple(index.shape)}"
                        f" {index.flatten()[:4].tolist()}: give one class index per item"
                    )
                out[name] = index
            elif n == 0:
                out[name] = torch.zeros(0, dtype=torch.int64, device=counts.device)
            else:
                shares = counts.float() if int(counts.sum()) else torch.ones_like(counts, dtype=torch.float32)
                out[name] = torch.multinomial(shares, n, replacement=True, generator=generator)
        return out
