"""Does a model recite its training data? A test for copies among samples, calibrated on items held out.

For every sample the most similar training items are sought and compared with it under small shifts and any change of
brightness and contrast. What counts is not how near the nearest is (blurred pictures are near to everything) but how
much nearer than the next ones:

    score = best residual / upper quartile of the candidates' residuals
    residual = 1 - correlation^2 at the best shift

A copy scores near 0, an honest sample near 1. How low a score falls by chance is seen on the reference: held-out
items, which nobody can have copied, and training items scored as if they were not in the training data. Under the
null hypothesis samples and reference are exchangeable, so the number of samples below the j-th lowest reference score
follows a hypergeometric law. Looking at several j (with Bonferroni's factor) keeps power where the reference itself
holds twins.

Global two-sample statistics miss a few per cent of copies (Meehan et al. 2020 and their critics); a test of single
items does not. The test is also planted: copies are put among the samples on purpose, and only where these would have
been found does "no copies found" mean anything.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy.stats import hypergeom
from torch import Tensor
from torch.nn import functional as F

from genloom.errors import BadData, BadValue
from genloom.metrics.neighbours import nearest
from genloom.metrics.shares import clopper_pearson

CITATION = (
    "@inproceedings{meehan2020non, title={A Non-Parametric Test to Detect Data-Copying in Generative Models}, "
    "author={Meehan, Casey and Chaudhuri, Kamalika and Dasgupta, Sanjoy}, booktitle={AISTATS}, year={2020}}"
)
CANDIDATES = 16  # training items a sample is compared with in detail
SHIFT = 2  # pixels in each direction, after scaling to at most SIDE
SIDE = 32
RANKS = (0, 1, 3, 10, 30)  # reference scores that serve as thresholds, the lowest first
LEFT_OUT = 3_000  # training items that join the held-out ones as reference
LEVEL = 0.01
POOL = 200  # planted copies of each kind


def small(images: Tensor, side: int = SIDE) -> Tensor:
    """Images (N, C, H, W), bytes or floats, as floats with neither side above `side`, by averaging areas."""
    n, _, h, w = images.shape
    if max(h, w) <= side:
        return images.float()
    scale = side / max(h, w)
    size = (max(1, round(h * scale)), max(1, round(w * scale)))
    return torch.cat([F.interpolate(part.float(), size=size, mode="area") for part in images.split(1024)]) if n else (
        torch.empty(0, images.shape[1], *size)
    )  # fmt: skip


def residuals(x_NCHW: Tensor, y_NKCHW: Tensor, shift: int = SHIFT) -> Tensor:
    """1 - correlation^2 of each x with each of its K candidates at the best of (2 shift + 1)^2 shifts: (N, K), 0 to 1.

    Correlation is over the pixels that overlap, so any brightness and positive contrast gives the same. A constant
    picture correlates with nothing. Sums are in fp32: below about 1e-6 a residual is 0.
    """
    n, k = y_NKCHW.shape[:2]
    h, w = x_NCHW.shape[-2:]
    reach_h, reach_w = min(shift, (h - 1) // 4), min(shift, (w - 1) // 4)
    best = torch.full((n, k), -1.0)
    for dy in range(-reach_h, reach_h + 1):
        for dx in range(-reach_w, reach_w + 1):
            a = x_NCHW[..., max(dy, 0) : h + min(dy, 0), max(dx, 0) : w + min(dx, 0)]
            b = y_NKCHW[..., max(-dy, 0) : h + min(-dy, 0), max(-dx, 0) : w + min(-dx, 0)]
            best = torch.maximum(best, torch.einsum("nd,nkd->nk", _unit(a.flatten(1)), _unit(b.flatten(2))))
    return 1 - best.clamp(0, 1).square()


def _candidates(x: Tensor, pool: Tensor, features: tuple[Tensor, Tensor] | None, k: int) -> Tensor:
    """Rows of the pool worth comparing with each x, (N, K): the most alike in thumbnails of a quarter of the size, for
    x as it is or moved by SHIFT in any of eight directions, since a twin that was moved is near to nothing else.
    Between these moves lies one pixel at most, a quarter of one in a thumbnail."""
    side = max(4, max(x.shape[-2:]) // 4)
    known = _unit(small(pool, side).flatten(1))
    h, w = x.shape[-2:]
    views = [x]
    if min(h, w) > SHIFT:
        padded = F.pad(x, (SHIFT,) * 4, mode="replicate")
        moves = [(dy, dx) for dy in (0, SHIFT, 2 * SHIFT) for dx in (0, SHIFT, 2 * SHIFT)]
        views = [padded[..., dy : dy + h, dx : dx + w] for dy, dx in moves]
    thumbs = torch.stack([_unit(small(view, side).flatten(1)) for view in views])
    found = _most_alike(thumbs, known, min(k, len(pool)))
    if features is None:
        return found
    more = nearest(features[0], features[1], k=min(k, len(pool))).indices
    return torch.cat([found, more], 1)


def _most_alike(views: Tensor, known: Tensor, k: int) -> Tensor:
    """Rows of known (M, D) whose inner product with one of the V views (V, N, D) of an item is largest: (N, k)."""
    out = []
    for part in views.split(512, 1):
        value, where = torch.full((part.shape[1], k), -torch.inf), torch.zeros(part.shape[1], k, dtype=torch.int64)
        for start in range(0, len(known), 8_192):
            block = known[start : start + 8_192].T
            product = part[0] @ block
            for view in part[1:]:
                torch.maximum(product, view @ block, out=product)
            top = product.topk(min(k, product.shape[1]), sorted=False)
            value, chosen = torch.cat([value, top.values], 1).topk(k, sorted=False)
            where = torch.cat([where, top.indices + start], 1).gather(1, chosen)
        out.append(where)
    return torch.cat(out) if out else torch.empty(0, k, dtype=torch.int64)


def _unit(x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / centred.norm(dim=-1, keepdim=True).clamp_min(1e-6)


@dataclass(frozen=True)
class Scores:
    """score (N,): best residual over the candidates' upper quartile; best (N,): that residual; index (N,): whose."""

    score: Tensor
    best: Tensor
    index: Tensor


