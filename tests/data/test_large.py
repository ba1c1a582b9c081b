"""Data that do not fit into memory: decoded, converted and tokenised once into stores, mapped from then on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from genloom.data import DataOptions, Dataset, load
from genloom.data import folder as folder_module
from genloom.data import pictures as pictures_module
from genloom.data.column import Column
from genloom.data.decode import decode
from genloom.data.listing import scan
from genloom.data.store import Draft, Source, Store, obtain
from genloom.errors import BadValue, Storage

SEEN = "genloom.data.pictures.read_picture"


def get(path: Path, **options: object) -> Dataset:
    return load(DataOptions(source=str(path), **options))  # type: ignore[arg-type]


def mixed(path: Path, n: int = 24, seed: int = 0) -> Path:
    """Pictures of many sizes, modes and formats in three classes, some turned by their EXIF note, one broken."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        place = path / "abc"[i % 3]
        place.mkdir(parents=True, exist_ok=True)
        h, w = rng.integers(10, 90, 2)
        image = Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8))
        exif = Image.Exif()
        exif[0x0112] = 6
        if i % 4 == 0:
            image.save(place / f"{i}.jpg", exif=exif)
        else:
            image.convert(("", "L", "RGBA", "CMYK")[i % 4]).save(place / f"{i}.{('', 'png', 'png', 'tif')[i % 4]}")
    (path / "b" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n then nothing")
    return path


def plain(path: Path, n: int, start: int = 0, mode: str = "L", side: int = 12) -> Path:
    path.mkdir(exist_ok=True)
    rng = np.random.default_rng(start)
    for i in range(start, start + n):
        shape = (side, side) if mode == "L" else (side, side, 3)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path / f"{i:04}.png")
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are decoded from now on."""
    names: list[str] = []
    real = pictures_module.read_picture

    def read(path: str, *rest: object) -> object:
        names.append(os.path.basename(path))
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(SEEN, read)
    return names


def stores(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "stores").iterdir() if p.suffix != ".lock")


def everything(data: Dataset) -> list[tuple[bytes, int, str]]:
    """(pixels, class, split) of every item."""
    found = []
    for name in ("train", "validation", "test"):
        split = getattr(data, name)
        raw = split.raw(torch.arange(len(split)))
        labels = raw["label"].tolist() if "label" in raw else [0] * len(split)
        found += [(i.numpy().tobytes(), k, name) for i, k in zip(raw["image"], labels, strict=True)]
    return sorted(found)


# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"size": "20x30", "resize": "pad", "channels": "grey"}])
def test_the_store_holds_what_decoding_each_file_gives(tmp_path: Path, options: dict[str, str]) -> None:
    path = mixed(tmp_path / "m")
    data = get(path, **options)
    channels, height, width = data.spec["image"].shape
    assert (channels, height, width) == ((1, 20, 30) if options else (3, 64, 64))
    want = []
    for i, kind in enumerate("abc"):
        for file in sorted((path / kind).iterdir()):
            array = decode(file, (height, width), options.get("resize", "crop"))
            if array is None:
                assert file.name == "broken.png"
                continue
            if channels == 1:
                grey = np.asarray(Image.fromarray(array).convert("L")).astype(int)
                want.append((grey, i))
            else:
                rgb = array if array.ndim == 3 else np.repeat(array[:, :, None], 3, 2)
                want.append((rgb.transpose(2, 0, 1).astype(int), i))
    have = everything(data)
    assert len(have) == len(want) == 24
    for pixels, label, _ in have:
        image = np.frombuffer(pixels, np.uint8).astype(int).reshape((channels, height, width))
        image = image[0] if channels == 1 else image
        least = min(np.abs(image - w).max() for w, k in want if k == label)
        assert least <= (1 if channels == 1 else 0)  # ITU-R 601 is rounded in two ways
    assert sum(s == "train" for *_, s in have) == 18


def test_the_second_time_no_file_is_decoded(tmp_path: Path, decoded: list[str], own_cache: Path) -> None:
    path = mixed(tmp_path / "m")
    first = get(path)
    assert len(decoded) >= 25
    decoded.clear()
    again = get(path)
    assert decoded == []
    assert again.digest == first.digest
    assert everything(again) == everything(first)
    assert again.notes == first.notes
    assert any("b/broken.png" in note for note in again.notes)
    for options in ({"limit": 5}, {"labels": False}, {"flip": True}, {"validation": "test"}):
        get(path, **options)  # nothing of this changes pixels
    assert decoded == []
    assert len(stores(own_cache)) == 1


@pytest.mark.parametrize("change", ["added", "removed", "rewritten", "touched"])
def test_a_change_of_any_file_is_seen(tmp_path: Path, change: str, own_cache: Path) -> None:
    path = plain(tmp_path / "p", 20)
    before = get(path)
    kept = stores(own_cache)
    if change == "added":
        plain(path, 1, start=90)
    elif change == "removed":
        (path / "0003.png").unlink()
    elif change == "rewritten":
        plain(path, 1, start=3)
    else:
        os.utime(path / "0003.png", ns=(1, 1))
    after = get(path)
    count = {"added": 21, "removed": 19}.get(change, 20)
    assert len(everything(after)) == count
    assert (after.digest == before.digest) == (change == "touched")
    assert len(stores(own_cache)) == 1  # the old one can never be of use again
    assert stores(own_cache) != kept


def test_a_guess_that_a_late_file_disproves_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_module, "_PROBED", 2)
    monkeypatch.setattr(pictures_module, "_BLOCK", 1)  # blocks of 16 files
    path = plain(tmp_path / "p", 60)
    assert get(path).spec["image"].shape == (1, 12, 12)
    Image.fromarray(np.full((12, 12, 3), (9, 0, 0), np.uint8)).save(path / "0050.png")
    assert get(path).spec["image"].shape == (3, 12, 12)
    Image.fromarray(np.full((12, 13), 7, np.uint8)).save(path / "0055.png")
    data = get(path)
    assert data.spec["image"].shape == (3, 64, 64)
    assert any("from 12x12 to 12x13" in note for note in data.notes)
    assert len(everything(data)) == 60


def test_what_was_interrupted_is_no_store_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path, decoded: list[str]
) -> None:
    monkeypatch.setattr(pictures_module, "_BLOCK", 1)
    path = plain(tmp_path / "p", 100)
    counted = pictures_module.read_picture

    def interrupt(file: str, *rest: object) -> object:
        if file.endswith("0070.png"):
            raise KeyboardInterrupt
        return counted(file, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(SEEN, interrupt)
        patch.setattr(pictures_module, "_PROBED", 2)
        with pytest.raises(KeyboardInterrupt):
            get(path)
    assert [name.endswith(".part") for name in stores(own_cache)] == [True]
    decoded.clear()
    data = get(path)
    assert sorted(decoded) == [f"{i:04}.png" for i in range(64, 100)]  # four blocks were there
    assert [name.endswith(".part") for name in stores(own_cache)] == [False]
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "another"))
    whole = get(path)
    assert whole.digest == data.digest
    assert everything(whole) == everything(data)


def test_a_killed_process_leaves_nothing_that_is_taken_for_a_store(tmp_path: Path, own_cache: Path) -> None:
    path = plain(tmp_path / "p", 64)
    code = (
        "import os, sys\nfrom genloom.data import DataOptions, load, column, pictures, store\n"
        "pictures._BLOCK, column._FLUSH = 1, 1\nadd = store.Draft.append\n"
        "def once(self, **blocks):\n"
        "    self.columns['images'].append(blocks['images'][:5])\n"  # in the midst of the first block
        "    self.columns['images']._file.flush()\n    os._exit(9)\n"
        "store.Draft.append = once\nload(DataOptions(source=sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=os.environ | {"GENLOOM_CACHE": str(own_cache)})
    assert done.returncode == 9
    assert [name.endswith(".part") for name in stores(own_cache)] == [True]
    want = {np.asarray(Image.open(f)).tobytes() for f in path.iterdir()}
    assert {pixels for pixels, *_ in everything(get(path))} == want


@pytest.mark.parametrize("harm", ["cut", "empty", "gone", "words"])
def test_a_damaged_store_is_made_anew(tmp_path: Path, own_cache: Path, harm: str) -> None:
    path = plain(tmp_path / "p", 20)
    first = everything(get(path))
    found = own_cache / "stores" / stores(own_cache)[0]
    if harm == "cut":
        os.truncate(found / "images.npy", 500)
    elif harm == "empty":
        (found / "keys.npy").write_bytes(b"")
    elif harm == "gone":
        (found / "state.npy").unlink()
    else:
        (found / "about.json").write_text("[]")
    assert everything(get(path)) == first


def test_without_a_cache_pictures_stay_in_memory_if_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plain(tmp_path / "p", 20)
    want = get(path)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "file" / "cache"))
    data = get(path)
    assert everything(data) == everything(want)
    assert any("kept in memory" in note for note in data.notes)
    assert data.digest == want.digest
    memory = SimpleNamespace(available=1000)
    monkeypatch.setattr("genloom.data.store.psutil.virtual_memory", lambda: memory)
    with pytest.raises(Storage, match=r"cannot write .* would have to stay in memory") as caught:
        get(path)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_with_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    path = plain(tmp_path / "p", 20)
    monkeypatch.setattr("genloom.data.store.shutil.disk_usage", lambda place: SimpleNamespace(free=70 << 20))
    get(path)  # fits
    plain(path, 1, start=90)
    monkeypatch.setattr("genloom.data.store.shutil.disk_usage", lambda place: SimpleNamespace(free=64 << 20))
    data = get(path)
    assert any("has 67.1 MB free" in note and "GENLOOM_CACHE" in note for note in data.notes)
    monkeypatch.setattr("genloom.data.store.psutil.virtual_memory", lambda: SimpleNamespace(available=10))
    with pytest.raises(Storage, match=r"takes 0\.0 MB in the cache.*67\.1 MB free"):
        get(path)
    assert not [name for name in stores(own_cache) if name.endswith(".part")]


def test_a_file_that_may_be_read_at_last_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plain(tmp_path / "p", 20)
    real = pictures_module.read_picture

    def refuse(file: str, *rest: object) -> object:
        if file.endswith("0004.png"):
            return SimpleNamespace(pixels=None, height=0, width=0, refused=True)
        return real(file, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(SEEN, refuse)
        patch.setattr("genloom.data.pictures.os.access", lambda *_: False)
        for _ in range(2):
            assert any("1 of 20" in note and "0004.png" in note for note in get(path).notes)
    assert len(everything(get(path))) == 20


def test_several_processes_make_one_store(tmp_path: Path, own_cache: Path) -> None:
    path = plain(tmp_path / "p", 300)
    code = "import sys\nfrom genloom.data import DataOptions, load\nprint(load(DataOptions(source=sys.argv[1])).digest)"
    command = [sys.executable, "-c", code, str(path)]
    environment = os.environ | {"GENLOOM_CACHE": str(own_cache)}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    digests = {p.communicate()[0] for p in running}
    assert digests == {get(path).digest + "\n"}
    assert len(stores(own_cache)) == 1


def test_the_listing_is_sorted_and_leaves_out_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b/2.png", "a.png", "b/1.PNG", ".hidden/3.png", "__MACOSX/4.png", "b/.5.png", "c.txt", "d.png/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"123")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = scan(tmp_path, frozenset((".png", ".txt")))
    assert found.names == ["a.png", "b/1.PNG", "b/2.png", "broken.png", "c.txt", "d.png/e.png"]
    assert found.sizes.tolist() == [3, 3, 3, -1, 3, 3]
    assert found.only(frozenset((".txt",))).names == ["c.txt"]
    assert found.only(frozenset((".txt",))).fingerprint != found.fingerprint


def test_a_recorded_rule_places_pictures_and_reads_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.data.splitting import SPLIT, Rule, record

    path = plain(tmp_path / "p", 60)
    (path / "zz.png").write_bytes(b"broken")
    names = scan(path, folder_module.ENDINGS).names
    record(path, names, Rule("folds", folds=3, shares=(0.7, 0.1, 0.2)), path / SPLIT)
    one, two = get(path, fold=1), get(path, fold=2)
    assert one.digest != two.digest
    assert any("fold 1 of 3" in note for note in one.notes)
    held = [{p for p, _, s in everything(d) if s == "test"} for d in (one, two)]
    assert held[0] == held[1] != set()
    validated = [{p for p, _, s in everything(d) if s == "validation"} for d in (one, two)]
    assert not validated[0] & validated[1]
    rule = tmp_path / "other.json"
    record(path, names, Rule(seed=5), rule)
    assert get(path, split=str(rule)).digest not in (one.digest, two.digest)

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(folder_module, "rows_of", never)
    assert get(path, fold=1).digest == one.digest
    assert get(path, fold=1).notes == one.notes
    with pytest.raises(AssertionError):
        get(path, fold=3)


# -- arrays ------------------------------------------------------------------------------------------------------------


def numbered(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)


ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bytes": lambda x: x,
    "floats": lambda x: (x / 255).astype(np.float32),
    "signed": lambda x: x / 127.5 - 1,
    "whole": lambda x: x.astype(np.int32),
    "columns": lambda x: np.asfortranarray(x),
    "planes": lambda x: np.ascontiguousarray(x.transpose(0, 3, 1, 2)),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("options", [{}, {"size": "9", "channels": "grey"}])
def test_arrays_on_disk_give_what_arrays_in_memory_give(
    tmp_path: Path, kind: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", ARRAYS[kind](numbered(60, 7, 5, 3)))
    np.savez_compressed(tmp_path / "x.npz", x=ARRAYS[kind](numbered(60, 7, 5, 3)), y=np.arange(60) % 3)
    want = [get(tmp_path / name, **options) for name in ("x.npy", "x.npz")]
    monkeypatch.setattr("genloom.data.arrays._MAP_FROM", 0)
    monkeypatch.setattr("genloom.data.arrays._BLOCK", 2000)  # several blocks
    for _ in range(2):
        have = [get(tmp_path / name, **options) for name in ("x.npy", "x.npz")]
        for a, b in zip(have, want, strict=True):
            assert everything(a) == everything(b)
            assert a.digest == b.digest
            assert a.notes == b.notes
        monkeypatch.setattr("genloom.data.arrays.content_keys", None)  # the second time nothing is hashed


def test_training_and_test_arrays_on_disk_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = numbered(50, 6, 6)
    np.savez(tmp_path / "x.npz", x_train=x[:40], x_test=x[40:], y_train=np.arange(40) % 4, y_test=np.arange(10) % 4)
    want = get(tmp_path / "x.npz")
    monkeypatch.setattr("genloom.data.arrays._MAP_FROM", 0)
    have = get(tmp_path / "x.npz")
    assert everything(have) == everything(want)
    assert have.digest == want.digest
    assert {p for p, _, s in everything(have) if s == "test"} == {i.tobytes() for i in x[40:]}


# -- texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer", ["char", "byte", "bpe"])
@pytest.mark.parametrize("validation", ["own", "test"])
@pytest.mark.parametrize("kind", ["one", "few", "many"])
def test_texts_read_piece_by_piece_give_the_same_tokens(
    tmp_path: Path, tokenizer: str, validation: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "Größe\r\n漢字 und mehr\r ein🙂 langer Satz ohne Ende, dann \r\n\r\n"
    if kind == "one":
        (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbf" + (words * 60).encode())
        path = tmp_path / "t.txt"
    else:
        path = tmp_path / "t"
        path.mkdir()
        for i in range(4 if kind == "few" else 25):
            (path / f"{i}.txt").write_bytes((f"{i}{words}" * 20).encode())
        (path / "latin.txt").write_bytes(("Größe " * 50).encode("latin-1"))
        (path / "zero.txt").write_bytes(b"a\0b")
        (path / "empty.txt").write_bytes(b"")
    options = {"tokenizer": tokenizer, "vocabulary": 280, "context": 16, "validation": validation}
    want = get(path, **options)
    monkeypatch.setattr("genloom.data.texts._STREAM_FROM", 0)
    monkeypatch.setattr("genloom.data.corpus._PIECE", 7)  # characters and line ends fall apart
    have = get(path, **options)
    monkeypatch.setattr("genloom.data.texts.look", None)  # the second time no text is read
    again = get(path, **options)
    for data in (have, again):
        assert data.digest == want.digest
        assert data.notes == want.notes
        for part in ("train", "validation", "test"):
            assert torch.equal(getattr(data, part).ids, getattr(want, part).ids), part
    if kind != "one":
        assert any("1 of" in n and "zero.txt" in n for n in again.notes)
        with pytest.raises(Exception, match=r"1 of .* files are no text: zero\.txt"):
            get(path, **options, strict=True)


def test_a_learnt_bpe_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat sat on the mat. " * 100)
    first = get(tmp_path / "a.txt", tokenizer="bpe", vocabulary=270, context=8)
    kept = list((own_cache / "tokenizers").iterdir())
    assert len(kept) == 1
    with monkeypatch.context() as patch:
        patch.setattr("genloom.data.texts.BPETokenizer.learn", None)
        assert get(tmp_path / "a.txt", tokenizer="bpe", vocabulary=270, context=8).digest == first.digest
    kept[0].write_text("{")
    assert get(tmp_path / "a.txt", tokenizer="bpe", vocabulary=270, context=8).digest == first.digest


def test_a_bpe_of_a_long_text_is_learnt_from_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genloom.data.texts._LEARN_FROM", 1000)
    monkeypatch.setattr("genloom.data.corpus._PIECE", 100)
    (tmp_path / "a.txt").write_text("the cat sat on the mat.\n" * 500)
    data = get(tmp_path / "a.txt", tokenizer="bpe", vocabulary=270, context=8)
    assert any("every 10th piece" in note for note in data.notes)
    assert data.tokenizer is not None
    assert data.tokenizer.decode(data.train.raw(torch.tensor([0]))["text"][0]).startswith("the cat")


def test_one_text_cannot_be_split_by_a_rule(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc" * 100)
    with pytest.raises(BadValue, match=r"one text.*folder of text files"):
        get(tmp_path / "a.txt", context=8, fold=1)


def test_who_waits_at_a_terminal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    seconds = iter(range(0, 10_000, 2))
    monkeypatch.setattr("genloom.data.store.time.monotonic", lambda: next(seconds))
    monkeypatch.setattr(pictures_module, "_BLOCK", 1)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    path = plain(tmp_path / "p", 40)
    get(path)
    said = terminal.getvalue()
    assert f"{path}: 32 of 40 items read" in said
    assert said.endswith("\r\x1b[K")


# -- the store itself --------------------------------------------------------------------------------------------------


def test_columns_survive_a_stop_between_them(tmp_path: Path) -> None:
    source = Source("kind", tmp_path, "files")
    kinds = {"a": (np.uint8, (3,)), "b": (np.int32, ())}
    draft = Draft(source, tmp_path / "x.part")
    assert draft.begin({"size": 3}, kinds, 10) == 0
    draft.append(a=np.ones((4, 3)), b=np.arange(4))
    draft.append(a=np.zeros((2, 3)))  # and then the lights went out
    draft.close()
    later = Draft(source, tmp_path / "x.part")
    assert later.kept == {"size": 3}
    assert later.begin({"size": 3}, kinds, 10) == 4
    later.append(a=np.full((1, 3), 7), b=np.array([70]))
    later.finish({})
    assert np.load(tmp_path / "x.part" / "a.npy").tolist() == [[1] * 3] * 4 + [[7] * 3]
    assert np.load(tmp_path / "x.part" / "b.npy").tolist() == [0, 1, 2, 3, 70]
    other = Draft(source, tmp_path / "x.part")
    assert other.begin({"size": 4}, kinds, 10) == 0


def test_a_header_has_room_for_any_number_of_rows(tmp_path: Path) -> None:
    column = Column(None, np.uint8, (28, 28, 3))
    assert len({len(column._header(n)) for n in (0, 1, 10**7, 10**12)}) == 1


def test_an_empty_column_and_a_store_that_is_not_usable(tmp_path: Path) -> None:
    made: list[int] = []

    def make(draft: Draft) -> dict[str, int]:
        made.append(1)
        draft.begin({}, {"none": (np.uint8, ())}, 0, resume=False)
        return {"number": len(made)}

    source = Source("kind", tmp_path, "files")
    notes: list[str] = []
    assert obtain(source, make, notes).columns["none"].shape == (0,)
    assert obtain(source, make, notes).about["number"] == 1

    def newer(store: Store) -> bool:
        return bool(store.about["number"] > 1)

    assert obtain(source, make, notes, newer).about["number"] == 2
    assert notes == []


# -- memory ------------------------------------------------------------------------------------------------------------

_PEAK = """
import json, sys, threading, time
import psutil, torch
from genloom.data import DataOptions, arrays, load, texts
arrays._MAP_FROM = texts._STREAM_FROM = 8 << 20
load(DataOptions(source="digits"))
process, most, over = psutil.Process(), 0, threading.Event()
def private():
    now = process.memory_info()
    return now.rss - now.shared
