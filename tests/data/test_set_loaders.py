"""How each set that is fetched becomes items, on small files of the same format. No network."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fetching import sha
from PIL import Image

from genloom.data import DataOptions, Dataset, load
from genloom.data.fetch.entry import Archive, Entry, File, Folder, Package
from genloom.data.fetch.manifest import contents_hash
from genloom.data.molecules import MoleculeSplit
from genloom.data.parts import ImageSplit, TextSplit
from genloom.data.sets import emoji, images, molecules, registry, text
from genloom.errors import NotFound


class Fakes:
    """Puts small files of a set below GENLOOM_DATA and pins them in its entry, which is otherwise the real one."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root, self._patch = root, monkeypatch
        monkeypatch.setenv("GENLOOM_DATA", str(root))

    def add(self, module: ModuleType, name: str, content: dict[str, bytes]) -> None:
        """Files with "/" in their names become one archive, its parts by their first folder."""
        parts: list[File | Archive] = []
        for file, held in content.items():
            place = self._root / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(held)
            if "/" not in file:
                parts.append(File(file, sha(held), (Folder(f"{name}/{file}"),), len(held)))
        for top in sorted({file.partition("/")[0] for file in content if "/" in file}):
            pinned = contents_hash({f: sha(held) for f, held in content.items() if f.startswith(f"{top}/")})
            parts.append(Archive(top, (Package(Folder(name), None, {f"{top}/*": f"{top}/"}),), pinned))
        real = registry.ENTRIES[name]
        entry = Entry(name, real.card, tuple(parts), "", real.load, real.finish)
        self._patch.setitem(module.ENTRIES, name, entry)
        self._patch.setitem(registry.ENTRIES, name, entry)


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    return Fakes(tmp_path, monkeypatch)


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "png")
    return out.getvalue()


def texts(data: Dataset) -> list[str]:
    """The three texts of a data set."""
    assert data.tokenizer is not None
    parts = (data.train, data.validation, data.test)
    return [data.tokenizer.decode(p.ids.long()) for p in parts if isinstance(p, TextSplit)]


def numbered(split: Any) -> set[int]:
    """The first pixel of every image of a split."""
    return set(split.raw(torch.arange(len(split)))["image"][:, 0, 0, 0].tolist())


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist-full"])
def test_the_last_twelfth_of_the_training_images_validates(fakes: Fakes, name: str) -> None:
    content = {}
    for prefix, first, n in (("train", 0, 24), ("t10k", 24, 6)):
        number = np.arange(first, first + n, dtype=np.uint8)
        content[f"{prefix}-images-idx3-ubyte"] = bytes(16) + number.repeat(784).tobytes()
        content[f"{prefix}-labels-idx1-ubyte"] = bytes(8) + (number % 10).tobytes()
    fakes.add(images, name, content)
    data = load(DataOptions(source=name))
    assert numbered(data.train) == set(range(22))
    assert numbered(data.validation) == {22, 23}
    assert numbered(data.test) == set(range(24, 30))
    assert data.train.batch(torch.tensor([12]))["label"].item() == 2
    assert data.spec["label"].classes == (images.CLOTHES if name == "fashion-mnist" else images.DIGIT_NAMES)
    assert len(load(DataOptions(source=name, validation="test")).train) == 24


def test_a_row_of_cifars_pictures_is_an_image(fakes: Fakes) -> None:
    """Row i of a picture holds 32 lines of 32 pixels."""
    content = {}
    for k, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        array = np.zeros((4, 32, 32, 3), np.uint8)
        array[:, 0, 0, 0] = 4 * k + np.arange(4)
        array[:, 1, 2] = (10, 20, 30)  # line 1, column 2
        content[f"{name}.png"] = png(array.reshape(4, 1024, 3))
    content["train_lables.json"] = json.dumps([i % 10 for i in range(20)]).encode()
    content["test_lables.json"] = b"[3, 8, 8, 0]"
    fakes.add(images, "cifar10", content)
    data = load(DataOptions(source="cifar10"))
    assert (numbered(data.validation), numbered(data.test)) == ({18, 19}, {20, 21, 22, 23})
    batch = data.test.raw(torch.arange(4))
    assert batch["image"].shape == (4, 3, 32, 32)
    assert batch["image"][0, :, 1, 2].tolist() == [10, 20, 30]
    assert batch["label"].tolist() == [3, 8, 8, 0]
    assert data.spec["label"].classes[3] == "cat"


