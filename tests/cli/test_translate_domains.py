"""`genloom translate` between a run's own fields: photos, held-out pairs with scores, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genloom
from genloom.errors import BadData, BadValue, NotFound

SMALL = {"config.width": 8, "config.judge_width": 8, "train.batch": 8, "train.precision": "fp32"}
FLOW = {"config.widths": (16, 16), "config.blocks": (1, 1), "config.embedding": 16, "config.steps": 2}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("domains")
    rng = np.random.default_rng(0)
    for name in ("lines", "photos"):
        (root / "data" / name).mkdir(parents=True)
    for i in range(60):
        grey = rng.integers(0, 255, (12, 16), dtype=np.uint8)
        Image.fromarray(grey).save(root / "data" / "lines" / f"{i:02d}.png")
        Image.fromarray(np.stack([grey, grey // 2, 255 - grey], 2)).save(root / "data" / "photos" / f"{i:02d}.png")
    Image.fromarray(grey).save(root / "photo.png")
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(root / "large.png")
    Image.new("RGB", (16, 12), (200, 30, 30)).save(root / "colour.png")
    for name, n in (("dark", 20), ("light", 30)):
        (root / "loose" / name).mkdir(parents=True)
        for i in range(n):
            noise = rng.integers(0, 100, (12, 16), dtype=np.uint8) + 150 * (name == "light")
            Image.fromarray(noise.astype(np.uint8)).save(root / "loose" / name / f"{name}{i}.png")
    genloom.train("cyclegan", data=str(root / "loose"), budget="2steps", name="apart", runs=str(root / "runs"),
                  overrides={**SMALL, "data.pairing": "unpaired"})  # fmt: skip
    genloom.train("cyclegan", data=str(root / "data"), budget="2steps", name="hidden", runs=str(root / "runs"),
                  overrides=SMALL)  # fmt: skip
    for recipe, more in (("pix2pix", SMALL), ("flow", {**FLOW, "data.pair": "lines", "train.batch": 8})):
        genloom.train(recipe, data=str(root / "data"), budget="3steps", name=recipe, runs=str(root / "runs"),
                      overrides=more)  # fmt: skip
    return root


def translate(place: Path, run: str, task: str, *words, **more):
    return genloom.translate(place / "runs" / run, task, *words, out=place / "out.png", **more)


@pytest.mark.parametrize("run", ["pix2pix", "flow"])
def test_held_out_pairs_are_scored_beside_simple_methods(place: Path, run: str) -> None:
    found = translate(place, run, "lines-to-photos")
    names = [r["name"] for r in found.data["results"]]
    for way in ("the model", "the given picture", "the training mean", "the nearest training pair"):
        assert [n for n in names if n.endswith(f" of {way}")][:3] == [f"{k} of {way}" for k in ("L1", "PSNR", "SSIM")]
    assert "L1 of the model, mean of 4 answers" in names
    assert found.data["n"] == 6
    assert Image.open(place / "out.png").height > 6 * 12


def test_the_only_task_needs_no_name_and_a_photo_gets_its_answers(place: Path) -> None:
    first = translate(place, "pix2pix", "", place / "photo.png", n=2)
    assert first.data["task"] == "lines-to-photos"
    kept = (place / "out.png").read_bytes()
    translate(place, "pix2pix", "lines-to-photos", place / "photo.png", n=2)
    assert (place / "out.png").read_bytes() == kept
    translate(place, "pix2pix", "lines-to-photos", place / "photo.png", n=2, seed=1)
    assert (place / "out.png").read_bytes() != kept
    genloom.translate(place / "runs" / "pix2pix", "", place / "photo.png", n=3, out=place / "x.npy")
    made = np.load(place / "x.npy")
    assert made.shape == (3, 12, 16, 3)
    assert not np.array_equal(made[0], made[1])


@pytest.mark.parametrize(
    ("run", "task", "photo", "error", "said"),
    [
        ("pix2pix", "photos-to-lines", None, NotFound, "lines-to-photos"),
        ("pix2pix", "inpaint", None, BadValue, "trained for lines-to-photos, not for inpaint"),
        ("flow", "", None, BadValue, "give --task with one of lines-to-photos, inpaint"),
        ("pix2pix", "", "large.png", BadData, "measures 30x40, and this model works on 12x16"),
        ("pix2pix", "", "colour.png", BadData, "has 3 channels, and this model works on 1"),
        ("pix2pix", "", "none.png", NotFound, "there is no picture"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(place: Path, run, task, photo, error: type, said: str) -> None:
    words = () if photo is None else (place / photo,)
    with pytest.raises(error, match=said) as caught:
        translate(place, run, task, *words)
    assert "\n" not in str(caught.value)


def test_previews_show_what_was_given_beside_what_was_made(place: Path) -> None:
    sheets = sorted((place / "runs" / "pix2pix" / "samples").glob("[0-9]*.png"))
    array = np.asarray(Image.open(sheets[-1]).convert("RGB")).astype(int)
    scale = 4  # small pictures are enlarged
    left = array[: 12 * scale, : 16 * scale]
    assert (left[..., 0] == left[..., 2]).all()  # the first column is grey: a drawing
    right = array[: 12 * scale, 16 * scale + 2 : 32 * scale + 2]
    assert (right[..., 0] != right[..., 2]).any()


def test_samples_and_figures_are_of_given_pictures(place: Path) -> None:
    genloom.sample(place / "runs" / "pix2pix", n=4, out=place / "s.npy")
    assert np.load(place / "s.npy").shape == (4, 12, 16, 3)
    found = genloom.evaluate(place / "runs" / "pix2pix", page=False)
    assert found.evaluation.results[-1].key.endswith(":lines-to-photos")
    assert found["l1:lines-to-photos"] > 0
    assert any("samples are made of the lines form of 6 held-out items" in note for note in found.evaluation.notes)


def test_hidden_pairs_score_both_ways(place: Path) -> None:
    for task in ("lines-to-photos", "photos-to-lines"):
        found = translate(place, "hidden", task)
        names = [r["name"] for r in found.data["results"]]
        assert "L1 of the model" in names
        assert "L1 of the nearest training picture" in names
        assert not any("answers" in n for n in names)
    with pytest.raises(BadValue, match=r"give --task with one of lines-to-photos, photos-to-lines"):
        translate(place, "hidden", "")
    found = genloom.evaluate(place / "runs" / "hidden", page=False)
    keys = {r.key for r in found.evaluation.results}
    assert {"lines:fd", "photos:fd", "l1:lines-to-photos", "l1:photos-to-lines"} <= keys
    genloom.sample(place / "runs" / "hidden", n=3, out=place / "s.npy")
    both = np.load(place / "s.npy")
    assert both.shape == (6, 12, 16, 3)
    assert (both[::2, ..., 0] == both[::2, ..., 2]).all()  # lines, of photos
    assert (both[1::2, ..., 0] != both[1::2, ..., 2]).any()


def test_without_pairs_there_is_a_picture_and_no_score(place: Path) -> None:
    found = translate(place, "apart", "dark-to-light")
    assert found.data["results"] == []
    assert "no pairs are known" in found.notes[0]
    assert Image.open(place / "out.png").height > 4 * 12
    keys = {r.key for r in genloom.evaluate(place / "runs" / "apart", page=False).evaluation.results}
    assert "light:fd" in keys
    assert not any(k.startswith("l1") for k in keys)
