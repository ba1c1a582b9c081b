"""Extractors by name, and figures in other networks than the data set's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genloom.core import Batch, CanSample, Field, Loss, Model, Phase, Player, Sampling
from genloom.errors import BadData, BadValue, NotFound
from genloom.metrics import extractors, store
from genloom.metrics.base import Result, comparable
from genloom.metrics.evaluate import evaluate, evaluate_samples
from genloom.metrics.extractors import UserExtractor, extractor_named
from genloom.metrics.features import Extractor

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "evaluation.md"


class Part:
    def __init__(self, n: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.rand(n, 1, 8, 8, generator=generator) * 1.6 - 0.8
        self.items, self.spec = n, {"image": Field("image", (1, 8, 8))}

    def __len__(self) -> int:
        return self.items

    def batch(self, index: Tensor) -> dict[str, Tensor]:
        return {"image": self.images[index]}


@dataclass
class Set:
    train: Part
    test: Part
    name: str = "dots"
    digest: str = "d1"
    tokenizer: None = None

    @property
    def spec(self) -> dict[str, Field]:
        return self.train.spec


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Set:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    return Set(Part(300, 0), Part(200, 1))


def blocks(images: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(images.float(), 4).flatten(1)


def test_figures_in_a_users_function_are_those_of_its_features(data: Set) -> None:
    net = UserExtractor(blocks, "mine:blocks")
    samples = torch.randint(0, 256, (100, 1, 8, 8), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    found = evaluate_samples(samples, data, extractor=net, copies=False)
    assert found.extractor == net.identity
    assert re.fullmatch(r"blocks@[0-9a-f]{8}", net.identity)
    assert found["fd"].name == f"FD({net.identity})"
    assert found["fd"].protocol["n_held_out"] == 100  # as many real items as samples, of any network that may be slow
    assert any("100 of the 200 held-out items" in note for note in found.notes)
    assert {"kd", "precision", "recall", "density", "coverage", "vendi"} <= {r.key for r in found.results}
    assert found["kd"].name == f"KD({net.identity})"


def test_more_samples_compute_only_what_is_new(data: Set) -> None:
    seen: list[int] = []

    def counted(images: Tensor) -> Tensor:
        seen.append(len(images))
        return blocks(images)

    net = UserExtractor(counted, "mine:counted")
    few = store.split_features(net, data, "train", wanted=50)
    assert sum(seen) == 50
    more = store.split_features(net, data, "train", wanted=120)
    assert sum(seen) == 120
    assert torch.equal(more[:50], few)
    again = UserExtractor(counted, "mine:counted")
    assert torch.equal(store.split_features(again, data, "train", wanted=120), more)
    assert sum(seen) == 120
    rows = store.rows_of(net, data.train, 120)
    assert len(set(rows.tolist())) == 120
    assert torch.allclose(more, blocks((data.train.images[rows] + 1) * 127.5), atol=0.51)


def test_only_the_fids_own_network_bears_its_name(data: Set) -> None:
    @dataclass
    class Published:
        published: bool
        identity: str = "net@12345678"
        dimensions: int = 4
        resize: str = "bilinear-tf1-299"
        classes: tuple[str, ...] = ()
        facts: tuple[()] = ()

        def features(self, images: Tensor) -> Tensor:
            return blocks(images)

        def logits(self, features: Tensor) -> Tensor:
            raise BadData("none")

        judge = logits

    samples = torch.randint(0, 256, (60, 1, 8, 8), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    real, other = (evaluate_samples(samples, data, extractor=Published(p), copies=False) for p in (True, False))  # type: ignore[arg-type]
    assert isinstance(Published(True), Extractor)
    assert real["fid"].name == "FID"
    assert real["kid"].name == "KID"
    assert real["fid"].signature.startswith("fid|features:net@12345678|n:60|resize:bilinear-tf1-299|")
    assert real["fid"].floor == real["fid_floor"].value
    assert other["fd"].name == "FD(net@12345678)"
    assert other["fd"].value == real["fid"].value
    with pytest.raises(BadValue, match="different figures"):
        comparable(real["fid"], other["fd"])
    changed = Result.from_json({**real["fid"].to_json(), "protocol": {**real["fid"].protocol, "resize": "lanczos"}})
    with pytest.raises(BadValue, match="resize bilinear-tf1-299 and lanczos"):
        comparable(real["fid"], changed)


def test_a_modules_weights_are_its_hash(data: Set) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, images: Tensor) -> Tensor:
            return self.net(images.float() / 255)

    first = UserExtractor(Scaled(), "mine:net")
    same = UserExtractor(Scaled(), "mine:net")
    assert first.identity == same.identity
    with torch.no_grad():
        net[1].bias += 1
    assert UserExtractor(Scaled(), "mine:net").identity != first.identity
    blocks.hash = "release-7"  # type: ignore[attr-defined]
    try:
        assert UserExtractor(blocks, "mine:blocks").identity == "blocks@release-"
    finally:
        del blocks.hash  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x.float(), "expected features"),
        (lambda x: torch.zeros(len(x) + 1, 3), "expected features"),
        (lambda x: torch.full((len(x), 3), torch.nan), "not finite of 5 images"),
        (lambda x: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_extractor_is_said_in_one_line(function: object, said: str) -> None:
    with pytest.raises(BadData, match=said) as caught:
        UserExtractor(function, "mine:f").features(torch.zeros(5, 1, 8, 8, dtype=torch.uint8))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_names(data: Set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadValue, match="own, inception, lpips-vgg, lpips-alex, or package"):
        extractor_named("fid", data)
    for name, entry in (("inception", "inception-fid"), ("lpips-vgg", "lpips"), ("lpips-alex", "lpips")):
        with pytest.raises(NotFound, match=f"genloom data fetch {entry}"):
            extractor_named(name, data)
    with pytest.raises(NotFound, match="nowhere_at_all"):
        extractor_named("nowhere_at_all:f", data)
    (tmp_path / "my_features_7.py").write_text("def f(images):\n    return images.flatten(1)\nnumber = 3\n")
    monkeypatch.chdir(tmp_path)
    assert extractor_named("my_features_7:f", data).features(torch.ones(2, 1, 8, 8)).shape == (2, 64)
    with pytest.raises(NotFound, match="no attribute 'g'"):
        extractor_named("my_features_7:g", data)
    with pytest.raises(BadValue, match="it is int"):
        extractor_named("my_features_7:number", data)


def test_the_guides_example_is_an_extractor(data: Set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(b for b in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S) if "def edges(" in b)
    assert len(code.strip().splitlines()) <= 12
    (tmp_path / "my_features.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    net = extractors.extractor_named("my_features:edges", data)
    samples = torch.randint(0, 256, (80, 1, 8, 8), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    found = evaluate_samples(samples, data, extractor=net, copies=False)
    assert found["fd"].value > found["fd"].floor  # type: ignore[operator]
    assert found["fd"].name.startswith("FD(edges@")


class Broken(Model, CanSample):
    """Every tenth sample holds NaN."""

    Config = dict
    citation = ""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def players(self) -> tuple[Player, ...]:
        return ()

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def loss(self, phase: Phase, batch: Batch, step: object) -> Loss:
        raise NotImplementedError

    def sample(self, n: int, *, condition: Batch | None = None, options: Sampling = Sampling(),
               generator: torch.Generator, callback: object = None) -> Batch:  # fmt: skip
        images = torch.rand(n, 1, 8, 8, generator=generator)
        images[::10, 0, 3, 3] = torch.nan
        return {"image": images}


def test_samples_that_are_not_numbers_are_counted_and_refused(data: Set) -> None:
    with pytest.raises(BadData, match="5 of 50 samples that the model drew hold NaN") as caught:
        evaluate(Broken(), data, 50, torch.Generator().manual_seed(0), extractor=UserExtractor(blocks, "m:b"))
    assert "\n" not in str(caught.value)
