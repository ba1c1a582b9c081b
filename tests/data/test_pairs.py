"""Two kinds of pictures: forms made of them, two sub-folders, pairs kept, hidden or unknown, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genloom.core import the_domains, the_pair, translations
from genloom.data import DataOptions, describe, load
from genloom.data.forms import FORMS
from genloom.errors import BadData, BadValue
from genloom.testing import fake_pairs

N = 40


def sides(root: Path, given: str = "lines", made: str = "photos", n: int = N) -> Path:
    """n numbered pairs: a grey picture, and a colour one whose red is the grey one's brightness and blue its number."""
    rng = np.random.default_rng(0)
    for name in (given, made):
        (root / name).mkdir(parents=True)
    for i in range(n):
        grey = rng.integers(0, 255, (12, 16), dtype=np.uint8)
        colour = np.stack([grey, 255 - grey, np.full_like(grey, 5 * i)], 2)
        Image.fromarray(grey).save(root / given / f"{i:03d}.png")
        Image.fromarray(colour).save(root / made / f"{i:03d}.bmp")
    return root


def test_forms_are_what_they_say() -> None:
    x = torch.zeros(1, 3, 9, 9, dtype=torch.uint8)
    x[:, 0, :, 4:] = 200
    edge = FORMS["edges"].make(x)[0, 0]
    assert edge.shape == (9, 9)
    assert set(edge.flatten().tolist()) == {0, 255} or not edge.any()
    x[:, :, :, 4:] = 200
    edge = FORMS["edges"].make(x)[0, 0]
    assert edge[:, 3:5].eq(255).all()
    assert not edge[:, :3].any()
    assert not edge[:, 5:].any()
    assert FORMS["negative"].make(x)[0, 0, 0, 8] == 55
    assert FORMS["grey"].make(x)[0, 0, 0, 8] == 200
    coarse = FORMS["coarse"].make(x)
    assert coarse.shape == x.shape
    assert coarse[0, 0, 0].tolist() == [0] * 4 + [200] * 5


def test_a_made_form_stands_beside_each_picture() -> None:
    data = load(DataOptions("digits", pair="negative"))
    batch = data.train.raw(torch.tensor([5, 3]))
    assert torch.equal(batch["negative"], 255 - batch["image"])
    assert torch.equal(batch["image"], load(DataOptions("digits")).train.raw(torch.tensor([5, 3]))["image"])
    floats = data.train.batch(torch.tensor([5, 3]))
    assert torch.allclose(floats["negative"], -floats["image"], atol=1e-6)
    assert the_pair(data.spec, "it") == ("negative", "image")
    assert translations(data.spec) == {"negative-to-image": ("negative", "image")}
    assert data.digest != load(DataOptions("digits")).digest
    assert describe(data)["fields"]["negative"]["role"] == "condition"


def test_hidden_pairs_are_apart_in_training_and_together_where_they_score() -> None:
    data = load(DataOptions("digits", pair="negative", pairing="hidden"))
    assert the_domains(data.spec, "it") == ("negative", "image")
    assert set(translations(data.spec)) == {"negative-to-image", "image-to-negative"}
    assert not data.train.paired
    assert data.test.paired
    held = data.test.raw(torch.arange(20))
    assert torch.equal(held["negative"], 255 - held["image"])
    first, second = (data.only(name).train for name in data.items)
    assert len(first) + len(second) == 1437
    assert data.train.items == max(len(first), len(second))
    seen = {row.numpy().tobytes() for row in second.raw(torch.arange(len(second)))["image"]}
    partners = [(255 - row).numpy().tobytes() for row in first.raw(torch.arange(len(first)))["negative"]]
    assert sum(p in seen for p in partners) < 5  # only where two items are the same picture
    assert second.raw(torch.arange(300))["label"].bincount(minlength=10).min() > 10  # halves hold all classes


def test_any_item_may_stand_beside_any_other() -> None:
    data = fake_pairs(pairing="hidden")
    train = data.train
    batch = train.batch(torch.tensor([0, 1, 16, len(train) - 1]))
    a, b = (data.only(name).train.batch(torch.arange(16))[name] for name in ("shape", "colour"))
    assert len(train) == 16 * 16
    assert torch.equal(batch["shape"], a[[0, 1, 0, 15]])
    assert torch.equal(batch["colour"], b[[0, 0, 1, 15]])
    assert batch["shape"].shape[1] == 1
    assert batch["colour"].shape[1] == 3


