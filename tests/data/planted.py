"""Data with known faults, and the same without: what a look at data must find, and must not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SCENES = 60


def scene(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """A picture like no other: a soft ground, and shapes over it."""
    draw = np.random.default_rng(seed)
    ground = Image.fromarray(draw.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(ground)
    for _ in range(7):
        x, y = int(draw.integers(0, size[0])), int(draw.integers(0, size[1]))
        w, h = (int(v) for v in draw.integers(8, 40, 2))
        colour = tuple(int(v) for v in draw.integers(0, 256, 3))
        shape = (pen.ellipse, pen.rectangle)[int(draw.integers(2))]
        shape((x - w // 2, y - h // 2, x + w // 2, y + h // 2), fill=colour)
    return ground.filter(ImageFilter.GaussianBlur(0.6))


def clean(folder: Path) -> Path:
    """Sixty different pictures of two classes in train and test, with a card that says all."""
    for i in range(SCENES):
        place = folder / ("test" if i % 5 == 0 else "train") / ("round" if i % 2 else "square")
        place.mkdir(parents=True, exist_ok=True)
        scene(i).save(place / f"{i:02}.png")
    lines = {"source": "drawn by a program", "licence": "CC0", "consent": "nobody is shown", "collected": "today"}
    card = "".join(f'{name} = "{value}"\n' for name, value in (lines | {"contact": "me"}).items())
    (folder / "genloom-card.toml").write_text(card)
    return folder


def faulty(folder: Path) -> Path:
    """The same with one of everything that can go wrong, and no card."""
    clean(folder)
    (folder / "genloom-card.toml").unlink()
    train, test = folder / "train" / "round", folder / "test" / "round"
    scene(1).save(train / "copy.png")  # of train/round/01.png, byte by byte
    scene(5).save(train / "leak.png")  # of test/round/05.png
    scene(3).resize((192, 144), Image.Resampling.BICUBIC).save(train / "resized.png")
    scene(7).save(train / "again.jpg", quality=50)
    scene(9).crop((4, 3, 94, 70)).save(train / "cropped.png")
    scene(11).save(test / "leaknear.jpg", quality=60)  # of train/round/11.png
    (train / "empty.png").write_bytes(b"")
    (train / "words.png").write_bytes(b"these are words, not a picture")
    whole = (train / "01.png").read_bytes()
    (train / "half.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (96, 72), (128, 128, 128)).save(train / "grey.png")
    scene(200).resize((3000, 2200)).save(train / "huge.png")
    note = Image.Exif()
    note[0x013B] = "Ada Example"
    note.get_ifd(0x8825)[1], note.get_ifd(0x8825)[2] = "N", (52.0, 31.0, 12.0)
    note.get_ifd(0x8825)[3], note.get_ifd(0x8825)[4] = "E", (13.0, 24.0, 18.0)
    scene(201).save(train / "located.jpg", quality=95, exif=note)
    turned = Image.Exif()
    turned[0x0112] = 6
    scene(202).save(train / "turned.jpg", quality=95, exif=turned)
    thin = folder / "train" / "rare"
    thin.mkdir()
    scene(203).save(thin / "only.png")
    return folder


LETTER = """Dear Mrs. Eleanor Rigby, please write to jane.doe@example.org or ring +49 30 901820 tomorrow.
Her account is DE89 3704 0044 0532 0130 00, the card 4012 8888 8888 1881 will do as well.
The server at 93.184.216.34 keeps a copy. In the office: (212) 736-5000.
"""
INNOCENT = """In 2026-11-22 the version 3.11.2 had 1234567890 rows, 12.5% of 4000 4000 4000 4000.
See 10.0.0.1, 127.0.0.1.
Chapter 12.1.4.3 lists ISBN 978-3-16-148410-0 and a table: 1 200 300 400 500. DE12 3456 is no account.
user@localhost, a@b, @mention, 16:30-17:45, 2019-2024, 555 000, (see page 12) and #1234567890123456.
"""
