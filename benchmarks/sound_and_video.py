"""The flow recipe as it is on a second of speech and on moving digits: figures, and samples to be looked at and heard.

    python benchmarks/sound_and_video.py                         all three, 3,000 updates of 32 items each
    python benchmarks/sound_and_video.py --only mel              one of mel, waveform, video

Speech is learnt as log-mel spectrograms, whose sound is found again, and as waveforms. Both are measured as people
hear them: samples become sound first, and the spectrogram of that sound is compared with those of held-out recordings,
in the features of one extractor. `sound of real spectrograms` is what the way through a spectrogram and back costs by
itself.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

import genloom
from _result import publish
from genloom import data as sets
from genloom.core import Field
from genloom.data import DataOptions
from genloom.metrics.figures import frechet_alone
from genloom.metrics.pictured import as_pictures, pictured_set
from genloom.metrics.store import extractor_for
from genloom.modalities import audio, modality
from genloom.verbs.drawn import draw
from genloom.verbs.opened import open_run, sampling

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
KINDS = {
    "mel": ("spoken-digits", {"data.audio": "mel"}),
    "waveform": ("spoken-digits", {"data.audio": "waveform"}),
    "video": ("moving-digits", {}),
}


def heard(items: torch.Tensor, field: Field, net: Any, waves: Any) -> float:
    """The Frechet distance of sounds, whatever they were made as, to held-out ones."""
    whole = Field("audio", (1, 8000), rate=8000.0)
    samples = audio.waves(items, field)[:, :8000]
    return float(frechet_alone(net, waves, net.features(as_pictures(samples[:, None], whole))))


def run(kind: str, steps: int, n: int, folder: Path) -> dict[str, Any]:
    source, overrides = KINDS[kind]
    started = time.perf_counter()
    chosen = {**overrides, "train.seed": 0, "train.batch": 32}
    trained = genloom.train("flow", data=source, budget=f"{steps}steps", runs=folder, name=kind, overrides=chosen)
    seconds = time.perf_counter() - started
    loaded = open_run(trained)
    field = next(f for f in loaded.spec.values() if f.role == "item")
    items = draw(loaded, n, seed=0, options=sampling())
    found: dict[str, Any] = {"seconds": round(seconds, 1), "updates": steps, "samples": n}
    dataset = sets.load(DataOptions(source=source, **{k.removeprefix("data."): v for k, v in overrides.items()}))
    if kind == "video":
        seen = pictured_set(dataset)
        net = extractor_for(seen)
        found["FD"] = frechet_alone(net, seen, net.features(as_pictures(items, field)))
        floor = dataset.train.raw(torch.arange(n))["video"]
        found["FD of training items"] = frechet_alone(net, seen, net.features(as_pictures(floor, field)))
    else:
        waves = pictured_set(sets.load(DataOptions(source=source, audio="waveform")))
        net = extractor_for(waves)
        found["FD, as heard"] = heard(items, field, net, waves)
        real = dataset.train.raw(torch.arange(n))["audio"]
        found["FD of training items" if kind == "waveform" else "FD, sound of real spectrograms"] = heard(
            real, field, net, waves
        )
    found["features"] = net.identity
    codec = modality(field.modality).codec
    by_class = draw(loaded, 20, seed=1, options=sampling(), label="0,1,2,3,4,5,6,7,8,9")
    codec.save(by_class, field, PICTURES / f"{kind}-samples.png", columns=5 if kind != "video" else 2)
    codec.save(by_class, field, folder / f"{kind}{modality(field.modality).writes[0]}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=Path("runs-sound-and-video"))
    options = parser.parse_args()
    wanted = [options.only] if options.only else list(KINDS)
    figures = {kind: run(kind, options.steps, options.n, options.folder) for kind in wanted}
    name = "sound_and_video" + (f"_{options.only}" if options.only else "")
    only = f" --only {options.only}" if options.only else ""
    command = f"python benchmarks/{Path(__file__).name}{only} --steps {options.steps} --n {options.n}"
    publish(name, {"results": figures}, command)


if __name__ == "__main__":
    main()
