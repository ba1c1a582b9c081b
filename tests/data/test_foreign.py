"""Data sets of torchvision, PyTorch and Hugging Face `datasets`: read with transforms, kept once, loaded again."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genloom.cli.main import main
from genloom.data import DataOptions, Dataset, load
from genloom.data.foreign import source_of
from genloom.errors import BadData, GenloomError, NotFound

if os.environ.get("GENLOOM_REQUIRE_ALL") != "1":
    pytest.importorskip("datasets")

CLASSES = ("T-shirt", "Bag", "Boot")
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 10, 8), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "cache"


class Clothes:
    """The shape of a torchvision data set: pictures of Pillow, a transform, targets, class names."""

    def __init__(
        self, root: str = "", train: bool = True, transform: Any = None, target_transform: Any = None,
        download: bool = False,
    ) -> None:  # fmt: skip
        self.data = PIXELS[:40] if train else PIXELS[40:]
        self.targets = [i % 3 for i in range(len(self.data))]
        self.transform, self.classes, self.reads = transform, list(CLASSES), 0
        if root and not download:
            raise RuntimeError("Dataset not found. You can use download=True to download it")

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if index >= len(self.data):
            raise IndexError
        self.reads += 1
        picture: Any = Image.fromarray(self.data[index])
        return (self.transform(picture) if self.transform else picture), self.targets[index]


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """What torchvision's ToTensor does."""
    array = np.asarray(picture)
    return torch.from_numpy(array.copy()).reshape(array.shape[0], array.shape[1], -1).permute(2, 0, 1).float() / 255


def pixels_of(data: Dataset) -> dict[bytes, int]:
    """Every item of all splits: its bytes and its label."""
    found = {}
    for split in (data.train, data.validation, data.test):
        raw = split.raw(torch.arange(len(split)))
        labels = raw["label"].tolist() if "label" in raw else [-1] * len(split)
        found |= {image.numpy().tobytes(): label for image, label in zip(raw["image"], labels, strict=True)}
    return found


EXPECTED = {PIXELS[i].tobytes(): i % 3 for i in range(40)}


@pytest.mark.parametrize(
    "transform",
    [
        None,
        to_tensor,
        lambda p: to_tensor(p) * 2 - 1,
        lambda p: (to_tensor(p) * 255).to(torch.uint8),
        lambda p: np.asarray(p),
        lambda p: to_tensor(p)[0],
        lambda p: np.asarray(p, np.int64)[:, :, None],
    ],
    ids=["pillow", "floats from 0", "floats from -1", "bytes", "array", "two dimensions", "whole numbers"],
)
def test_pictures_arrive_bit_for_bit_whatever_the_transform_makes_of_them(transform: Any) -> None:
    data = load(DataOptions(source=source_of(Clothes(transform=transform))))
    assert pixels_of(data) == EXPECTED
    assert data.spec["image"].shape == (1, 10, 8)
    assert data.spec["label"].classes == CLASSES
    assert data.name == "clothes"
    assert [s.items for s in (data.train, data.validation, data.test)] == [34, 3, 3]


def test_transforms_shape_the_items() -> None:
    data = load(DataOptions(source=source_of(Clothes(transform=lambda p: p.convert("RGB").resize((6, 6))))))
    assert data.spec["image"].shape == (3, 6, 6)
    wanted = np.asarray(Image.fromarray(PIXELS[3]).convert("RGB").resize((6, 6))).transpose(2, 0, 1)
    assert wanted.tobytes() in pixels_of(data)


def test_own_splits_are_kept_and_others_left_out() -> None:
    found = {"train": Clothes(), "test": Clothes(train=False), "extra": Clothes()}
    data = load(DataOptions(source=source_of(found)))
    assert [s.items for s in (data.train, data.validation, data.test)] == [37, 3, 20]
    test = data.test.raw(torch.arange(20))["image"]
    assert {t.numpy().tobytes() for t in test} == {p.tobytes() for p in PIXELS[40:]}
    assert any("'extra' is not used" in note for note in data.notes)
    whole = load(DataOptions(source=source_of({**found, "valid": Clothes(train=False)})))
    assert [s.items for s in (whole.train, whole.validation, whole.test)] == [40, 20, 20]


def test_an_object_is_kept_once_under_its_content(cache: Path) -> None:
    first = source_of(Clothes())
    assert source_of(Clothes(transform=to_tensor)) == first  # the same pictures
    assert source_of(Clothes(train=False)) != first
    assert len([p for p in (cache / "foreign").iterdir() if p.is_dir()]) == 2
    assert load(DataOptions(source=first)).digest == load(DataOptions(source=first)).digest


