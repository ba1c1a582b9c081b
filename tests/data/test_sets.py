"""Data sets that come with the installation: fixed splits, the same every time, fast batches."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch

from genloom.core import Step
from genloom.data import DataOptions, Dataset, augment, describe, load
from genloom.data.parts import ImageSplit
from genloom.data.sets.stdlib import stdlib_files
from genloom.errors import BadData, BadValue, NotFound
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
    names = {f.relative_to(root).as_posix() for f in stdlib_files(root)}
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


def test_descriptions_are_complete(stdlib: Dataset) -> None:
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
