"""R-precision: whether a sample's own caption is found among others by the picture (Xu et al. 2018, AttnGAN).

For each caption one sample is drawn, and the scorer (`scorer.py`) compares it with that caption and with others of the
data set. The figure is the share of samples whose own caption comes first: 1 of 100 is chance, and what real pictures
of the same captions get is as good as this scorer can tell. Captions of training items (with new noise) and held-out
ones have a figure each; so have pairs of words that never met in training, among all pairs of those words.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from genloom.core import CanSample, Model, Sampling, derive_seed
from genloom.data.captions import crossings, meets, parse_held_out
from genloom.data.options import DataOptions
from genloom.metrics.base import Result, SplitLike
from genloom.metrics.scorer import Scorer, caption_of, scorer_for
from genloom.metrics.shares import clopper_pearson
from genloom.metrics.store import DatasetLike
from genloom.modalities.image import to_bytes, to_float
from genloom.modalities.words import COMMA, WordTokenizer

CANDIDATES = 100
MOST = 400  # captions of a set that samples are drawn for
EACH = 16  # samples of each pair of words
CHUNK = 128
CITATION = (
    "@inproceedings{xu2018attngan, title={AttnGAN: Fine-Grained Text to Image Generation with Attentional Generative "
    "Adversarial Networks}, author={Xu, Tao and Zhang, Pengchuan and Huang, Qiuyuan and Zhang, Han and Gan, Zhe and "
    "Huang, Xiaolei and He, Xiaodong}, booktitle={CVPR}, year={2018}, eprint={1711.10485}}"
)


class CaptionedSet(DatasetLike, Protocol):
    """A data set with captions: its options and the words."""

    @property
    def validation(self) -> SplitLike: ...

    @property
    def options(self) -> DataOptions: ...


def retrieval(
    model: Model,
    dataset: CaptionedSet,
    words: WordTokenizer,
    generator: torch.Generator,
    *,
    options: Sampling = Sampling(),
    most: int = MOST,
    scorer: Scorer | None = None,
    notes: list[str],
) -> list[Result]:
    """The figures of a model that is told captions, each beside chance and what real pictures score.

    most: captions of each set; words: the data set's. Sets too small to choose from are left out, with a note.
    """
    device = next(model.parameters()).device
    judge = scorer or scorer_for(dataset, device=device)
    results = []
    for key, title, split in (
        ("retrieval", "held-out captions", dataset.test),
        ("retrieval_seen", "training captions", dataset.train),
    ):
        ids, real = _distinct(split, most, words, dataset.options.hold_out)
        if len(ids) < 3:
            notes.append(f"no R-precision of {title}: there are {len(ids)} different ones")
            continue
        rivals = _rivals(len(ids), min(CANDIDATES, len(ids)), generator.initial_seed())
        made = _draw(model, dataset, ids, generator, options)
        found, ceiling = (_first(judge, x, ids[rivals]) for x in (made, real))
        results.append(_result(key, title, judge.identity, found, ceiling, rivals.shape[1]))
    return results + _pairs(model, dataset, words, generator, options)


def _pairs(
    model: Model, dataset: CaptionedSet, words: WordTokenizer, generator: torch.Generator, options: Sampling
) -> list[Result]:
    """Whether samples of the held-out groups of words show them: by the nearest real picture, of all parts of the data,
    that shows any combination of the same words. A scorer cannot judge what it has not seen together either."""
    every = crossings(dataset.options)
    groups = [g for g in parse_held_out(dataset.options.hold_out) if g in every]
    if not groups:
        return []
    parts = [_showing(split, every, words) for split in (dataset.train, dataset.validation, dataset.test)]
    real, shown = torch.cat([x for x, _ in parts]).flatten(1), torch.cat([y for _, y in parts])
    known = set(shown.tolist())
    own = torch.tensor([i for i, g in enumerate(every) if g in groups and i in known])
    if len(known) < 3 or not len(own):
        return []
    name = caption_of(dataset.spec)
    assert name is not None
    (length,) = dataset.spec[name].shape
    asked = own.repeat(EACH)
    ids = torch.stack([words.row(" ".join(every[i]), length) for i in asked.tolist()])
    made = _draw(model, dataset, ids, generator, options).flatten(1)
    found = shown[torch.cdist(made, real).argmin(1)] == asked
    among = torch.cdist(real, real).fill_diagonal_(torch.inf)
    right = (shown[among.argmin(1)] == shown)[torch.isin(shown, own)]
    title = "pairs of words never seen together"
    return [_result("retrieval_pairs", title, "the nearest real picture, by pixels", found, right, len(known))]


def _showing(split: SplitLike, every: list[tuple[str, ...]], words: WordTokenizer) -> tuple[Tensor, Tensor]:
    """The real pictures (n, C, H, W) whose caption's first part holds just one of the groups, and which one (n,)."""
    rows, which = [], []
    for i, text in enumerate(_texts(split, words)):
        fitting = [k for k, g in enumerate(every) if meets(text.split(",")[0], [g])]
        if len(fitting) == 1:
            rows.append(i)
            which.append(fitting[0])
    batch = split.batch(torch.tensor(rows, dtype=torch.int64))
    return batch[next(k for k, f in split.spec.items() if f.role == "item")], torch.tensor(which, dtype=torch.int64)


