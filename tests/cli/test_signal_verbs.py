"""A flow on recordings and on clips, from the command line: trained, sampled, shown, measured, reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from genloom.cli.main import main
from genloom.modalities.sound import read_wav, wav_comment
from genloom.modalities.video import read_gif
from genloom.runs import Run

SMALL = ["--config.widths", "32,32", "--config.blocks", "1,1", "--config.steps", "2", "--config.embedding", "32",
         "--train.batch", "16", "--train.precision", "fp32", "--train.channels_last", "off"]  # fmt: skip


def recordings(folder: Path, n: int = 72) -> Path:
    for i in range(n):
        t = np.arange(2400) / 8000
        wave = 9000 * np.sin(2 * np.pi * (300 if i % 2 else 1500) * t * (1 + i / 200)) * np.exp(-8 * t)
        path = folder / ("low" if i % 2 else "high") / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(path, 8000, wave.astype(np.int16))
    return folder


def clips(folder: Path, n: int = 72) -> Path:
    random = np.random.default_rng(0)
    for i in range(n):
        film = np.zeros((8, 12, 12), np.uint8)
        for t in range(8):
            film[t, (i % 8) : (i % 8) + 4, t : t + 4] = 255 if i % 2 else 120
        film += random.integers(0, 9, film.shape, np.uint8).clip(max=255 - film)
        path = folder / ("dim", "bright")[i % 2] / f"{i}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        first, *rest = (Image.fromarray(f) for f in film)
        first.save(path, save_all=True, append_images=rest, duration=100)
    return folder


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_from_a_folder_to_a_report(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("genloom.metrics.evaluate.here", lambda name: False)
    folder = (recordings if kind == "audio" else clips)(tmp_path / "items")
    word, ending, shown = ("low", "wav", "audio/wav") if kind == "audio" else ("dim", "gif", "image/gif")

    assert main(["data", "show", str(folder), "--out", "items.png"]) == 0
    assert f"field {kind}" in capsys.readouterr().out
    with Image.open("items.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10

    train = ["train", "flow", "--data", str(folder), *SMALL]
    assert main([*train, "--budget", "6steps", "--name", "whole"]) == 0
    capsys.readouterr()
    run = Run(Path("runs/whole"))
    previews = sorted(p.suffix for p in run.samples.iterdir())
    assert set(previews) == {".png", f".{ending}"}

    assert main(["sample", "whole", "-n", "3", "--label", word, "--out", f"x.{ending}", "--seed", "5"]) == 0
    first = Path(f"x.{ending}").read_bytes()
    assert main(["sample", "whole", "-n", "3", "--label", word, "--out", f"y.{ending}", "--seed", "5"]) == 0
    if kind == "audio":
        row, rate = read_wav("x.wav")
        assert rate == 8000
        assert len(row) > 3 * 2400
        assert json.loads(wav_comment(first))["seed"] == 5
    else:
        with Image.open("x.gif") as film:
            assert film.n_frames == 8  # type: ignore[attr-defined]
    read = read_wav if kind == "audio" else read_gif
    assert np.array_equal(read(f"x.{ending}")[0], read(f"y.{ending}")[0])  # the same seed, the same items
    assert main(["sample", "whole", "-n", "2", "--out", "many/"]) == 0
    assert len(list(Path("many").glob(f"*.{ending}"))) == 2
    assert main(["sample", "whole", "--out", "x.txt"]) == 2
    assert main(["sample", "whole", "--label", "loud"]) == 2
    assert capsys.readouterr().err.count("\n") == 2

    assert main(["evaluate", "whole", "-n", "24", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    name = next(r["name"] for r in told["results"] if r["key"] == "fd")
    assert name.startswith("FD(items-spectrograms@" if kind == "audio" else "FD(items-frames@")
    assert "bits_per_dimension" not in told["values"]
    assert any("likelihood of them is not given" in note for note in told["notes"])

    assert main(["interpolate", "whole", "-n", "2", "--points", "3", "--out", "walk.png"]) == 0
    assert main(["report", "whole", "--out", "page.html"]) == 0
    page = Path("page.html").read_text()
    assert f"data:{shown};base64," in page
    assert "media-src data:" in page
    assert "Samples above, their nearest training items below" in page
