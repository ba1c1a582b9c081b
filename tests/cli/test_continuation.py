"""Clips and sounds go on from their beginning: untrained by a flow, trained by a palette."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genloom
from genloom.errors import BadValue, NotFound

TINY = {"config.widths": (16, 16), "config.blocks": (1, 1), "config.embedding": 16, "train.batch": 8}
TOLD = {k.replace("config.", "config.flow."): v for k, v in TINY.items()}
STILL = {"train.precision": "fp32"}


def write_wav(path: Path, samples: np.ndarray, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("continue")
    rng = np.random.default_rng(0)
    for folder in ("clips", "sounds"):
        (root / folder).mkdir()
    for i in range(30):
        frames = [Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)) for _ in range(8)]
        frames[0].save(root / "clips" / f"{i}.gif", save_all=True, append_images=frames[1:], duration=100)
        write_wav(root / "sounds" / f"{i}.wav", np.sin(np.arange(2048) * (0.05 + 0.01 * i)) * 0.5)
    shaping = {"clips": {}, "sounds": {"data.seconds": 0.256}}
    for data, more in shaping.items():
        genloom.train("flow", data=str(root / data), budget="2steps", name=f"{data}-flow", runs=str(root / "runs"),
                      overrides={**TINY, **STILL, **more})  # fmt: skip
    genloom.train("palette", data=str(root / "clips"), budget="2steps", name="clips-palette", runs=str(root / "runs"),
                  overrides={**TOLD, **STILL, "config.task": "continue"})  # fmt: skip
    return root


@pytest.mark.parametrize(
    ("run", "ending"), [("clips-flow", ".gif"), ("clips-palette", ".gif"), ("sounds-flow", ".wav")]
)
def test_held_out_items_go_on_and_are_scored(place: Path, run: str, ending: str) -> None:
    out = place / f"{run}{ending}"
    found = genloom.translate(place / "runs" / run, "continue", n=3, steps=2, out=out)
    assert out.stat().st_size > 100
    assert {"the model", "the last moment held"} <= set(found.data["squared_error"])


def test_a_file_keeps_its_beginning(place: Path) -> None:
    out = place / "goes-on.npy"
    genloom.translate(place / "runs" / "clips-flow", "continue", place / "clips" / "3.gif", n=2, steps=2, out=out)
    made = np.load(out)
    frames = np.stack([np.asarray(f.convert("L")) for f in _frames(place / "clips" / "3.gif")])
    assert np.abs(made[:, :4].astype(int) - frames[:4].astype(int)).max() <= 1
    assert np.abs(made[:, 4:].astype(int) - frames[4:].astype(int)).max() > 20
    assert not np.array_equal(made[0], made[1])


def _frames(path: Path) -> list[Image.Image]:
    with Image.open(path) as file:
        frames = []
        for i in range(file.n_frames):
            file.seek(i)
            frames.append(file.copy())
    return frames


def test_a_sound_of_another_rate_is_brought_to_the_models(place: Path) -> None:
    write_wav(place / "other.wav", np.sin(np.arange(6000) * 0.1) * 0.5, 16000)
    found = genloom.translate(place / "runs" / "sounds-flow", "continue", place / "other.wav", n=1, steps=2,
                              out=place / "other-out.wav")  # fmt: skip
    assert found.data["n"] == 1


@pytest.mark.parametrize(
    ("run", "path", "more", "error", "said"),
    [
        ("clips-flow", None, {"share": 1.0}, BadValue, "between 0 and 1"),
        ("clips-flow", "none.gif", {}, NotFound, "there is no"),
        ("clips-palette", None, {"task": "inpaint"}, NotFound, "continue"),
    ],
)
def test_what_cannot_go_on_is_said(place: Path, run: str, path: str | None, more: dict, error: type, said: str) -> None:
    task = more.pop("task", "continue")
    with pytest.raises(error, match=said):
        genloom.translate(place / "runs" / run, task, None if path is None else place / path, steps=2, **more)
