"""A data set: three splits that hand out batches by index, and what there is to say about them.

Images are stored as uint8 (N, C, H, W), texts as one long row of token ids, both in memory or mapped from a file;
`batch` brings them into the model's range.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, DataSpec, Field, Step
from genloom.data.captions import NAME as CAPTION
from genloom.data.captions import drop_parts, encode, hold_out, told_captions
from genloom.data.forms import Forms, Pictures, arranged
from genloom.data.left_out import leave_out
from genloom.data.options import DataOptions
from genloom.data.parts import ImageSplit, Independent, Split, alone
from genloom.data.rewrite import rewritten
from genloom.data.splits import Rows, shuffled
from genloom.data.transpose import transposed
from genloom.errors import BadData
from genloom.modalities.text import Tokenizer


@dataclass(frozen=True)
class Card:
    """Where a data set comes from. items: what it holds, in words; modality: "image" or "text"; consent: of the people
    shown or named; collected: when and how; contact: whom to ask. The last three are empty where nobody said."""

    title: str
    source: str
    licence: str
    citation: str
    items: str
    modality: str = "image"
    consent: str = ""
    collected: str = ""
    contact: str = ""


def narrow(ids: Tensor, size: int) -> Tensor:
    """Token ids in the smallest integer type that holds a vocabulary of `size`."""
    return ids.to(torch.uint8 if size <= 256 else torch.int16 if size <= 32768 else torch.int32)


@dataclass(frozen=True)
class Dataset:
    """Everything a run needs to know of its data.

    spec: the fields of an item; tokenizer: for texts; card: where it comes from; digest: sha256 of the content and of
    the options that shaped it, in hex; notes: every choice that was made on the way here, and why.
    """

    name: str
    options: DataOptions
    spec: DataSpec
    train: Split
    validation: Split
    test: Split
    tokenizer: Tokenizer | None
    card: Card
    digest: str
    notes: tuple[str, ...] = field(default=())

    @property
    def items(self) -> tuple[str, ...]:
        """The names of the item fields: two where a model learns between two collections."""
        return tuple(name for name, f in self.spec.items() if f.role == "item")

    def only(self, name: str) -> Dataset:
        """The collection of one item field as a data set of its own; this one where there is no other."""
        if self.items == (name,):
            return self
        train, validation, test = (part.only(name) for part in (self.train, self.validation, self.test))
        digest = hashlib.sha256(f"{self.digest}/{name}".encode()).hexdigest()
        return replace(self, name=f"{self.name}-{name}", spec=alone(self.spec, name), train=train,
                       validation=validation, test=test, digest=digest)  # fmt: skip


# What decides how items look or which are drawn; where they come from (`source`) and `strict` do not. `split` and
# `fold` are in the digest by what they do: the rows of each split are part of it.
_SHAPING = ("size", "resize", "channels", "labels", "flip", "context", "limit", "validation")


# The same of options that came later: they count where they are not what they were when there was no such choice.
_SHAPING_SINCE = (
    "direction", "target", "seconds", "rate", "audio", "frames", "pair", "pairing", "voices", "transpose", "property",
    "randomise",
)  # fmt: skip


def digest_of(options: DataOptions, content: bytes, splits: tuple[Split, ...], tokenizer: Tokenizer | None) -> str:
    """sha256 in hex of the content hash, the splits, and the options that shape items."""
    digest = hashlib.sha256(content)
    for split in splits:
        digest.update(split.fingerprint())
    shaping = {name: getattr(options, name) for name in _SHAPING}
    shaping |= {n: v for n in _SHAPING_SINCE if (v := getattr(options, n)) != getattr(DataOptions, n)}
    digest.update(json.dumps(shaping, sort_keys=True).encode())
    if tokenizer is not None:
        digest.update(json.dumps(tokenizer.to_json(), sort_keys=True).encode())
    return digest.hexdigest()


def image_dataset(
    name: str,
    options: DataOptions,
    images: Tensor,
    labels: Tensor | None,
    classes: tuple[str, ...],
    rows: tuple[Tensor, Tensor, Tensor],
    card: Card,
    notes: list[str],
    content: bytes | None = None,
    captions: Sequence[str] | None = None,
    forms: Forms = MappingProxyType({}),
    own: str = "image",
    factors: Mapping[str, Tensor] = MappingProxyType({}),
) -> Dataset:
    """The data set over `images` uint8 (N, C, H, W) with rows for train, validation and test.

    content: a hash of the pixels, where somebody has it already; captions: of every image, "" where it has none; None
    takes the names of the classes, where there are any; forms: further pictures of the same items, beside which these
    are called `own`; factors: by name, numbers in [-1, 1] (N,) that are known of every image, told where labels are.
    Raises BadData where options ask for captions in vain.
    """
    pictures = arranged(name, options, images, forms, own, notes)
    *given, item = pictures
    apart = bool(given) and options.pairing != "paired"
    spec = {k: Field("image", p.shape, role="item" if apart or k == item else "condition", domain=k if apart else "")
            for k, p in pictures.items()}  # fmt: skip
    about = item if apart else ""
    rows = leave_out(rows, labels, classes, options, notes)
    told = told_captions(name, options, captions, labels, classes, notes)
    if labels is not None and options.labels:
        span = (0, len(classes) - 1)
        spec["label"] = Field("class", (), range=span, classes=classes, role="condition", domain=about)
    else:
        labels = None
    train, validation, test = rows if told is None else hold_out(rows, told, options, notes)
    if options.validation == "test":
        train, validation = torch.cat([train, validation]), test
        notes.append("trains on the validation items too; the test items take their place")
    if options.limit is not None:
        train = train[: options.limit]
        notes.append(f"only the first {len(train):,} training items are used")
    found = None if told is None else encode(told, train, notes)
    columns: dict[str, Tensor] = {}
    for factor, values in factors.items() if options.labels else ():
        spec[factor], columns[factor] = Field("vector", (1,), role="condition"), values.float()[:, None]
    if found is not None:
        spec[CAPTION] = replace(found.field, domain=about)
        columns[CAPTION] = narrow(found.ids, found.tokenizer.size)
    tokenizer = None if found is None else found.tokenizer

    def split(r: Tensor) -> ImageSplit:
        return ImageSplit(spec, pictures, r, labels, columns)

    splits: tuple[Split, ...] = tuple(map(split, (train, validation, test)))
    if apart:
        splits = _apart(spec, split, (train, validation, test), options, notes)
    return Dataset(
        name=name,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=tokenizer,
        card=card,
        digest=digest_of(options, content or hash_images(images), splits, tokenizer),
        notes=tuple(notes),
    )


def _apart(
    spec: DataSpec, split: Callable[[Tensor], ImageSplit], rows: Rows, options: DataOptions, notes: list[str]
) -> tuple[Split, ...]:
    """Splits in which training sees one form of one half of the items and the other form of the other half."""
    known = options.pairing == "hidden"

    def halved(r: Tensor, crossed: bool) -> Independent:
        order = shuffled(len(r), "halves")
        both = [r[torch.from_numpy(np.sort(half))] for half in (order[: len(r) // 2], order[len(r) // 2 :])]
        names = [k for k, f in spec.items() if f.role == "item"]
        return Independent(spec, {k: split(half).only(k) for k, half in zip(names, both, strict=True)}, crossed)

    if min(map(len, rows)) < 2:
        raise BadData("too few items for two collections of different ones: give more, or --data.pairing paired")
    kept = "held-out items keep their pairs for scoring" if known else "and so do held-out ones"
    notes.append(f"training sees each form of other items, half of them each; {kept}")
    return halved(rows[0], True), *(split(r) if known else halved(r, False) for r in rows[1:])


def unpaired_dataset(
    name: str,
    options: DataOptions,
    sides: Mapping[str, tuple[Pictures, Rows]],
    card: Card,
    notes: list[str],
    content: bytes,
) -> Dataset:
    """The data set of collections that have nothing to do with each other, each with rows of its own."""
    spec = {k: Field("image", pictures.shape, domain=k) for k, (pictures, _) in sides.items()}

    def together(at: int) -> Independent:
        limit = options.limit if at == 0 else None
        parts = {k: ImageSplit(alone(spec, k), {k: p}, rows[at][:limit], None) for k, (p, rows) in sides.items()}
        return Independent(spec, parts, crossed=at == 0)

    train, validation, test = (together(at) for at in range(3))
    digest = digest_of(options, content, (train, validation, test), None)
    return Dataset(name, options, spec, train, validation, test, None, card, digest, tuple(notes))


_BLOCK = 1 << 20
_WHOLE = 1 << 30


def hash_images(images: Tensor) -> bytes:
    """sha256 of the pixels; of 1,024 evenly spaced blocks of 1 MiB and the shape where there is more than 1 GiB."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    if images.is_contiguous() or images.permute(0, 2, 3, 1).is_contiguous():
        flat = (images if images.is_contiguous() else images.permute(0, 2, 3, 1)).reshape(-1)
        size = flat.numel()
        starts = range(0, size, _BLOCK) if size <= _WHOLE else np.linspace(0, size - _BLOCK, 1024).astype(int).tolist()
        for start in starts:
            digest.update(flat[start : start + _BLOCK].numpy().data)
    else:
        for part in images.split(4096):
            digest.update(part.contiguous().numpy().data)
    return digest.digest()


def augment(batch: Batch, spec: DataSpec, options: DataOptions, step: Step) -> Batch:
    """With `options.flip`, every training image is mirrored left to right or not, by a draw from `step`; with
    `options.drop_parts`, captions lose some of their parts; with `options.transpose`, music is moved up or down; with
    `options.randomise`, molecules are written anew.

    The tensors given are left alone; other fields pass through.
    """
    if not (options.flip or options.drop_parts or options.transpose or options.randomise):
        return batch
    out = dict(batch)
    for name, field_ in spec.items():
        if options.drop_parts and field_.modality == "text" and field_.role == "condition" and name in out:
            out[name] = drop_parts(out[name], options.drop_parts, step)
        if options.randomise and field_.modality == "molecule" and name in out:
            out[name] = rewritten(out[name], field_, step)
        if options.transpose and field_.modality == "music" and name in out:
            out[name] = transposed(out[name], field_, options.transpose, step)
        if options.flip and field_.modality == "image" and name in out:
            x_BCHW = out[name]
            mirror_B111 = (step.rand(len(x_BCHW)) < 0.5).to(x_BCHW.device)[:, None, None, None]
            out[name] = torch.where(mirror_B111, x_BCHW.flip(-1), x_BCHW)
    return out
