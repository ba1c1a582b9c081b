"""A person's own pictures, arrays and texts: every mode and shape, stated policies, one line where it cannot work."""

from __future__ import annotations

import contextlib
import io
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genloom.data import DataOptions, Dataset, load
from genloom.data.folder import decode
from genloom.data.parts import ImageSplit
from genloom.errors import BadData, GenloomError, NotFound


def picture(seed: int, width: int = 20, height: int = 20, mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(seed)
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    return Image.fromarray(rng.integers(0, 256, shape, np.uint8), mode if mode == "CMYK" else None)


def folder_of(path: Path, n: int = 12, **kind: int | str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        picture(i, **kind).save(path / f"{i:02d}.png")  # type: ignore[arg-type]
    return path


def get(path: Path, **options: object) -> Dataset:
    return load(DataOptions(source=str(path), **options))  # type: ignore[arg-type]


def everything(data: Dataset) -> torch.Tensor:
    return torch.cat([s.raw(torch.arange(len(s)))["image"] for s in (data.train, data.validation, data.test)])


def test_a_folder_keeps_the_size_all_share_and_splits_by_content(tmp_path: Path) -> None:
    data = get(folder_of(tmp_path / "a", 30, width=17, height=23))
    assert data.spec["image"].shape == (3, 23, 17)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [24, 3, 3]
    (tmp_path / "b").mkdir()
    for i, file in enumerate(sorted((tmp_path / "a").iterdir())):
        file.rename(tmp_path / "b" / f"{(i * 7) % 30}.png")
    renamed = get(tmp_path / "b")
    for one, two in ((data.train, renamed.train), (data.test, renamed.test)):
        sets = [{i.numpy().tobytes() for i in s.raw(torch.arange(len(s)))["image"]} for s in (one, two)]
        assert sets[0] == sets[1]


def test_mixed_sizes_are_scaled_and_the_policy_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for i, size in enumerate([(30, 60), (100, 50), (64, 64), (9, 200), (1000, 800)]):
        picture(i, *size).save(folder / f"{i}.jpg")
    data = get(folder)
    assert data.spec["image"].shape == (3, 64, 64)
    assert any("cut to the middle" in note and "64x64" in note for note in data.notes)
    assert get(folder, size="33x21", resize="stretch").spec["image"].shape == (3, 33, 21)


def test_crop_pad_and_stretch_do_what_they_say(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20, 0], wide[:, 20:40, 1], wide[:, 40:, 2] = 255, 255, 255  # red, green, blue thirds
    for i in range(2):
        wide[0, 0, 0] = i
        Image.fromarray(wide).save(tmp_path / f"{i}.png")
    crop = everything(get(tmp_path, size="20"))[0]
    assert crop.float().mean((1, 2)).tolist() == [0, 255, 0]
    pad = everything(get(tmp_path, size="30", resize="pad"))[0].int()
    assert pad[:, :9].sum() == 0
    assert pad[:, 21:].sum() == 0
    assert pad[0, 15, 2] > 250
    assert pad[2, 15, 27] > 250
    stretch = everything(get(tmp_path, size="30", resize="stretch"))[0]
    assert [int(stretch[c, 15, x]) > 250 for c, x in ((0, 3), (1, 15), (2, 27))] == [True] * 3


def test_every_mode_is_understood(tmp_path: Path) -> None:
    half = np.full((8, 8), 128, np.uint8)
    grey = Image.fromarray(half)
    rgba = Image.fromarray(np.dstack([half * 0, half * 0, half * 0, half * 0]))  # fully transparent black
    deep = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
    palette = Image.fromarray(np.dstack([half, half, half])).quantize(4)
    clear = palette.copy()
    clear.info["transparency"] = clear.getpixel((0, 0))
    kinds = {
        "l": grey, "rgb": grey.convert("RGB"), "bit": Image.fromarray(half > 0), "rgba": rgba, "la": grey.convert("LA"),
        "deep": deep, "palette": palette, "clear": clear,
    }  # fmt: skip
    for name, image in kinds.items():
        image.save(tmp_path / f"{name}.png")
    grey.convert("CMYK").save(tmp_path / "cmyk.tif")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "float.tif")
    white = {"bit", "rgba", "clear"}
    files = sorted(tmp_path.iterdir())
    assert len(files) == 10
    for file in files:
        array = decode(file, (8, 8), "crop")
        assert array is not None, file.name
        assert array.shape[:2] == (8, 8)
        assert abs(int(array.mean()) - (255 if file.stem in white else 128)) <= 2, file.name
    assert len(everything(get(tmp_path))) >= 10


def test_grey_is_kept_grey_and_can_be_asked_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "grey", mode="L")
    picture(99, mode="L").convert("RGB").save(folder / "same.png")
    assert get(folder).spec["image"].shape == (1, 20, 20)
    assert get(folder, channels="rgb").spec["image"].shape == (3, 20, 20)
    picture(98).save(folder / "colour.png")
    assert get(folder).spec["image"].shape == (3, 20, 20)
    grey = get(folder, channels="grey")
    assert grey.spec["image"].shape == (1, 20, 20)
    want = np.asarray(Image.open(folder / "colour.png").convert("L")).astype(int)
    assert min(int(np.abs(i[0].numpy().astype(int) - want).max()) for i in everything(grey)) <= 1


