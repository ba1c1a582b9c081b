"""Faces in pictures, by OpenCV's cascade of Haar features (Viola and Jones, 2001), where it is installed.

It finds upright frontal faces of people, photographed or drawn, misses others, and now and then sees one where there is
none. So it says that faces should be thought of, not how many there are.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from genloom.data.inspect.duplicates import Progress
from genloom.data.inspect.finding import Check, Finding, Outcome, few, plural
from genloom.data.inspect.pictures import Album

MOST = 400  # pictures that are looked at
_SMALL, _LARGE = 160, 640  # pixels of the longer side: smaller pictures are enlarged, larger ones reduced
_MARGIN = 0.25  # of the longer side, added around: the cascade wants to see where a face ends
_SURE = 4.0  # the cascade's weight from which a find counts
_SHARE = 0.02  # of the pictures looked at, from which faces are reported
INSTALL = "pip install 'genloom[faces]'"


def detector() -> tuple[Any, str]:
    """OpenCV's cascade for frontal faces, or None and why there is none."""
    if importlib.util.find_spec("cv2") is None:
        return None, f"not looked for: it needs OpenCV ({INSTALL})"
    import cv2

    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    file = Path(folder) / "haarcascade_frontalface_default.xml"
    if not hasattr(cv2, "CascadeClassifier") or not file.exists():
        return None, f"not looked for: OpenCV {cv2.__version__} carries no face detector, version 4 does ({INSTALL})"
    found = cv2.CascadeClassifier(str(file))
    return (None, f"not looked for: {file} cannot be read") if found.empty() else (found, "")


def faces(album: Album, progress: Progress) -> Outcome:
    """Looks for faces in an even sample of at most 400 pictures."""
    found, why = detector()
    if found is None:
        return Outcome(Check("faces", missing=why))
    rows = np.linspace(0, len(album) - 1, min(MOST, len(album))).astype(np.int64) if len(album) else np.empty(0, int)
    with_face = []
    for i, row in enumerate(rows.tolist()):
        try:
            if count_faces(found, np.asarray(album.picture(row).convert("L"))):
                with_face.append(row)
        except OSError:  # it could be read a moment ago
            continue
        progress((i + 1) / len(rows))
    check = Check("faces", f"{len(rows):,} of {plural(len(album), 'picture')}, upright frontal faces (Haar cascade)")
    if len(with_face) < max(1, _SHARE * len(rows)):
        return Outcome(check)
    share = len(with_face) / len(rows)
    seen = f"what looks like a face in {len(with_face):,} of {plural(len(rows), 'picture')} looked at ({share:.0%})"
    advice = "if people can be recognised, they must have agreed: say so under consent in the card"
    names = [album.names[i] for i in with_face]
    shown = tuple((row,) for row in with_face[:12])
    return Outcome(check, (Finding("faces", "warning", seen, advice, few(names), len(with_face), shown),))


def count_faces(found: Any, grey: np.ndarray) -> int:
    """Faces in a picture (h, w) uint8 that the cascade is sure of."""
    import cv2

    longest = max(grey.shape)
    scale = _SMALL / longest if longest < _SMALL else _LARGE / longest if longest > _LARGE else 1.0
    if scale != 1.0:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    edge = round(_MARGIN * max(grey.shape))
    grey = cv2.copyMakeBorder(grey, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    least = max(24, max(grey.shape) // 8)
    _, _, weights = found.detectMultiScale3(
        grey, scaleFactor=1.1, minNeighbors=5, minSize=(least, least), outputRejectLevels=True
    )
    return int((np.asarray(weights).reshape(-1) >= _SURE).sum())