class Odd:
    """A few items as they are given."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        item = self.items[index]
        if isinstance(item, Exception):
            raise item
        return item


def grey(height: int, width: int, seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8))


def test_different_sizes_and_colours_are_brought_to_one() -> None:
    mixed = [grey(20, 30, 0), grey(12, 12, 1), *(grey(9, 9, i).convert("RGB") for i in range(2, 12))]
    data = load(DataOptions(source=source_of(Odd(*mixed))))
    assert data.spec["image"].shape == (3, 64, 64)
    assert any("different sizes" in note for note in data.notes)
    assert "label" not in data.spec
    small = load(DataOptions(source=source_of(Odd(*mixed), DataOptions(size="16")), size="16"))
    assert small.spec["image"].shape == (3, 16, 16)
    # floats from -1 that only appear late
    late = [to_tensor(grey(8, 8, i)) for i in range(20)] + [to_tensor(grey(8, 8, i)) - 0.5 for i in range(4)]
    low = load(DataOptions(source=source_of(Odd(*late))))
    assert min(int(x.min()) for x in low.train.raw(torch.arange(low.train.items))["image"]) < 128


def test_items_that_cannot_be_read_are_counted() -> None:
    items = [{"image": grey(8, 8, i), "label": torch.tensor(i % 2)} for i in range(20)]
    items[3] = OSError("truncated file")
    items[7] = {"image": "no picture", "label": 1}
    data = load(DataOptions(source=source_of(Odd(*items))))
    assert sum(s.items for s in (data.train, data.validation, data.test)) == 18
    assert any("2 items cannot be read" in note and "item 3: truncated" in note for note in data.notes)
    with pytest.raises(BadData, match="2 items cannot be read"):
        source_of(Odd(*items), DataOptions(strict=True))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (object(), "gives items by number, got builtins.object"),
        (iter([1]), "gives items by number"),
        (Odd(), "its train split is empty"),
        ({"a": Clothes(), "b": Clothes()}, "one must be called 'train'"),
        (Odd(*[OSError("gone")] * 5), "0 readable images"),
        (Odd(*[torch.randn(3, 8, 8) * 3 for _ in range(5)]), "leave the normalisation out of its transform"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(found: Any, said: str, cache: Path) -> None:
    with pytest.raises(BadData) as caught:
        source_of(found)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("foreign/*"))


def hugging_face(rows: int = 30, **columns: Any) -> Any:
    import datasets

    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES)),
                                  "note": datasets.Value("string")})  # fmt: skip
    table = {
        "img": [Image.fromarray(PIXELS[i]) for i in range(rows)],
        "label": [i % 3 for i in range(rows)],
        "note": [f"number {i}" for i in range(rows)],
    }
    info = datasets.DatasetInfo(
        description="Small clothes.\nMore.", homepage="https://example.org/clothes", license="CC0-1.0",
        citation="@misc{clothes}", features=features,
    )  # fmt: skip
    return datasets.Dataset.from_dict(table, features=features, info=info)


def test_a_table_of_hugging_face_with_its_card() -> None:
    data = load(DataOptions(source=source_of(hugging_face())))
    assert pixels_of(data) == {PIXELS[i].tobytes(): i % 3 for i in range(30)}
    assert data.spec["label"].classes == CLASSES
    assert (data.card.title, data.card.licence, data.card.citation) == ("Small clothes.", "CC0-1.0", "@misc{clothes}")
    assert data.card.source == "https://example.org/clothes"
    assert data.card.items == "30 images"


def test_a_transform_of_hugging_face_is_used() -> None:
    def halve(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        assert set(batch) == {"img", "label", "note"}  # a transform may want every column
        return {**batch, "img": [to_tensor(p.resize((4, 5))) for p in batch["img"]]}

    table = hugging_face()
    table.set_transform(halve)
    data = load(DataOptions(source=source_of(table)))
    assert data.spec["image"].shape == (1, 5, 4)
    assert data.spec["label"].classes == CLASSES


def test_a_folder_of_save_to_disk_is_trained_on_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import datasets

    monkeypatch.chdir(tmp_path)
    datasets.DatasetDict({"train": hugging_face(), "test": hugging_face(12)}).save_to_disk("saved")
    assert main(["data", "show", "hf:saved"]) == 0
    said = capsys.readouterr().out
    assert "27 train, 3 validation, 12 test" in said
    assert "CC0-1.0" in said
    small = ["--config.hidden", "8", "--train.batch", "8", "--train.precision", "fp32"]
    assert main(["train", "vae-mlp", "--data", "hf:saved", "--budget", "3steps", *small]) == 0
    from genloom.runs import Run

    run = Run(Path("runs/0001-vae-mlp"))
    assert run.config["data"]["source"] == f"hf:{tmp_path / 'saved'}"
    run.set_status(state="stopped")
    monkeypatch.chdir("/")
    assert main(["train", "--resume", str(run.path.absolute() if run.path.is_absolute() else tmp_path / run.path)]) == 0
    capsys.readouterr()
    before = load(DataOptions(source=f"hf:{tmp_path / 'saved'}")).digest
    datasets.DatasetDict({"train": hugging_face(20)}).save_to_disk(str(tmp_path / "saved2"))
    assert load(DataOptions(source=f"hf:{tmp_path / 'saved2'}")).digest != before


@pytest.mark.parametrize("splits", ["one", "two", "three"])
def test_texts_of_hugging_face(splits: str) -> None:
    import datasets

    def table(word: str, rows: int) -> Any:
        return datasets.Dataset.from_dict({"id": list(range(rows)), "text": [f"{word} {i}\n" for i in range(rows)]})

    found: Any = {"one": table("first", 300), "two": {"train": table("first", 300), "test": table("tsrif", 100)},
                  "three": {"train": table("first", 300), "validation": table("strif", 100),
                            "test": table("tsrif", 100)}}[splits]  # fmt: skip
    data = load(DataOptions(source=source_of(found), context=16))
    texts = {}
    for name in ("train", "validation", "test"):
        assert data.tokenizer is not None
        texts[name] = data.tokenizer.decode(getattr(data, name).ids.tolist())
    assert texts["train"].startswith("first 0\nfirst 1\n")
    if splits == "one":
        assert "".join(texts.values()) == "".join(f"first {i}\n" for i in range(300))
    else:
        assert texts["test"].startswith("tsrif 0\n")
        assert texts["validation"].startswith("first 270\n" if splits == "two" else "strif 0\n")
    if splits == "two":
        assert "first 270" not in texts["train"]


def test_only_the_columns_that_are_used_are_read_one_row_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    table, asked = hugging_face(), []
    get = datasets.Dataset.__getitem__

    def watched(self: Any, key: Any) -> Any:
        asked.append((key, tuple(self.column_names)))
        return get(self, key)

    monkeypatch.setattr(datasets.Dataset, "__getitem__", watched)
    source_of(table)
    assert asked == [(i, ("img", "label")) for i in range(30)]


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A stand-in of the shape of torchvision.datasets."""

    class Numbers(Clothes):
        def __init__(self, root: str, split: str = "train", transform: Any = None, download: bool = False) -> None:
            if split not in ("train", "test"):
                raise ValueError(f"Unknown value '{split}' for argument split")
            super().__init__(root, split == "train", transform, download=download)

    class Broken(Clothes):
        def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
            raise RuntimeError("Error\ndownloading")

    package, module = types.ModuleType("torchvision"), types.ModuleType("torchvision.datasets")
    module.__dict__.update({"Clothes": Clothes, "Numbers": Numbers, "Broken": Broken,
                            "__all__": ["Clothes", "Numbers", "Broken"]})  # fmt: skip
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    return module


