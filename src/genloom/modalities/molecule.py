"""Molecules for people: lines of SMILES, and drawings where rdkit is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadValue
from genloom.modalities import chemistry, image
from genloom.modalities.codec import Clip, Codec, Place, is_folder, wrong_ending
from genloom.modalities.folder import number, write_files
from genloom.modalities.registry import modality
from genloom.modalities.smiles import strings

SIDE = 160  # pixels of a drawing


def smiles_of(items: Tensor, field: Field) -> list[str]:
    """The SMILES of items (n, L)."""
    return strings(items.detach().cpu().long().numpy(), field)


def _tile(smiles: str) -> Image.Image:
    """A drawing, or the string itself, in red where it is no molecule."""
    known = chemistry.there()
    drawn = chemistry.drawing(smiles, SIDE) if known else None
    if drawn is not None:
        return drawn
    tile = Image.new("RGB", (SIDE, SIDE), "white")
    lines = [smiles[i : i + 22] for i in range(0, len(smiles), 22)][:9] or ["(nothing)"]
    font = ImageFont.load_default(12)
    ImageDraw.Draw(tile).text((6, 10), "\n".join(lines), fill=(170, 30, 30) if known else "black", font=font)
    return tile


class MoleculeCodec(Codec):
    """Molecules are seen as drawings."""

    def shaped(self, field: Field) -> str:
        return f"token ids of SMILES; up to {field.shape[0] - 1} tokens of {len(field.classes) - 1} kinds"

    def tiles(self, items: Tensor, field: Field) -> Tensor:
        found = [np.asarray(_tile(s)) for s in smiles_of(items, field)]
        if not found:
            return torch.zeros(0, 3, SIDE, SIDE, dtype=torch.uint8)
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()

    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        return image.grid(self.tiles(items, field), columns, gap=2, scale=1)

    def array(self, items: Tensor, field: Field) -> np.ndarray:
        """The ids, int16 (n, L)."""
        return items.detach().cpu().numpy().astype(np.int16)

    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        """.smi: a SMILES a line, molecules or not; .png: drawings; .npy: ids; a folder: an .svg a molecule."""
        target, suffix = Path(path), Path(path).suffix.lower()
        if is_folder(path):
            found = ((i, chemistry.svg(s)) for i, s in enumerate(smiles_of(items, field)))
            write_files(target, ((f"{number(i, len(items))}.svg", s.encode()) for i, s in found if s is not None))
        elif suffix == ".smi":
            image.write_bytes(target, "".join(f"{s}\n" for s in smiles_of(items, field)).encode())
        elif suffix == ".png":
            image.write_bytes(target, image.png(self.picture(items, field, columns), metadata))
        elif suffix == ".npy":
            image.write_bytes(target, image.npy(self.array(items, field)))
        else:
            raise wrong_ending(path, modality("molecule").plural, modality("molecule").writes)
        return target

    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        return ()

    def measured(self, field: Field) -> Field | None:
        return None

    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        raise BadValue("molecules are measured by rdkit, not by pictures")


CODEC = MoleculeCodec()
