"""What there is: sizes, modes and formats, classes and their balance, what cannot be read or shows nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np

from genloom.data.inspect.duplicates import plain
from genloom.data.inspect.finding import QUANTILES, Check, Distribution, Finding, Outcome, Overview, Part, few, plural
from genloom.data.inspect.pictures import Album

_THIN = 10  # a class with fewer items can hardly be learnt
_THIN_SHARE = 0.1  # of the largest class
_UNEVEN = 0.7  # of the classes count in effect
_ODD = 4.0  # log2 of how far a picture's size may be from the middle one


def overview(album: Album) -> Overview:
    """Counts and distributions of an album."""
    sides = album.sizes.astype(np.float64)
    facts = [("pictures", f"{album.total:,}" + ("" if len(album) == album.total else f", {len(album):,} of them read"))]
    if len(album):
        facts += [("modes", _words(album.modes)), ("formats", _words(album.formats))]
        facts.append(("file sizes together", _bytes(float(album.file_sizes.sum()))))
    spreads = (
        _spread("width", "px", sides[:, 0]),
        _spread("height", "px", sides[:, 1]),
        _spread("aspect (width / height)", "", sides[:, 0] / np.maximum(sides[:, 1], 1)),
        _spread("file size", "bytes", album.file_sizes.astype(np.float64)),
    )
    classes = tuple(Part(name, int((album.labels == i).sum())) for i, name in enumerate(album.classes))
    splits = tuple(Part(name, int((album.splits == i).sum())) for i, name in enumerate(album.parts))
    known = splits if (album.splits >= 0).any() else ()
    return Overview(tuple(facts), classes, known, tuple(s for s in spreads if s is not None))


def _spread(name: str, unit: str, values: np.ndarray) -> Distribution | None:
    if not len(values):
        return None
    return Distribution(name, unit, tuple(float(v) for v in np.quantile(values, QUANTILES)))


def _words(values: list[str]) -> str:
    return ", ".join(f"{name or 'unknown'} ({count:,})" for name, count in Counter(values).most_common(6))


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def unreadable(album: Album) -> Outcome:
    """Files that cannot be opened, by name, with the reason."""
    on = plural(len(album) + len(album.unreadable), "picture")
    if not album.unreadable:
        return Outcome(Check("unreadable files", on))
    bad = album.unreadable
    finding = Finding(
        "unreadable files",
        "serious" if len(bad) > 0.1 * (len(bad) + len(album)) else "warning",
        f"{plural(len(bad), 'file')} cannot be opened as pictures",
        "mend or remove them; training skips them",
        tuple(f"{name}: {why}" for name, why in bad[:50]),
        len(bad),
    )
    return Outcome(Check("unreadable files", on), (finding,))


def empty(album: Album) -> Outcome:
    """Pictures of one colour, or nearly so."""
    found = np.flatnonzero(plain(album.grey) & (album.colour.reshape(len(album), -1, 3).std(1).max(1, initial=0) < 4))
    check = Check("pictures that show nothing", plural(len(album), "picture"))
    if not len(found):
        return Outcome(check)
    names = [album.names[i] for i in found]
    seen = f"{plural(len(found), 'picture')} of one colour, or nearly so"
    advice = "look at them; a scan that failed or a blank page teaches a model to draw blanks"
    return Outcome(check, (Finding(check.name, "warning", seen, advice, few(names), len(names), _each(found)),))


def balance(album: Album) -> Outcome:
    """Classes with too few items, and how many classes count in effect: exp of the entropy of their shares."""
    counts = np.array([int((album.labels == i).sum()) for i in range(len(album.classes))], np.float64)
    check = Check("classes", f"{len(counts)} classes" if len(counts) else "", "" if len(counts) else "no classes")
    if len(counts) < 2:
        return Outcome(check)
    findings = []
    thin = [i for i in np.argsort(counts) if counts[i] < max(_THIN, _THIN_SHARE * counts.max())]
    if thin:
        few_ = f"{plural(len(thin), 'class', 'classes')} of {len(counts)} with few items"
        seen = f"{few_}; the largest has {counts.max():,.0f}"
        advice = "collect more of them, merge them, or leave them out: a model learns them badly or not at all"
        names = tuple(f"{album.classes[i]}: {counts[i]:,.0f}" for i in thin[:20])
        findings.append(Finding("thin classes", "warning", seen, advice, names, len(thin)))
    shares = counts[counts > 0] / counts.sum()
    effective = float(np.exp(-(shares * np.log(shares)).sum()))
    if effective < _UNEVEN * len(counts):
        seen = f"the {len(counts)} classes are so uneven that they count as {effective:.1f} equal ones"
        advice = "samples without a class will follow the same shares; draw by class, or even the classes out"
        findings.append(Finding("uneven classes", "warning", seen, advice, count=len(counts)))
    return Outcome(check, tuple(findings))


def odd_sizes(album: Album) -> Outcome:
    """Pictures whose size or shape is far from the others'."""
    check = Check("sizes", plural(len(album), "picture"))
    if len(album) < 3:
        return Outcome(check)
    w, h = np.maximum(album.sizes[:, 0], 1), np.maximum(album.sizes[:, 1], 1)
    area, aspect = np.log2(w * h), np.log2(w / h)
    far = np.abs(area - np.median(area)) - np.maximum(2 * _ODD, 4 * np.std(area[_middle(area)]))
    bent = np.abs(aspect - np.median(aspect)) - np.maximum(2.0, 4 * np.std(aspect[_middle(aspect)]))
    found = [i for i in np.argsort(-np.maximum(far, bent)) if far[i] > 0 or bent[i] > 0]
    findings = []
    if found:
        usual = f"{np.median(w):,.0f}x{np.median(h):,.0f}"
        names = [f"{album.names[i]}: {w[i]:,}x{h[i]:,}" for i in found]
        seen = f"{plural(len(found), 'picture')} of a size or shape far from the usual {usual} (width x height)"
        advice = "look whether they belong; cutting the middle out of a panorama loses most of it (--data.resize pad)"
        findings.append(Finding("odd sizes", "note", seen, advice, few(names), len(found), _each(np.array(found))))
    small = np.flatnonzero(np.minimum(w, h) < 8)
    if len(small):
        names = [f"{album.names[i]}: {w[i]:,}x{h[i]:,}" for i in small]
        seen = f"{plural(len(small), 'picture')} smaller than 8 pixels a side"
        findings.append(
            Finding(
                "tiny pictures", "note", seen, "they will be enlarged to blurs; remove them", few(names), len(small)
            )
        )
    return Outcome(check, tuple(findings))


