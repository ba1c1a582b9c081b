"""Small data sets made from nothing, in which there is something to learn: for conformance checks and tests."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from genloom.core import Column, Field
from genloom.data.answers import Said, answer_dataset
from genloom.data.dataset import Card, Dataset, image_dataset, narrow
from genloom.data.drawings import StrokeSplit
from genloom.data.forms import Pictures
from genloom.data.molecules import MoleculeSplit
from genloom.data.music import music_dataset
from genloom.data.options import DataOptions
from genloom.data.parts import TextSplit
from genloom.data.signals import Told, signal_dataset
from genloom.data.tables import TableSplit
from genloom.modalities import audio, smiles, sound, table
from genloom.modalities.ended import lengths
from genloom.modalities.notes import Note, event_ids, grid_ids, to_grid
from genloom.modalities.table import quantiles
from genloom.modalities.text import CharTokenizer, encode_tensor

CARD = Card("made up", "genloom.testing", "CC0-1.0", "@misc{none}", "as many as asked for")


def fake_images(n: int = 96, shape: tuple[int, int, int] = (1, 16, 16), classes: int = 2, seed: int = 0) -> Dataset:
    """n images uint8 (C, H, W), bright on dark: class 0 has a wide bar, class 1 a tall one, at places that vary.

    classes=0 leaves the labels out. A third of the items each go to validation and test.
    """
    c, h, w = shape
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % max(classes, 1)
    images = torch.randint(0, 24, (n, c, h, w), generator=g)
    for i in range(n):
        y, x = (int(torch.randint(max(1, s // 2), (1,), generator=g)) for s in (h, w))
        tall, wide = (max(2, h // 2), max(1, w // 6)) if labels[i] else (max(1, h // 6), max(2, w // 2))
        images[i, :, y : y + tall, x : x + wide] = 230
    third = n // 3
    rows = (torch.arange(2 * third, n), torch.arange(third), torch.arange(third, 2 * third))
    names = tuple(f"bar{i}" for i in range(classes))
    options = DataOptions(source="fake", labels=classes > 0)
    return image_dataset("fake", options, images.to(torch.uint8), labels if classes else None, names, rows, CARD, [])


COLOURS = {"red": (230, 30, 30), "green": (30, 200, 30), "blue": (40, 60, 230), "white": (235, 235, 235)}


def fake_captioned(n: int = 96, side: int = 16, hold_out: str = "", drop_parts: float = 0.0, seed: int = 0) -> Dataset:
    """n pictures (3, side, side) of a bar on black with captions: "red wide bar, left", in four colours, two shapes and
    two places, in turn. A third of the items each go to validation and test."""
    g = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 16, (n, 3, side, side), generator=g)
    captions = []
    for i in range(n):
        colour, shape, place = list(COLOURS)[i % 4], ("wide", "tall")[i // 4 % 2], ("left", "right")[i // 8 % 2]
        height, width = (side // 5, side // 2) if shape == "wide" else (side * 3 // 4, side // 6)
        top, left = side // 8, side // 16 if place == "left" else side // 2
        images[i, :, top : top + height, left : left + width] = torch.tensor(COLOURS[colour])[:, None, None]
        captions.append(f"{colour} {shape} bar, {place}")
    third = n // 3
    rows = (torch.arange(2 * third, n), torch.arange(third), torch.arange(third, 2 * third))
    options = DataOptions(source="fake", captions=True, labels=False, hold_out=hold_out, drop_parts=drop_parts)
    return image_dataset("fake", options, images.to(torch.uint8), None, (), rows, CARD, [], captions=captions)


def fake_text(context: int = 16, repeats: int = 40) -> Dataset:
    """Characters of a sentence that repeats itself, in windows of `context`."""
    sentence = "the quick brown fox jumps over the lazy dog and the dog sleeps on. "
    tokenizer = CharTokenizer.learn(sentence)
    ids: Tensor = narrow(encode_tensor(tokenizer, sentence * repeats), tokenizer.size)
    spec = {"text": Field("text", (context,), vocabulary=tokenizer.size)}
    parts = [TextSplit(spec, part) for part in (ids, ids[: len(ids) // 4], ids[len(ids) // 4 : len(ids) // 2])]
    options = DataOptions(source="fake", context=context)
    return Dataset("fake", options, spec, parts[0], parts[1], parts[2], tokenizer, CARD, "0" * 64)


def fake_rows(n: int = 96, seed: int = 0) -> Dataset:
    """n rows of two numbers that go together and a category that goes with them. A third each go to validation and
    test."""
    rng = np.random.default_rng(seed)
    first = rng.normal(0, 1, n)
    cells = np.stack([first, 2 * first + 0.1 * rng.normal(0, 1, n), (first > 0).astype(float)], 1)
    kinds = [Column(name, "number", knots=quantiles(cells[:, i])) for i, name in enumerate(("first", "second"))]
    columns = (*kinds, Column("sign", "category", values=("minus", "plus")))
    spec = {"table": Field("table", (sum(c.width for c in columns),), columns=columns)}
    third = n // 3
    rows = (torch.arange(2 * third, n), torch.arange(third), torch.arange(third, 2 * third))
    train, validation, test = (TableSplit(spec, cells, part, None) for part in rows)
    options = DataOptions(source="fake", labels=False)
    return Dataset("fake", options, spec, train, validation, test, None, CARD, "0" * 64)


def fake_answers(n: int = 96, preferences: bool = False, seed: int = 0) -> Dataset:
    """n short words of a few letters, answered by themselves in capitals; with preferences, the better answer is that
    and the worse one is the word backwards. A third of the rows each go to validation and test."""
    g = torch.Generator().manual_seed(seed)
    words = ["".join("abcd"[i] for i in row) for row in torch.randint(4, (n, 4), generator=g).tolist()]
    rows = [(w, w.upper(), w[::-1]) if preferences else (w, w.upper()) for w in words]
    third = n // 3
    parts = (Said.of(rows[2 * third :]), Said.of(rows[:third]), Said.of(rows[third : 2 * third]))
    options = DataOptions(source="fake", context=8, read="preferences" if preferences else "answers")
    return answer_dataset("fake", options, parts, CARD, [])


def fake_music(context: int = 32, voices: int = 2, pieces: int = 12, seed: int = 0) -> Dataset:
    """Pieces of eight beats in `voices` lines (0: as events): a scale up and down from a tone that varies, and a third
    below it. A third of the pieces each go to validation and test."""
    g = torch.Generator().manual_seed(seed)
    made = []
    for tonic in torch.randint(60, 66, (pieces,), generator=g).tolist():
        line = [tonic + s for s in (0, 2, 4, 5, 4, 2, 0, 0)]
        played = [Note(float(q), p - 4 * v, 1.0, v) for q, p in enumerate(line) for v in range(voices or 2)]
        made.append(grid_ids(to_grid(played, voices)) if voices else event_ids(played))
    third = pieces // 3
    parts = (made[2 * third :], made[:third], made[third : 2 * third])
    options = DataOptions(source="fake", context=context, voices=voices)
    return music_dataset("fake", options, parts, voices, 90.0, CARD, [])


def fake_strokes(n: int = 96, most: int = 12, seed: int = 0) -> Dataset:
    """n drawings of 5 to `most` movements: zigzags to the right, some with a second line below. A third each trains,
    validates and tests."""
    g = torch.Generator().manual_seed(seed)
    drawings = []
    for i in range(n):
        m = int(torch.randint(5, most + 1, (1,), generator=g))
        rows = torch.zeros(m, 3)
        rows[:, 0] = 1 + 0.2 * torch.randn(m, generator=g)
        rows[:, 1] = (-1.0) ** torch.arange(m) + 0.2 * torch.randn(m, generator=g)
        if i % 2:
            rows[m // 2, 2] = 1.0
        rows[-1, 2] = 1.0
        drawings.append(rows.numpy())
    spec = {"strokes": Field("strokes", (most + 1, 3), range=(-math.inf, math.inf))}
    parts = [StrokeSplit(spec, drawings[k : k + n // 3]) for k in (0, n // 3, 2 * (n // 3))]
    return Dataset("fake", DataOptions(source="fake"), spec, parts[0], parts[1], parts[2], None, CARD, "0" * 64)


def fake_molecules(n: int = 96, told: bool = False, seed: int = 0) -> Dataset:
    """n chains of carbon, oxygen and nitrogen with branches, as SMILES; told: each with its number of carbons. A third
    each go to validation and test."""
    g = torch.Generator().manual_seed(seed)
    atoms = torch.randint(4, (n, 6), generator=g).tolist()
    lengths = torch.randint(2, 7, (n,), generator=g).tolist()
    spelled = [["C", *(("C", "O", "N", "Cl")[a] for a in row[:m])] for row, m in zip(atoms, lengths, strict=True)]
    tokens = ("C", "Cl", "N", "O")
    field = smiles.field_of(8, tokens)
    numbers = {t: i for i, t in enumerate(tokens, 1)}
    ids = np.array([smiles.encode(row, numbers, 8) for row in spelled], np.uint8)
    carbons = np.array([[float(row.count("C"))] for row in spelled])
    column = Column("carbons", "number", knots=quantiles(carbons[:, 0]))
    spec = {"molecule": field} | ({"carbons": smiles.property_field(column)} if told else {})
    values = table.encode(carbons, (column,))[:, 0].numpy() if told else None
    third = n // 3
    train, validation, test = (
        MoleculeSplit(spec, ids[part], None if values is None else values[part])
        for part in (slice(2 * third, n), slice(third), slice(third, 2 * third))
    )
    return Dataset("fake", DataOptions(source="fake"), spec, train, validation, test, None, CARD, "0" * 64)


def fake_flowing(answers: Dataset) -> Dataset:
    """The prompts and answers of a data set one after the other as one text of the same tokens: for the language model
    that another one stands on. Its windows hold a prompt and an answer."""
    rows = answers.train.batch(torch.arange(len(answers.train)))
    end, size = answers.spec["text"].end, answers.spec["text"].vocabulary
    own = [row[: int(n)] for pair in zip(rows["prompt"], rows["text"], strict=True)
           for row, n in ((r, lengths(r[None], end)) for r in pair)]  # fmt: skip
    ids = narrow(torch.cat(own), size)
    spec = {"text": Field("text", (answers.spec["text"].shape[0] + answers.spec["prompt"].shape[0],), vocabulary=size)}
    parts = [TextSplit(spec, part) for part in (ids, ids[: len(ids) // 2], ids[len(ids) // 2 :])]
    options = DataOptions(source="fake", context=spec["text"].shape[0])
    return Dataset("fake", options, spec, parts[0], parts[1], parts[2], answers.tokenizer, CARD, "0" * 64)


def fake_sounds(n: int = 96, length: int = 256, classes: int = 2, mel: bool = False, seed: int = 0) -> Dataset:
    """n sounds of `length` samples at 8 kHz: class 0 is a low tone, class 1 a high one, of many phases and a loudness
    that varies. mel: as log-mel spectrograms. classes=0 leaves the labels out."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % max(classes, 1)
    pitch = torch.tensor([440.0, 1760.0])[labels % 2] * (1 + 0.02 * torch.randn(n, generator=g))
    phase = 2 * math.pi * torch.rand(n, 1, generator=g)
    waves = torch.sin(phase + 2 * math.pi * pitch[:, None] * torch.arange(length) / 8000)
    waves *= 0.3 + 0.5 * torch.rand(n, 1, generator=g)
    field = Field("audio", (1, length), rate=8000.0)
    stored = sound.to_int16(waves)[:, None]
    if mel:
        stored = audio.mels(stored, field)
        field = Field("audio", tuple(stored.shape[1:]), rate=8000.0)
    return _fake_signals(field, stored, labels, classes)