def test_a_turned_photograph_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    for i in range(3):
        picture(i, 30, 10).save(tmp_path / f"{i}.jpg", exif=exif, quality=95)
    data = get(tmp_path)
    assert data.spec["image"].shape == (3, 30, 10)


def test_sub_folders_are_classes_or_splits(tmp_path: Path) -> None:
    for i, name in enumerate(("cats", "dogs", "yaks")):
        for k in range(20):
            (tmp_path / "k" / name).mkdir(parents=True, exist_ok=True)
            picture(i * 100 + k).save(tmp_path / "k" / name / f"{k}.png")
    data = get(tmp_path / "k")
    assert data.spec["label"].classes == ("cats", "dogs", "yaks")
    for split, each in ((data.train, 16), (data.validation, 2), (data.test, 2)):
        assert isinstance(split, ImageSplit)
        assert split.labels is not None
        assert split.labels.bincount().tolist() == [each] * 3
    index = torch.arange(len(data.train))
    for image, label in zip(data.train.raw(index)["image"], data.train.batch(index)["label"], strict=True):
        files = (tmp_path / "k" / data.spec["label"].classes[int(label)]).iterdir()
        assert any((np.asarray(Image.open(f)).transpose(2, 0, 1) == image.numpy()).all() for f in files)
    assert "label" not in get(tmp_path / "k", labels=False).spec
    (tmp_path / "s").mkdir()
    for name, n in (("train", 20), ("test", 6)):
        folder_of(tmp_path / "s" / name / "only", n)
    given = get(tmp_path / "s")
    assert [len(s) for s in (given.train, given.validation, given.test)] == [18, 2, 6]
    assert "label" not in given.spec