def test_faces_stand_upright_and_every_person_is_in_every_split(fakes: Fakes) -> None:
    from scipy.io import savemat

    faces = np.zeros((64, 64, 400), np.uint8)  # column-major: the file's columns hold transposed images
    faces[5, 7] = np.arange(400) % 251
    out = io.BytesIO()
    savemat(out, {"faces": faces.transpose(1, 0, 2).reshape(4096, 400)})
    fakes.add(images, "olivetti", {"olivettifaces.mat": out.getvalue()})
    data = load(DataOptions(source="olivetti"))
    for split, each in ((data.train, 8), (data.validation, 1), (data.test, 1)):
        assert isinstance(split, ImageSplit)
        assert split.labels is not None
        assert split.labels.bincount().tolist() == [each] * 40
    image = data.train.raw(torch.arange(320))["image"]
    assert image.shape[1:] == (1, 64, 64)
    assert int(image.sum()) == int(image[:, 0, 5, 7].sum()) > 0


def make_emoji() -> dict[str, bytes]:
    """Twenty hands and faces, of which one has two skin tones, in two styles."""
    listed: list[dict[str, Any]] = []
    names: list[dict[str, Any]] = []
    for i in range(20):
        code = f"1F{600 + i}"
        listed.append({"name": f"FACE {i}", "unified": code, "image": f"{code.lower()}.png", "sort_order": i})
        names.append({"label": f"face {i}", "hexcode": code, "tags": ["face", str(i)], "group": i % 2})
    tones = {f"1F3F{k}": f"1F605-1F3F{k}" for k in "BC"}
    listed[5]["skin_variations"] = {t: {"unified": c, "image": f"{c.lower()}.png"} for t, c in tones.items()}
    names[5]["skins"] = [
        {"label": f"face 5: tone {t}", "hexcode": f"{code}-FE0F", "group": 1, "tone": t}
        for t, code in enumerate(tones.values(), 1)
    ]
    content = {"emoji.json": json.dumps(listed).encode(), "names.json": json.dumps(names).encode()}
    files = [e["image"] for e in listed] + [f"{c.lower()}.png" for c in tones.values()]
    for k, style in enumerate(emoji.STYLES):
        for i, file in enumerate(files):
            array = np.zeros((64, 64, 4), np.uint8)
            array[0, 0] = (i, k, 0, 255)
            content[f"{style}/{file}"] = png(array)
    return content


def test_emoji_pair_up_and_tones_stay_together(fakes: Fakes, own_cache: Path) -> None:
    fakes.add(emoji, "emoji", make_emoji())
    data = load(DataOptions(source="emoji"))
    rows = [json.loads(line) for line in (own_cache / "data" / "emoji" / "captions.jsonl").read_text().splitlines()]
    assert len(rows) == 44 == len(data.train) + len(data.validation) + len(data.test)
    by_file = {row["file"]: row for row in rows}
    for row in rows:
        other = by_file[row["pair"]]
        assert other["style"] != row["style"]
        assert other["pair"] == row["file"]
        assert all(other[key] == row[key] for key in ("name", "tags", "group", "tone", "base", "split"))
    tone = by_file["google/1f605-1f3fb.png"]
    assert tone["name"] == "face 5: tone 1"
    assert (tone["tone"], tone["base"], tone["tags"]) == (["light"], "1f605", ["face", "5"])
    homes: dict[str, set[str]] = {}
    for row in rows:
        homes.setdefault(row["base"], set()).add(row["split"])
    assert all(len(found) == 1 for found in homes.values())
    assert {next(iter(found)) for found in homes.values()} == {"train", "validation", "test"}
    for split, name in ((data.train, "train"), (data.validation, "validation"), (data.test, "test")):
        assert len(split) == sum(row["split"] == name for row in rows)
    image = data.train.raw(torch.arange(len(data.train)))["image"]
    assert bool((image[:, :, 1:] == 255).all())  # laid on white
    assert data.spec["label"].classes == emoji.GROUPS


def test_openmoji_is_drawn_by_resvg_or_says_what_is_missing(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"hexcode": f"A{i}", "group": "flags" if i % 2 else "animals"} for i in range(10)]
    listed.append({"hexcode": "A3-1F3FB", "group": "flags", "skintone_base_hexcode": "A3"})
    content = {"openmoji.json": json.dumps(listed).encode()}
    for i, each in enumerate(listed):
        content[f"color/{each['hexcode']}.svg"] = content[f"black/{each['hexcode']}.svg"] = bytes([i])
    fakes.add(emoji, "openmoji", content)
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(NotFound, match="pip install resvg-py"):
        load(DataOptions(source="openmoji"))

    def draw(svg_path: str, width: int, height: int, **_: Any) -> bytes:
        return png(np.full((height, width, 3), Path(svg_path).read_bytes()[0], np.uint8))

    monkeypatch.setitem(sys.modules, "resvg_py", SimpleNamespace(svg_to_bytes=draw))
    data = load(DataOptions(source="openmoji"))
    parts = [numbered(s) for s in (data.train, data.validation, data.test)]
    assert sorted(n for part in parts for n in part) == list(range(11))
    assert any({3, 10} <= part for part in parts)  # a tone goes with its emoji
    assert data.spec["label"].classes == ("animals", "flags")


