"""The extractor on toy data: it learns, repeats itself, is named by its weights, and survives its cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadData
from genloom.metrics import store
from genloom.metrics.extractor import corrupt, embed, from_tensors, to_metadata, train_extractor, turned
from genloom.metrics.frechet import frechet_distance


class Toy:
    """Images whose class is where the bright bar stands."""

    def __init__(self, n: int, shape: tuple[int, int, int] = (1, 12, 12), classes: int = 3, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        c, h, w = shape
        self.labels = torch.arange(n) % max(classes, 1)
        x = -1 + 0.4 * torch.rand(n, c, h, w, generator=generator)
        for i, label in enumerate(self.labels.tolist()):
            at = (label * w) // max(classes, 1)
            x[i, :, :, at : at + 2] = 0.9
        self.images, self.items = x, n
        self.spec = {"image": Field("image", shape)}
        if classes:
            names = tuple(f"k{i}" for i in range(classes))
            self.spec["label"] = Field("class", (), classes=names, role="condition")

    def __len__(self) -> int:
        return self.items

    def batch(self, index: Tensor) -> dict[str, Tensor]:
        batch = {"image": self.images[index].clone()}
        return {**batch, "label": self.labels[index]} if "label" in self.spec else batch


@dataclass
class ToySet:
    train: Toy
    test: Toy
    name: str = "my photos / 2024"
    digest: str = "d0"

    @property
    def spec(self) -> dict[str, Field]:
        return self.train.spec


@pytest.fixture(scope="module")
def trained() -> tuple[store.Extractor, Toy, Toy]:
    train, test = Toy(300), Toy(201, seed=1)
    return train_extractor(train, name="toy", images=6400), train, test


def test_it_knows_the_classes_and_sees_faults(trained: tuple[store.Extractor, Toy, Toy]) -> None:
    net, train, test = trained
    features = embed(net, iter([test.images]))
    assert features.shape == (201, 64)
    assert features.dtype == torch.float32
    assert (net.judge(features) == test.labels).float().mean() > 0.95
    floor = frechet_distance(embed(net, iter([train.images[:201]])), features)
    noise = torch.randn(test.images.shape, generator=torch.Generator().manual_seed(0))
    light, heavy = (
        frechet_distance(embed(net, iter([(test.images + s * noise).clamp(-1, 1)])), features) for s in (0.3, 1)
    )
    assert heavy > 2 * light > 4 * floor
    missing = test.images[test.labels != 0]
    assert frechet_distance(embed(net, iter([missing])), features) > 3 * floor


def test_the_scale_is_that_of_the_training_data(trained: tuple[store.Extractor, Toy, Toy]) -> None:
    net, train, _ = trained
    features = embed(net, iter([train.images]))
    assert float(features.var(0).mean()) == pytest.approx(1, rel=1e-3)
    assert float(features.mean(0).abs().max()) < 1e-3


def test_same_seed_same_network_and_no_global_randomness() -> None:
    state = torch.get_rng_state()
    first, again, other = (train_extractor(Toy(50), name="toy", images=256, seed=s) for s in (0, 0, 1))
    assert first.identity == again.identity
    assert first.identity != other.identity
    assert first.identity.startswith("toy@")
    assert len(first.identity) == len("toy@") + 8
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("shape", [(3, 9, 14), (1, 8, 8), (3, 50, 41), (1, 1, 3)])
@pytest.mark.parametrize("classes", [0, 2])
def test_any_shape_with_and_without_labels(shape: tuple[int, int, int], classes: int) -> None:
    data = Toy(20, shape, classes)
    net = train_extractor(data, name="toy", images=128)
    assert embed(net, iter([data.images])).isfinite().all()
    if not classes:
        with pytest.raises(BadData, match="no labels"):
            net.judge(torch.zeros(1, 64))


def test_features_do_not_depend_on_the_batch(trained: tuple[store.Extractor, Toy, Toy]) -> None:
    net, _, test = trained
    whole, parts = embed(net, iter([test.images])), embed(net, iter(test.images.split(7)))
    assert torch.allclose(whole, parts, atol=1e-4)


def test_features_are_fp32_inside_autocast(trained: tuple[store.Extractor, Toy, Toy]) -> None:
    net, _, test = trained
    with torch.autocast("cpu", torch.bfloat16):
        inside = embed(net, iter([test.images]))
    assert torch.equal(inside, embed(net, iter([test.images])))


def test_corruptions_and_turns() -> None:
    x = torch.rand(128, 1, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    spoilt, kinds = corrupt(x, 80, 1, (-1, 1), torch.Generator().manual_seed(0))
    assert kinds.bincount().tolist() == [80, 12, 12, 12, 12]
    assert torch.equal(spoilt[:80], x[:80])
    assert all(not torch.equal(spoilt[i], x[i]) for i in range(80, 128))
    assert spoilt.abs().max() <= 1
    out = turned(x[:4], torch.tensor([0, 1, 2, 3]), 4)
    assert torch.equal(out[0], x[0])
    assert torch.equal(out[2], x[2].flip(1, 2))


def test_metadata_brings_the_network_back(trained: tuple[store.Extractor, Toy, Toy]) -> None:
    net, _, test = trained
    back = from_tensors(net.state_dict(), to_metadata(net))
    assert back.identity == net.identity
    assert torch.equal(embed(back, iter([test.images])), embed(net, iter([test.images])))


def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []

    def train(split: Toy, **options: object) -> store.Extractor:
        calls.append(1)
        return train_extractor(split, **{**options, "images": 128})  # type: ignore[arg-type]

    monkeypatch.setattr(store, "train_extractor", train)
    return calls


def test_the_cache_is_used_and_a_damaged_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    calls, data = quick(monkeypatch), ToySet(Toy(40), Toy(30, seed=1))
    net = store.extractor_for(data)
    assert net.name == "my-photos-2024"
    assert store.extractor_for(data).identity == net.identity
    assert len(calls) == 1
    features = store.split_features(net, data, "test")
    data.test.images += 1  # what is read now must come from the cache
    assert torch.equal(store.split_features(net, data, "test"), features)
    files = sorted((tmp_path / "cache" / "extractors").iterdir())
    assert len(files) == 2
    for file in files:
        file.write_bytes(file.read_bytes()[:50])
    assert store.extractor_for(data).identity == net.identity
    assert len(calls) == 2
    assert not torch.equal(store.split_features(net, data, "test"), features)
    data.digest = "other"
    store.extractor_for(data)
    assert len(calls) == 3


def test_of_many_items_some_are_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    quick(monkeypatch)
    data = ToySet(Toy(40), Toy(30, seed=1))
    net = store.extractor_for(data)
    whole = store.split_features(net, data, "test")
    monkeypatch.setattr(store, "MOST", 7)
    some = store.split_features(net, data, "test")  # what lies in the cache is of all 30, and is not taken for these
    assert some.shape == (7, 64)
    assert torch.allclose(some, whole[store.featured(data.test)], atol=1e-4)


def test_without_a_place_to_write_everything_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "file" / "cache"))
    calls, data = quick(monkeypatch), ToySet(Toy(40), Toy(30, seed=1))
    net = store.extractor_for(data)
    assert store.split_features(net, data, "test").shape == (30, 64)
    store.extractor_for(data)
    assert len(calls) == 2


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GENLOOM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.cache_folder() == tmp_path / "genloom"
