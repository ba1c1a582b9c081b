"""Runs small enough for tests: models of a few thousand weights on bars that were made up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genloom.data import Dataset
from genloom.engine.options import TrainOptions
from genloom.engine.train import Settings, create_run
from genloom.models.registry import model_class
from genloom.runs import Run

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