def _item(dataset: DatasetLike) -> str:
    return next(k for k, f in dataset.spec.items() if f.role == "item")


def _texts(split: SplitLike, words: WordTokenizer) -> list[str]:
    name = caption_of(split.spec)
    assert name is not None
    found: list[str] = []
    for index in torch.arange(len(split)).split(512):
        found += [words.decode(row) for row in split.batch(index)[name].tolist()]
    return found


def _distinct(split: SplitLike, most: int, words: WordTokenizer, held_out: str) -> tuple[Tensor, Tensor]:
    """Up to `most` captions (n, L) whose first parts all differ, and a real picture of each (n, C, H, W); without
    those of the held-out pairs, which have a figure of their own."""
    name = caption_of(split.spec)
    assert name is not None
    groups = parse_held_out(held_out)
    seen: set[tuple[int, ...]] = set()
    rows: list[int] = []
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
    for index in order.split(512):
        for at, row in zip(index.tolist(), split.batch(index)[name].tolist(), strict=True):
            first = tuple(row[: row.index(COMMA)] if COMMA in row else row)
            if any(first) and first not in seen and not (groups and meets(words.decode(row), groups)):
                seen.add(first)
                rows.append(at)
        if len(rows) >= most:
            break
    batch = split.batch(torch.tensor(rows[:most], dtype=torch.int64))
    item = next(k for k, f in split.spec.items() if f.role == "item")
    return batch[name], batch[item]


def _rivals(n: int, candidates: int, seed: int) -> Tensor:
    """(n, candidates) indices: each row's own first, then others drawn without repeats."""
    generator = torch.Generator().manual_seed(derive_seed("rivals", seed))
    weights = torch.rand(n, n, generator=generator)
    weights.fill_diagonal_(2.0)
    return weights.argsort(1, descending=True)[:, :candidates]


@torch.no_grad()
def _draw(model: Model, dataset: DatasetLike, ids: Tensor, generator: torch.Generator, options: Sampling) -> Tensor:
    """A sample for each caption, as the bytes a person would get, in the model's range."""
    assert isinstance(model, CanSample)
    name, item = caption_of(dataset.spec), _item(dataset)
    assert name is not None
    training = model.training
    model.eval()
    try:
        device = next(model.parameters()).device
        parts = [
            model.sample(len(part), condition={name: part.to(device)}, options=options, generator=generator)[item]
            for part in ids.split(CHUNK)
        ]
    finally:
        model.train(training)
    return to_float(to_bytes(torch.cat(parts)).cpu())


@torch.no_grad()
def _first(judge: Scorer, x: Tensor, candidates_BRL: Tensor) -> Tensor:
    """Whether the first candidate of each row fits the picture better than all others, (B,) bool."""
    device = next(judge.parameters()).device
    right = []
    for images, ids in zip(x.split(CHUNK), candidates_BRL.split(CHUNK), strict=True):
        b, r, length = ids.shape
        heard = judge.hear(ids.reshape(b * r, length).to(device)).view(b, r, -1)
        scores = (heard @ judge.see(images.to(device))[:, :, None])[..., 0]
        right.append((scores[:, :1] > scores[:, 1:]).all(1).cpu())
    return torch.cat(right)


def _result(key: str, title: str, judge: str, found: Tensor, real: Tensor, candidates: int) -> Result:
    count, n = int(found.sum()), len(found)
    protocol = {
        "judge": judge,
        "candidates": candidates,
        "chance": 1 / candidates,
        "floor": float(real.double().mean()) if len(real) else None,
        "n_real": len(real),
        "interval": "Clopper-Pearson, 95%, over samples",
    }
    name = f"R-precision of {title} (chance {1 / candidates:.2g})"
    return Result(key, name, count / n, clopper_pearson(count, n), n, protocol, CITATION, "higher")