def test_unreadable_files_are_skipped_by_name_or_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "x")
    (folder / "broken.png").write_bytes((folder / "00.png").read_bytes()[:200])
    (folder / "text.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("left alone")
    data = get(folder)
    assert any("2 of 14" in n and "broken.png" in n and "text.jpg" in n for n in data.notes)
    assert len(everything(data)) == 12
    with pytest.raises(BadData, match=r"2 of 14 pictures cannot be read: broken\.png, text\.jpg.*strict"):
        get(folder, strict=True)


def test_files_full_of_broken_bytes_never_end_in_a_traceback(tmp_path: Path) -> None:
    rng = random.Random(0)
    seeds = []
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP"):
        buffer = io.BytesIO()
        picture(0).save(buffer, kind)
        seeds.append((kind.lower(), buffer.getvalue()))
    np.savez_compressed(tmp_path / "good.npz", images=np.zeros((5, 4, 4), np.uint8), labels=np.arange(5))
    seeds.append(("npz", (tmp_path / "good.npz").read_bytes()))
    for _ in range(300):
        kind, content = rng.choice(seeds)
        changed = bytearray(content)
        for _ in range(rng.choice((1, 5, 20))):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        file = tmp_path / f"x.{kind}"
        file.write_bytes(changed)
        if kind != "npz":
            array = decode(file, (8, 8), "crop")
            assert array is None or array.shape[:2] == (8, 8)
            continue
        with contextlib.suppress(GenloomError):
            get(file)


def test_copies_are_never_held_out(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "x", 20)
    for i in range(20):
        (folder / f"copy-{i}.png").write_bytes((folder / f"{i:02d}.png").read_bytes())
    data = get(folder)
    sets = [
        {i.numpy().tobytes() for i in s.raw(torch.arange(len(s)))["image"]}
        for s in (data.train, data.validation, data.test)
    ]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert any("exact copies" in note for note in data.notes)


@pytest.mark.parametrize(("n", "parts"), [(2, [1, 1, 1]), (3, [1, 1, 1]), (4, [2, 1, 1]), (10, [8, 1, 1])])
def test_tiny_folders_have_something_in_every_split(tmp_path: Path, n: int, parts: list[int]) -> None:
    data = get(folder_of(tmp_path / "x", n))
    assert [len(s) for s in (data.train, data.validation, data.test)] == parts
    assert any("reuses" in note for note in data.notes) == (n == 2)


ARRAYS = {
    "(n,h,w)": ((20, 5, 7), (1, 5, 7)),
    "(n,h,w,1)": ((20, 5, 7, 1), (1, 5, 7)),
    "(n,h,w,3)": ((20, 5, 7, 3), (3, 5, 7)),
    "(n,1,h,w)": ((20, 1, 5, 7), (1, 5, 7)),
    "(n,3,h,w)": ((20, 3, 5, 7), (3, 5, 7)),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("mapped", [False, True])
def test_arrays_of_every_layout(tmp_path: Path, kind: str, mapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, spec = ARRAYS[kind]
    monkeypatch.setattr("genloom.data.arrays._MAP_FROM", 0 if mapped else 1 << 40)
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "x.npy", array)
    data = get(tmp_path / "x.npy")
    assert data.spec["image"].shape == spec
    assert [len(s) for s in (data.train, data.validation, data.test)] == [16, 2, 2]
    want = array if spec[0] == 3 and shape[1] == 3 else array.transpose(0, 3, 1, 2) if shape[-1] == 3 else array
    have = {i.numpy().tobytes() for i in everything(data)}
    assert have == {np.ascontiguousarray(i).tobytes() for i in want}
    batch = data.train.batch(torch.arange(3))["image"]
    assert batch.shape == (3, *spec)
    assert torch.equal(batch, data.train.raw(torch.arange(3))["image"].float().mul(2 / 255).sub(1))


def test_floats_and_booleans_become_bytes_by_the_stated_rule(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256).reshape(4, 8, 8)
    for name, array in (("zero", ramp), ("minus", ramp * 2 - 1), ("half", ramp.astype(np.float16))):
        np.save(tmp_path / f"{name}.npy", array)
        values = np.sort(everything(get(tmp_path / f"{name}.npy")).numpy().ravel())
        assert np.abs(values.astype(int) - np.arange(256)).max() <= (1 if name == "half" else 0), name
    np.save(tmp_path / "bool.npy", ramp > 0.5)
    assert set(everything(get(tmp_path / "bool.npy")).unique().tolist()) == {0, 255}


def test_npz_carries_labels_and_its_own_test_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 6, 6), np.uint8)
    np.savez(tmp_path / "a.npz", images=x, labels=np.array(["no", "yes"])[np.arange(40) % 2])
    data = get(tmp_path / "a.npz")
    assert data.spec["label"].classes == ("no", "yes")
    assert len(data.train) == 32
    np.savez(
        tmp_path / "b.npz", x_train=x, y_train=np.arange(40) % 4 + 3, x_test=x[:9] ^ 255, y_test=np.arange(9) % 4 + 3
    )
    data = get(tmp_path / "b.npz")
    assert data.spec["label"].classes == ("3", "4", "5", "6")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [36, 4, 9]
    assert data.test.batch(torch.arange(9))["label"].tolist() == [i % 4 for i in range(9)]
    np.savez(tmp_path / "c.npz", whatever=x)
    assert len(get(tmp_path / "c.npz").train) == 32


