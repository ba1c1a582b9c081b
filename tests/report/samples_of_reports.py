"""Reports made by hand: what runs and comparisons would give, without training anything."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from genloom.report import (
    Comparison,
    Curve,
    DataNote,
    Estimate,
    Finding,
    Report,
    ReportRun,
    Standing,
)

NASTY = '<script>alert("x")</script> & <img src=http://evil.example/a.png>'


def figure(key: str, name: str, value: float, n: int = 4321, **protocol: object) -> dict[str, object]:
    return {"key": key, "name": name, "value": value, "interval": [value - 0.011, value + 0.013], "n": n,
            "protocol": protocol, "citation": "", "better": "lower"}  # fmt: skip


def picture(seed: int = 0, width: int = 64, height: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height or width, width), dtype=np.uint8))


def run(**changes: object) -> ReportRun:
    rows: list[dict[str, float]] = [
        {"step": i, "seconds": i / 2, "loss/net": 5.0 / (i + 1), "loss/critic": 2.0, "vae/kl": 0.1 * i, "rate/net": 0.1}
        for i in range(50)
    ]
    rows.append({"step": 49, "seconds": 25.0, "monitor": 0.7654})
    base = ReportRun(
        name="0001-flow",
        recipe="flow",
        family="diffusion",
        rows=rows,
        samples=picture(1),
        real=picture(2),
        neighbours=Image.new("RGB", (16, 8)),
        evaluation={
            "results": [
                figure("fd", "FD(toy@01234567)", 2.8461, floor=0.1357),
                figure("precision", "precision(toy@01234567)", 0.6173, k=5),
                figure("recall", "recall(toy@01234567)", 0.4829, k=5),
                figure("bits_per_dimension", "bits per dimension", 3.1415),
                figure("share:cat", "share of cat", 0.2718, held_out_share=0.25),
                figure("share:dog", "share of dog", 0.7282, held_out_share=0.75),
            ],
            "extractor": "toy@01234567",
            "notes": ["few items"],
        },
        cost={
            "wall_seconds": 61.25,
            "cpu_seconds": 118.5,
            "items_per_second": 4980.2,
            "peak_memory_bytes": 646_647_808,
            "energy_kwh_estimated": [9.8e-5, 4.9e-4],
            "co2_grams_estimated": [0.0029, 0.34],
        },
        config={"model": "flow", "config": {"width": 48}},
        command="genloom train flow --data toy",
        parameters=612_345,
        items=300_800,
        data="toy",
        monitor="validation",
        plan="bf16: measured 12.1 ms a step",
        notes=("a note",),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def report(*runs: ReportRun, **changes: object) -> Report:
    base = Report(
        title="Four models",
        runs=runs or (run(),),
        data=[
            DataNote("Toy set", "https://example.org/toy", "CC0-1.0", "60 pictures", "Somebody 2020", "toy", "d1g3st")
        ],
        commands=["genloom demo --seed 0"],
        versions={"genloom": "9.8.7", "torch": "6.5.4"},
        made="1 May 2026",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


AILING = (
    Finding("overfitting", "held-out loss rose by 12%", "it learns items by heart", "stop sooner", "warning", 400),
    Finding("collapse", "3 of 10 classes missing", "the generator won", "lower its rate", "serious", 900, until=1200),
    Finding("slow start", "no progress for 50 steps", level="note"),
)


def standing(name: str, rank: int, values: tuple[float, ...], tied: tuple[str, ...] = (), **more: Any) -> Standing:
    mean = sum(values) / len(values)
    spread = (max(values) - min(values)) or 0.1
    precision, recall = more.pop("precision", 0.8), more.pop("recall", 0.7)
    figures = {
        "fd": Estimate(mean, values, (mean - spread, mean + spread), 3000, f"t over {len(values)} seeds"),
        "precision": Estimate(precision, (precision,), (precision - 0.02, precision + 0.02), 3000),
        "recall": Estimate(recall, (recall,), (recall - 0.03, recall + 0.02), 3000),
        "precision_real": Estimate(0.951),
        "recall_real": Estimate(0.957),
    }
    points = tuple((t, mean * (1 + 30 / t), mean * (1 + 25 / t), mean * (1 + 36 / t)) for t in (10, 20, 30, 45, 60))
    made: dict[str, Any] = {
        "curve": Curve(name, points),
        "runs": tuple(f"{name}-{i}" for i in range(3)),
        "parameters": 650_000,
        "cost": {"wall_seconds": 58.5, "peak_memory_bytes": 6.4e8, "energy_kwh_estimated": [9e-5, 4.6e-4]},
        "samples": picture(rank),
        **more,
    }
    return Standing(name, name.split(" ")[0], "diffusion", rank, figures, tied, **made)


def comparison(**changes: object) -> Comparison:
    base = Comparison(
        key="fd",
        name="FD(toy@01234567)",
        better="lower",
        standings=(
            standing("flow", 1, (1.05, 1.11, 1.02), precision=0.966, recall=0.712),
            standing("r3gan", 2, (1.62, 1.51, 1.58), ("vae",), precision=0.883, recall=0.731),
            standing("vae", 3, (1.57, 1.66, 1.71), ("r3gan",), precision=0.804, recall=0.932),
            standing("gan-mlp", 4, (31.2, 44.0, 28.9), precision=0.41, recall=0.12),
        ),
        floor=0.1357,
        labels={"precision": ("precision", "higher"), "recall": ("recall", "higher"),
                "precision_real": ("precision of real items", "higher")},
        budget="60s",
        seeds=(0, 1, 2),
        test="Differences by Welch's t test over seeds at 5%, corrected by Holm.",
        blind="blind.html",
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def four_runs() -> Report:
    """As heavy as real ones: 300 rows, 64 tiles of noise, every kind of picture."""
    rows = [
        {"step": i, "seconds": float(i), "loss/a": math.exp(-i / 50) + 0.1, "loss/b": 1 / (i + 1), "x/kl": i, "x/r1": i}
        for i in range(300)
    ]
    names = ("0001-vae", "0002-r3gan", "0003-flow", "0004-vae-mlp")
    runs = [
        run(
            name=name,
            rows=[*rows, {"step": 300, "seconds": 300.0, "monitor": 0.3 + i}],
            samples=picture(i, 256),
            real=picture(i + 9, 256),
            neighbours=picture(i, 360, 60),
            walks=picture(i, 300, 180),
            map=picture(i, 200),
            path=picture(i, 300, 120),
            health=AILING if i == 1 else (),
        )
        for i, name in enumerate(names)
    ]
    return report(*runs)
