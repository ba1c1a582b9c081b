"""Recipes that stand on finished runs name the recipes that make them, and trials train those first."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from genloom.models.registry import model_class
from genloom.recipes import registry
from genloom.runs import Run, write_json
from genloom.verbs import catalogue


@pytest.fixture(scope="module")
def trials() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trials", Path(__file__).parents[1] / "trials.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("entry", registry.entries(), ids=lambda e: e.name)
def test_each_role_has_a_recipe_that_fits(entry: registry.Entry) -> None:
    uses = model_class(registry.get(entry.name).model).uses
    assert set(entry.partners) == set(uses)
    for role, partner in entry.partners.items():
        other = registry.get(partner.recipe)
        assert issubclass(model_class(other.model), uses[role])
        registry.override(registry.smoke(registry.entry(partner.recipe)), partner.smoke)  # fields it has


def test_partners_are_trained_first_each_once_and_are_given(
    trials: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def train(words: list[str]) -> int:
        commands.append(words)
        run = Run(tmp_path / words[words.index("--name") + 1])
        run.path.mkdir()
        write_json(run.path / "config.json", {})
        return 0

    monkeypatch.setattr(trials, "main", train)
    trials.trained("grpo", tmp_path)
    trials.trained("latent-flow", tmp_path)
    assert [words[1] for words in commands] == ["gpt", "reward", "grpo", "kl-autoencoder", "latent-flow"]

    def given(words: list[str]) -> list[str]:
        return [words[i + 1] for i, word in enumerate(words) if word == "--given"]

    assert given(commands[1]) == [f"base={tmp_path / 'gpt'}"]
    assert given(commands[2]) == [f"reference={tmp_path / 'gpt'}", f"reward={tmp_path / 'reward'}"]
    assert commands[3][commands[3].index("--data.source") + 1] == "mnist"
    monkeypatch.setattr(trials, "main", lambda words: 2)
    with pytest.raises(AssertionError, match="ended with 2"):
        trials.trained("vae", tmp_path)


def test_recipes_say_what_they_stand_on() -> None:
    table = catalogue.recipes("grpo")
    assert table.more["partners"] == {"reference": "gpt", "reward": "reward"}
    assert "--given reward=RUN" in "\n".join(table.notes)
    assert "--given" not in "\n".join(catalogue.recipes("vae").notes)
