"""A run's language model for other programs: a folder for transformers, or a GGUF file.

Only networks in the shape of GPT-2 and Llama can be said in these formats (`genloom.nets.portable`). A start symbol of
our own becomes one token more: its embedding goes along; it must never be generated, so its logit is that of a row of
zeros where the head is a matrix of its own, and generation_config.json suppresses it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from torch import Tensor
from torch.nn import functional as F

from genloom.core import Model
from genloom.engine import checkpoint
from genloom.engine.exchange.names import llama_name, neighbours, to_gpt2, to_llama
from genloom.errors import BadData, BadValue
from genloom.modalities.ended import EndedTokenizer
from genloom.modalities.pretrained import SPACE, PretrainedTokenizer, byte_letters
from genloom.modalities.text import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer
from genloom.models.autoregressive.gpt import GPT
from genloom.nets.portable import PortableTransformer
from genloom.runs import write_json
from genloom.runs.files import storage

FORMATS = ("transformers", "gguf")


def portable_of(model: Model, where: str) -> tuple[GPT, PortableTransformer, str]:
    """The language model, its network, and the name of its shape, "gpt2" or "llama". Raises BadData for what cannot be
    said in others' formats."""
    if not isinstance(model, GPT):
        raise BadData(
            f"{where}: only language models (gpt2, llama, gpt) are exported so, this is a {type(model).__name__}"
        )
    network = model.network
    if not isinstance(network, PortableTransformer):
        raise BadData(
            f"{where}: its network has parts that no other program knows: train one with recipe gpt2 or llama "
            "(or --config.network portable)"
        )
    s = network.shape.style
    if (s.positions, s.norm, s.mlp, s.biases) == ("learned", "layer", "gelu", True) and not s.key_heads:
        return model, network, "gpt2"
    if (s.positions, s.norm, s.mlp, s.biases) == ("rotary", "rms", "swiglu", False):
        return model, network, "llama"
    raise BadData(
        f"{where}: positions {s.positions}, norm {s.norm}, mlp {s.mlp} are together neither GPT-2's nor Llama's"
    )


def _weights(model: GPT, network: PortableTransformer) -> tuple[dict[str, Tensor], int]:
    """Our weights without "network.", a head as long as the table; and how many ids there are."""
    ours = {k: t.detach().float().cpu() for k, t in network.state_dict().items()}
    size = len(ours["embedding.weight"])
    if "head.weight" in ours:
        ours["head.weight"] = F.pad(ours["head.weight"], (0, 0, 0, size - model.vocabulary))
    return ours, size


def to_transformers(model: Model, tokenizer: Tokenizer, folder: Path, where: str) -> None:
    """Writes config.json, model.safetensors, generation_config.json and tokenizer.json; whole or not at all."""
    gpt, network, kind = portable_of(model, where)
    ours, size = _weights(gpt, network)
    end = tokenizer.end if isinstance(tokenizer, EndedTokenizer | PretrainedTokenizer) else gpt.start
    config = (_gpt2_config if kind == "gpt2" else _llama_config)(network, size, gpt.start, end)
    theirs = to_gpt2(ours) if kind == "gpt2" else to_llama(ours)
    generation: dict[str, Any] = {"bos_token_id": gpt.start, "eos_token_id": end}
    if size > gpt.vocabulary:
        generation["suppress_tokens"] = list(range(gpt.vocabulary, size))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadValue(f"{folder} exists already and is not empty: choose another --out")
    with storage(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        checkpoint.write_tensors(building / "model.safetensors", theirs, {"format": "pt"})
        write_json(building / "config.json", config)
        write_json(building / "generation_config.json", generation)
        inner = their_tokenizer(tokenizer, size)
        write_json(building / "tokenizer.json", json.loads(inner.to_str()))
        names = {i: t for t, i in inner.get_vocab(with_added_tokens=True).items()}
        write_json(building / "tokenizer_config.json", {
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": network.shape.context,
            "bos_token": names.get(gpt.start), "eos_token": names.get(end), "clean_up_tokenization_spaces": False,
        })  # fmt: skip
        with storage(folder):
            building.chmod(0o755)
            if folder.exists():
                folder.rmdir()
            building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _gpt2_config(network: PortableTransformer, size: int, start: int, end: int) -> dict[str, Any]:
    shape = network.shape
    return {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": size, "n_positions": shape.context,
        "n_embd": shape.width, "n_layer": shape.depth, "n_head": shape.heads, "n_inner": shape.hidden,
        "activation_function": "gelu_new", "layer_norm_epsilon": shape.style.eps, "resid_pdrop": shape.dropout,
        "embd_pdrop": shape.dropout, "attn_pdrop": 0.0, "tie_word_embeddings": shape.style.tied, "bos_token_id": start,
        "eos_token_id": end, "torch_dtype": "float32",
    }  # fmt: skip


def _llama_config(network: PortableTransformer, size: int, start: int, end: int) -> dict[str, Any]:
    shape, style = network.shape, network.shape.style
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": size,
        "max_position_embeddings": shape.context, "hidden_size": shape.width, "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads, "num_key_value_heads": style.key_heads or shape.heads,
        "intermediate_size": shape.hidden, "hidden_act": "silu", "rms_norm_eps": style.eps, "rope_theta": style.base,
        "rope_parameters": {"rope_type": "default", "rope_theta": style.base}, "attention_bias": False,
        "mlp_bias": False, "tie_word_embeddings": style.tied, "bos_token_id": start, "eos_token_id": end,
        "torch_dtype": "float32",
    }  # fmt: skip


