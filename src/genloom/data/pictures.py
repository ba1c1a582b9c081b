"""The pictures of a folder as rows of bytes, decoded once into a store.

What size and colour the rows have is guessed from a few pictures, so that every file is opened once; where a later one
disproves the guess, decoding begins anew with a better one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from genloom.data.decode import measure, read_picture
from genloom.data.listing import Listing
from genloom.data.options import DataOptions
from genloom.data.shape import in_threads, parse_size, to_grey
from genloom.data.splits import KEY_BYTES, content_key
from genloom.data.store import Draft, Source, Store, obtain

_KEEP_UP_TO = 256  # pixels a side; larger pictures of one size are scaled to _OTHERWISE, as mixed sizes are
_OTHERWISE = 64
_PROBED = 64  # pictures, evenly spread, by which size and colour are guessed
_BLOCK = 16 << 20  # bytes of pixels that are in memory at a time
_THREADS_FROM = 16 << 10  # mean bytes of a file: smaller ones are decoded faster by one thread than by several
GREY, COLOUR, REFUSED, BROKEN = range(4)  # what became of a file


@dataclass(frozen=True)
class _Guess:
    """How the rows look. keep: the size is what all files share, and a file of another size disproves that."""

    size: tuple[int, int]
    wide: bool
    keep: bool


class _Wrong(Exception):
    """A picture disproved the guess; says a better one."""

    def __init__(self, better: _Guess) -> None:
        self.better = better


def decoded(listing: Listing, options: DataOptions, notes: list[str]) -> Store:
    """All files as columns: images uint8 (N, H, W) or (N, H, W, 3), keys, sizes of the files' pictures, state."""
    shaping = {"size": parse_size(options.size), "resize": options.resize, "channels": options.channels}
    source = Source("pictures", listing.folder, listing.fingerprint, shaping)

    def usable(store: Store) -> bool:
        """Not where a file that we were not allowed to read can be read now."""
        return not any(
            os.access(listing.path(i), os.R_OK) for i in np.flatnonzero(store.columns["state"] == REFUSED)[:100]
        )

    return obtain(source, lambda draft: _decode_all(draft, listing, options), notes, usable)


def _decode_all(draft: Draft, listing: Listing, options: DataOptions) -> Mapping[str, Any]:
    kept = draft.kept
    guess = _guess(listing, options) if kept is None else _Guess(tuple(kept["size"]), kept["wide"], kept["keep"])
    while True:
        try:
            _fill(draft, listing, options, guess)
            return {"size": guess.size}
        except _Wrong as wrong:  # at most twice: by size and by colour
            guess = wrong.better


def _guess(listing: Listing, options: DataOptions) -> _Guess:
    """By a few pictures: what size all share, and whether there are colours."""
    chosen = np.unique(np.linspace(0, len(listing) - 1, min(_PROBED, len(listing))).astype(int)).tolist()
    wanted, keep = parse_size(options.size), False
    if wanted is None:
        sizes = {s for s in (measure(listing.path(i)) for i in chosen) if s is not None}
        keep = len(sizes) == 1 and max(next(iter(sizes))) <= _KEEP_UP_TO
        wanted = next(iter(sizes)) if keep else (_OTHERWISE, _OTHERWISE)
    wide = options.channels == "rgb"
    if options.channels == "auto":
        found = (read_picture(listing.path(i), wanted, options.resize).pixels for i in chosen[:: len(chosen) // 8 or 1])
        wide = any(pixels is not None and pixels.ndim == 3 for pixels in found)
    return _Guess(wanted, wide, keep)


def _fill(draft: Draft, listing: Listing, options: DataOptions, guess: _Guess) -> None:
    """Decodes what is missing in the draft, block by block. Raises _Wrong where a picture does not fit the guess."""
    row = (*guess.size, *((3,) if guess.wide else ()))
    columns = {
        "images": (np.uint8, row),
        "keys": (np.uint8, (KEY_BYTES,)),
        "sizes": (np.int32, (2,)),
        "state": (np.uint8, ()),
    }
    done = draft.begin(asdict(guess) | {"size": list(guess.size)}, columns, len(listing))
    step = max(16, min(4096, _BLOCK // int(np.prod(row))))
    several = float(listing.sizes.mean()) >= _THREADS_FROM
    for start in range(done, len(listing), step):
        block = _Block(listing, options, guess, range(start, min(start + step, len(listing))))
        if several:
            pieces = [block.files[i : i + 8] for i in range(0, len(block.files), 8)]
            list(in_threads(block.decode, pieces))
        else:
            block.decode(block.files)
        if block.better is not None:
            raise _Wrong(block.better)
        draft.append(**block.columns)


class _Block:
    """The files of one block and the rows they become. better: another guess, where one of them needs it."""

    def __init__(self, listing: Listing, options: DataOptions, guess: _Guess, files: range) -> None:
        self.listing, self.options, self.guess, self.files = listing, options, guess, files
        self.better: _Guess | None = None
        n, depth = len(files), (3,) if guess.wide else ()
        self.columns = {
            "images": np.zeros((n, *guess.size, *depth), np.uint8),
            "keys": np.zeros((n, KEY_BYTES), np.uint8),
            "sizes": np.zeros((n, 2), np.int32),
            "state": np.zeros(n, np.uint8),
        }

    def decode(self, files: range) -> None:
        """Fills the rows of some of the files; several threads may do so for different ones."""
        for file in files:
            if self.better is not None:
                return
            at = file - self.files.start
            found = read_picture(self.listing.path(file), self.guess.size, self.options.resize)
            self.columns["sizes"][at] = found.height, found.width
            if found.pixels is None:
                self.columns["state"][at] = REFUSED if found.refused else BROKEN
            elif self.guess.keep and (found.height, found.width) != self.guess.size:
                self.better = replace(self.guess, size=(_OTHERWISE, _OTHERWISE), keep=False)
            else:
                self._put(at, found.pixels)

    def _put(self, at: int, pixels: np.ndarray) -> None:
        row = self.columns["images"][at]
        colour = pixels.ndim == 3
        if self.guess.wide:
            row[...] = pixels if colour else pixels[:, :, None]
        elif not colour:
            row[...] = pixels
        elif self.options.channels == "grey":
            row[...] = to_grey(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])[0, 0].numpy()
        else:
            self.better = replace(self.guess, wide=True)
            return
        self.columns["state"][at] = COLOUR if colour else GREY
        image_CHW = np.ascontiguousarray(row.transpose(2, 0, 1)) if self.guess.wide else row
        self.columns["keys"][at] = np.frombuffer(content_key(image_CHW), np.uint8)
