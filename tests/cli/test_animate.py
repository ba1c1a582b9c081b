"""Moving pictures from the command line: items out of noise, walks that close, walks between given pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import genloom
from genloom.cli.main import main
from genloom.cli.parse import find_verb, parse
from genloom.core import Field
from genloom.errors import BadValue
from genloom.modalities import image
from genloom.verbs import animate

TINY = ["--config.widths", "32,32", "--config.blocks", "1,1", "--config.steps", "20", "--train.batch", "32",
        "--train.precision", "fp32", "--train.channels_last", "off"]  # fmt: skip


@pytest.fixture(scope="module")
def told(house: Path) -> str:
    """A flow in the house that takes 20 steps, enough to come back from noise."""
    words = ["train", "flow", "--data", "digits", "--runs", str(house / "runs"), "--name", "told", "--budget", "1steps"]
    assert main([*words, *TINY]) == 0
    return "told"


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, str]:
    """Pictures to walk between: two of the model's size (8x8, grey), and three that will not do."""
    y, x = np.mgrid[:8, :8]
    made = {
        "a": (np.hypot(x - 3.5, y - 3.5) < 3) * np.uint8(200),
        "b": (abs(x - 4) < 1) * np.uint8(255),
        "wide": np.zeros((8, 9), np.uint8),
        "red": np.full((8, 8, 3), (200, 0, 0), np.uint8),
    }
    places = {name: str(tmp_path / f"{name}.png") for name in (*made, "broken")}
    for name, array in made.items():
        Image.fromarray(array).save(places[name])
    Path(places["broken"]).write_bytes(b"no picture")
    return places


def frames(path: Path) -> tuple[np.ndarray, list[int]]:
    """All frames as grey (t, h, w), and how many milliseconds each is shown."""
    with Image.open(path) as file:
        assert file.info["loop"] == 0  # for ever
        found = [(np.asarray(f.convert("L")).astype(int), f.info["duration"]) for f in ImageSequence.Iterator(file)]
    return np.stack([f for f, _ in found]), [d for _, d in found]


def test_items_come_out_of_noise(at_home: Path, told: str, tmp_path: Path) -> None:
    place = tmp_path / "path.gif"
    assert main(["sample", told, "--animate", "-n", "4", "--steps", "6", "--seed", "3", "--out", str(place)]) == 0
    shown, lasting = frames(place)
    still = genloom.sample(told, n=4, steps=6, seed=3, out=tmp_path / "x.npy").images
    expected = image.grid(torch.from_numpy(still)[:, None])
    assert len(shown) == 7  # before each of six evaluations, and the end
    assert (shown[-1] == np.asarray(expected)).all()
    change = abs(shown - shown[-1]).mean((1, 2))
    assert change.argmax() == 0
    assert change[0] > 10
    assert set(lasting[:-1]) == {lasting[0]}
    assert lasting[-1] == lasting[0] + 1500
    made = genloom.sample(told, animate=True, steps=2)
    assert made.path.parent == Path("runs/told/samples")
    assert made.path.suffix == ".gif"
    assert made.data["n"] == len(made.images) == 25
    assert made.clips[0].content == made.path.read_bytes()


def test_a_thousand_evaluations_are_at_most_48_frames() -> None:
    field = Field("image", (1, 4, 4))
    for of in (1, 2, 46, 47, 48, 1000):
        watch = animate.Watch(field, "a run")
        for i in range(1, of + 1):
            watch({"i": i, "of": of, "state": torch.full((1, 1, 4, 4), i / 1000)})
        ended = watch.ended(torch.ones(1, 1, 4, 4))
        assert len(ended) == min(of + 1, animate.FRAMES)
        assert ended[0].unique().tolist() == image.to_bytes(torch.tensor([1 / 1000])).tolist()
        assert ended[-1].unique().tolist() == [255]


def test_files_stay_small_without_losing_their_end(tmp_path: Path) -> None:
    noise = [torch.randint(0, 256, (9, 1, 64, 64), dtype=torch.uint8) for _ in range(39)]
    flat = torch.full((9, 1, 64, 64), 80, dtype=torch.uint8)
    found = animate.film([*noise, flat], ".gif", seconds=3, hold=1)
    assert len(found.content) <= animate.LARGEST
    assert animate.LEAST <= found.frames < 40
    (tmp_path / "x.gif").write_bytes(found.content)
    shown, lasting = frames(tmp_path / "x.gif")
    assert np.median(shown[-1]) == 80
    assert sum(lasting) == pytest.approx(4000, rel=0.15)  # fewer frames, each for longer