def scores(
    images: Tensor, train: Tensor, features: tuple[Tensor, Tensor] | None = None, own: Tensor | None = None
) -> Scores:
    """How much nearer each image is to one training item than to the next ones.

    images (N, C, H, W), train (M, C, H, W): bytes, or floats of one range; features: of both, (N, D) and (M, D), which
    find further candidates; own (N,): the row of `train` that each image itself is, which is left out. Raises BadValue
    with fewer than four training items, BadData where shapes differ.
    """
    if len(train) < 4:
        raise BadValue(f"a test for copies needs four training items, got {len(train)}")
    if images.shape[1:] != train.shape[1:]:
        raise BadData(f"samples {tuple(images.shape[1:])} and training items {tuple(train.shape[1:])} differ in shape")
    x, pool = small(images), small(train)
    index = _candidates(x, pool, features, CANDIDATES + (own is not None))
    best, middle, which = [], [], []
    for start in range(0, len(x), 256):
        rows = index[start : start + 256]
        apart = residuals(x[start : start + 256], pool[rows])
        if own is not None:
            apart = apart.masked_fill(rows == own[start : start + 256, None], torch.nan)
        low, at = apart.nan_to_num(torch.inf).min(1)
        best.append(low)
        middle.append(apart.nanquantile(0.75, 1))
        which.append(rows.gather(1, at[:, None])[:, 0])
    low, mid = torch.cat(best), torch.cat(middle)
    # Where most candidates are copies, the training data repeat themselves: the sample says nothing then.
    return Scores(torch.where(mid > 1e-6, low / mid.clamp_min(1e-6), 1.0), low, torch.cat(which))


def p_value(samples: Tensor, held_out: Tensor, ranks: Sequence[int] = RANKS) -> tuple[float, float]:
    """(p, threshold): how likely so many samples have so low a score if they are exchangeable with held-out items.

    samples (n,), held_out (m,): scores. The smallest of the exact hypergeometric tails at the thresholds, times their
    number.
    """
    ordered = held_out.double().sort().values
    n, m = len(samples), len(held_out)
    best = (1.0, float(ordered[0]))
    usable = [j for j in ranks if j < m]
    for j in usable:
        below = int((samples.double() < ordered[j]).sum())
        # Among the j + below + 1 lowest of all, the highest is a held-out item; j others are. The tail of the count of
        # samples below the (j+1)-th lowest held-out score is that of drawing at least `below` samples in the first
        # j + below places.
        tail = float(hypergeom.sf(below - 1, n + m, n, j + below)) if below else 1.0
        if tail * len(usable) < best[0]:
            best = (tail * len(usable), float(ordered[j]))
    return min(best[0], 1.0), best[1]


def shifted(images: Tensor, random: np.random.Generator) -> Tensor:
    """Each image (N, C, H, W) uint8 moved by 1 or 2 pixels, its edge repeated."""
    padded = F.pad(images.float(), (2, 2, 2, 2), mode="replicate").to(torch.uint8)
    h, w = images.shape[-2:]
    moves = [(a, b) for a in range(5) for b in range(5) if (a, b) != (2, 2)]
    chosen = random.integers(0, len(moves), len(images))
    return torch.stack([p[:, moves[c][0] : moves[c][0] + h, moves[c][1] : moves[c][1] + w]
                        for p, c in zip(padded, chosen, strict=True)]) if len(images) else images  # fmt: skip


def brightened(images: Tensor, random: np.random.Generator) -> Tensor:
    """Each image (N, C, H, W) uint8 with other contrast (x 0.7 to 1.0) and brightness (+ 0 to 40)."""
    gain = torch.from_numpy(random.uniform(0.7, 1.0, (len(images), 1, 1, 1)))
    lift = torch.from_numpy(random.uniform(0, 40, (len(images), 1, 1, 1)))
    return (images.double() * gain + lift).round().clamp(0, 255).to(torch.uint8)


