"""Others' language models as finished runs: a transformers folder in the shape of GPT-2 or Llama, a llama2.c binary.

Nothing is executed and nothing unpickled: weights are safetensors or plain floats, the rest is JSON.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from genloom import __version__
from genloom.core import Field, Optimizer, config_to_json, spec_to_json
from genloom.data.options import DataOptions
from genloom.engine import checkpoint
from genloom.engine.exchange.names import from_gpt2, from_llama, halves
from genloom.engine.options import TrainOptions
from genloom.errors import BadData, BadValue, Damaged, NotFound
from genloom.modalities.pretrained import PretrainedTokenizer, of_pieces, read_llama2c
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.nets.portable import GPT2, LLAMA, Portable
from genloom.runs import Run, read_json, sha256

TUNING = Optimizer("adamw", lr=3e-4, betas=(0.9, 0.95), warmup=0.05, decay="cosine")
"""How an imported model goes on learning: gently."""
_HEADER = struct.Struct("<7i")


@dataclass(frozen=True)
class Foreign:
    """A model as it was found. context: most positions; weights: under our names, without "network."; about: what its
    files say of themselves."""

    config: GPTConfig
    context: int
    vocabulary: int
    weights: Mapping[str, Tensor]
    tokenizer: PretrainedTokenizer
    about: Mapping[str, Any]


def read_foreign(place: Path) -> Foreign:
    """The model in a folder or file. Raises NotFound, BadData, Damaged in one line."""
    if place.is_dir():
        if (place / "config.json").is_file():
            return read_transformers(place)
        found = sorted(place.glob("*.bin"))
        models = [p for p in found if p.name != "tokenizer.bin"]
        if len(models) == 1:
            return read_binary(models[0])
        raise BadData(
            f"{place} holds no model that can be read: expected transformers' config.json with model.safetensors and "
            "tokenizer.json, or llama2.c's model.bin with tokenizer.bin"
        )
    if not place.exists():
        raise NotFound(f"there is no {place}: give a folder, a llama2.c binary, or the name of fetched weights")
    if place.suffix != ".bin":
        raise BadData(f"{place}: expected a llama2.c binary (.bin), or the folder of a transformers model")
    return read_binary(place)


def read_binary(path: Path) -> Foreign:
    """llama2.c's format: seven whole numbers, then all weights as 32-bit floats, layer by layer within each kind;
    beside it tokenizer.bin. A text begins and ends with the token <s>. Raises Damaged."""
    content = path.read_bytes()
    if len(content) < _HEADER.size:
        raise Damaged(f"{path} is too short for a llama2.c model: fetch it again")
    width, hidden, depth, heads, groups, size, context = _HEADER.unpack_from(content)
    shared, size = size > 0, abs(size)
    sane = 0 < width < 1 << 16 and 0 < depth < 1 << 10 and 0 < groups <= heads and heads and not width % heads
    if not sane or not 0 < hidden < 1 << 20 or not 0 < size < 1 << 24 or not 0 < context < 1 << 20:
        raise Damaged(f"{path} is no llama2.c model of the first format: its header makes no sense")
    of_keys = width // heads * groups
    shapes = {
        "embedding.weight": (size, width), "norm_1": (depth, width), "query": (depth, width, width),
        "key": (depth, of_keys, width), "value": (depth, of_keys, width), "out": (depth, width, width),
        "norm_2": (depth, width), "gate": (depth, hidden, width), "down": (depth, width, hidden),
        "up": (depth, hidden, width), "norm.weight": (width,), "angles": (2, context, width // heads // 2),
        **({} if shared else {"head.weight": (size, width)}),
    }  # fmt: skip
    wanted = _HEADER.size + 4 * sum(int(np.prod(s)) for s in shapes.values())
    if len(content) != wanted:
        raise Damaged(f"{path} has {len(content):,} bytes, its header promises {wanted:,}: fetch it again")
    flat, at = torch.from_numpy(np.frombuffer(content, "<f4", offset=_HEADER.size).copy()), 0
    found: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        found[name] = flat[at : at + count].view(shape)
        at += count
    weights: dict[str, Tensor] = {k: found[k] for k in ("embedding.weight", "norm.weight", "head.weight") if k in found}
    for i in range(depth):
        for name in ("norm_1", "norm_2"):
            weights[f"blocks.{i}.{name}.weight"] = found[name][i]
        for name in ("gate", "up", "down"):
            weights[f"blocks.{i}.mlp.{name}.weight"] = found[name][i]
        for name, turned in (("query", heads), ("key", groups), ("value", 0), ("out", 0)):
            weight = found[name][i]
            weights[f"blocks.{i}.attention.{name}.weight"] = halves(weight, turned) if turned else weight
    beside = path.with_name("tokenizer.bin")
    if not beside.is_file():
        raise NotFound(f"{path} needs its tokenizer beside it: there is no {beside}")
    style = replace(LLAMA, hidden=hidden, tied=shared, key_heads=groups if groups != heads else 0)
    config = GPTConfig(width=width, depth=depth, heads=heads, network="portable", portable=style, start=1,
                       optimizer=TUNING)  # fmt: skip
    tokenizer = of_pieces(*read_llama2c(beside, size), end=1)
    return Foreign(config, context, size, weights, tokenizer, {"format": "llama2.c", "sha256": sha256(path)})


def read_transformers(folder: Path) -> Foreign:
    """A folder that transformers' `save_pretrained` wrote, of GPT2LMHeadModel or LlamaForCausalLM. Raises BadData."""
    said = read_json(folder / "config.json")
    kind = said.get("model_type")
    if kind not in ("gpt2", "llama"):
        raise BadData(f"{folder} is a {kind!r}: genloom reads models in the shape of gpt2 and llama")
    theirs = _safetensors(folder)
    dtypes = {str(t.dtype).removeprefix("torch.") for t in theirs.values()}
    theirs = {k: t.float() for k, t in theirs.items()}
    config, context, weights = (_gpt2 if kind == "gpt2" else _llama)(folder, said, theirs)
    size = int(said["vocab_size"])
    begin, end = (_mark(folder, said, name) for name in ("bos_token_id", "eos_token_id"))
    config = replace(config, start=begin if begin is not None else end)
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise NotFound(f"{folder} has no tokenizer.json: save the model's fast tokenizer beside it")
    try:
        inner = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises a bare Exception
        raise Damaged(f"{file} cannot be read: {error}") from None
    known = end if end is not None else begin
    if known is None:
        raise BadData(f"{folder}/config.json names neither eos_token_id nor bos_token_id: a text could not end")
    tokenizer = PretrainedTokenizer(inner, known, size)
    about = {"format": "transformers", "model_type": kind, "dtypes": sorted(dtypes)}
    return Foreign(config, context, size, weights, tokenizer, about)