def their_tokenizer(tokenizer: Tokenizer, size: int) -> tokenizers.Tokenizer:
    """The tokenizer as the `tokenizers` library's own, with marks for the ids behind its last one.

    Texts of a learnt BPE are encoded line by line here and whole there, which differs only where line feeds meet.
    """
    bytelevel = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if isinstance(tokenizer, EndedTokenizer):
        return their_tokenizer(tokenizer.inner, size)  # type: ignore[arg-type]
    if isinstance(tokenizer, PretrainedTokenizer):
        made = tokenizers.Tokenizer.from_str(tokenizer.inner.to_str())
    elif isinstance(tokenizer, BPETokenizer):
        made = tokenizers.Tokenizer.from_str(json.dumps(tokenizer.to_json()["bpe"]))
        made.decoder = tokenizers.decoders.ByteLevel()
    elif isinstance(tokenizer, ByteTokenizer):
        made = tokenizers.Tokenizer(tokenizers.models.BPE(byte_letters(), []))
        made.pre_tokenizer, made.decoder = bytelevel, tokenizers.decoders.ByteLevel()
    elif isinstance(tokenizer, CharTokenizer):
        words = {c: i for i, c in enumerate(tokenizer.characters)} | {"\ufffd": tokenizer.unknown}
        made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="\ufffd"))
        made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
        made.decoder = tokenizers.decoders.Fuse()
    else:
        raise BadData(f"a tokenizer of kind {tokenizer.to_json().get('kind')!r} has no form in tokenizer.json")
    known = made.get_vocab_size(with_added_tokens=True)
    made.add_special_tokens([tokenizers.AddedToken(f"<|{i}|>", special=True) for i in range(known, size)])
    return made


def to_gguf(model: Model, tokenizer: Tokenizer, path: Path, where: str) -> None:
    """Writes a GGUF file (version 3, 32-bit floats). Raises BadValue where the `gguf` package is missing."""
    try:
        import gguf
    except ImportError:
        raise BadValue('GGUF files are written with the gguf package: pip install "genloom[exchange]"') from None
    gpt, network, kind = portable_of(model, where)
    ours, size = _weights(gpt, network)
    shape, style = network.shape, network.shape.style
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    writer = gguf.GGUFWriter(temporary, kind)
    writer.add_name(path.stem)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.depth)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_vocab_size(size)
    if kind == "llama":
        writer.add_head_count_kv(style.key_heads or shape.heads)
        writer.add_rope_dimension_count(shape.width // shape.heads)
        writer.add_rope_freq_base(style.base)
        writer.add_layer_norm_rms_eps(style.eps)
    else:
        writer.add_layer_norm_eps(style.eps)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _vocabulary(writer, gguf, tokenizer, size, gpt.start)
    for name, tensor in gguf_tensors(
        gguf, kind, ours, shape.heads, style.key_heads or shape.heads, shape.depth
    ).items():
        writer.add_tensor(name, tensor.contiguous().numpy())
    with storage(path):
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        temporary.replace(path)


def gguf_tensors(
    gguf: Any, kind: str, ours: Mapping[str, Tensor], heads: int, key_heads: int, depth: int
) -> dict[str, Tensor]:
    """Weights under GGUF's names, which the package derives from those of transformers. Rotary pairs of Llama lie
    beside each other there."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA if kind == "llama" else gguf.MODEL_ARCH.GPT2, depth)
    if kind == "gpt2":
        theirs = to_gpt2(ours)
        theirs = {k: t.T if ".h." in k and ".ln_" not in k and k.endswith("weight") else t for k, t in theirs.items()}
    else:
        theirs = {}
        for name, tensor in ours.items():
            turned = {"query": heads, "key": key_heads}.get(name.split(".")[-2], 0)
            theirs[llama_name(name)] = neighbours(tensor, turned) if turned else tensor
    found = {}
    for name, tensor in theirs.items():
        base, _, ending = name.rpartition(".")
        found[f"{names.get_name(base)}.{ending}"] = tensor
    return found


def _vocabulary(writer: Any, gguf: Any, tokenizer: Tokenizer, size: int, start: int) -> None:
    """Tokens, kinds, scores or merges, and the marks."""
    inner = their_tokenizer(tokenizer, size)
    content = json.loads(inner.to_str())
    by_id = {i: t for t, i in inner.get_vocab(with_added_tokens=True).items()}
    tokens = [by_id.get(i, f"<|{i}|>") for i in range(size)]
    special = {t["id"] for t in content.get("added_tokens", ())}
    pieces = not isinstance(tokenizer, BPETokenizer | ByteTokenizer) and "ByteLevel" not in json.dumps(
        [content.get("pre_tokenizer"), content.get("decoder")]
    )
    kinds = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(size)]
    merges = [m if isinstance(m, str) else " ".join(m) for m in content["model"].get("merges", ())]
    if pieces:  # SentencePiece: a token's score is minus the rank of the first join that makes it
        rank = {"".join(m.split(" ", 1)): i for i, m in reversed(list(enumerate(merges)))}
        kinds = [
            gguf.TokenType.BYTE if t.startswith("<0x") and len(t) == 6 else k
            for t, k in zip(tokens, kinds, strict=True)
        ]
        writer.add_tokenizer_model("llama")
        writer.add_token_list([t.replace(" ", SPACE) for t in tokens])
        writer.add_token_scores([-float(rank.get(t, len(merges))) for t in tokens])
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(tokens)
        writer.add_token_merges(merges)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(start)
    end = tokenizer.end if isinstance(tokenizer, EndedTokenizer | PretrainedTokenizer) else start
    writer.add_eos_token_id(end)