def recompressed(images: Tensor, random: np.random.Generator) -> Tensor:
    """Each image (N, 1 or 3, H, W) uint8 through JPEG of quality 50 to 80."""
    out = []
    for item in images:
        array = item[0].numpy() if len(item) == 1 else item.permute(1, 2, 0).numpy()
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "JPEG", quality=int(random.integers(50, 81)))
        back = torch.from_numpy(np.array(Image.open(buffer)))
        out.append(back[None] if len(item) == 1 else back.permute(2, 0, 1))
    return torch.stack(out) if out else images


NEAR: tuple[Callable[[Tensor, np.random.Generator], Tensor], ...] = (shifted, brightened, recompressed)


def planted(train: Tensor, n: int, near: bool, random: np.random.Generator) -> Tensor:
    """n copies of training items (M, C, H, W) uint8: verbatim, or each changed in one of the ways of NEAR."""
    chosen = train[torch.from_numpy(random.integers(0, len(train), n))]
    if not near:
        return chosen
    kind = random.integers(0, len(NEAR), n)
    out = chosen.clone()
    for i, change in enumerate(NEAR):
        at = torch.from_numpy(np.flatnonzero(kind == i))
        out[at] = change(chosen[at], random)
    return out


@dataclass(frozen=True)
class Verdict:
    """verdict: "pass", "fail" or "inconclusive"; p: of the test; threshold: the score below which samples were counted.

    suspects: samples below it; expected: how many of as many reference items; n, reference: items of each; share:
    of copies among samples, at most, with 95% confidence; verbatim, near: whether planted copies (1%, 3%) were found;
    needed: samples at which planted verbatim copies would be found, where they were not; pairs: (sample, training item,
    score), the most suspicious first.
    """

    verdict: str
    p: float
    threshold: float
    suspects: int
    expected: float
    n: int
    reference: int
    share: tuple[float, float]
    verbatim: bool
    near: bool
    needed: int | None
    pairs: tuple[tuple[int, int, float], ...]


@dataclass(frozen=True)
class Reference:
    """What samples are judged beside: scores of items nobody can have copied, and of copies planted on purpose.

    honest (m,): held-out items, then training items left out; verbatim, near: planted copies, POOL each.
    """

    honest: Tensor
    verbatim: Tensor
    near: Tensor


def reference(held_out: Tensor, train: Tensor, seed: int = 0) -> Reference:
    """Scored against `train`; all uint8 (N, C, H, W). Raises BadValue with fewer than ten held-out items."""
    if len(held_out) < 10:
        raise BadValue(f"a test for copies needs 10 held-out items, got {len(held_out)}")
    left_out = torch.linspace(0, len(train) - 1, min(LEFT_OUT, len(train))).long()
    random = np.random.default_rng(seed)
    return Reference(
        torch.cat([scores(held_out, train).score, scores(train[left_out], train, own=left_out).score]),
        scores(planted(train, POOL, False, random), train).score,
        scores(planted(train, POOL, True, random), train).score,
    )


def judge(samples: Tensor, train: Tensor, beside: Reference, *, seed: int = 0, pairs: int = 12) -> Verdict:
    """Whether `samples` (n, C, H, W) hold copies of `train`, both uint8. Raises BadValue for fewer than two."""
    n, m = len(samples), len(beside.honest)
    if n < 2:
        raise BadValue(f"a test for copies needs 2 samples, got {n}")
    found = scores(samples, train)
    p, threshold = p_value(found.score, beside.honest)
    random = np.random.default_rng(seed)
    powers = []
    for share, pool in ((0.01, beside.verbatim), (0.03, beside.near)):
        count = math.ceil(share * n)
        honest = beside.honest[torch.from_numpy(random.integers(0, m, n - count))]
        copies = pool[torch.from_numpy(random.integers(0, len(pool), count))]
        powers.append(p_value(torch.cat([honest, copies]), beside.honest)[0] < LEVEL)
    suspects = int((found.score < threshold).sum())
    base = float((beside.honest < threshold).double().mean())
    low, high = clopper_pearson(suspects, n)
    order = found.score.argsort()[:pairs].tolist()
    return Verdict(
        verdict="fail" if p < LEVEL else "pass" if all(powers) else "inconclusive",
        p=p,
        threshold=threshold,
        suspects=suspects,
        expected=base * n,
        n=n,
        reference=m,
        share=(max(0.0, low - base), max(0.0, high - base)),
        verbatim=powers[0],
        near=powers[1],
        needed=None if powers[0] else samples_needed(m),
        pairs=tuple((i, int(found.index[i]), float(found.score[i])) for i in order),
    )


def samples_needed(reference: int, share: float = 0.01) -> int | None:
    """The least n at which verbatim copies, `share` of the samples, are certain to be found beside that many reference
    items, if all copies score below all of those. None where no n does, because the reference is too small."""
    for n in (50, 100, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 20_000, 50_000):
        copies = math.ceil(share * n)
        if len(RANKS) * float(hypergeom.sf(copies - 1, n + reference, n, copies)) < LEVEL:
            return n
    return None
