"""Clips: GIFs, MP4 files, arrays and frames read back as they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genloom.core import Field
from genloom.errors import BadData, BadValue
from genloom.modalities import video

FIELD = Field("video", (1, 6, 12, 16), rate=10.0)


def clips(channels: int = 1, n: int = 3, still: bool = False) -> torch.Tensor:
    made = torch.zeros(n, channels, 6, 12, 16, dtype=torch.uint8)
    for i in range(n):
        for t in range(6):
            x = 0 if still and t in (2, 3) else t
            made[i, :, t, i : i + 4, 2 * x : 2 * x + 4] = torch.tensor([250, 120, 40][:channels])[:, None, None]
    return made


@pytest.mark.parametrize(("channels", "still"), [(1, False), (3, False), (1, True)])
def test_gifs_read_back_frame_by_frame(channels: int, still: bool, tmp_path: Path) -> None:
    field = Field("video", (channels, 6, 12, 16), rate=10.0)
    made = clips(channels, still=still)
    video.CODEC.save(made, field, f"{tmp_path}/x/", metadata={"genloom": '{"seed": 7}'})
    for i in range(3):
        found, rate = video.read_gif(tmp_path / "x" / f"000{i}.gif")
        assert rate == pytest.approx(10.0)
        assert np.array_equal(found, video.CODEC.array(made[i : i + 1], field)[0])
        with Image.open(tmp_path / "x" / "frames" / f"000{i}-005.png") as frame:
            assert np.array_equal(np.asarray(frame), found[5])
    with Image.open(tmp_path / "x" / "0000.gif") as file:
        assert file.info["comment"] == b'{"seed": 7}'
        assert file.info["loop"] == 0


def test_arrays_hold_bytes(tmp_path: Path) -> None:
    made = clips()
    assert np.array_equal(np.load(video.CODEC.save(made, FIELD, tmp_path / "x.npy")), made[:, 0].numpy())
    floats = made.float() / 127.5 - 1
    assert np.array_equal(video.CODEC.array(floats, FIELD), made[:, 0].numpy())


def test_mp4_files_read_back_nearly(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    made = clips(3, n=1).repeat_interleave(4, 3).repeat_interleave(4, 4)
    field = Field("video", tuple(made.shape[1:]), rate=10.0)
    sheet = np.stack([np.asarray(s) for s in video.sheets(made)])
    found, rate = video.read_mp4(video.CODEC.save(made, field, tmp_path / "x.mp4"))
    assert rate == pytest.approx(10.0)
    assert found.shape == sheet.shape
    assert np.abs(found.astype(float) - sheet).mean() < 12
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(BadData, match="cannot be read as a video") as caught:
        video.read_mp4(tmp_path / "broken.mp4")
    assert "\n" not in str(caught.value)


def test_mp4_without_its_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(BadValue, match=r"install genloom\[video\]"):
        video.CODEC.save(clips(), FIELD, tmp_path / "x.mp4")
    assert not (tmp_path / "x.mp4").exists()


def test_strips_and_mosaics_show_the_first_and_the_last_frame() -> None:
    made = clips()
    strips = video.strips(made)
    assert tuple(strips.shape) == (3, 1, 12, 6 * 17 - 1)
    assert torch.equal(strips[..., :16], made[:, :, 0])
    assert torch.equal(strips[..., -16:], made[:, :, -1])
    square = video.CODEC.to_measured(made, FIELD)
    assert tuple(square.shape[1:]) == (1, 24, 32)
    assert torch.equal(square[:, :, :12, :16], made[:, :, 0])
    assert torch.equal(square[:, :, 12:, 16:], made[:, :, -1])


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(BadData, match="expected clips of shape"):
        video.CODEC.tiles(torch.zeros(2, 2, 6, 12, 16), FIELD)
