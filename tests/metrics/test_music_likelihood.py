"""Nats per note: exact whatever the length of a piece, with the denominator that is said."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from genloom.core import Field
from genloom.errors import BadData
from genloom.metrics.evaluate import evaluate
from genloom.metrics.music.likelihood import note_likelihood, piece_nats
from genloom.metrics.music.samples import of_music
from genloom.modalities.notes import END
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.models.diffusion.flow import Flow, FlowConfig
from genloom.testing import fake_images, fake_music, make_case

SMALL: dict[str, Any] = {"width": 16, "depth": 1, "heads": 2, "pairs": 64}


@pytest.fixture(scope="module")
def model() -> GPT:
    case = make_case(GPT, GPTConfig(**SMALL), fake_music(), 20)
    made = case.build()
    case.play(case.game(made), 0, 20)
    assert isinstance(made, GPT)
    return made.eval()


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_pieces_of_any_length_are_scored_token_by_token(model: GPT) -> None:
    field = model.spec["music"]
    rng = np.random.default_rng(0)
    pieces = [rng.integers(55, 70, size) for size in (8, 16, 32, 72)]
    found = piece_nats(model, pieces, "music", field, generator=generator())
    for piece, nats in zip(pieces, found.tolist(), strict=True):
        row = torch.from_numpy(np.concatenate([np.full(field.cycle, END), piece]))[None]
        total, start, known = 0.0, 0, field.cycle
        while known < row.shape[1]:  # the same windows, one token at a time
            stop = min(start + 32, row.shape[1])
            with torch.no_grad():
                total += float(model.surprise(row[:, start:stop])[0, known - start :].sum())
            known, start = stop, stop - 16
        assert nats == pytest.approx(total, abs=1e-3)


def test_the_denominator_is_said(model: GPT) -> None:
    dataset = fake_music()
    pieces = dataset.test.pieces()  # type: ignore[attr-defined]
    cells, played = note_likelihood(model, pieces, "music", model.spec["music"], generator=generator())
    total = float(piece_nats(model, pieces, "music", model.spec["music"], generator=generator()).sum())
    assert cells.protocol["notes"] == sum(map(len, pieces))
    assert cells.value == pytest.approx(total / sum(map(len, pieces)))
    assert played.value > cells.value
    assert cells.interval is not None
    assert cells.interval[0] < cells.value < cells.interval[1]
    assert "sixteenth" in str(cells.protocol["denominator"])


def test_a_uniform_model_is_as_unsure_as_its_vocabulary_is_large() -> None:
    model = GPT(GPTConfig(**SMALL), fake_music().spec).eval()  # its head begins with zeros
    pieces = fake_music().test.pieces()  # type: ignore[attr-defined]
    cells, _ = note_likelihood(model, pieces, "music", model.spec["music"], generator=generator())
    assert cells.value == pytest.approx(math.log(129), abs=1e-4)


def test_others_have_no_likelihood_of_pieces() -> None:
    flow = Flow(FlowConfig(widths=(16, 16), blocks=(1, 1), embedding=16), fake_images().spec)
    with pytest.raises(BadData, match="left to right"):
        piece_nats(flow, [np.full(8, 60)], "music", Field("music", (8,)), generator=generator())


def test_evaluation_compares_drawn_pieces_with_held_out_ones() -> None:
    dataset = fake_music(context=256, pieces=36)
    model = GPT(GPTConfig(**SMALL), dataset.spec).eval()
    found = evaluate(model, dataset, 12, generator())
    keys = [r.key for r in found.results]
    assert keys[0] == "nats_per_note"
    assert "music_chords" in keys
    assert found["music_pitch_class_entropy"].floor is not None


def test_too_few_pieces_are_said() -> None:
    dataset = fake_music(context=256, pieces=36)
    notes: list[str] = []
    silent = torch.full((12, 256), END)
    assert of_music(silent, dataset.spec["music"], dataset.train, dataset.test, notes) == []  # type: ignore[arg-type]
    assert "12 of 12 pieces" in notes[0]
    assert "too few" in notes[1]
