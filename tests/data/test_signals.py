"""Folders of recordings and clips, arrays of clips, and the built-in sets of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from genloom.data import DataOptions, Dataset, describe, load
from genloom.data.sets.video import FRAMES, SIDE, bounced, moving, small_digits
from genloom.errors import BadData, BadValue, GenloomError
from genloom.modalities import sound


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))


def tone(pitch: float, seconds: float = 0.3, rate: int = 8000) -> np.ndarray:
    return (12000 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def record(folder: Path, names: list[str], make: Callable[[int], np.ndarray] | None = None, rate: int = 8000) -> Path:
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(path, rate, tone(300 + 20 * i, rate=rate) if make is None else make(i))
    return folder


def get(path: object, **options: object) -> Dataset:
    return load(DataOptions(source=str(path), **options))  # type: ignore[arg-type]


def said(dataset: Dataset) -> str:
    return "\n".join(dataset.notes)


# -- sounds --------------------------------------------------------------------------------------------------------


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    folder = record(tmp_path / "r", [f"{kind}/{i}.wav" for kind in ("bell", "horn") for i in range(10)])
    found = get(folder, audio="waveform")
    assert found.spec["audio"].shape == (1, 2400)
    assert found.spec["audio"].rate == 8000
    assert found.spec["label"].classes == ("bell", "horn")
    assert found.train.items + found.validation.items + found.test.items == 20
    batch, raw = found.train.batch(torch.arange(4)), found.train.raw(torch.arange(4))
    assert raw["audio"].dtype == torch.int16
    assert torch.equal(batch["audio"], raw["audio"].float() / 32768)
    assert describe(found)["train_classes"].keys() == {"bell", "horn"}


def test_the_first_word_of_names_is_the_class(tmp_path: Path) -> None:
    folder = record(tmp_path / "r", [f"{digit}_ann_{i}.wav" for digit in (3, 7) for i in range(8)])
    found = get(folder)
    assert found.spec["label"].classes == ("3", "7")
    assert "names begin with one of 2 words" in said(found)
    assert "label" not in get(folder, labels=False).spec
    mixed = record(tmp_path / "s", [f"take{i}_ann.wav" for i in range(8)])  # every first word is another
    assert "label" not in get(mixed).spec


def test_spectrograms_are_those_of_the_waveforms(tmp_path: Path) -> None:
    folder = record(tmp_path / "r", [f"{i}.wav" for i in range(6)])
    waves, mels = get(folder, audio="waveform"), get(folder)
    assert mels.spec["audio"].shape == (1, 64, 19)
    assert waves.digest != mels.digest
    seen = {bytes(m.numpy()) for m in mels.train.raw(torch.arange(len(mels.train)))["audio"]}
    # each is split by its own content, so look for the waveforms of all parts
    parts = [p.raw(torch.arange(len(p)))["audio"] for p in (waves.train, waves.validation, waves.test)]
    made = sound.log_mel(sound.from_int16(torch.cat(parts))[:, 0], 8000)
    bytes_ = ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    assert seen <= {bytes(m[None].numpy()) for m in bytes_}


def test_what_cannot_be_used_is_named_and_counted(tmp_path: Path) -> None:
    folder = record(tmp_path / "r", [f"{i}.wav" for i in range(8)])
    (folder / "broken.wav").write_bytes(b"RIFF and no more")
    (folder / "empty.wav").write_bytes(b"")
    wavfile.write(folder / "silent.wav", 8000, np.zeros(900, np.int16))
    wavfile.write(folder / "high.wav", 16_000, tone(500, rate=16_000))
    found = get(folder, audio="waveform")
    notes = said(found)
    assert "2 of 12 recordings cannot be read as WAV: broken.wav, empty.wav; skipped" in notes
    assert "1 of 12 recordings are silent: silent.wav; skipped" in notes
    assert "1 of 9 recordings are resampled to 8,000 Hz, from 16,000 Hz" in notes
    assert found.train.items + found.validation.items + found.test.items == 9
    with pytest.raises(BadData, match=r"leave out --data\.strict") as caught:
        get(folder, strict=True)
    assert "\n" not in str(caught.value)


def test_length_and_rate_are_chosen_and_can_be_set(tmp_path: Path) -> None:
    folder = record(tmp_path / "r", [f"{i}.wav" for i in range(10)], lambda i: tone(400, 0.2 + 0.05 * i))
    usual = get(folder, audio="waveform")
    assert usual.spec["audio"].shape == (1, 5600)  # nine of ten fit into 0.7 s
    assert "recordings last 0.20 to 0.65 s, items 0.70 s: 0 are cut, 10 are followed by silence" in said(usual)
    set_ = get(folder, audio="waveform", seconds=0.1, rate=4000)
    assert (set_.spec["audio"].shape, set_.spec["audio"].rate) == ((1, 400), 4000)
    for options in ({"seconds": 0.0001}, {"seconds": 100.0}, {"rate": 10}):
        with pytest.raises(BadValue, match="expected") as caught:
            get(folder, **options)
        assert "\n" not in str(caught.value)


def test_folders_without_sound_are_refused_in_one_line(tmp_path: Path) -> None:
    silent = record(tmp_path / "silent", [f"{i}.wav" for i in range(4)], lambda i: np.zeros(500, np.int16))
    broken = tmp_path / "broken"
    broken.mkdir()
    for i in range(3):
        (broken / f"{i}.wav").write_bytes(b"no")
    one = record(tmp_path / "one", ["x.wav"])
    cases = {silent: "are silent", broken: "cannot be read as WAV", one: "1 recordings.*needs several"}
    for folder, words in cases.items():
        with pytest.raises(BadData, match=words) as caught:
            get(folder)
        assert "\n" not in str(caught.value)
    with pytest.raises(BadData, match="is one recording"):
        get(one / "x.wav")


def test_the_second_time_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record(tmp_path / "r", [f"{i}.wav" for i in range(6)])
    first = get(folder, seconds=0.3, rate=8000)
    monkeypatch.setattr(sound, "read_wav", lambda path: pytest.fail(f"{path} was read again"))
    assert get(folder, seconds=0.3, rate=8000).digest == first.digest


# -- clips ---------------------------------------------------------------------------------------------------------


def film(path: Path, frames: int = 6, size: tuple[int, int] = (16, 12), seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (frames, size[1], size[0]), np.uint8)
    first, *rest = (Image.fromarray(f) for f in noise)
    first.save(path, save_all=True, append_images=rest, duration=100)


def test_a_folder_of_moving_gifs_is_clips(tmp_path: Path) -> None:
    for i in range(8):
        film(tmp_path / "f" / ("a" if i % 2 else "b") / f"{i}.gif", seed=i)
    film(tmp_path / "f" / "a" / "still.gif", frames=1)
    (tmp_path / "f" / "a" / "broken.gif").write_bytes(b"GIF89a and no more")
    found = get(tmp_path / "f")
    assert found.spec["video"].shape == (1, 6, 12, 16)
    assert found.spec["video"].rate == 10
    assert found.spec["label"].classes == ("a", "b")
    assert "1 of 10 clips cannot be read: a/broken.gif; skipped" in said(found)
    assert "1 of 10 clips hold one frame: a/still.gif; skipped" in said(found)
    raw, batch = found.train.raw(torch.arange(3)), found.train.batch(torch.arange(3))
    assert raw["video"].dtype == torch.uint8
    assert torch.allclose(batch["video"], raw["video"] / 127.5 - 1, atol=1e-6)
    pictures = get(tmp_path / "f", read="image")  # the first frames, as before
    assert pictures.spec["image"].shape == (1, 12, 16)


def test_sizes_and_lengths_are_made_the_same(tmp_path: Path) -> None:
    for i, (frames, size) in enumerate([(6, (16, 12)), (9, (20, 20)), (3, (8, 8)), (6, (16, 12))]):
        film(tmp_path / "f" / f"{i}.gif", frames, size, seed=i)
    found = get(tmp_path / "f", frames=4, size="10")
    assert found.spec["video"].shape == (1, 4, 10, 10)
    assert "clips of 8x8 to 20x20 become 10x10" in said(found)
    assert "clips of 3 to 9 frames become 4" in said(found)
    with pytest.raises(BadValue, match="2 to 1024 frames"):
        get(tmp_path / "f", frames=1)


def test_still_pictures_stay_pictures(tmp_path: Path) -> None:
    for i in range(4):
        film(tmp_path / "f" / f"{i}.gif", frames=1, seed=i)
    assert "image" in get(tmp_path / "f").spec


def test_arrays_of_clips(tmp_path: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 255, (9, 5, 8, 10, 3), np.uint8)
    np.save(tmp_path / "c.npy", clips)
    np.save(tmp_path / "grey.npy", clips[..., 0])
    np.save(tmp_path / "floats.npy", clips[..., 0] / 255.0)
    found = get(tmp_path / "c.npy")
    assert found.spec["video"].shape == (3, 5, 8, 10)
    every = {bytes(c.transpose(3, 0, 1, 2).tobytes()) for c in clips}
    assert {bytes(c.numpy()) for c in found.train.raw(torch.arange(len(found.train)))["video"]} <= every
    grey = get(tmp_path / "grey.npy", read="video")
    assert grey.spec["video"].shape == (1, 5, 8, 10)
    assert torch.equal(get(tmp_path / "floats.npy", read="video").train.raw(torch.arange(2))["video"],
                       grey.train.raw(torch.arange(2))["video"])  # fmt: skip
    np.save(tmp_path / "one.npy", clips[:1])
    np.save(tmp_path / "wild.npy", clips * 3.7)
    for name, words in (("one", "several"), ("wild", "expected bytes")):
        with pytest.raises(BadData, match=words) as caught:
            get(tmp_path / f"{name}.npy", read="video")
        assert "\n" not in str(caught.value)


# -- built in ------------------------------------------------------------------------------------------------------


def test_moving_digits_move_evenly_and_bounce() -> None:
    places = bounced(np.array([2.0, 17.0]), np.array([1.5, 1.5]), 12, 18.0)
    assert places.min() >= 0
    assert places.max() <= 18
    assert np.allclose(np.abs(np.diff(places[0, :10])), 1.5)
    assert places[1, 0] < places[1, 1] > places[1, 2]  # it turned
    digits, _ = small_digits()
    clips = moving(digits[:20], "one")
    assert np.array_equal(clips, moving(digits[:20], "one"))
    assert np.array_equal(clips.reshape(20, FRAMES, -1).sum(2), np.repeat(digits[:20].sum((1, 2))[:, None], FRAMES, 1))
    assert not np.array_equal(clips[:, 0], clips[:, 5])


def test_spoken_digits_are_split_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.data.sets import speech

    names = [f"{digit}_{speaker}_{n}.wav" for digit in (3, 8) for speaker in ("ann", "bo") for n in range(14)]
    folder = record(tmp_path / "r", names)
    monkeypatch.setattr(speech, "folder_of", lambda entry: folder)
    found = get("spoken-digits", audio="waveform")
    assert found.spec["audio"].shape == (1, 8000)
    assert (found.train.items, found.validation.items, found.test.items) == (16, 20, 20)
    assert (found.spec["label"].classes, found.spec["speaker"].classes) == (("3", "8"), ("ann", "bo"))
    batch = found.train.batch(torch.arange(16))
    for wave, digit, speaker in zip(batch["audio"], batch["label"], batch["speaker"], strict=True):
        at = int(np.abs(np.fft.rfft(wave[0, :2400].numpy())).argmax() * 8000 / 2400 - 300 + 10) // 20  # which recording
        assert names[at].split("_")[:2] == [("3", "8")[digit], ("ann", "bo")[speaker]]
        assert int(names[at].split("_")[2][:-4]) >= 10


def test_the_built_in_clips() -> None:
    found = get("moving-digits")
    assert found.spec["video"].shape == (1, FRAMES, SIDE, SIDE)
    assert found.spec["label"].classes == tuple("0123456789")
    assert (found.train.items, found.validation.items, found.test.items) == (4000, 500, 500)
    assert get("moving-digits", limit=5).train.items == 5
    pairs = get("moving-digit-pairs")
    assert "label" not in pairs.spec
    one, two = (float((d.test.raw(torch.arange(50))["video"] > 100).float().mean()) for d in (found, pairs))
    assert 1.5 < two / one < 2.1
    with pytest.raises(GenloomError, match=r"leave out --data\.size"):
        get("moving-digits", size="64")