def _safetensors(folder: Path) -> dict[str, Tensor]:
    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.is_file():
        names = sorted(set(read_json(index)["weight_map"].values()))
    if any(Path(name).name != name for name in names):
        raise Damaged(f"{index} names files outside of its folder")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        pickled = " (pytorch_model.bin is a pickle, which could run anything: save it as safetensors)"
        hint = pickled if list(folder.glob("pytorch_model*.bin")) else ""
        raise NotFound(f"{folder} has no {missing[0]}{hint}")
    try:
        return {k: t for name in names for k, t in load_file(folder / name).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise Damaged(f"{folder}: the weights cannot be read ({error})") from None


def _mark(folder: Path, said: Mapping[str, Any], name: str) -> int | None:
    """A marking token's id: of the generation's configuration where it names one, otherwise of the model's."""
    own = folder / "generation_config.json"
    found = (read_json(own) if own.is_file() else {}).get(name, said.get(name))
    found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, int) else None


def _only(folder: Path, said: Mapping[str, Any], **wanted: tuple[Any, ...]) -> None:
    for name, values in wanted.items():
        if said.get(name, values[0]) not in values:
            raise BadData(f"{folder}: {name} {said[name]!r} is not known here: expected {values[0]!r}")


def _gpt2(
    folder: Path, said: Mapping[str, Any], theirs: Mapping[str, Tensor]
) -> tuple[GPTConfig, int, dict[str, Tensor]]:
    _only(folder, said, activation_function=("gelu_new", "gelu_pytorch_tanh"), scale_attn_weights=(True,),
          scale_attn_by_inverse_layer_idx=(False,))  # fmt: skip
    tied = bool(said.get("tie_word_embeddings", True))
    weights = from_gpt2({k: t for k, t in theirs.items() if not (tied and k == "lm_head.weight")})
    style = replace(GPT2, eps=said.get("layer_norm_epsilon", 1e-5), hidden=said.get("n_inner") or 0, tied=tied)
    config = GPTConfig(width=said["n_embd"], depth=said["n_layer"], heads=said["n_head"], network="portable",
                       portable=style, optimizer=TUNING)  # fmt: skip
    return config, said["n_positions"], weights