def test_two_sub_folders_pair_up_by_name(tmp_path: Path) -> None:
    data = load(DataOptions(str(sides(tmp_path)), pair="auto"))
    assert data.spec["lines"].shape == (1, 12, 16)
    assert data.spec["photos"].shape == (3, 12, 16)
    assert the_pair(data.spec, "it") == ("lines", "photos")
    numbers = []
    for split in (data.train, data.validation, data.test):
        batch = split.raw(torch.arange(len(split)))
        assert torch.equal(batch["lines"][:, 0], batch["photos"][:, 0])
        numbers += batch["photos"][:, 2, 0, 0].tolist()
    assert sorted(numbers) == [5 * i for i in range(N)]
    back = load(DataOptions(str(tmp_path), pair="photos"))
    assert the_pair(back.spec, "it") == ("photos", "lines")


def test_splits_may_be_folders_above_the_two(tmp_path: Path) -> None:
    for part, n in (("train", 12), ("val", 4), ("test", 6)):
        sides(tmp_path / part, n=n)
    data = load(DataOptions(str(tmp_path), pair="lines"))
    assert [len(s) for s in (data.train, data.validation, data.test)] == [12, 4, 6]
    batch = data.test.raw(torch.arange(6))
    assert torch.equal(batch["lines"][:, 0], batch["photos"][:, 0])


def test_two_collections_need_no_names_nor_numbers_in_common(tmp_path: Path) -> None:
    sides(tmp_path)
    for i in range(10):
        (tmp_path / "lines" / f"{i:03d}.png").unlink()
    data = load(DataOptions(str(tmp_path), pair="lines", pairing="unpaired"))
    assert {k: f.domain for k, f in data.spec.items()} == {"lines": "lines", "photos": "photos"}
    assert not data.test.paired
    counts = [sum(len(s) for s in (v.train, v.validation, v.test)) for v in map(data.only, data.items)]
    assert counts == [30, 40]
    assert set(data.only("lines").spec) == {"lines"}
    assert data.train.batch(torch.arange(3))["photos"].shape == (3, 3, 12, 16)


@pytest.mark.parametrize(
    ("change", "more", "error", "said"),
    [
        (
            lambda p: (p / "photos/007.bmp").unlink(),
            {},
            BadData,
            r"1 of 40 .* no partner.*lines/007",
        ),
        (
            lambda p: (p / "lines/003.png").rename(p / "lines/x.png"),
            {},
            BadData,
            r"no partner .* photos: lines/x\.png",
        ),
        (
            lambda p: Image.new("L", (16, 14)).save(p / "lines/004.png"),
            {"size": "12x16"},
            BadData,
            r"lines/004.png is 14x16 and .*photos/004.bmp is 12x16 \(1 pairs differ\)",
        ),
        (lambda p: [f.unlink() for f in (p / "photos").iterdir()], {"pair": "lines"}, BadData, "two sub-folders of"),
        (lambda p: None, {"pair": "sketches"}, BadData, "no sub-folder 'sketches' .*lines, photos"),
        (lambda p: Image.new("L", (16, 12)).save(p / "x.png"), {"pair": "lines"}, BadData, "pictures beside them"),
        (
            lambda p: [Image.new("L", (8, 8)).save(f) for f in (p / "lines").iterdir()],
            {},
            BadData,
            "is one of pictures of 8x8 and .*--data.size",
        ),
        (
            lambda p: [f.unlink() for f in (p / "photos").iterdir()],
            {"pairing": "unpaired"},
            BadData,
            "holds one collection",
        ),
    ],
)
def test_what_does_not_pair_up_is_named(tmp_path: Path, change, more: dict, error: type, said: str) -> None:
    change(sides(tmp_path))
    with pytest.raises(error, match=said) as caught:
        load(DataOptions(str(tmp_path), **{"pair": "auto", **more}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "digits", "pair": "edgs"}, "did you mean edges"),
        ({"source": "digits", "pair": "grey"}, "grey already"),
        ({"source": "digits", "pairing": "hidden"}, "say of which"),
    ],
)
def test_a_form_that_there_is_not(options: dict, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        load(DataOptions(**options))


def test_pairs_of_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("to be or not to be " * 200)
    with pytest.raises(BadValue, match="holds no pictures"):
        load(DataOptions(str(tmp_path / "words.txt"), pair="edges", context=16))


def test_who_needs_pairs_says_what_to_choose() -> None:
    with pytest.raises(BadData, match=r"it learns from pairs .*--data.pairing paired"):
        the_pair(fake_pairs(pairing="hidden").spec, "it")
    with pytest.raises(BadData, match=r"--data.pair edges"):
        the_pair(load(DataOptions("digits")).spec, "it")
    with pytest.raises(BadData, match=r"--data.pairing hidden"):
        the_domains(fake_pairs().spec, "it")
    with pytest.raises(BadData, match="two sub-folders"):
        the_domains(load(DataOptions("digits")).spec, "it")
