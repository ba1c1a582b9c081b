"""`genloom translate` on small runs: every task, photos, masks, scores beside simple methods, and one-line errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genloom
from genloom.errors import BadData, BadValue, NotFound

TINY = {"config.widths": (16, 16), "config.blocks": (1, 1), "config.embedding": 16, "train.batch": 8}
TOLD = {k.replace("config.", "config.flow."): v for k, v in TINY.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("translate")
    rng = np.random.default_rng(0)
    np.save(root / "colours.npy", rng.integers(0, 255, (60, 16, 16, 3), dtype=np.uint8))
    for recipe, name, more in (("flow", "whole", TINY), ("palette", "holes", TOLD)):
        genloom.train(
            recipe, data=str(root / "colours.npy"), budget="3steps", name=name, runs=str(root / "runs"),
            overrides={**more, "train.precision": "fp32"},
        )  # fmt: skip
    Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(root / "photo.png")
    Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)).save(root / "small.png")
    mask = np.zeros((16, 16), np.uint8)
    mask[:8] = 255
    Image.fromarray(mask).save(root / "mask.png")
    Image.fromarray(mask[:5]).save(root / "low-mask.png")
    return root


def translate(place: Path, run: str, task: str, *words, **more):
    return genloom.translate(place / "runs" / run, task, *words, out=place / "out.png", **{"steps": 3, **more})


@pytest.mark.parametrize("task", ["inpaint", "outpaint", "super-resolution", "colour", "denoise"])
def test_an_untrained_task_is_scored_beside_simple_methods(place: Path, task: str) -> None:
    found = translate(place, "whole", task, n=3)
    names = {r["name"] for r in found.data["results"]}
    assert {"PSNR of the model", "SSIM of the model"} <= names
    assert len(names) >= 6
    assert Image.open(place / "out.png").width > 40


@pytest.mark.parametrize("task", ["inpaint", "outpaint"])
def test_a_palette_does_what_it_was_trained_for(place: Path, task: str) -> None:
    assert translate(place, "holes", task, n=2).data["n"] == 2
    with pytest.raises(BadValue, match="trained for inpaint and outpaint, not for denoise"):
        translate(place, "holes", "denoise")


@pytest.mark.parametrize(
    ("task", "photo", "more"),
    [
        ("inpaint", "photo.png", {"mask": "mask.png"}),
        ("super-resolution", "small.png", {}),
        ("super-resolution", "photo.png", {}),
        ("denoise", "photo.png", {"sigma": 10}),
        ("sdedit", "photo.png", {"strength": 0.7}),
        ("colour", "photo.png", {}),
    ],
)
def test_a_photo_gets_as_many_answers_as_asked(place: Path, task: str, photo: str, more: dict) -> None:
    more = {k: place / v if k == "mask" else v for k, v in more.items()}
    first = translate(place, "whole", task, place / photo, n=2, **more)
    kept = (place / "out.png").read_bytes()
    assert first.data["n"] == 2
    translate(place, "whole", task, place / photo, n=2, **more)
    assert (place / "out.png").read_bytes() == kept  # the same seed, the same answers
    if task != "denoise":
        translate(place, "whole", task, place / photo, n=2, seed=1, **more)
        assert (place / "out.png").read_bytes() != kept


def test_what_is_known_is_kept(place: Path) -> None:
    genloom.translate(place / "runs" / "whole", "inpaint", place / "photo.png", mask=place / "mask.png", n=1, steps=3,
                      out=place / "x.npy")  # fmt: skip
    made, photo = np.load(place / "x.npy")[0], np.asarray(Image.open(place / "photo.png"))
    assert np.abs(made[8:].astype(int) - photo[8:].astype(int)).max() <= 1
    assert np.abs(made[:8].astype(int) - photo[:8].astype(int)).max() > 10


@pytest.mark.parametrize(
    ("task", "photo", "more", "error", "said"),
    [
        ("", None, {}, BadValue, "give --task with one of .*, sdedit$"),
        ("inpant", None, {}, NotFound, "inpaint"),
        ("sdedit", None, {}, BadValue, "a picture of yours"),
        ("inpaint", "small.png", {}, BadData, "measures 4x4, and this model works on 16x16"),
        ("inpaint", "none.png", {}, NotFound, "there is no picture"),
        ("inpaint", "photo.png", {"mask": "low-mask.png"}, BadData, "the mask measures 5x16"),
        ("super-resolution", None, {"factor": 5}, BadValue, "factor 5"),
        ("denoise", None, {"sigma": 0}, BadValue, "sigma"),
        ("sdedit", "photo.png", {"strength": 2}, BadValue, "strength"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    place: Path, task: str, photo: str | None, more: dict, error: type, said: str
) -> None:
    more = {k: place / v if k == "mask" else v for k, v in more.items()}
    words = () if photo is None else (place / photo,)
    with pytest.raises(error, match=said) as caught:
        translate(place, "whole", task, *words, **more)
    assert "\n" not in str(caught.value)
