"""`denoising-autoencoder` on Fashion-MNIST beside a Gaussian and a median filter, at three strengths of noise.

    python benchmarks/denoise.py [--steps 150] [--n 300]

One model for all strengths: PSNR and SSIM of n held-out pictures with noise of 15, 25 and 50 levels of 255, as `genloom
translate --task denoise` states them. Writes results/denoise.json and a picture.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import genloom
from _result import RESULTS, publish

SIGMAS = (15.0, 25.0, 50.0)


def main() -> None:
    """Trains once, measures three times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--n", type=int, default=300, help="held-out pictures")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as root:
        run = genloom.train("denoising-autoencoder", data="fashion-mnist", budget=f"{arguments.steps}steps", runs=root)
        for sigma in SIGMAS:
            place = Path(root) / "denoise.png"
            told = genloom.translate(run, "denoise", n=arguments.n, sigma=sigma, out=place)
            found[f"{sigma:g}"] = {
                r["name"]: {"value": round(r["value"], 3), "interval": [round(v, 3) for v in r["interval"]]}
                for r in told["results"]
            }
            print(sigma, {k: v["value"] for k, v in found[f"{sigma:g}"].items()}, flush=True)
            if sigma == 25:
                RESULTS.mkdir(exist_ok=True)
                shutil.copyfile(place, RESULTS / "denoise.png")
    publish(
        "denoise",
        {
            "steps": arguments.steps,
            "n": arguments.n,
            "machine was": "shared: one core for this, others in use",
            "noise of 255": found,
        },
        "python benchmarks/denoise.py",
    )


if __name__ == "__main__":
    main()
