"""Runs small enough for tests: models of a few thousand weights on bars that were made up."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from genloom.core import Model
from genloom.data import Dataset
from genloom.engine.journal import Reporter
from genloom.engine.options import TrainOptions
from genloom.engine.train import Settings, create_run
from genloom.models.registry import model_class
from genloom.runs import Run
from genloom.testing import fake_images

SMALL: dict[str, dict[str, Any]] = {
    "vae-mlp": {"latent": 4, "hidden": 16},
    "gan-mlp": {"latent": 8, "generator_widths": (16,), "discriminator_widths": (16,), "batch_norm": True},
}
QUIET = TrainOptions(
    budget="20steps",
    batch=16,
    precision="fp32",
    device="cpu",
    checkpoint_every="5steps",
    validate_every="7steps",
    preview_every="9steps",
)


@dataclass
class Shop:
    """Makes runs under one directory."""

    root: Path
    dataset: Dataset

    def make(self, model: str = "vae-mlp", name: str | None = None, config: Any = None, **train: Any) -> Run:
        """A new run of `model` with the small configuration and some training options changed."""
        config = config or model_class(model).Config(**SMALL.get(model, {}))
        settings = Settings(model, model, config, self.dataset.options, replace(QUIET, **train))
        return create_run(self.root, settings, self.dataset, name)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "runs", fake_images())


@pytest.fixture
def silent() -> Reporter:
    return Reporter(None)


@pytest.fixture
def heard() -> tuple[Reporter, io.StringIO]:
    """A reporter and what it said."""
    said = io.StringIO()
    return Reporter(said), said


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, type[Model]], None]:
    """Makes a model class of a test buildable by name."""

    def under(name: str, cls: type[Model]) -> None:
        from genloom.models import registry

        monkeypatch.setitem(registry.BUILT_IN, name, f"{cls.__module__}:{cls.__name__}")

    return under
