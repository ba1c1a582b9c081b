"""Data sets by name: fixed splits, the same every time, fast batches, and downloads that can be trusted."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from genloom.core import Step
from genloom.data import DataOptions, Dataset, augment, catalogue, describe, load
from genloom.data import builtin as builtin_module
from genloom.data.cache import fetch
from genloom.data.dataset import ImageSplit
from genloom.errors import BadData, BadValue, Damaged, NotFound
from genloom.modalities.image import to_float


@pytest.fixture(scope="module")
def stdlib() -> Dataset:
    return load(DataOptions(source="python-stdlib", context=64))


def test_mnist_has_its_fixed_balanced_splits() -> None:
    data = load(DataOptions(source="mnist"))
    assert [len(s) for s in (data.train, data.validation, data.test)] == [3000, 1000, 1000]
    assert data.spec["image"].shape == (1, 28, 28)
    assert data.spec["label"].classes == tuple("0123456789")
    seen = []
    for split, each in ((data.train, 300), (data.validation, 100), (data.test, 100)):
        assert isinstance(split, ImageSplit)
        assert split.labels is not None
        assert split.labels.bincount().tolist() == [each] * 10
        images = split.raw(torch.arange(len(split)))["image"]
        seen += [hashlib.sha256(i.numpy().tobytes()).hexdigest() for i in images]
    assert len(set(seen)) >= 4999  # nothing is in two splits
    first = data.train.batch(torch.arange(20))
    assert first["label"].bincount(minlength=10).tolist() == [2] * 10  # every prefix is balanced
    assert data.digest == load(DataOptions(source="mnist")).digest


def test_the_content_of_mnist_is_pinned() -> None:
    data = load(DataOptions(source="mnist"))
    first = data.train.raw(torch.arange(3000))
    assert hashlib.sha256(first["image"].numpy().tobytes()).hexdigest()[:16] == "9463ff4b80434631"


@pytest.mark.parametrize("writable", [True, False])
def test_the_cache_only_saves_time(own_cache: Path, monkeypatch: pytest.MonkeyPatch, writable: bool) -> None:
    if not writable:
        (own_cache / "file").write_text("")
        monkeypatch.setenv("GENLOOM_CACHE", str(own_cache / "file" / "below"))
    one, two = load(DataOptions(source="digits")), load(DataOptions(source="digits"))
    assert one.digest == two.digest
    assert len(list(own_cache.glob("arrays/*.npy"))) == int(writable)
    for file in own_cache.glob("arrays/*.npy"):
        file.write_bytes(file.read_bytes()[:100])  # a damaged cache is made anew
        assert load(DataOptions(source="digits")).digest == one.digest


def test_batches_lie_in_the_models_range_and_own_their_memory() -> None:
    data = load(DataOptions(source="digits"))
    index = torch.tensor([5, 0, 5])
    batch, raw = data.train.batch(index), data.train.raw(index)
    assert batch["image"].dtype == torch.float32
    assert batch["image"].shape == (3, 1, 8, 8)
    assert torch.equal(batch["image"], to_float(raw["image"]))
    assert batch["image"].min() == -1
    assert batch["image"].max() == 1
    batch["image"].zero_()
    assert torch.equal(data.train.raw(index)["image"], raw["image"])
    assert data.train.batch(torch.empty(0, dtype=torch.int64))["image"].shape == (0, 1, 8, 8)
    with pytest.raises(IndexError):
        data.train.batch(torch.tensor([len(data.train)]))


def test_options_shape_images_and_change_the_digest() -> None:
    plain = load(DataOptions(source="digits"))
    large = load(DataOptions(source="digits", size="12x10", channels="rgb", labels=False, limit=7))
    assert large.spec["image"].shape == (3, 12, 10)
    assert "label" not in large.spec
    assert set(large.train.batch(torch.arange(2))) == {"image"}
    assert len(large.train) == 7
    assert plain.digest != large.digest
    assert any("12x10" in note for note in large.notes)
    everything = load(DataOptions(source="digits", validation="test"))
    assert len(everything.train) == len(plain.train) + len(plain.validation)
    assert everything.validation.raw(torch.arange(9))["image"].equal(plain.test.raw(torch.arange(9))["image"])


def test_python_sources_become_windows(stdlib: Dataset) -> None:
    assert stdlib.tokenizer is not None
    train = stdlib.train
    assert train.items == (len(train) + 63) // 64
    assert 0.8 < train.items / (train.items + stdlib.validation.items + stdlib.test.items) < 0.95
    batch = train.batch(torch.tensor([0, 1, len(train) - 1]))
    assert batch["text"].dtype == torch.int64
    assert batch["text"].shape == (3, 64)
    assert torch.equal(batch["text"][0, 1:], batch["text"][1, :-1])
    assert int(batch["text"].max()) < stdlib.tokenizer.size
    text = stdlib.tokenizer.decode(train.raw(torch.arange(0, 64 * 400, 64))["text"].flatten())
    assert "import " in text
    again = load(DataOptions(source="python-stdlib", context=64))
    assert again.digest == stdlib.digest


def test_only_the_librarys_own_source_is_read(stdlib: Dataset) -> None:
    root = Path(os.__file__).parent
    names = {f.relative_to(root).as_posix() for f in builtin_module.stdlib_files(root)}
    assert "os.py" in names
    assert not [n for n in names if "site-packages" in n or "/test/" in n or n.startswith("_sysconfigdata")]


def test_bad_options_are_refused_in_one_line() -> None:
    for options, error, words in (
        (DataOptions(source="mnits"), NotFound, "did you mean 'mnist'"),
        (DataOptions(source="nothing-like-it-anywhere"), NotFound, "genloom data list"),
        (DataOptions(source="no/such/folder"), NotFound, "there is no no/such/folder"),
        (DataOptions(source=""), NotFound, "unknown data set"),
        (DataOptions(source="digits", limit=0), BadValue, "1 or more"),
        (DataOptions(source="digits", size="big"), BadValue, "expected a size"),
        (DataOptions(source="digits", size="0"), BadValue, "expected a size"),
        (DataOptions(source="python-stdlib", context=1), BadValue, "at least 2"),
        (DataOptions(source="python-stdlib", context=50_000_000), BadData, "fewer than a context"),
    ):
        with pytest.raises(error, match=words) as caught:
            load(options)
        assert "\n" not in str(caught.value)


def test_cards_and_descriptions_are_complete(stdlib: Dataset) -> None:
    for name, card in catalogue().items():
        assert all((card.title, card.source, card.licence, card.items)), name
        assert card.citation.startswith("@"), name
        assert card.modality in ("image", "text")
    said = describe(stdlib)
    assert said["items"]["train"] == stdlib.train.items
    assert said["fields"]["text"]["vocabulary"] == stdlib.spec["text"].vocabulary
    assert describe(load(DataOptions(source="digits")))["train_classes"]["0"] > 100


def test_flip_mirrors_about_half_and_only_by_the_steps_draws() -> None:
    data = load(DataOptions(source="digits", flip=True))
    batch = data.train.batch(torch.arange(400))

    def flipped(seed: int) -> torch.Tensor:
        got = augment(batch, data.spec, data.options, Step(seed=seed, rows=(0, 400, 400)))
        assert torch.equal(got["label"], batch["label"])
        same = (got["image"] == batch["image"]).flatten(1).all(1)
        mirrored = (got["image"] == batch["image"].flip(-1)).flatten(1).all(1)
        assert bool((same | mirrored).all())
        return mirrored & ~same

    assert 150 < int(flipped(1).sum()) < 250
    assert torch.equal(flipped(1), flipped(1))
    assert not torch.equal(flipped(1), flipped(2))
    assert augment(batch, data.spec, DataOptions(source="digits"), Step(seed=1)) is batch


def write_fashion(folder: Path) -> dict[str, str]:
    """Four small files in the format of Fashion-MNIST; their sha256 by name."""
    folder.mkdir(parents=True)
    out = {}
    for prefix, n in (("train", 60_000), ("t10k", 10_000)):
        images = bytes(16) + np.tile(np.arange(49, dtype=np.uint8).repeat(16), n).tobytes()
        labels = bytes(8) + (np.arange(n) % 10).astype(np.uint8).tobytes()
        for name, content in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
            out[name] = hashlib.sha256(content).hexdigest()
    return out


def test_fashion_is_read_from_the_data_folder_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = write_fashion(tmp_path / "fashion-mnist")
    monkeypatch.setenv("GENLOOM_DATA", str(tmp_path))
    monkeypatch.setattr(builtin_module, "FASHION_DEBIAN", tmp_path / "none")
    with pytest.raises(Damaged, match="not the published file"):
        load(DataOptions(source="fashion-mnist"))
    monkeypatch.setattr(builtin_module, "FASHION_FILES", hashes)
    data = load(DataOptions(source="fashion-mnist"))
    assert [len(s) for s in (data.train, data.validation, data.test)] == [55_000, 5_000, 10_000]
    assert data.spec["label"].classes[0] == "T-shirt/top"
    assert data.train.batch(torch.tensor([12]))["label"].item() == 2
    whole = load(DataOptions(source="fashion-mnist", validation="test"))
    assert len(whole.train) == 60_000


def test_shakespeare_is_cut_at_nine_tenths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "To be, or not to be.\n" * 100
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "tinyshakespeare.txt").write_text(text)
    monkeypatch.setenv("GENLOOM_DATA", str(tmp_path))
    monkeypatch.setattr(builtin_module, "SHAKESPEARE_SHA256", hashlib.sha256(text.encode()).hexdigest())
    data = load(DataOptions(source="tinyshakespeare", context=16))
    assert len(data.train) == 1890 - 15
    assert len(data.validation) == len(data.test) == 210 - 15


CONTENT = bytes(range(256)) * 4000


class Server(BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.asked.append(wanted)
        if self.path != "/file":
            self.send_error(404)
            return
        start = int(wanted[6:-1]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:])

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Server.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_interrupted_download_goes_on_where_it_stopped(address: str, own_cache: Path) -> None:
    good = hashlib.sha256(CONTENT).hexdigest()
    part = own_cache / "downloads" / "x.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:1000])
    assert fetch(f"{address}/file", "x", good, "hint") == CONTENT
    assert Server.asked == ["bytes=1000-"]
    assert fetch(f"{address}/gone", "x", good, "hint") == CONTENT  # from the cache
    assert [p.name for p in part.parent.iterdir()] == ["x"]
    part.write_bytes(b"something else")  # and a wrong beginning is thrown away
    (own_cache / "downloads" / "x").unlink()
    assert fetch(f"{address}/file", "x", good, "hint") == CONTENT


def test_downloads_that_fail_leave_nothing_and_say_what_to_do(address: str, own_cache: Path) -> None:
    with pytest.raises(NotFound, match=r"404.*install it"):
        fetch(f"{address}/other", "x", "0" * 64, "install it")
    with pytest.raises(NotFound, match=r"cannot be reached.*install it"):
        fetch("http://127.0.0.1:9/file", "x", "0" * 64, "install it")
    with pytest.raises(Damaged, match="another sha256"):
        fetch(f"{address}/file", "x", "0" * 64, "install it")
    assert not list((own_cache / "downloads").iterdir())