def test_sounds_are_seen_as_spectrograms_and_prompts_as_rows(tmp_path: Path) -> None:
    field = Field("audio", (1, 1600), rate=8000.0)
    watches, items = [], torch.randn(3, 1, 1600).clamp(-1, 1)
    for _ in range(2):
        watch = animate.Watch(field, "a run")
        watch({"i": 1, "of": 2, "state": items})
        watch({"i": 2, "of": 2, "state": items / 2})
        watches.append(watch)
    made = animate.path(watches, [items * 0, items * 0], field, tmp_path / "s.gif", {}, ())
    shown, _ = frames(made.path)
    height, width = (3 * (side + 4) for side in watches[0].frames[0].shape[2:])
    assert len(shown) == 3
    assert abs(shown[0].shape[1] / shown[0].shape[0] - width / (height * 2 / 3)) < 0.2  # two rows of three
    assert shown[-1].mean() < shown[0].mean()  # silence is dark


def test_walks_move_and_end_where_they_began(at_home: Path, told: str, tmp_path: Path) -> None:
    for run, points in (("pictures", 6), (told, 4)):
        place = tmp_path / f"{run}.gif"
        made = genloom.interpolate(run, n=2, points=points, out=place)
        assert made.images.shape == (3 * points * 2, 8, 8)
        walked = made.images.reshape(3 * points, 2, 8, 8).astype(float)
        steps = abs(np.roll(walked, -1, 0) - walked).mean((1, 2, 3))
        assert steps.max() > 0
        assert steps[-1] < 3 * steps[:-1].max()  # no jump where it begins again
    still = genloom.interpolate("pictures", n=2, animate=True)
    assert still.path.suffix == ".gif"


