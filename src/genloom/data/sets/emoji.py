"""Emoji: small colour pictures with names, in styles that pair up picture by picture."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from genloom.data.cache import cached_array
from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Archive, Entry, Folder, Npm, Package
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, one
from genloom.data.sets.images import image_set
from genloom.data.shape import in_threads
from genloom.data.splits import Rows, shuffled
from genloom.errors import NotFound
from genloom.runs.files import write_text

STYLES = ("twitter", "google")
GROUPS = (
    "smileys and emotion",
    "people and body",
    "components",
    "animals and nature",
    "food and drink",
    "travel and places",
    "activities",
    "objects",
    "symbols",
    "flags",
)
TONES = ("", "light", "medium-light", "medium", "medium-dark", "dark")
SPLITS = ("train", "validation", "test")
CAPTIONS = "captions.jsonl"
SIDE = 64  # pixels


def plain(code: str) -> str:
    """A sequence of code points as both lists write it: capitals, without the mark that asks for a coloured picture."""
    return "-".join(part for part in code.upper().split("-") if part != "FE0F")


def captions(folder: Path) -> list[dict[str, Any]]:
    """One row for every picture below `folder`, style after style, each style in the same order.

    file: below `folder`; style; name; tags: words; group: one of GROUPS; tone: skin tones, empty for none; pair: the
    same emoji in the other style; base: the emoji it is a tone of; split.
    """
    listed = json.loads((folder / "emoji.json").read_text(encoding="utf-8"))
    words: dict[str, dict[str, Any]] = {}
    for entry in json.loads((folder / "names.json").read_text(encoding="utf-8")):
        for variant in (entry, *entry.get("skins", ())):
            words[plain(variant["hexcode"])] = {"tags": entry.get("tags", []), **variant}
    found = []
    for entry in sorted(listed, key=lambda e: int(e["sort_order"])):
        for image in (entry, *entry.get("skin_variations", {}).values()):
            said = words.get(plain(image["unified"]), {})
            tone = said.get("tone") or []
            found.append(
                {
                    "name": said.get("label") or str(entry["name"]).lower(),
                    "tags": said.get("tags", []),
                    "group": GROUPS[said["group"]] if said.get("group") is not None else GROUPS[2],
                    "tone": [TONES[t] for t in (tone if isinstance(tone, list) else [tone])],
                    "image": image["image"],
                    "base": plain(entry["unified"]).lower(),
                }
            )
    homes = _homes([row["base"] for row in found])
    return [
        {
            "file": f"{style}/{row['image']}",
            "style": style,
            "pair": f"{other}/{row['image']}",
            **{key: row[key] for key in ("name", "tags", "group", "tone", "base")},
            "split": SPLITS[homes[row["base"]]],
        }
        for style, other in zip(STYLES, reversed(STYLES), strict=True)
        for row in found
    ]


def caption(row: Mapping[str, Any]) -> str:
    """What a model is told of a row of `captions`: its name, its style, its tags, as parts of one caption."""
    name = str(row["name"]).replace(",", "")
    return ", ".join([name, row["style"], *(tag for tag in row["tags"] if tag not in name)])


def _homes(bases: list[str]) -> dict[str, int]:
    """0, 1 or 2 for each emoji: a tenth validates and a tenth tests. All tones and styles of one go together."""
    names = sorted(set(bases))
    order = shuffled(len(names), "emoji")
    tenth = max(1, len(names) // 10)
    return {names[at]: 1 if i < tenth else 2 if i < 2 * tenth else 0 for i, at in enumerate(order.tolist())}


def _rows(splits: list[str], seed: str) -> Rows:
    """Rows of each split in a fixed mixed order, so that a limit or a grid sees all kinds."""
    order = shuffled(len(splits), seed)
    first, second, third = (torch.tensor([i for i in order.tolist() if splits[i] == s]) for s in SPLITS)
    return first, second, third


def write_captions(folder: Path) -> tuple[str, ...]:
    """Writes CAPTIONS beside the pictures; its name."""
    write_text(folder / CAPTIONS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in captions(folder)))
    return (CAPTIONS,)


def on_white(content: bytes) -> np.ndarray:
    """A picture file as uint8 (SIDE, SIDE, 3), laid on white."""
    with Image.open(io.BytesIO(content)) as picture:
        solid = picture.convert("RGBA")
    if solid.size != (SIDE, SIDE):
        solid = solid.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid).convert("RGB"))


def load_emoji(options: DataOptions, card: Card) -> Dataset:
    """Both styles on white, with the group as the class. An emoji's tones and styles lie in one split.

    With a style as `options.pair`, that is given and the other style is the item.
    """
    folder = folder_of(ENTRIES["emoji"])
    rows = captions(folder)

    def parse() -> np.ndarray:
        return np.stack(list(in_threads(lambda row: on_white((folder / row["file"]).read_bytes()), rows)))

    listed = "\n".join(row["file"] for row in rows)
    pinned = hashlib.sha256((listed + "".join(part.contents for part in _PICTURES)).encode()).hexdigest()
    array = cached_array(f"emoji-{pinned[:16]}", parse)
    labels = np.array([GROUPS.index(row["group"]) for row in rows])
    notes = [
        f"names and tags of every picture: {folder / CAPTIONS}",
        "split by emoji: its tones and styles stay together",
    ]
    given = STYLES[0] if options.pair == "auto" else options.pair
    if given not in STYLES:
        parts = _rows([r["split"] for r in rows], "emoji")
        said = [caption(row) for row in rows]
        forms = dict.fromkeys(STYLES, lambda: array)  # a name to be offered; `options.pair` is none of them here
        return image_set("emoji", options, card, array, labels, parts, GROUPS, notes, captions=said, forms=forms)
    of = {style: np.array([i for i, row in enumerate(rows) if row["style"] == style]) for style in STYLES}
    own = STYLES[1 - STYLES.index(given)]
    mine = [rows[i] for i in of[own]]
    parts = _rows([r["split"] for r in mine], "emoji")
    said = [caption(row) for row in mine]
    forms = {given: lambda: array[of[given]]}
    return image_set("emoji", options, card, array[of[own]], labels[of[own]], parts, GROUPS, notes, captions=said,
                     forms=forms, own=own)  # fmt: skip


def load_openmoji(options: DataOptions, card: Card) -> Dataset:
    """The coloured drawings on white, with the group as the class; tones of an emoji lie in one split. Their other form
    is "black", the line drawings, grey."""
    folder = folder_of(ENTRIES["openmoji"])
    listed = json.loads((folder / "openmoji.json").read_text(encoding="utf-8"))
    groups = sorted({str(entry["group"]) for entry in listed})
    colour, black = ([folder / kind / f"{e['hexcode']}.svg" for e in listed] for kind in ("color", "black"))
    bases = [str(entry.get("skintone_base_hexcode") or entry["hexcode"]) for entry in listed]
    homes = _homes(bases)
    pinned = hashlib.sha256(f"{_DRAWINGS.contents}/{SIDE}".encode()).hexdigest()
    array = cached_array(f"openmoji-{pinned[:16]}", lambda: _drawn(colour))
    labels = np.array([groups.index(str(entry["group"])) for entry in listed])
    rows = _rows([SPLITS[homes[base]] for base in bases], "openmoji")
    notes = [f"line drawings of the same emoji: {folder / 'black'}", "split by emoji: its tones stay together"]

    def lines() -> np.ndarray:
        return cached_array(f"openmoji-black-{pinned[:16]}", lambda: np.ascontiguousarray(_drawn(black)[..., 0]))

    return image_set("openmoji", options, card, array, labels, rows, tuple(groups), notes, forms={"black": lines},
                     own="color")  # fmt: skip


def _drawn(files: list[Path]) -> np.ndarray:
    """Vector drawings as uint8 (N, SIDE, SIDE, 3) on white."""
    try:
        import resvg_py  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise NotFound("openmoji's drawings are drawn by the package resvg-py: pip install resvg-py") from None

    def draw(file: Path) -> np.ndarray:
        made = resvg_py.svg_to_bytes(svg_path=str(file), width=SIDE, height=SIDE, skip_system_fonts=True)
        return on_white(bytes(made))

    return np.stack([draw(file) for file in files])


def _pictures(style: str, sha256: str, contents: str, size: int, download: int) -> Archive:
    packed = Package(Npm(f"emoji-datasource-{style}", "16.0.0"), sha256, {f"img/{style}/64/*.png": f"{style}/"})
    own = Package(Folder("emoji"), None, {f"{style}/*.png": f"{style}/"})
    return Archive(f"{style} pictures", (own, packed), contents, size, download, 3786)


_PICTURES = (
    _pictures(
        "twitter",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
        "3e233d3713b12ebcae98897f850e523d59291bbe2edcb3ae59e1ebbc91fd5192",
        10_409_368,
        61683754,
    ),
    _pictures(
        "google",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        "9ec23f76e5804a6538ce58932a7a768b2227d1ce0bbcd437d4991dbf785b87db",
        13_668_204,
        74344091,
    ),
)
_OPENMOJI = {
    "color/svg/*.svg": "color/",
    "black/svg/*.svg": "black/",
    "data/openmoji.json": "openmoji.json",
}
_DRAWINGS = Archive(
    "drawings",
    (
        Package(Folder("openmoji"), None, {"color/*.svg": "color/", "black/*.svg": "black/", "openmoji.json": ""}),
        Package(
            Npm("openmoji", "17.0.0"), "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68", _OPENMOJI
        ),
    ),
    "a703fde1c5821fd21b8b4b7eb55b6accadb365816ec94b653fdd063b843faf71",
    24_966_301,
    4339458,
    8991,
)

ENTRIES = {
    "emoji": Entry(
        "emoji",
        Card(
            "Emoji in two styles, Twitter's and Google's, with names and tags",
            "https://github.com/iamcal/emoji-data and https://emojibase.dev",
            "Twitter's pictures CC BY 4.0, Google's Apache-2.0, names and tags MIT",
            citations.EMOJI,
            "7,572 images of 3,786 names, 64x64 colour, 10 groups; 80 + 10 + 10 %, by emoji",
        ),
        (
            *_PICTURES,
            one(
                "emoji.json",
                "1d602e65be88772bf8cc368ce16b855d719eeddbafe128d471b80203f494d29f",
                1313457,
                "emoji/emoji.json",
                Npm("emoji-datasource-twitter", "16.0.0", "emoji.json"),
                Npm("emoji-datasource-google", "16.0.0", "emoji.json"),
            ),
            one(
                "names.json",
                "ed014f1049bd370c5794f815850156196ac382850f51c3e9f6a9e83553fb3f01",
                775157,
                "emoji/names.json",
                Npm("emojibase-data", "17.0.0", "en/data.json"),
            ),
        ),
        load=load_emoji,
        finish=write_captions,
    ),
    "openmoji": Entry(
        "openmoji",
        Card(
            "OpenMoji: 4,495 emoji as coloured and as line drawings",
            "https://openmoji.org",
            "CC BY-SA 4.0",
            citations.OPENMOJI,
            "4,495 coloured drawings, 64x64, 12 groups, and as many line drawings; 80 + 10 + 10 %",
        ),
        (_DRAWINGS,),
        load=load_openmoji,
    ),
}