def _middle(values: np.ndarray) -> np.ndarray:
    """Rows of the middle nine tenths."""
    low, high = np.quantile(values, (0.05, 0.95))
    return np.flatnonzero((values >= low) & (values <= high))


def _each(rows: np.ndarray, most: int = 12) -> tuple[tuple[int, ...], ...]:
    return tuple((int(row),) for row in rows[:most])


def remarks(album: Album) -> Outcome:
    """What EXIF says besides the picture: where and by whom it was taken, and how the camera was held."""
    check = Check("EXIF", plural(len(album), "picture"))
    if not any(f in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO", "JPEG2000") for f in set(album.formats)):
        return Outcome(Check("EXIF", missing="these pictures carry none"))
    found = album.remarks
    findings = []
    places = [i for i, r in found.items() if r.gps]
    if places:
        seen = f"{plural(len(places), 'picture')} saying where on Earth they were taken (GPS in EXIF)"
        advice = "that is personal data: strip it before you pass the pictures on; a model sees only the pixels"
        names = [album.names[i] for i in places]
        findings.append(Finding("GPS positions", "serious", seen, advice, few(names), len(places)))
    people = [i for i, r in found.items() if r.author]
    if people:
        kinds = Counter(kind for i in people for kind in found[i].author)
        said = ", ".join(f"{k} in {n:,}" for k, n in kinds.most_common())
        seen = f"{plural(len(people), 'picture')} naming a person or camera in EXIF: {said}"
        advice = "ask whether you may use them, and name the authors in the card"
        findings.append(
            Finding("authors in EXIF", "warning", seen, advice, few([album.names[i] for i in people]), len(people))
        )
    turned = [i for i, r in found.items() if 2 <= r.orientation <= 8]
    if turned:
        seen = f"{plural(len(turned), 'picture')} stored on their side or mirrored; EXIF says how to turn them"
        names = [album.names[i] for i in turned]
        findings.append(
            Finding(
                "turned pictures", "note", seen, "genloom turns them; other programs may not", few(names), len(turned)
            )
        )
    broken = [i for i, r in found.items() if r.broken or r.orientation < 0 or r.orientation > 8]
    if broken:
        seen = f"{plural(len(broken), 'picture')} with EXIF that is damaged or gives an impossible orientation"
        names = [album.names[i] for i in broken]
        advice = "look whether they stand upright; they are taken as they are"
        findings.append(Finding("damaged EXIF", "note", seen, advice, few(names), len(broken)))
    return Outcome(check, tuple(findings))