def test_walks_between_given_pictures(
    at_home: Path, told: str, photos: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [np.asarray(Image.open(photos[k])).astype(float) for k in "ab"]
    capsys.readouterr()
    words = ["interpolate", told, "--between", photos["a"], photos["b"], "--points", "5"]
    assert main([*words, "--out", str(tmp_path / "w.npy")]) == 0
    assert "the ends are the pictures at PSNR" in capsys.readouterr().out
    found = np.load(tmp_path / "w.npy").astype(float)
    assert found.shape == (5, 8, 8)
    for end, picture in zip((found[0], found[-1]), given, strict=True):
        assert abs(end - picture).mean() < 12  # of 255: there and back by the same equation
    assert abs(found[2] - given[0]).mean() > 20
    assert abs(found[2] - given[1]).mean() > 20
    moved = genloom.interpolate(told, between=(photos["a"], photos["b"]), points=4, out=tmp_path / "w.gif")
    assert len(moved.images) == 8  # there and back
    assert min(moved.data["psnr"]) > 20
    assert (moved.images[1:4] == moved.images[:4:-1]).all()
    codes = genloom.interpolate("pictures", between=(photos["b"], photos["a"]), points=3, out=tmp_path / "w.png")
    assert codes.images.shape == (3, 8, 8)
    labelled = genloom.interpolate(told, between=(photos["a"], photos["b"]), label=3, points=2, out=tmp_path / "l.npy")
    assert labelled.data["label"] == 3
    assert min(labelled.data["psnr"]) > 20


def test_walks_of_a_class(at_home: Path, tmp_path: Path) -> None:
    def walk(label: object) -> bytes:
        made = genloom.interpolate("flow", n=1, points=2, raw=True, label=label, out=tmp_path / "x.npy")
        return made.images.tobytes()

    assert walk(0) == walk(None)  # without one, classes take turns from the first
    assert walk(0) != walk(1)


def test_reconstructions_say_how_near_they_are(at_home: Path, told: str, tmp_path: Path) -> None:
    assert genloom.reconstruct(told, n=4, out=tmp_path / "pairs.png").data["psnr"] > 20
    made = genloom.reconstruct("pictures", n=4, out=tmp_path / "pairs.npy")
    assert "PSNR" in made.notes[-1]
    first, second = (made.images[i : i + 4].astype(float) for i in (0, 4))
    each = 10 * np.log10(255**2 / ((first - second) ** 2).mean((1, 2)))
    assert made.data["psnr"] == pytest.approx(each.mean(), abs=0.5)


def test_two_words_after_one_flag() -> None:
    verb, rest = find_verb(["interpolate", "1", "--between", "a.png", "b.png", "--points", "3"])
    parsed = parse(verb, rest)
    assert str(parsed.values["between"]).split("\x1e") == ["a.png", "b.png"]
    assert parsed.words == ("1",)
    verb, rest = find_verb(["interpolate", "1", "--between=a.png", "b.png"])
    assert str(parse(verb, rest).values["between"]).split("\x1e") == ["a.png", "b.png"]
    with pytest.raises(BadValue, match="expects 2 values"):
        parse(verb, ["1", "--between", "a.png", "--points", "3"])


REFUSED = {
    "path of a gan": (["sample", "gan", "--animate"], "in one pass"),
    "path of a vae": (["sample", "pictures", "--animate"], "in one pass"),
    "path of words": (["sample", "words", "--animate"], "makes texts"),
    "still ending": (["sample", "flow", "--animate", "--out", "x.png"], "written to .gif or .mp4, got '.png'"),
    "folder": (["sample", "flow", "--animate", "--out", "x/"], "got a folder"),
    "too many": (["sample", "flow", "--animate", "-n", "101"], "at most 100"),
    "walk ending": (["interpolate", "pictures", "--animate", "--out", "x.npy"], "written to .gif or .mp4"),
    "too many walks": (["interpolate", "pictures", "--animate", "-n", "200"], "at most 100"),
    "moving map": (["interpolate", "pictures", "--map", "--animate"], "leave --animate out"),
    "walk of words": (["interpolate", "words", "--animate"], "shows images"),
    "one picture": (["interpolate", "flow", "--between", "a"], "2 values"),
    "another size": (["interpolate", "flow", "--between", "a", "wide"], "measures 8x9, and this model works on 8x8"),
    "colour": (["interpolate", "flow", "--between", "a", "red"], "3 channels"),
    "no picture": (["interpolate", "flow", "--between", "broken", "a"], "cannot be read as a picture"),
    "no file": (["interpolate", "flow", "--between", "a", "nowhere.png"], "there is no picture"),
    "no encoder": (["interpolate", "gan", "--between", "a", "b"], "cannot encode"),
    "several walks": (["interpolate", "flow", "--between", "a", "b", "-n", "3"], "leave -n out"),
    "map of two": (["interpolate", "pictures", "--between", "a", "b", "--map"], "leave --between out"),
    "two classes": (["interpolate", "flow", "--between", "a", "b", "--label", "1,2"], "keeps one class"),
    "class": (["interpolate", "flow", "--label", "zebra"], "unknown class"),
    "deaf": (["interpolate", "pictures", "--label", "3"], "does not listen"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(
    name: str, at_home: Path, photos: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words, said = REFUSED[name]
    before = sorted(at_home.rglob("*"))
    capsys.readouterr()
    assert main([photos.get(w, w) for w in words]) == 2
    caught = capsys.readouterr()
    assert said in caught.err
    assert len(caught.err.strip().splitlines()) == 1
    assert caught.out == ""
    assert sorted(at_home.rglob("*")) == before


def test_one_picture_from_python(at_home: Path, photos: dict[str, str]) -> None:
    with pytest.raises(BadValue, match="expected two pictures, got 1"):
        genloom.interpolate("flow", between=[photos["a"]])


def test_clips_move_already() -> None:
    with pytest.raises(BadValue, match="makes clips, which move already"):
        animate.check_kind("video", "runs/1")


def test_mp4_where_there_is_a_writer(at_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.modalities import video

    def lacking() -> None:
        raise BadValue("install genloom[video]")

    with monkeypatch.context() as patched:
        patched.setattr(video, "_ffmpeg", lacking)
        patched.setattr("genloom.verbs.sample.draw", None)  # it is refused before anything is drawn
        with pytest.raises(BadValue, match="install"):
            genloom.sample("flow", animate=True, out=tmp_path / "x.mp4")
    pytest.importorskip("imageio_ffmpeg")
    made = genloom.sample("flow", n=4, steps=5, animate=True, out=tmp_path / "x.mp4")
    shown, rate = video.read_mp4(made.path)
    assert len(shown) / rate == pytest.approx(animate.SECONDS + animate.HOLD, rel=0.1)
    assert list(tmp_path.glob("*")) == [tmp_path / "x.mp4"]
