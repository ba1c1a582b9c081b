"""What one and the same weight is called here, by transformers and by GGUF.

Ours are those of `genloom.nets.portable`, below "network.". GPT-2's matrices lie there the other way round (in x
out), and its queries, keys and values in one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from genloom.errors import BadData

LLAMA = {
    "attention.query.weight": "self_attn.q_proj.weight",
    "attention.key.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
    "attention.out.weight": "self_attn.o_proj.weight",
    "mlp.gate.weight": "mlp.gate_proj.weight",
    "mlp.up.weight": "mlp.up_proj.weight",
    "mlp.down.weight": "mlp.down_proj.weight",
    "norm_1.weight": "input_layernorm.weight",
    "norm_2.weight": "post_attention_layernorm.weight",
}
LLAMA_ENDS = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
GPT2 = {
    "norm_1": "ln_1",
    "norm_2": "ln_2",
    "attention.out": "attn.c_proj",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}
GPT2_ENDS = {
    "embedding.weight": "wte.weight",
    "positions.weight": "wpe.weight",
    "norm.weight": "ln_f.weight",
    "norm.bias": "ln_f.bias",
    "head.weight": "lm_head.weight",
}
QKV = ("query", "key", "value")


def llama_name(ours: str) -> str:
    """Our name of a weight (without "network.") as LlamaForCausalLM has it."""
    found = re.fullmatch(r"blocks\.(\d+)\.(.+)", ours)
    return f"model.layers.{found[1]}.{LLAMA[found[2]]}" if found else LLAMA_ENDS[ours]


def to_llama(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights under the names of LlamaForCausalLM."""
    return {llama_name(name): tensor for name, tensor in ours.items()}


def from_llama(theirs: Mapping[str, Tensor], depth: int) -> dict[str, Tensor]:
    """LlamaForCausalLM's weights under our names. Raises BadData for a weight that has no place here."""
    known = {f"model.layers.{i}.{t}": f"blocks.{i}.{o}" for i in range(depth) for o, t in LLAMA.items()}
    known |= {t: o for o, t in LLAMA_ENDS.items()}
    return {_place(known, name): t for name, t in theirs.items() if not name.endswith("rotary_emb.inv_freq")}


def _place(known: Mapping[str, str], name: str) -> str:
    if name not in known:
        raise BadData(f"the weight {name!r} has no place in this shape: its network is another one")
    return known[name]


def to_gpt2(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights under the names of GPT2LMHeadModel; they must have biases."""
    found: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        part = re.fullmatch(r"blocks\.(\d+)\.(.+)\.(weight|bias)", name)
        if part is None:
            prefix = "" if name == "head.weight" else "transformer."
            found[f"{prefix}{GPT2_ENDS[name]}"] = tensor
        elif part[2] in GPT2:
            matrix = part[3] == "weight" and not part[2].startswith("norm")
            found[f"transformer.h.{part[1]}.{GPT2[part[2]]}.{part[3]}"] = tensor.T if matrix else tensor
        elif part[2] == "attention.query":
            three = torch.cat([ours[f"blocks.{part[1]}.attention.{x}.{part[3]}"] for x in QKV])
            found[f"transformer.h.{part[1]}.attn.c_attn.{part[3]}"] = three.T if part[3] == "weight" else three
    return found


def from_gpt2(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """GPT2LMHeadModel's weights under our names. Raises BadData for a weight that has no place here."""
    ends = {t: o for o, t in GPT2_ENDS.items()}
    inner = {t: o for o, t in GPT2.items()}
    found: dict[str, Tensor] = {}
    for full, tensor in theirs.items():
        name = full.removeprefix("transformer.")
        part = re.fullmatch(r"h\.(\d+)\.(.+)\.(weight|bias)", name)
        if part is None:
            if not re.fullmatch(r"h\.\d+\.attn\.(masked_)?bias", name):
                found[_place(ends, name)] = tensor
        elif part[2] == "attn.c_attn":
            three = (tensor.T if part[3] == "weight" else tensor).chunk(3)
            found |= {f"blocks.{part[1]}.attention.{x}.{part[3]}": t for x, t in zip(QKV, three, strict=True)}
        elif f"{part[2]}.{part[3]}" not in ("attn.bias", "attn.masked_bias"):
            place = _place(inner, part[2])
            matrix = part[3] == "weight" and not place.startswith("norm")
            found[f"blocks.{part[1]}.{place}.{part[3]}"] = tensor.T if matrix else tensor
    return found


def halves(weight: Tensor, heads: int) -> Tensor:
    """Rows of queries or keys whose rotary pairs lie beside each other, as llama2.c and GGUF have them, as pairs of a
    first and a second half of each head, as they are here and in transformers."""
    return weight.view(heads, -1, 2, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


def neighbours(weight: Tensor, heads: int) -> Tensor:
    """The reverse of `halves`."""
    return weight.view(heads, 2, -1, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)