def test_shakespeare_is_cut_at_nine_tenths(fakes: Fakes) -> None:
    fakes.add(text, "tinyshakespeare", {"tinyshakespeare.txt": b"To be, or not to be.\n" * 100})
    data = load(DataOptions(source="tinyshakespeare", context=16))
    assert len(data.train) == 1890 - 15
    assert len(data.validation) == len(data.test) == 210 - 15


def test_names_are_mixed_and_no_name_is_in_two_parts(fakes: Fakes) -> None:
    names = [f"{chr(97 + i)}{chr(97 + j)}" for i in range(10) for j in range(20)]
    fakes.add(text, "names", {"names.txt": "\n".join([*names, *names[:7]]).encode()})
    parts = [part.split() for part in texts(load(DataOptions(source="names", context=4)))]
    assert [len(part) for part in parts] == [160, 20, 20]
    assert sorted(name for part in parts for name in part) == names
    assert parts[0] != sorted(parts[0])


def test_published_parts_stay_where_they_are(fakes: Fakes) -> None:
    fakes.add(text, "wikitext2", {"valid.txt": b"a" * 90 + b"b" * 10, "test.txt": b"a" * 30})
    assert texts(load(DataOptions(source="wikitext2", context=4)))[1:] == ["\ufffd" * 10, "a" * 30]
    lines = {f"{p}.en": f"{p}\n".encode() * 9 for p in ("train", "val", "test_2016_flickr")}
    fakes.add(text, "multi30k", lines)
    data = load(DataOptions(source="multi30k", context=4, tokenizer="byte"))
    assert [part.split()[0] for part in texts(data)] == ["train", "val", "test_2016_flickr"]


def test_records_become_text_and_stay_whole(fakes: Fakes) -> None:
    rows = [{"prompt": f" ask {i} ", "completion": f"answer {i}<|endoftext|>"} for i in range(30)]
    fakes.add(text, "summaries", {"summaries.jsonl": "\n".join(map(json.dumps, rows)).encode()})
    parts = texts(load(DataOptions(source="summaries", context=4)))
    found = [record for part in parts for record in part.strip().split("\n\n")]
    assert sorted(found) == sorted(f"ask {i}\nanswer {i}" for i in range(30))
    rows = [{"chosen": f"\n\nHuman: {i}\n\nAssistant: good", "rejected": "bad"} for i in range(30)]
    fakes.add(text, "preferences", {"preferences.jsonl": "\n".join(map(json.dumps, rows)).encode()})
    parts = texts(load(DataOptions(source="preferences", context=4)))
    assert sum(part.count("Assistant: good") for part in parts) == 30
    assert "bad" not in "".join(parts)
    talk = {
        str(i): {"messages": [[{"text": f"Hello  {i}", "sender": "x"}], [{"text": "Hi", "sender": "y"}]]}
        for i in range(30)
    }
    fakes.add(text, "chitchat", {"chitchat.json": json.dumps(talk).encode()})
    parts = texts(load(DataOptions(source="chitchat", context=4)))
    assert sum(part.count("B: Hi\n") for part in parts) == 30
    assert all(f"A: Hello {i}\nB: Hi\n" in "".join(parts) for i in range(30))


def test_every_hundredth_molecule_validates(fakes: Fakes) -> None:
    lines = ["C" * (1 + i % 7) + "N" * (i // 100) for i in range(350)]
    content = {"train.csv": lines, "test.csv": ["CCO"] * 5, "test_scaffolds.csv": ["c1ccccc1"]}
    packed = {name: ("SMILES\n" + "\n".join(held) + "\n").encode() for name, held in content.items()}
    fakes.add(molecules, "molsets", packed)
    rows = load(DataOptions(source="molsets"))
    assert isinstance(rows.train, MoleculeSplit)
    assert isinstance(rows.validation, MoleculeSplit)
    assert rows.validation.smiles(torch.arange(len(rows.validation))) == lines[99::100]
    assert len(rows.train) == 347
    train, validation, test = texts(load(DataOptions(source="molsets", context=4, tokenizer="byte", read="text")))
    assert validation.split() == lines[99::100]
    assert train.split() == [line for i, line in enumerate(lines) if i % 100 != 99]
    assert test == "CCO\n" * 5
    assert molecules.lines_apart(b"a\nbb\nccc\n", 2) == (b"a\nccc\n", b"bb\n")
