"""`genloom anomaly`: a class left out of training is found again; files of scores; what cannot be scored is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genloom
from genloom.cli.main import main
from genloom.errors import BadData, BadValue, NotFound
from genloom.metrics.anomaly import relative

STEPS = {"train.precision": "fp32", "train.batch": 16}


def table(path: Path, n: int = 300, drop: str = "") -> Path:
    """Rows whose two numbers agree; those of class "odd" break that, and nothing else tells them."""
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, n)
    odd = np.arange(n) % 10 == 0
    second = np.where(odd, -2.0 * np.sign(first) - first, 2 * first + 0.05 * rng.normal(0, 1, n))
    shade = np.where(first > 0, "light", "dark")
    columns = {"first": first.round(3), "second": second.round(3), "shade": shade, "kind": np.where(odd, "odd", "even")}
    columns.pop(drop, None)
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("anomaly")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 20, (120, 16, 16), dtype=np.uint8)
    labels = np.arange(120) % 3
    for i, label in enumerate(labels):
        at = rng.integers(0, 9)
        if label == 2:
            images[i, ::2] = 220  # stripes, unlike all bars
        else:
            images[i, at : at + (8, 3)[label], at : at + (3, 8)[label]] = 220
    np.savez(root / "bars.npz", images=images, labels=labels)
    np.save(root / "plain.npy", images)
    np.save(root / "larger.npy", rng.integers(0, 255, (30, 20, 20), dtype=np.uint8))
    (root / "folder").mkdir()
    for i in range(4):
        Image.fromarray(images[i]).save(root / "folder" / f"photo{i}.png")
    runs = str(root / "runs")
    small = {**STEPS, "config.width": 8, "config.latent": 4, "config.optimizer.lr": 5e-3}
    genloom.train("autoencoder", data=str(root / "bars.npz"), budget="150steps", name="bars", runs=runs,
                  overrides={**small, "data.without": "2"})  # fmt: skip
    rows = {**STEPS, "config.latent": 1, "config.hidden": (32, 32), "config.optimizer.lr": 5e-3}
    genloom.train("autoencoder", data=str(table(root / "rows.csv")), budget="400steps", name="rows", runs=runs,
                  overrides={**rows, "data.target": "kind", "data.without": "odd"})  # fmt: skip
    genloom.train("gan-mlp", data=str(root / "bars.npz"), budget="2steps", name="gan", runs=runs, overrides=STEPS)
    tiny = {**STEPS, "config.widths": (16, 16), "config.blocks": (1, 1), "config.embedding": 16}
    genloom.train("flow", data=str(root / "bars.npz"), budget="2steps", name="flow", runs=runs, overrides=tiny)
    genloom.train("vae", data=str(root / "bars.npz"), budget="30steps", name="vae", runs=runs,
                  overrides={**STEPS, "config.width": 8, "config.latent": 4})  # fmt: skip
    return root


def score(place: Path, run: str, *words, **more):
    return genloom.anomaly(place / "runs" / run, *words, **{"out": place / "scores.csv", **more})


def area(found) -> float:
    return next(r["value"] for r in found["results"] if r["key"] == "auroc")


def test_a_class_left_out_is_found_by_its_copies(place: Path) -> None:
    found = score(place, "bars")
    assert area(found) > 0.95
    assert found["anomalous"] == ["2"]
    with (place / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["class"] for r in rows[:5]] == ["2"] * 5
    assert [float(r["score"]) for r in rows] == sorted((float(r["score"]) for r in rows), reverse=True)
    assert Image.open(place / "scores.png").width > 100
    assert len(rows) == found["n"] == 40 + 8  # the whole class, and the others' tenth


def test_rows_of_a_table_are_scored_in_the_columns_of_the_run(place: Path) -> None:
    found = score(place, "rows", out=place / "rows.json")
    assert area(found) > 0.9
    kept = json.loads((place / "rows.json").read_text())
    assert kept["items"][0]["column"] in ("first", "second", "shade")
    again = score(place, "rows", table(place / "other.csv", 40))  # quantiles of this file would be others
    assert again["n"] == 40
    one = {r["item"]: r["score"] for r in again["items"]}
    other = {r["item"]: r["score"] for r in score(place, "rows", place / "other.csv", seed=1)["items"]}
    assert one == other
    assert area(again) > 0.9
    assert Image.open(place / "scores.png").width > 100


def test_likelihood_scores_where_it_is_asked_for(place: Path) -> None:
    by_copy, by_nll = score(place, "vae", anomalous="2"), score(place, "vae", score="nll", anomalous="2")
    assert by_copy["score"] == "reconstruction"
    assert by_nll["score"] == "nll"
    assert min(r["score"] for r in by_nll["items"]) > 1


def test_a_relative_error_does_not_depend_on_how_bright_an_item_is(place: Path) -> None:
    x = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    copy = x + 0.1 * torch.randn(4, 30, generator=torch.Generator().manual_seed(1))
    once, twice = relative((copy - x).square(), x), relative((2 * copy - 2 * x).square(), 2 * x + 5)
    assert torch.allclose(once, twice, rtol=1e-4)
    assert area(score(place, "bars", score="relative")) > 0.6


def test_items_of_other_sources_go_by_their_names(place: Path, capsys) -> None:
    found = score(place, "bars", place / "folder")
    assert {r["item"] for r in found["items"]} == {f"photo{i}.png" for i in range(4)}
    assert found["results"] == []
    runs = str(place / "runs")
    words = ["anomaly", "bars", "--data", str(place / "bars.npz"), "--anomalous", "2", "--runs", runs, "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["anomalous"] == ["2"]


def test_what_cannot_be_scored_is_refused_in_one_line(place: Path) -> None:
    with pytest.raises(BadValue, match="these data have no classes"):
        score(place, "bars", place / "plain.npy", anomalous="2")
    whole = table(place / "whole.csv").read_text().splitlines()
    (place / "one.csv").write_text("\n".join([whole[0], *(row for row in whole[1:] if row.endswith("odd"))]) + "\n")
    with pytest.raises(BadData, match="all 30 items are unusual"):
        score(place, "rows", place / "one.csv")
    with pytest.raises(BadData, match=r"knows images, .*rows.csv holds tables"):
        score(place, "bars", place / "rows.csv")
    with pytest.raises(BadData, match=r"knows images of 1x16x16, .* 1x20x20: .*--data.size 16x16"):
        score(place, "bars", place / "larger.npy")
    with pytest.raises(BadData, match="no column 'second'"):
        score(place, "rows", table(place / "short.csv", drop="second"))
    with pytest.raises(BadValue, match="neither copies items through a code nor gives them a likelihood"):
        score(place, "gan")
    with pytest.raises(BadValue, match="must be told 'label' of every item"):
        score(place, "flow")
    with pytest.raises(BadValue, match="copies nothing through a narrower code: use --score nll"):
        score(place, "flow", score="relative")
    with pytest.raises(BadValue, match="gives no likelihood: use --score reconstruction"):
        score(place, "bars", score="nll")
    with pytest.raises(BadValue, match="expected reconstruction, relative, nll"):
        score(place, "bars", score="guess")
    with pytest.raises(NotFound, match="class"):
        score(place, "vae", anomalous="zebra")
    with pytest.raises(BadValue, match=r"\.csv or \.json"):
        score(place, "bars", out=place / "scores.txt")
    with pytest.raises(BadValue, match="goes with --data"):
        score(place, "bars", overrides={"data.size": "16"})


def test_what_a_run_of_rows_is_for_is_said_at_its_end(place: Path) -> None:
    trained = genloom.train("autoencoder", data=str(place / "rows.csv"), budget="1steps", runs=str(place / "runs"),
                            overrides=STEPS)  # fmt: skip
    assert "genloom anomaly" in str(trained)


def test_an_image_model_refuses_rows(place: Path) -> None:
    with pytest.raises(BadData, match="image"):
        genloom.train("vae", data=str(place / "rows.csv"), budget="1steps", runs=str(place / "runs"), overrides={})


@pytest.mark.parametrize(("without", "said"), [("zebra", "class"), ("0;1;2", "leaves nothing to learn")])
def test_classes_that_cannot_be_left_out(place: Path, without: str, said: str) -> None:
    with pytest.raises((BadValue, NotFound), match=said):
        genloom.train("autoencoder", data=str(place / "bars.npz"), budget="1steps", runs=str(place / "runs"),
                      overrides={"data.without": without})  # fmt: skip
    with pytest.raises(BadValue, match="no classes"):
        genloom.train("autoencoder", data=str(place / "plain.npy"), budget="1steps", runs=str(place / "runs"),
                      overrides={"data.without": "1"})  # fmt: skip