def _llama(
    folder: Path, said: Mapping[str, Any], theirs: Mapping[str, Tensor]
) -> tuple[GPTConfig, int, dict[str, Tensor]]:
    _only(folder, said, hidden_act=("silu", "swish"), attention_bias=(False,), mlp_bias=(False,))
    turning = said.get("rope_parameters") or said.get("rope_scaling") or {}
    if turning.get("rope_type", turning.get("type", "default")) != "default":
        raise BadData(f"{folder}: scaled rotary positions ({turning}) are not known here")
    heads, width, depth = said["num_attention_heads"], said["hidden_size"], said["num_hidden_layers"]
    if (said.get("head_dim") or width // heads) * heads != width:
        raise BadData(f"{folder}: heads of width {said['head_dim']} x {heads} do not make up a width of {width}")
    groups, tied = said.get("num_key_value_heads") or heads, bool(said.get("tie_word_embeddings", False))
    weights = from_llama({k: t for k, t in theirs.items() if not (tied and k == "lm_head.weight")}, depth)
    style = Portable(
        positions="rotary", norm="rms", eps=said["rms_norm_eps"], mlp="swiglu", hidden=said["intermediate_size"],
        biases=False, tied=tied, key_heads=groups if groups != heads else 0,
        base=float(turning.get("rope_theta", said.get("rope_theta", 10_000.0))),
    )  # fmt: skip
    config = GPTConfig(width=width, depth=depth, heads=heads, network="portable", portable=style, optimizer=TUNING)
    return config, said["max_position_embeddings"], weights


def as_run(found: Foreign, source: str, root: Path | str, name: str | None = None) -> Run:
    """A finished run that holds the model: it can be sampled, tuned (`train --from`), stood on and exported.

    Raises BadData where the weights do not fit the shape that their configuration tells.
    """
    spec = {"text": Field("text", (found.context,), range=(0, found.vocabulary - 1), vocabulary=found.vocabulary)}
    model = GPT(found.config, spec)
    ours = {f"network.{k}": t.contiguous() for k, t in found.weights.items()}
    expected = {k: t.shape for k, t in model.state_dict().items()}
    if wrong := sorted(k for k in expected.keys() | ours.keys() if k not in ours or ours[k].shape != expected.get(k)):
        raise BadData(f"{source}: {len(wrong)} weights do not fit what its configuration tells, first {wrong[0]}")
    data = DataOptions(source="", context=found.context)
    run = Run.create(root, "gpt", name=name, config={
        "genloom": __version__,
        "recipe": "gpt",
        "model": "gpt",
        "config": config_to_json(found.config),
        "data": config_to_json(data),
        "train": config_to_json(TrainOptions(batch=16)),
        "spec": spec_to_json(spec),
        "dataset": {"name": "imported", "digest": "", "items": 0, "card": {}, "notes": []},
        "imported": {"source": source, **found.about},
    })  # fmt: skip
    try:
        run.write("tokenizer.json", found.tokenizer.to_json())
        finish(run, ours)
    except BaseException:
        run.remove()
        raise
    return run


def finish(run: Run, weights: Mapping[str, Tensor]) -> None:
    """Makes a run that was never trained a finished one with these weights."""
    if not weights:
        raise BadValue("a run needs weights")
    clock = {"elapsed": 0.0, "knots": []}
    checkpoint.save(run, 0, {"model": dict(weights)}, {"items": 0, "clock": clock})
    run.set_status(state="finished", step=0, items=0, seconds=0.0, progress=1.0)
