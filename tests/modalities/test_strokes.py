"""Drawings: lines to movements and back, how they end, SVG, JSON and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from genloom.core import Field
from genloom.modalities import modality
from genloom.modalities.strokes import counts, drawn, fitted, lines_of, movements, padded, rows_of, svg

CROSS = [np.array([[0.0, 5.0], [10.0, 5.0]]), np.array([[5.0, 0.0], [5.0, 4.0], [5.0, 10.0]])]
FIELD = Field("strokes", (8, 3), range=(-np.inf, np.inf))


def test_lines_become_movements_and_lines_again() -> None:
    rows = movements(CROSS)
    assert rows[:, 2].tolist() == [0, 1, 0, 0, 1]
    items = padded([rows, rows[:2]], 8)
    assert items.shape == (2, 8, 3)
    assert items[0, 5:].tolist() == [[0, 0, 2]] * 3
    assert counts(items).tolist() == [5, 2]
    for line, again in zip(CROSS, lines_of(items[0]), strict=True):
        np.testing.assert_allclose(line, again, atol=1e-6)


def test_what_follows_the_end_is_not_drawn() -> None:
    items = padded([movements(CROSS)], 8)
    items[0, 6] = torch.tensor([50.0, 50.0, 0.0])
    assert len(rows_of(items[0])) == 5
    assert counts(items).tolist() == [5]


def test_a_drawing_fills_its_square_and_keeps_its_shape() -> None:
    tall = [np.array([[0.0, 0.0], [1.0, 100.0]])]
    (line,) = fitted(tall, 50.0)
    np.testing.assert_allclose(line[:, 1], [5.0, 45.0])
    np.testing.assert_allclose(line[:, 0].mean(), 25.0)
    assert np.ptp(line[:, 0]) == pytest.approx(0.4)
    np.testing.assert_allclose(fitted([np.zeros((1, 2))], 50.0)[0], [[25.0, 25.0]])
    assert fitted([], 50.0) == []


def test_ink_lies_where_the_lines_are() -> None:
    picture = drawn(padded([movements(CROSS), movements(CROSS)[:0]], 8), 32)
    dark = picture[0, 0] < 220
    assert dark[15:17, 5:27].any(0).float().mean() > 0.9  # a line between two rows of pixels greys both
    assert dark[5:27, 15:17].any(1).float().mean() > 0.9
    assert not dark[:10, :10].any()
    assert (picture[1] == 255).all()


def test_svg_is_xml_with_a_path_a_drawing() -> None:
    page = svg(padded([movements(CROSS)] * 3, 8), 2, {"note": "a < b & c"})
    root = ElementTree.fromstring(page)
    space = "{http://www.w3.org/2000/svg}"
    paths = root.findall(f".//{space}path")
    assert root.get("viewBox") == "0 0 200 200"
    assert [p.get("d", "").count("M") for p in paths] == [2, 2, 2]
    assert paths[1].get("d") == "M110.0,50.0L190.0,50.0M150.0,10.0L150.0,42.0L150.0,90.0"
    assert json.loads(root.findtext(f"{space}metadata") or "") == {"note": "a < b & c"}


def test_json_lines_are_read_again(tmp_path: Path) -> None:
    from genloom.data.drawings import read_drawings

    place = modality("strokes").codec.save(padded([movements(CROSS)], 8), FIELD, tmp_path / "x.ndjson")
    (again,) = read_drawings(place, [])[""]
    np.testing.assert_allclose(again, movements(CROSS), atol=1e-3)
