"""The FID's network in our own words beside the published file, and what 1,000 pictures cost in each extractor.

    genloom data fetch inception-fid && genloom data fetch lpips && python benchmarks/extractors.py

The published file is TorchScript, whose code this benchmark runs (genloom itself never does): features of random
pictures of four sizes must agree to 1e-4. Then the seconds of 1,000 pictures of 32 x 32 pixels in each network.
"""

from __future__ import annotations

import argparse
import time

import torch

from _result import publish
from genloom.data.sets.weights import converted
from genloom.metrics.inception import load_inception, resized
from genloom.metrics.lpips import load_lpips
from genloom.metrics.weights import colours


def main() -> None:
    """Compares, times and publishes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000)
    options = parser.parse_args()
    random = torch.Generator().manual_seed(0)
    theirs = torch.jit.load(str(converted("inception-fid") / "inception-2015.pt")).eval()
    net, apart = load_inception(), {}
    for shape in ((4, 3, 32, 32), (2, 1, 28, 28), (2, 3, 299, 299), (2, 3, 400, 301)):
        images = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
        with torch.no_grad():
            wanted = theirs((resized(colours(images.float())) - 128) / 128)
        apart["x".join(map(str, shape))] = float((net.features(images) - wanted).abs().max())
    images = torch.randint(0, 256, (options.n, 3, 32, 32), generator=random, dtype=torch.uint8)
    seconds = {}
    for extractor in (net, load_lpips("alex"), load_lpips("vgg")):
        extractor.features(images[:32])
        began = time.perf_counter()
        extractor.features(images)
        seconds[extractor.identity] = round(time.perf_counter() - began, 1)
    figures = {"largest difference of features": apart, "pictures": options.n, "seconds": seconds}
    publish("extractors", figures, f"python benchmarks/extractors.py --n {options.n}")
    if max(apart.values()) > 1e-4:
        raise SystemExit("the features differ from those of the published file")


if __name__ == "__main__":
    main()
