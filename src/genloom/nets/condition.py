"""What a model may be told beforehand: condition fields become a vector, tokens or planes beside each item.

class    a table of embeddings with one row more than there are classes: the null row stands for "not told"
text     a small transformer over word ids, trained along: a vector and tokens; padding alone is the empty caption
vector   a linear layer; a row with NaN is not told
image    planes beside the item's channels, brought to its size; NaN is not told, by pixel where only a part is known
         (audio beside audio and video beside video alike)

"Not told" is learnt by dropping conditions, for classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genloom.core import Batch, DataSpec, Field
from genloom.errors import BadData, BadValue
from genloom.nets.labels import checked_labels
from genloom.nets.listen import PAD, TextEncoder

KEPT = 1024  # captions of training items that are remembered, and of others as many as a million numbers hold
SPATIAL = {"image": 2, "audio": 1, "video": 3}
RESIZE = {1: "linear", 2: "bilinear", 3: "trilinear"}


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


def conditions(spec: DataSpec) -> dict[str, Field]:
    """The condition fields, by name."""
    return {name: field for name, field in spec.items() if field.role == "condition"}


def token_width(spec: DataSpec, width: int) -> int:
    """D of the tokens that a Conditioner of this width gives; 0 where no text is told."""
    return width if any(f.modality == "text" for f in conditions(spec).values()) else 0


def plane_count(spec: DataSpec) -> int:
    """C' of the planes a Conditioner gives: each field's channels and one that says where they are known."""
    return sum(f.shape[0] + 1 for f in conditions(spec).values() if f.modality in SPATIAL)


class Conditioner(nn.Module):
    """Embeds the fields of role "condition", and remembers which classes and captions training items have.

    spec: the data's fields; width: D of the vector. Without condition fields it is empty and `fields` is ().
    Raises BadData for fields that stand in no relation to the item: pictures told of sound.
    """

    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__()
        told = conditions(spec)
        self.classes = {k: f.classes for k, f in told.items() if f.modality == "class"}
        self.tables = nn.ModuleDict({k: nn.Embedding(len(c) + 1, width) for k, c in self.classes.items()})
        for name, classes in self.classes.items():
            self.register_buffer(f"count_{name}", torch.zeros(len(classes), dtype=torch.int64))
        self.others = {k: f for k, f in told.items() if f.modality in ("text", "vector", *SPATIAL)}
        self.encoders = nn.ModuleDict()
        self.space = next((f.shape[1:] for f in spec.values() if f.role == "item"), ())
        for name, field in self.others.items():
            if field.modality == "text":
                self.encoders[name] = TextEncoder(field.vocabulary, field.shape[0], width)
            elif field.modality == "vector":
                self.encoders[name] = nn.Linear(field.shape[0] + 1, width)
            elif SPATIAL[field.modality] != len(self.space):
                raise BadData(
                    f"{field.modality} {name!r} cannot stand beside items of shape {self.space}: leave it out"
                )
            rows = KEPT if field.modality == "text" else max(4, min(64, (1 << 20) // math.prod(field.shape)))
            dtype = torch.int32 if field.modality == "text" else torch.float32
            self.register_buffer(f"kept_{name}", torch.zeros(rows, *field.shape, dtype=dtype))
            self.register_buffer(f"seen_{name}", torch.zeros((), dtype=torch.int64))
        self.fields = (*self.classes, *self.others)

    def forward(self, condition: Batch, drop_B: Tensor | None = None) -> Cond:
        """All that is told. condition: every field's values, (B,) indices, (B, L) ids, (B, D) or (B, C, *S) floats;
        drop_B: who is told nothing."""
        total: Tensor | None = None
        for name, table in self.tables.items():
            index = condition[name] if drop_B is None else condition[name].masked_fill(drop_B, len(self.classes[name]))
            total = table(index) if total is None else total + table(index)
        tokens: list[Tensor] = []
        masks: list[Tensor] = []
        planes: list[Tensor] = []
        for name, field in self.others.items():
            x = condition[name]
            if drop_B is not None:
                nothing = PAD if field.modality == "text" else math.nan
                x = x.masked_fill(drop_B.reshape(-1, *[1] * (x.dim() - 1)), nothing)
            if field.modality in SPATIAL:
                planes.append(self._plane(x))
                continue
            if field.modality == "text":
                vector, more, mask = self.encoders[name](x)
                tokens.append(more)
                masks.append(mask)
            else:
                known = x.isfinite().all(1, keepdim=True)
                vector = self.encoders[name](torch.cat([x.masked_fill(~known, 0.0), known.to(x.dtype)], 1))
            total = vector if total is None else total + vector
        return Cond(
            total,
            torch.cat(tokens, 1) if tokens else None,
            torch.cat(masks, 1) if masks else None,
            torch.cat(planes, 1) if planes else None,
        )

    def _plane(self, x: Tensor) -> Tensor:
        """(B, C, *S') -> (B, C + 1, *S): zeros where nothing is known; the last channel is 1 where something is."""
        known = x.isfinite().all(1, keepdim=True)
        planes = torch.cat([x.masked_fill(~known, 0.0), known.to(x.dtype)], 1)
        if tuple(planes.shape[2:]) == tuple(self.space):
            return planes
        return F.interpolate(planes, self.space, mode=RESIZE[len(self.space)], align_corners=False)

    def null(self, n: int, device: torch.device) -> dict[str, Tensor]:
        """The condition that tells nothing, for n items."""
        nothing = {k: torch.full((n,), len(c), dtype=torch.int64, device=device) for k, c in self.classes.items()}
        for name, field in self.others.items():
            text = field.modality == "text"
            dtype = torch.int64 if text else torch.float32
            nothing[name] = torch.full((n, *field.shape), PAD if text else math.nan, dtype=dtype, device=device)
        return nothing

    def avoided(self, n: int, negative: Batch | None) -> dict[str, Tensor]:
        """What guidance is to lead away from: the one row of each field of `negative`, for n items."""
        found = {}
        for name, row in (negative or {}).items():
            if name in self.others:
                row = _checked(name, self.others[name], row, 1)
            found[name] = row.to(next(self.parameters()).device).expand(n, *row.shape[1:])
        return {k: v for k, v in found.items() if k in self.fields}

    @torch.no_grad()
    def count(self, condition: Batch) -> None:
        """Takes note of a batch's conditions: of classes a tally, of others the newest; `draw` follows both."""
        for name, classes in self.classes.items():
            self.get_buffer(f"count_{name}").add_(torch.bincount(condition[name], minlength=len(classes)))
        for name in self.others:
            kept, seen = self.get_buffer(f"kept_{name}"), self.get_buffer(f"seen_{name}")
            newest = condition[name][-len(kept) :]
            # items come in shuffled epochs, so the newest are a fair draw
            at = (seen + torch.arange(len(newest), device=kept.device)) % len(kept)
            kept[at] = newest.to(kept.dtype)
            seen.add_(len(newest))

    def draw(self, n: int, given: Batch | None, generator: torch.Generator) -> dict[str, Tensor]:
        """The given conditions, and where none are given, classes in the proportions counted (even ones before any
        count), and captions and the like of training items (nothing told before any was seen).

        Raises BadValue where the given ones have another shape or do not exist.
        """
        out: dict[str, Tensor] = {}
        for name, classes in self.classes.items():
            counts = self.get_buffer(f"count_{name}")
            if given is not None and name in given:
                out[name] = checked_labels(given[name].to(counts.device), n, name, len(classes))
            elif n == 0:
                out[name] = torch.zeros(0, dtype=torch.int64, device=counts.device)
            else:
                shares = counts.float() if int(counts.sum()) else torch.ones_like(counts, dtype=torch.float32)
                out[name] = torch.multinomial(shares, n, replacement=True, generator=generator)
        for name, field in self.others.items():
            kept = self.get_buffer(f"kept_{name}")
            known = min(int(self.get_buffer(f"seen_{name}")), len(kept))
            if given is not None and name in given:
                out[name] = _checked(name, field, given[name].to(kept.device), n)
            elif known and n:
                at = torch.randint(known, (n,), generator=generator, device=kept.device)
                out[name] = kept[at].to(torch.int64 if field.modality == "text" else torch.float32)
            else:
                out[name] = self.null(n, kept.device)[name]
        return out


def _checked(name: str, field: Field, x: Tensor, n: int) -> Tensor:
    """x as n values of a field. Raises BadValue where it does not fit; planes may be of any size."""
    if field.modality == "text":
        inside = not x.is_floating_point() and (not x.numel() or 0 <= int(x.min()) <= int(x.max()) < field.vocabulary)
        if len(x) == n and x.dim() == 2 and x.shape[1] <= field.shape[0] and inside:
            return F.pad(x.long(), (0, field.shape[0] - x.shape[1]), value=PAD)
        wanted = f"{n} captions {name!r} of up to {field.shape[0]} word ids from 0 to {field.vocabulary - 1}"
    else:
        places = len(field.shape) - 1 if field.modality in SPATIAL else 0
        fits = x.dim() == 1 + len(field.shape) and len(x) == n and x.shape[1] == field.shape[0]
        if fits and (places or tuple(x.shape[1:]) == field.shape):
            return x.float()
        wanted = f"{n} values of {name!r} of shape {field.shape}"
    raise BadValue(f"expected {wanted}, got shape {tuple(x.shape)}: give one per item")
