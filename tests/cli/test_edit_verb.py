"""`genloom edit`: projection, strokes, another class, and every mistake in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import genloom
from genloom.cli.main import main
from genloom.core import the_item
from genloom.verbs.edit import project
from genloom.verbs.opened import open_run

STEPS = 40


def darkness(images: Tensor) -> Tensor:
    """A network that knows only how bright a picture is; for --identity."""
    return 10 * images.flatten(1).mean(1, keepdim=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE and a class-conditional GAN of 8x8 digits, barely trained, a model of texts, and some pictures."""
    root = tmp_path_factory.mktemp("edit")
    few = ["--runs", str(root), "--train.precision", "fp32", "--train.batch", "32"]
    digits = ["--data", "digits", *few]
    assert main(["train", "gan", *digits, "--budget", "30steps", "--config.width", "8", "--name", "gan"]) == 0
    assert main(["train", "vae", *digits, "--budget", "60steps", "--config.width", "8", "--name", "vae"]) == 0
    assert main(["train", "gan-minimax", *digits, "--budget", "1steps", "--config.hidden", "16", "--name", "deaf"]) == 0
    (root / "poem.txt").write_text("a rose is a rose is a rose\n" * 200)
    assert main(["train", "ngram", "--data", str(root / "poem.txt"), *few[:2], "--name", "text"]) == 0
    drawn = genloom.sample("gan", 1, seed=3, label="3", raw=True, out=root / "own.npy", runs=root).images[0]
    Image.fromarray(drawn).save(root / "own.png")
    painted = drawn.copy()
    painted[:3, :3] = 255 - painted[:3, :3]
    Image.fromarray(painted).save(root / "painted.png")
    Image.fromarray(drawn).resize((40, 24)).save(root / "large.png")
    Image.fromarray(np.stack([drawn, 255 - drawn, drawn], 2)).save(root / "colour.png")
    (root / "broken.png").write_bytes(b"no picture")
    return root


def test_a_picture_of_the_model_is_found_again(runs: Path) -> None:
    loaded = open_run("gan", runs, raw=True)
    name, _ = the_item(loaded.spec, "image", "test")
    x = torch.from_numpy(np.array(Image.open(runs / "own.png"))).float()[None, None] / 127.5 - 1
    short, longer = (project(loaded, name, x, steps=s) for s in (1, 150))
    far = [(p.items - x).square().mean().item() for p in (short, longer)]
    assert far[1] < far[0] / 2
    told = genloom.edit("gan", runs / "own.png", label="3", steps=STEPS, raw=True, runs=runs)
    assert told["class"] == "3"
    assert told["psnr"] > 10


def test_an_encoder_is_where_the_search_starts(runs: Path) -> None:
    shown = genloom.edit("vae", runs / "own.png", steps=1, raw=True, runs=runs)
    better = genloom.edit("vae", runs / "own.png", steps=STEPS, raw=True, runs=runs)
    assert better["psnr"] >= shown["psnr"]
    assert Path(better["out"]).is_file()


def test_strokes_are_followed_and_the_rest_is_kept(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "edit.npy"
    plain = genloom.edit("gan", runs / "own.png", steps=STEPS, raw=True, out=tmp_path / "a.npy", runs=runs)
    genloom.edit("gan", runs / "own.png", painted=runs / "painted.png", steps=STEPS, raw=True, out=out, runs=runs)
    edited, kept = np.load(out).astype(float), np.load(plain["out"]).astype(float)
    wanted = np.array(Image.open(runs / "painted.png")).astype(float)
    inside = [np.abs(x[0, :3, :3] - wanted[:3, :3]).mean() for x in (edited, kept)]
    assert inside[0] < inside[1]


def test_another_class_and_an_identity(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["edit", "gan", str(runs / "own.png"), "--to", "7", "--steps", str(STEPS), "--raw", "--runs", str(runs)]
    assert main([*command, "--out", str(tmp_path / "to.npy")]) == 0
    monkeypatch.chdir(Path(__file__).parent)
    known = ["--identity", "test_edit_verb:darkness", "--weight", "50", "--out", str(tmp_path / "known.npy")]
    assert main([*command, *known]) == 0
    a, b = np.load(tmp_path / "to.npy"), np.load(tmp_path / "known.npy")
    assert a.shape == b.shape == (2, 8, 8)
    assert not np.array_equal(a, b)
    assert not np.array_equal(a[0], a[1])


def test_other_sizes_and_colours_are_fitted_with_a_note(runs: Path) -> None:
    large = genloom.edit("vae", runs / "large.png", steps=1, raw=True, runs=runs)
    assert "measures 24x40; scaled and cut to the model's 8x8" in large.notes[0]
    colour = genloom.edit("vae", runs / "colour.png", steps=1, raw=True, runs=runs)
    assert "has colours; the model's pictures are grey" in colour.notes[0]


BAD = {
    "no file": (["gan", "nowhere.png"], "there is no picture"),
    "no picture": (["gan", "broken.png"], "cannot be read as a picture"),
    "unknown attribute": (["gan", "own.png", "--to", "giraffe"], "unknown class 'giraffe'"),
    "two attributes": (["gan", "own.png", "--to", "1,2"], "--to 1,2: expected one class"),
    "attribute of a deaf model": (["deaf", "own.png", "--to", "3"], "listens to no classes"),
    "no latent space": (["text", "own.png"], "edit changes pictures"),
    "nothing painted": (["gan", "own.png", "--painted", "own.png"], "paint something"),
    "identity": (["gan", "own.png", "--identity", "somebody"], "expected lpips-alex, lpips-vgg or package"),
    "identity nowhere": (["gan", "own.png", "--identity", "no.such:thing"], "no.such:thing"),
    "steps": (["gan", "own.png", "--steps", "0"], "--steps: expected at least 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_take_one_line(name: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, said = BAD[name]
    words = [str(runs / w) if w.endswith(".png") else w for w in words]
    capsys.readouterr()
    assert main(["edit", *words, "--raw", "--runs", str(runs)]) == 2
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1
