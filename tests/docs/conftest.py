"""A reader's folder, and training made short, so that every command of a page runs as it is printed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from doc_pages import ROOT, install

STEPS = "6steps"
FEW = 40  # samples at most, and pictures at most that the feature extractor learns from


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages take for granted: ./my-photos with two classes of any size, book.txt, notes.txt, questions.jsonl,
    choices.jsonl, prompts.txt, principles.toml; and a cache."""
    from PIL import Image

    house = tmp_path_factory.mktemp("reader")
    draw = random.Random(0)
    for i in range(48):
        kind = "cats" if i % 2 else "dogs"
        (house / "here" / "my-photos" / kind).mkdir(parents=True, exist_ok=True)
        size = (40 + i % 3 * 8, 40 + i % 4 * 8)
        picture = Image.new("RGB", size, (draw.randrange(256), draw.randrange(256), 90))
        picture.paste((240, 230, 200), (5, 5, 12 + i % 20, 30))
        picture.save(house / "here" / "my-photos" / kind / f"{i:03d}.jpg")
    words = "the cat sat on the mat and the dog lay on the log. "
    for name in ("book.txt", "notes.txt"):
        (house / "here" / name).write_text("".join(f"{words}{draw.randrange(100)}\n" for _ in range(400)))
    sums = [{"prompt": f"what is {a} and {b}", "answer": f"it is {a + b}"} for a in range(20) for b in range(20)]
    (house / "here" / "questions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in sums))
    choices = [{"prompt": s["prompt"], "chosen": s["answer"], "rejected": "who knows"} for s in sums]
    (house / "here" / "choices.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in choices))
    (house / "here" / "prompts.txt").write_text("the cat\nthe dog\nthe log\n")
    law = '[[principle]]\nname = "no dogs"\nlacks = ["dog"]\n[[principle]]\nname = "short"\nwords = [1, 40]\n'
    (house / "here" / "principles.toml").write_text(law)
    return house


@pytest.fixture
def here(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of the reader's folder as the current one; the cache is shared by all pages."""
    here = tmp_path / "here"
    shutil.copytree(house / "here", here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("GENLOOM_CACHE", str(house / "cache"))
    monkeypatch.delenv("GENLOOM_DATA", raising=False)
    return here


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains each recipe's smoke variant for a few steps and draws few samples; all that was asked for is checked, and
    whatever does not concern size and time is used as given. Data that would be downloaded is made up."""
    from genloom.compare import play
    from genloom.engine.budget import parse_budget
    from genloom.metrics import store
    from genloom.recipes import registry
    from genloom.verbs import evaluate, sample, train

    training, sampling, evaluating = train.train, sample.sample, evaluate.evaluate

    def short(recipe: str | None = None, data: Any = None, budget: str | None = None, *more: Any, **keys: Any) -> Any:
        if budget is not None:
            parse_budget(budget)
        if keys.get("resume") is not None or recipe is None:
            return training(recipe, data, budget, *more, **keys)
        given = dict(keys.pop("overrides", None) or {})
        registry.override(registry.get(recipe, keys.get("size")), given)
        plain = {"train.precision": "fp32", "train.channels_last": "off", "train.compile": "off"}  # nothing to probe
        smoke = {**registry.entry(recipe).smoke, **plain}
        smoke.pop("train.budget", None)
        named = {k.rpartition(".")[2] for k in [*given, *keys]} | ({"source"} if data is not None else set())
        smoke = {k: v for k, v in smoke.items() if k.rpartition(".")[2] not in named}
        return training(recipe, data, STEPS, *more, **keys, overrides={**smoke, **given})

    def few(verb: Callable[..., Any]) -> Callable[..., Any]:
        def call(run: Any, n: int | None = None, *more: Any, **keys: Any) -> Any:
            return verb(run, None if n is None else min(n, FEW), *more, **keys)

        return call

    monkeypatch.setattr(train, "train", short)
    monkeypatch.setattr(sample, "sample", few(sampling))
    monkeypatch.setattr(evaluate, "evaluate", lambda run, n=FEW, *a, **k: few(evaluating)(run, n, *a, **k))
    monkeypatch.setattr(store, "train_extractor", partial(store.train_extractor, images=256))
    monkeypatch.setattr(play, "apart", play.here)  # runs of a comparison, without a process for each
    _make_up(monkeypatch)


def _make_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clothes, Shakespeare and alphabets without a network."""
    import numpy as np
    import torch

    from genloom.data.sets import images, registry
    from genloom.data.texts import by_position, text_dataset
    from genloom.testing import fake_strokes

    def clothes(options: Any, card: Any) -> Any:
        array = np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)
        rows = tuple(torch.arange(i, i + 100) for i in (0, 100, 200))
        labels = np.arange(300) % 10
        return images.image_set("fashion-mnist", options, card, array, labels, rows, images.CLOTHES)

    def plays(options: Any, card: Any) -> Any:
        return text_dataset("tinyshakespeare", options, by_position("To be, or not to be.\n" * 2000), card, [])

    def letters(options: Any, card: Any) -> Any:
        return replace(fake_strokes(150), options=options, card=card, name="omniglot")

    for name, load in (("fashion-mnist", clothes), ("tinyshakespeare", plays), ("omniglot", letters)):
        monkeypatch.setitem(registry.ENTRIES, name, replace(registry.ENTRIES[name], load=load))


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of the guide, installed into a folder and seen by this process alone, for this test alone."""
    import sys

    from genloom.recipes import registry

    registry.entries()  # built-in recipes register once, at their import: before the registry is set aside
    site = install(ROOT / "tests" / "plugin", tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    for name in ("_entries", "_loaded", "broken"):
        monkeypatch.setattr(registry, name, type(getattr(registry, name))(getattr(registry, name)))
    monkeypatch.setitem(sys.modules, "genloom_ppca", None)
    del sys.modules["genloom_ppca"]
    return site
