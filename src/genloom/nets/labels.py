"""One class per item, for both players of a game: embedded, counted, and drawn as often as the data has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genloom.core import Batch, DataSpec, the_class
from genloom.errors import BadValue


class Labels(nn.Module):
    """The class field of a data set. name: of the field, "" where the data has no classes; fields: that name, or
    none; width: of the embedding, 0 for none."""

    counts: Tensor

    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__()
        found = the_class(spec)
        self.name, self.classes = (found[0], len(found[1].classes)) if found else ("", 0)
        self.table = nn.Embedding(self.classes, width) if self.classes and width else None
        self.fields = (self.name,) if self.name else ()
        self.register_buffer("counts", torch.zeros(self.classes, dtype=torch.int64))

    def forward(self, label: Tensor) -> Tensor:
        """Class indices (B,) to vectors (B, D)."""
        assert self.table is not None
        return self.table(label)

    def of(self, batch: Batch | None) -> Tensor | None:
        """A batch's labels, on this module's device; None where there are none."""
        return batch[self.name].to(self.counts.device) if self.name and batch and self.name in batch else None

    def beside(self, z: Tensor, label: Tensor | None) -> Tensor:
        """z (B, L) with the embedded class beside it (B, L + D), so that paths may lead from class to class."""
        return z if label is None else torch.cat([z, self(label)], 1)

    def nearest(self, vectors: Tensor) -> Tensor:
        """The class (B,) whose embedding is nearest to each vector (B, D): of latents on paths between classes."""
        assert self.table is not None
        return torch.cdist(vectors.float(), self.table.weight.float()).argmin(1)

    @torch.no_grad()
    def count(self, label: Tensor) -> None:
        """Adds a batch to the tally that `draw` follows."""
        self.counts += torch.bincount(label, minlength=self.classes)

    def draw(self, n: int, given: Batch | None, generator: torch.Generator) -> Tensor | None:
        """The given labels, or else some drawn by their shares (even ones before any count); None without classes.

        Raises BadValue where the given ones have another length or do not exist.
        """
        if not self.name:
            return None
        label = self.of(given)
        if label is None:
            return by_share(self.counts, n, generator)
        return checked_labels(label, n, self.name, self.classes)


def by_share(counts: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n classes drawn as often as they were counted, all alike before any count."""
    shares = counts.double() if bool(counts.any()) else torch.ones_like(counts).double()
    dart = torch.rand(n, generator=generator, device=counts.device, dtype=torch.float64)
    return torch.searchsorted((shares / shares.sum()).cumsum(0), dart).clamp_max(len(counts) - 1)


def checked_labels(label: Tensor, n: int, name: str, classes: int) -> Tensor:
    """The labels themselves. Raises BadValue where they are not n values of the field `name`, from 0 to classes - 1."""
    if label.shape != (n,) or (n and not 0 <= int(label.min()) <= int(label.max()) < classes):
        raise BadValue(
            f"expected {n} values of {name!r} from 0 to {classes - 1}, got shape {tuple(label.shape)} "
            f"{label.flatten()[:4].tolist()}: give one class index per item"
        )
    return label
