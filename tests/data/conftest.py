"""A cache of its own for every test, and no data folder from outside."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GENLOOM_CACHE", str(cache))
    monkeypatch.delenv("GENLOOM_DATA", raising=False)
    return cache