def test_a_text_file_and_a_folder_of_texts(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbf" + ("Größe\r\n" * 100).encode())
    data = get(file, context=16)
    assert data.tokenizer is not None
    assert data.tokenizer.decode(data.train.raw(torch.tensor([0]))["text"][0]).startswith("Größe\nGröße\n")
    assert [s.items for s in (data.train, data.validation, data.test)] == [30, 3, 3]
    folder = tmp_path / "notes"
    folder.mkdir()
    for i in range(30):
        (folder / f"{i}.md").write_text(f"Note {i}. " * 20)
    data = get(folder, context=16)
    assert any("split by file" in note for note in data.notes)
    (folder / "x.txt").write_bytes(b"\0\1\2" * 50)
    assert any("x.txt" in note for note in get(folder, context=16).notes)
    with pytest.raises(BadData, match=r"x\.txt"):
        get(folder, context=16, strict=True)
    for tokenizer in ("byte", "bpe"):
        assert get(folder, context=16, tokenizer=tokenizer, vocabulary=300).train.items > 1


def test_characters_only_the_held_out_text_has_are_unknown(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("ab" * 400 + "z" * 200)
    data = get(file, context=8)
    assert data.spec["text"].vocabulary == 3
    assert data.test.raw(torch.tensor([0]))["text"][0].tolist() == [2] * 8


def test_bad_input_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    corrupt = tmp_path / "corrupt"
    corrupt.mkdir()
    for i in range(3):
        (corrupt / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n then nothing")
    one = folder_of(tmp_path / "one", 1)
    (tmp_path / "short.txt").write_text("too short")
    (tmp_path / "nothing.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(bytes(1000))
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "x.npy", np.zeros((4, 3, 3), np.uint8))
    arrays = {
        "nan": np.array([[[np.nan, 0.0]], [[0.0, 1.0]]]),
        "inf": np.array([[[np.inf, 0.0]], [[0.0, 1.0]]]),
        "rank1": np.zeros(5),
        "rank0": np.array(3.0),
        "rank2": np.zeros((5, 5)),
        "rank5": np.zeros((2, 2, 2, 2, 3)),
        "empty": np.zeros((0, 8, 8), np.uint8),
        "flat": np.zeros((5, 0, 8), np.uint8),
        "two": np.zeros((5, 8, 8, 2), np.uint8),
        "four": np.zeros((5, 8, 8, 4), np.uint8),
        "first4": np.zeros((5, 4, 8, 8), np.uint8),
        "single": np.zeros((1, 8, 8), np.uint8),
        "range": np.full((5, 8, 8), 7.5),
        "wide": np.full((5, 8, 8), 300),
        "words": np.full((5, 8, 8), "a"),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "objects.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", images=np.array([{}, None], dtype=object))
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "four.npy").read_bytes()[:300])
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4 and no more")
    np.savez(tmp_path / "labels.npz", images=np.zeros((5, 4, 4), np.uint8), labels=np.zeros(4))
    np.savez(tmp_path / "names.npz", first=np.zeros(3), second=np.zeros(3))
    np.savez(tmp_path / "none.npz")
    cases = {
        "empty": "no pictures and no text", "corrupt": "3 of 3 pictures cannot be read", "one": "one picture",
        "one/00.png": "is one picture", "short.txt": "fewer than a context", "nothing.txt": "holds no text",
        "binary.txt": "no text", "arrays": r"name the array itself.*x\.npy", "nan.npy": "1 values are NaN",
        "inf.npy": "NaN or infinite", "rank1.npy": "got 5", "rank0.npy": "a single number", "rank2.npy": "got 5x5",
        "rank5.npy": "got 2x2x2x2x3", "empty.npy": "empty", "flat.npy": "empty", "two.npy": "2 channels",
        "four.npy": "4 channels.*drop the alpha", "first4.npy": "4 channels", "single.npy": "one image",
        "range.npy": "floats in", "wide.npy": "0 to 255", "words.npy": "expected numbers",
        "objects.npy": "Python objects", "objects.npz": "Python objects",
        "pickle.npy": "cannot be read|Python objects", "cut.npy": "cannot be read", "cut.npz": "cannot be read",
        "labels.npz": "one label for each of 5", "names.npz": "name the images", "none.npz": "holds nothing",
    }  # fmt: skip
    for name, words in cases.items():
        with pytest.raises(BadData, match=words) as caught:
            get(tmp_path / name)
        assert "\n" not in str(caught.value), name
        assert len(str(caught.value)) < 400, name
    assert one.exists()


def test_a_missing_path_names_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match=r"did you mean .*photos"):
        get(tmp_path / "photo")
    with pytest.raises(NotFound, match=r"there is a \./photos here"):
        load(DataOptions(source="fotos"))
    with pytest.raises(NotFound, match=r"there is no \./other: give an existing file or folder"):
        load(DataOptions(source="./other"))
    with pytest.raises(GenloomError, match="exists, but not what follows"):
        get(tmp_path / "a" / "b" / "c.npy")
    assert load(DataOptions(source="photos")).spec["image"].shape == (3, 20, 20)