@pytest.mark.parametrize("name", ["Clothes", "Numbers"])
def test_a_class_of_torchvision_by_name(name: str, torchvision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(DataOptions(source=f"torchvision:{name}"))
    assert [s.items for s in (data.train, data.validation, data.test)] == [37, 3, 20]
    assert (data.name, data.card.source) == (name, f"torchvision.datasets.{name}")
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)  # gone: what was kept is enough
    assert load(DataOptions(source=f"torchvision:{name}")).digest == data.digest


def test_names_that_lead_nowhere(torchvision: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(source: str, kind: type[GenloomError] = NotFound) -> str:
        with pytest.raises(kind) as caught:
            load(DataOptions(source=source))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "did you mean 'Clothes'?" in said("torchvision:Clohtes")
    assert "cannot be loaded: Error downloading" in said("torchvision:Broken")
    assert "cannot be loaded" in said(f"hf:{tmp_path / 'nothing'}")
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    assert "pip install torchvision" in said("torchvision:Clothes")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert 'pip install "genloom[hub]"' in said("hf:mnist")


def test_a_table_without_pictures_or_text() -> None:
    import datasets

    table = datasets.Dataset.from_dict({"height": [1.0, 2.0], "age": [3, 4]})
    with pytest.raises(BadData, match=r"no column of pictures and none of text, but height \(Value\)"):
        source_of(table)


def test_python_trains_on_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import genloom

    monkeypatch.chdir(tmp_path)
    found = Clothes()
    trained = genloom.train(
        "vae-mlp",
        data=found,
        budget="2steps",
        overrides={"config.hidden": 8, "train.batch": 8, "train.precision": "fp32"},
    )
    assert found.reads == 40
    source = trained.run.config["data"]["source"]
    assert Path(source).is_dir()
    shown = genloom.data(found)
    assert shown["items"] == {"train": 34, "validation": 3, "test": 3}
