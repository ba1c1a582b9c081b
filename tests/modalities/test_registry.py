"""Every modality of the registry keeps what its entry and `Codec` promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadValue, NotFound
from genloom.modalities import MODALITIES, modality

FIELDS = {
    "image": Field("image", (3, 12, 10)),
    "sound": Field("audio", (1, 1000), rate=8000.0),
    "spectrogram": Field("audio", (1, 64, 20), rate=8000.0),
    "video": Field("video", (1, 5, 10, 12), rate=10.0),
    "drawings": Field("strokes", (12, 3), range=(-np.inf, np.inf)),
    "video in colours": Field("video", (3, 16, 8, 8), rate=10.0),
}


def some(field: Field, n: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(n, *field.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_unknown_names_are_told_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean 'audio'"):
        modality("audi")


def test_every_modality_but_text_is_tried_here() -> None:
    # test_table_cells.py, test_music.py, test_molecule.py, cli/test_traverse.py
    elsewhere = {"table", "music", "molecule", "vector"}
    tried = {f.modality for f in FIELDS.values()} | elsewhere
    assert tried == {name for name, kind in MODALITIES.items() if not kind.written}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_every_ending_is_written(field: Field, tmp_path: Path) -> None:
    kind, items = modality(field.modality), some(field)
    for ending in kind.writes:
        if ending == ".mp4":
            pytest.importorskip("imageio_ffmpeg")
        place = kind.codec.save(items, field, tmp_path / f"x{ending}", metadata={"genloom": '{"seed": 1}'})
        assert place.stat().st_size > 100, ending
    kind.codec.save(items, field, f"{tmp_path}/many/")
    assert len([p for p in (tmp_path / "many").iterdir() if p.stem.isdigit()]) == len(items)
    kind.codec.save(items[:1], field, f"{tmp_path}/many/")  # what was left of the first call is gone
    assert len([p for p in (tmp_path / "many").iterdir() if p.stem.isdigit()]) == 1
    with pytest.raises(BadValue, match=f"for {kind.plural}, got"):
        kind.codec.save(items, field, tmp_path / "x.xyz")


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_tiles_and_measured_pictures_fit_together(field: Field) -> None:
    codec = modality(field.modality).codec
    for n in (0, 1, 3):
        tiles, seen = codec.tiles(some(field, n), field), codec.to_measured(some(field, n), field)
        assert tiles.dtype == seen.dtype == torch.uint8
        assert len(tiles) == len(seen) == n
        assert tiles.ndim == 4 and tiles.shape[1] in (1, 3)  # noqa: PT018
        measured = codec.measured(field)
        assert measured is not None
        assert measured.modality == "image"
        assert tuple(seen.shape[1:]) == measured.shape
    picture = codec.picture(some(field), field)
    assert isinstance(picture, Image.Image)
    assert picture.width * picture.height >= 3 * tiles.shape[2] * tiles.shape[3]


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_values_that_are_no_numbers_are_shown_and_not_raised(field: Field, tmp_path: Path) -> None:
    items = some(field)
    items[0] = float("nan")
    codec = modality(field.modality).codec
    assert codec.tiles(items, field).dtype == torch.uint8
    assert np.isfinite(codec.array(items, field).astype(float)).all()