def watch():
    global most
    while not over.wait(0.002):
        most = max(most, private())
start = private()
threading.Thread(target=watch, daemon=True).start()
data = load(DataOptions(source=sys.argv[1], **json.loads(sys.argv[2])))
for i in range(0, len(data.train) - 64, max(64, len(data.train) // 200)):
    data.train.batch(torch.arange(i, i + 64))
over.set()
print((max(most, private()) - start) / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells private memory from mapped files")
@pytest.mark.parametrize("kind", ["floats", "text"])
def test_private_memory_stays_far_below_the_data(tmp_path: Path, kind: str, own_cache: Path) -> None:
    options: dict[str, object] = {}
    if kind == "floats":  # 200 MB of floats, 50 MB of bytes
        path = tmp_path / "x.npy"
        array = np.lib.format.open_memmap(path, "w+", np.float32, (12_500, 1, 64, 64))
        for i in range(0, len(array), 1250):
            array[i : i + 1250] = np.random.default_rng(i).random((1250, 1, 64, 64), np.float32)
        del array
    else:
        path = tmp_path / "x.txt"
        line = "".join(map(chr, np.random.default_rng(0).integers(32, 127, 1 << 20))) + "\n"
        with open(path, "w") as file:
            file.writelines(line for _ in range(50))
        options["context"] = 64
    environment = os.environ | {"GENLOOM_CACHE": str(own_cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _PEAK, str(path), json.dumps(options)]
    used = float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert used < (80 if kind == "floats" else 35)
