"""Fixtures of the engine's tests."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from shop import Shop

from genloom.core import Model
from genloom.engine.journal import Reporter
from genloom.testing import fake_images


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
