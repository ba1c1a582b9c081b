"""How every benchmark writes its result: with the machine and the date, as JSON that stands in the repository."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import genloom
from genloom.engine.precision import processor
from genloom.runs import write_json

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "genloom": genloom.__version__,
    }


def save_small(picture: Image.Image, path: Path) -> None:
    """A picture for the documentation: 48 colours, so that it weighs little."""
    picture.convert("RGB").quantize(48, dither=Image.Dither.NONE).save(path, optimize=True)


def publish(name: str, figures: dict[str, Any], command: str) -> None:
    """Prints one JSON document and writes it to results/NAME.json."""
    document = {
        "benchmark": name,
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", document)
    print(json.dumps(document, indent=1))
