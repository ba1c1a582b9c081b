"""Figures of molecules, on sets whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("rdkit")

from genloom.errors import BadData
from genloom.metrics.evaluate import evaluate
from genloom.metrics.molecules import internal_diversity, molecule_figures, target_results
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.testing import fake_molecules

CHAINS = ["C" * k + "O" for k in range(1, 21)]
RINGS = ["c1ccccc1" + "C" * k for k in range(20)]


def test_shares_are_counted() -> None:
    drawn = ["CCO", "OCC", "CCN", "C(C", "", "CCCO"] * 4
    found = {r.key: r for r in molecule_figures(drawn, CHAINS, CHAINS, iter(CHAINS))}
    assert found["valid"].value == pytest.approx(4 / 6)
    assert found["unique_1000"].value == pytest.approx(3 / 16)  # CCO twice, CCN, CCCO
    assert found["novel"].value == pytest.approx(1 / 3)  # CCN alone is no training line
    assert found["valid"].interval is not None
    assert found["valid"].interval[0] < 4 / 6 < found["valid"].interval[1]
    assert "unique_10000" not in found


def test_like_molecules_are_less_diverse() -> None:
    same, _ = internal_diversity(["CCO"] * 12)
    mixed, interval = internal_diversity([*CHAINS[:6], *RINGS[:6]])
    assert same == pytest.approx(0, abs=1e-6)
    assert mixed > 0.3
    assert interval is not None
    assert interval[0] < mixed < interval[1]


def test_properties_lie_apart_where_molecules_differ() -> None:
    found = {r.key: r for r in molecule_figures(CHAINS, RINGS, RINGS, iter(RINGS))}
    near = {r.key: r for r in molecule_figures(RINGS, RINGS, RINGS, iter(RINGS))}
    assert near["distance_logp"].value == pytest.approx(0)
    assert found["distance_logp"].value > 1
    assert found["distance_logp"].floor == pytest.approx(0)
    assert found["distance_logp"].protocol["mean"] < found["distance_logp"].protocol["mean_held_out"]


def test_nothing_valid_is_said_and_nothing_drawn_refused() -> None:
    (only,) = molecule_figures(["C(", "x"], CHAINS, CHAINS, iter(CHAINS))
    assert only.value == 0
    with pytest.raises(BadData, match="nothing to measure"):
        molecule_figures([], CHAINS, CHAINS, iter(CHAINS))


def test_targets_are_met_or_not() -> None:
    targets = np.array([46.07, 46.07, 46.07])
    told, free = target_results("weight", ["CCO", "CCO", "C("], ["CCCCO", "CCCCO", "CCCCO"], targets)
    assert told.value == pytest.approx(0, abs=0.01)
    assert told.protocol["left_out"] == 1
    assert free.value == pytest.approx(28.05, abs=0.1)


def test_a_model_is_measured() -> None:
    dataset = fake_molecules()
    model = GPT(GPTConfig(width=16, depth=1, heads=2, pairs=0), dataset.spec).eval()
    found = evaluate(model, dataset, 40, torch.Generator().manual_seed(0))
    keys = {r.key for r in found.results}
    assert {"valid", "unique_1000", "novel", "diversity"} <= keys
    assert 0 <= found["valid"].value <= 1
    ids = dataset.test.batch(torch.arange(len(dataset.test)))["molecule"]
    own = int(((ids != 0).sum(1) + 1).sum())  # a model whose head is zero is as unsure as there are kinds of tokens
    assert found["nats_per_token"].protocol["tokens"] == own
    assert found["nats_per_token"].value == pytest.approx(np.log(5), abs=1e-4)
    assert found["nats_per_item"].value == pytest.approx(np.log(5) * own / len(ids), abs=1e-3)
