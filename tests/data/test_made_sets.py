"""Sets that are made here: points, stacks of digits, rendered heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genloom.data import DataOptions, load
from genloom.data.sets import images, stacked
from genloom.data.sets.points import centres
from genloom.data.sets.solids import FACTORS, rendered
from genloom.errors import BadData


def test_points_lie_around_their_centres() -> None:
    for name, modes, deviation in (("ring", 8, 0.01), ("grid", 25, 0.05)):
        data = load(DataOptions(source=name))
        batch = data.train.batch(torch.arange(5000))
        assert len(data.spec["label"].classes) == modes
        away = batch["vector"] - torch.from_numpy(centres(name)).float()[batch["label"]]
        assert away.std().item() == pytest.approx(deviation, rel=0.05)
        low, high = data.spec["vector"].range
        assert low < batch["vector"].min()
        assert batch["vector"].max() < high
    again = load(DataOptions(source="ring", labels=False, limit=10))
    assert set(again.spec) == {"vector"}
    assert again.train.items == 10
    with pytest.raises(BadData, match=r"leave out --data\.size"):
        load(DataOptions(source="grid", size="8"))


def test_stacks_are_of_digits_of_their_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = np.arange(30, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    rows = torch.arange(10), torch.arange(10, 20), torch.arange(20, 30)

    def fake(options: DataOptions, card: object) -> object:
        names = tuple("0123456789")
        return images.image_set("mnist-full", options, card, digits, np.arange(30) % 10, rows, names)  # type: ignore[arg-type]

    entry = images.ENTRIES["mnist-full"]
    monkeypatch.setitem(images.ENTRIES, "mnist-full", type(entry)(entry.name, entry.card, entry.files, load=fake))
    monkeypatch.setattr(stacked, "COUNTS", {"train": 40, "validation": 8, "test": 8})
    data = load(DataOptions(source="stacked-mnist"))
    assert set(data.spec) == {"image"}
    assert data.spec["image"].shape == (3, 4, 4)
    for split, low in ((data.train, 0), (data.validation, 10), (data.test, 20)):
        values = split.raw(torch.arange(len(split)))["image"]
        assert low <= values.min()
        assert values.max() < low + 10
        assert (values[:, 0] != values[:, 1]).any()


def test_heads_turn_as_they_are_told() -> None:
    ends = np.zeros((8, 4))
    for i in range(4):
        ends[2 * i, i], ends[2 * i + 1, i] = -1, 1
    pictures = rendered(ends).astype(float)
    left, right = pictures[0], pictures[1]
    # the skull is lit from above the viewer: turned to one side it is the mirror image of turned to the other
    assert np.abs(left - right[:, ::-1]).max() < 2
    assert np.abs(left - right).max() > 50
    dark, light = (p[:, :16].mean() for p in pictures[4:6])  # lit from the left, from the right
    assert dark > light + 10
    filled = [(p > 40).sum() for p in pictures[6:]]
    assert filled[1] > 1.2 * filled[0]  # wide and narrow
    assert np.abs(pictures[2] - pictures[3]).max() > 50


def test_factors_are_told_where_labels_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.data.sets import solids

    monkeypatch.setattr(solids, "COUNTS", (20, 5, 5))
    told, alone = (load(DataOptions(source="solids", labels=labels)) for labels in (True, False))
    assert tuple(k for k, f in told.spec.items() if f.role == "condition") == FACTORS
    assert set(alone.spec) == {"image"}
    batch = told.train.batch(torch.arange(3))
    factors = torch.cat([batch[k] for k in FACTORS], 1)
    assert factors.shape == (3, 4)
    assert factors.dtype == torch.float32
    again = rendered(factors.double().numpy())
    assert np.abs(again - told.train.raw(torch.arange(3))["image"][:, 0].numpy().astype(float)).max() <= 3


def test_passages_answer_what_they_say_and_nothing_else() -> None:
    from genloom.data.sets.passages import NAMES, PASSAGES, questions

    parts = questions()
    assert sum(map(len, parts.values())) == 5 * PASSAGES
    held = {part: {q.passage for q in made} for part, made in parts.items()}
    assert len(set().union(*held.values())) == sum(map(len, held.values())) == PASSAGES  # each in one part
    kinds = dict.fromkeys(("said", "other", "stranger", "nowhere"), 0)
    for one in (q for made in parts.values() for q in made):
        kinds[one.kind] += 1
        asked = next(name for name in NAMES if name in one.question)
        assert (one.kind == "stranger") == (asked not in one.passage)
        assert (one.kind == "said") == (one.answer in one.passage)
        if one.kind == "said":
            sentences = [s for s in one.passage.split(". ") if one.answer in s]
            assert len(sentences) == 1  # nobody else has the same, so the answer has one place
            assert asked in sentences[0]
        else:
            assert one.answer == DataOptions.abstain
    assert kinds["said"] == 3 * PASSAGES
    assert kinds["other"] == PASSAGES
    assert min(kinds["stranger"], kinds["nowhere"]) > PASSAGES / 3


def test_passages_load_as_answers_or_as_text() -> None:
    answers = load(DataOptions(source="passages", limit=50, abstain="unknown"))
    assert {k: f.role for k, f in answers.spec.items()} == {"text": "item", "prompt": "condition"}
    assert answers.tokenizer is not None
    said = [answers.tokenizer.decode(r) for r in answers.test.batch(torch.arange(40))["text"].tolist()]
    assert 5 < said.count("unknown") < 30
    assert answers.digest == load(DataOptions(source="passages", limit=50, abstain="unknown")).digest
    text = load(DataOptions(source="passages", read="text", context=64))
    assert set(text.spec) == {"text"}
