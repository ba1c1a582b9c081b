"""The programs in examples/ run and show what their pages say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def two() -> ModuleType:
    return example("two_kinds")


def test_two_kinds_of_models_answer_what_the_page_says(two: ModuleType) -> None:
    figures, pictures = two.measure([100, 1437], repeats=2)
    errors, hidden, foreign = figures.values()
    assert errors[1437][1] < errors[1437][0] < 0.15  # the discriminative twin classifies better on many items
    generative, discriminative = hidden.values()
    assert generative < discriminative
    by_density, by_class = foreign.values()
    assert by_density > 0.95 > by_class
    assert all(p.shape == (10, 64) for p in pictures.values())


def test_hidden_pixels_are_integrated_out(two: ModuleType) -> None:
    random = np.random.default_rng(0)
    model = two.Generative().fit(random.normal(size=(200, 3)) + np.arange(200)[:, None] % 10, np.arange(200) % 10)
    x = np.array([[1.0, 2.0, 0.0]])
    grid = np.arange(-40, 60, 0.05)
    sweep = np.column_stack([np.full_like(grid, 1.0), np.full_like(grid, 2.0), grid])
    by_sum = np.log(np.exp(model.log_joint(sweep)).sum(0) * 0.05)
    np.testing.assert_allclose(model.log_joint(x, np.array([True, True, False]))[0], by_sum, atol=1e-6)


def test_made_up_alphabets_have_the_patterns_their_page_names() -> None:
    made = example("alphabets")
    chains, years = made.proteins(400), made.climate(400)
    assert chains == made.proteins(400)
    assert set(chains) <= set("ACDEFGHIKLMNPQRSTVWY\n")
    rhythm = made.greasy_rhythm(chains)
    assert rhythm[3] > 0.15  # a helix comes back after 3.6 residues
    assert rhythm[1] > rhythm[0]  # and a strand after two
    *months, likeness = made.seasons(years)
    assert max(months) - min(months) > 12
    assert months.index(max(months)) == 6
    assert likeness > 5
    shuffled = "".join(np.random.default_rng(0).permutation(list(years.replace("\n", ""))))
    lines = "\n".join(shuffled[i : i + 12] for i in range(0, len(shuffled), 12))
    assert max(made.seasons(lines)[:12]) - min(made.seasons(lines)[:12]) < 3