def fake_clips(
    n: int = 96, shape: tuple[int, int, int, int] = (1, 8, 12, 12), classes: int = 2, seed: int = 0
) -> Dataset:
    """n clips uint8 (C, T, H, W) of a bright square: class 0 moves it to the right, class 1 downwards."""
    c, t, h, w = shape
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % max(classes, 1)
    clips = torch.randint(0, 24, (n, c, t, h, w), generator=g)
    side = max(2, min(h, w) // 3)
    for i in range(n):
        across = int(torch.randint(max(1, (w if labels[i] else h) - side), (1,), generator=g))
        for frame in range(t):
            along = frame * ((h if labels[i] else w) - side) // max(1, t - 1)
            y, x = (along, across) if labels[i] else (across, along)
            clips[i, :, frame, y : y + side, x : x + side] = 230
    return _fake_signals(Field("video", shape, rate=10.0), clips.to(torch.uint8), labels, classes)


def _fake_signals(field: Field, stored: Tensor, labels: Tensor, classes: int) -> Dataset:
    """A third of the items each go to training, validation and test."""
    n = len(stored)
    third = n // 3
    rows = (torch.arange(2 * third, n), torch.arange(third), torch.arange(third, 2 * third))
    told = {"label": Told(labels.numpy(), tuple(f"kind{i}" for i in range(classes)))} if classes else {}
    options = DataOptions(source="fake", labels=classes > 0)
    return signal_dataset("fake", options, field, stored.numpy(), told, rows, CARD, [], bytes(stored.numpy().data))


def fake_pairs(
    n: int = 96, side: int = 16, pairing: Literal["paired", "hidden", "unpaired"] = "paired", seed: int = 0
) -> Dataset:
    """n pictures (3, side, side) of a coloured bar on black, wide ones red and tall ones blue, and as their other form
    the bar's shape in grey; as pairs, or as two collections of different items."""
    bars = fake_images(n, (1, side, side), seed=seed)
    index = torch.arange(n // 3)
    parts = [split.raw(index) for split in (bars.validation, bars.test, bars.train)]
    grey = torch.cat([part["image"] for part in parts])
    labels = torch.cat([part["label"] for part in parts])
    tint = torch.tensor([[1.0, 0.2, 0.2], [0.2, 0.3, 1.0]])[labels][:, :, None, None]
    colour = (grey * tint).to(torch.uint8)
    third = n // 3
    rows = (torch.arange(2 * third, n), torch.arange(third), torch.arange(third, 2 * third))
    options = DataOptions(source="fake", labels=False, pair="shape", pairing=pairing)
    forms = {"shape": lambda: Pictures(grey)}
    return image_dataset("fake", options, colour, None, (), rows, CARD, [], forms=forms, own="colour")
