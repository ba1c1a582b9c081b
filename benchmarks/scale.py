"""Do speed and memory stay flat from a thousand items to ten million? How fast is a folder of pictures indexed?

    python benchmarks/scale.py [--items 1000,100000,10000000] [--files 200000] [--steps 1500] [--folder DIR]

Arrays of N made-up pictures (28x28 bytes, 10 MB per 12,800) are written as .npy into a folder of their own, which needs
8 GB at ten million and is removed afterwards; free space is looked at first. For each N, in a process of its own:
seconds to load it the first time and again, training batches of 64 drawn a second, images a second of a real training
run (recipe vae-mlp, --steps steps, everything counted), and the most private memory the process held while loading and
while training: its resident memory without the pages of mapped files, which the system takes back when it likes.

Then a folder of --files small PNG pictures (28x28, ten sub-folders) is loaded three times, each in a process of its
own: with nothing cached (every file decoded), again (files only looked at), and after one more file came. The files
were just written, so the disk's own speed is no part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

SIDE, BATCH, DRAWS = 28, 64, 3000
MiB = 1 << 20


class Watch(threading.Thread):
    """Notes the most private memory (resident, without mapped files) this process holds, twenty times a second."""

    def __init__(self) -> None:
        import psutil

        super().__init__(daemon=True)
        self.process, self.most, self.over = psutil.Process(), 0, threading.Event()
        self.start()

    def look(self) -> int:
        now = self.process.memory_info()
        self.most = max(self.most, now.rss - now.shared)
        return self.most

    def run(self) -> None:
        while not self.over.wait(0.05):
            self.look()

    def since(self) -> float:
        """The most since last asked, in MiB."""
        most, self.most = self.look(), 0
        return round(most / MiB, 1)


def one_array(path: Path, steps: int) -> dict[str, Any]:
    """What is measured of one array; runs in a process of its own."""
    from dataclasses import replace

    import torch

    from genloom.data import DataOptions, load
    from genloom.engine.journal import Reporter
    from genloom.engine.order import Order
    from genloom.engine.train import Settings, create_run, train
    from genloom.recipes.registry import get

    watch = Watch()
    found: dict[str, Any] = {"private_mib_at_start": watch.since()}
    options = DataOptions(source=str(path))
    for name in ("first_load_seconds", "load_seconds"):
        dataset = None  # the first one's memory is no part of the second's
        begun = time.perf_counter()
        dataset = load(options)
        found[name] = round(time.perf_counter() - begun, 3)
        found[f"private_mib_{name.removesuffix('_seconds')}"] = watch.since()
    order = Order(len(dataset.train), dataset.train.items, BATCH, 0, "phase", False)
    for half in range(2):  # the first half only warms up
        begun = time.perf_counter()
        for i in range(half * DRAWS, (half + 1) * DRAWS):
            dataset.train.batch(order.indices(i))
        found["drawn_images_per_second"] = round(DRAWS * BATCH / (time.perf_counter() - begun))
    watch.since()
    recipe = get("vae-mlp")
    settings = replace(recipe.train, budget=f"{steps} steps", batch=BATCH)
    with tempfile.TemporaryDirectory() as root:
        run = create_run(root, Settings("vae-mlp", recipe.model, recipe.config, options, settings), dataset)
        begun = time.perf_counter()
        outcome = train(run, dataset, reporter=Reporter(None))
        found["trained_images_per_second"] = round(outcome.items / (time.perf_counter() - begun))
    found["private_mib_training"] = watch.since()
    found["threads"] = torch.get_num_threads()
    watch.over.set()
    return found


def one_folder(path: Path) -> dict[str, Any]:
    """What is measured of loading a folder once."""
    from genloom.data import DataOptions, load

    load(DataOptions(source="digits"))  # what is imported on the way is no part of it
    watch = Watch()
    begun = time.perf_counter()
    dataset = load(DataOptions(source=str(path)))
    seconds = time.perf_counter() - begun
    files = sum(len(s) for s in (dataset.train, dataset.validation, dataset.test))
    return {
        "files": files,
        "seconds": round(seconds, 3),
        "files_per_second": round(files / seconds),
        "private_mib": watch.since(),
        "digest": dataset.digest,
    }


def write_array(path: Path, n: int) -> None:
    """n pictures, no two alike: noise whose first eight bytes are the number."""
    rng = np.random.default_rng(0)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n, SIDE, SIDE))
    for start in range(0, n, 50_000):
        block = rng.integers(0, 256, (min(50_000, n - start), SIDE * SIDE), np.uint8)
        block[:, :8] = np.arange(start, start + len(block), dtype=np.int64)[:, None].view(np.uint8)
        images[start : start + len(block)] = block.reshape(-1, SIDE, SIDE)
    images.flush()


def write_pictures(folder: Path, n: int) -> None:
    """n PNG files in ten sub-folders."""
    from PIL import Image

    for c in range(10):
        (folder / str(c)).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 255, SIDE)
    for i in range(n):
        a, b = rng.random(2)
        image = (a * ramp[:, None] + b * ramp[None] + i % 251) / 3  # smooth, as pictures are
        image.flat[:4] = np.frombuffer(np.int32(i).tobytes(), np.uint8)
        Image.fromarray(image.astype(np.uint8)).save(folder / str(i % 10) / f"{i:07d}.png", compress_level=1)


def apart(*arguments: str, cache: Path) -> dict[str, Any]:
    """What this program prints when it is called with these arguments."""
    environment = {**os.environ, "GENLOOM_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, __file__, *arguments], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure_arrays(root: Path, counts: list[int], steps: int) -> dict[str, Any]:
    found = {}
    for n in counts:
        path = root / f"{n}.npy"
        write_array(path, n)
        found[str(n)] = apart("--array", str(path), "--steps", str(steps), cache=root / "cache")
        path.unlink()
        print(n, json.dumps(found[str(n)]), file=sys.stderr)
    return found


def measure_folder(root: Path, files: int) -> dict[str, Any]:
    folder = root / "pictures"
    write_pictures(folder, files)
    found = {name: apart("--pictures", str(folder), cache=root / "cache") for name in ("first", "again")}
    assert found["first"]["digest"] == found["again"]["digest"]
    shutil.copyfile(folder / "0" / "0000000.png", folder / "1" / "one more.png")
    found["one more file"] = apart("--pictures", str(folder), cache=root / "cache")
    shutil.rmtree(folder)
    return found


def draw_plot(arrays: dict[str, Any], place: Path) -> None:
    """Images a second and private memory over the number of items."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    items = [int(n) for n in arrays]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for key, label in (("drawn_images_per_second", "drawn"), ("trained_images_per_second", "trained (vae-mlp)")):
        left.loglog(items, [found[key] for found in arrays.values()], "o-", label=label)
    left.set(xlabel="items in the data set", ylabel="images a second", ylim=(100, 1e7))
    for key, label in (("private_mib_training", "training"), ("private_mib_load", "loading again")):
        right.semilogx(items, [found[key] for found in arrays.values()], "o-", label=label)
    dense = np.geomspace(items[0], items[-1], 100)
    right.semilogx(dense, dense * SIDE * SIDE / MiB, "--", color="grey", label="the data")
    top = 2 * max(found["private_mib_first_load"] for found in arrays.values())
    right.set(xlabel="items in the data set", ylabel="private memory, MiB", ylim=(0, top))
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(place, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", default="1000,100000,10000000")
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--folder", help="where there is room; by default the system's temporary folder")
    parser.add_argument("--array", help=argparse.SUPPRESS)
    parser.add_argument("--pictures", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.array:
        print(json.dumps(one_array(Path(arguments.array), arguments.steps)))
        return
    if arguments.pictures:
        print(json.dumps(one_folder(Path(arguments.pictures))))
        return
    from _result import RESULTS, publish

    counts = [int(n) for n in arguments.items.split(",")]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
        needed = max(counts) * (SIDE * SIDE + 16) + arguments.files * (4096 + SIDE * SIDE)
        free = shutil.disk_usage(root).free
        if needed * 1.1 > free:
            sys.exit(f"{root} has {free / 1e9:.1f} GB free and {needed * 1.1 / 1e9:.1f} GB are needed: give --folder")
        arrays = measure_arrays(Path(root), counts, arguments.steps)
        folder = measure_folder(Path(root), arguments.files)
    first, last = arrays[str(counts[0])], arrays[str(counts[-1])]
    RESULTS.mkdir(exist_ok=True)
    draw_plot(arrays, RESULTS / "scale.png")
    figures = {
        "batch": BATCH,
        "steps": arguments.steps,
        "arrays": arrays,
        "trained_speed_last_to_first": round(last["trained_images_per_second"] / first["trained_images_per_second"], 3),
        "private_mib_training_last_minus_first": round(last["private_mib_training"] - first["private_mib_training"], 1),
        "folder": folder,
    }
    command = (
        f"python benchmarks/scale.py --items {arguments.items} --files {arguments.files} --steps {arguments.steps}"
    )
    publish("scale", figures, command)


if __name__ == "__main__":
    main()
