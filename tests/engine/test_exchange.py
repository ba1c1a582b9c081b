"""Models from and for other programs: tiny ones that transformers made, and that it reads back."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch

from genloom.cli.main import main
from genloom.core import Field
from genloom.engine.exchange.names import halves, neighbours
from genloom.engine.exchange.reading import as_run, read_foreign
from genloom.engine.exchange.writing import to_gguf, to_transformers
from genloom.engine.load import load
from genloom.errors import BadData, BadValue, Damaged, NotFound
from genloom.modalities.pretrained import PretrainedTokenizer, byte_letters, of_pieces
from genloom.modalities.text import CharTokenizer, tokenizer_from_json
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.runs import find

transformers = pytest.importorskip("transformers")
TEXT = "the cat sat on the mat. "
V, CONTEXT = 270, 24


def shaken(model: Any) -> Any:
    """Weights that all matter: norms away from one, biases away from zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    return model.eval()


def gpt2(**more: Any) -> Any:
    sizes = {"vocab_size": V, "n_positions": CONTEXT, "n_embd": 16, "n_layer": 2, "n_head": 2}
    config = transformers.GPT2Config(**sizes, bos_token_id=256, eos_token_id=257, **more)
    return shaken(transformers.GPT2LMHeadModel(config))


def llama(**more: Any) -> Any:
    config = transformers.LlamaConfig(
        **{"vocab_size": V, "max_position_embeddings": CONTEXT, "hidden_size": 16, "intermediate_size": 24,
           "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 256,
           "eos_token_id": 257, "tie_word_embeddings": False, **more}
    )  # fmt: skip
    return shaken(transformers.LlamaForCausalLM(config))


def saved(model: Any, folder: Path) -> Path:
    """A folder with the model and a byte-level tokenizer of two joined tokens and marks."""
    model.save_pretrained(folder)
    words = {**byte_letters(), "<|begin|>": 256, "<|end|>": 257, "th": 258, "the": 259}
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(words, [("t", "h"), ("th", "e")]))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    inner.add_special_tokens(["<|begin|>", "<|end|>"])
    inner.save(str(folder / "tokenizer.json"))
    return folder


def logits_of(model: GPT, ids: torch.Tensor) -> torch.Tensor:
    """What follows the start and each of the ids."""
    return model.network(model._begun(ids)).detach()


MODELS = {
    "gpt2": gpt2,
    "gpt2-untied": lambda: gpt2(tie_word_embeddings=False),
    "llama": llama,
    "llama-tied": lambda: llama(tie_word_embeddings=True, num_key_value_heads=4, rope_theta=500.0, rms_norm_eps=1e-3),
}


@pytest.mark.parametrize("kind", MODELS)
def test_there_and_back_the_logits_are_the_same(kind: str, tmp_path: Path) -> None:
    theirs = MODELS[kind]()
    run = as_run(read_foreign(saved(theirs, tmp_path / "theirs")), "theirs", tmp_path / "runs")
    loaded = load(run)
    assert isinstance(loaded.model, GPT)
    ids = torch.randint(V, (3, CONTEXT - 1), generator=torch.Generator().manual_seed(1))
    begun = torch.cat((torch.full((3, 1), 256), ids), 1)
    wanted = theirs(begun).logits.detach()
    torch.testing.assert_close(logits_of(loaded.model, ids), wanted, atol=1e-5, rtol=1e-5)
    assert loaded.tokenizer is not None
    to_transformers(loaded.model, loaded.tokenizer, tmp_path / "back", "run")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "back").eval()
    torch.testing.assert_close(back(begun).logits.detach(), wanted, atol=1e-5, rtol=1e-5)
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert words(TEXT)["input_ids"] == loaded.tokenizer.encode(TEXT)
    assert words.decode(words(TEXT)["input_ids"]) == TEXT
    assert words.bos_token_id == 256


@pytest.mark.parametrize("recipe", ["gpt2", "llama"])
def test_what_was_trained_here_opens_there(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.txt").write_text(TEXT * 300, encoding="utf-8")
    small = ["--width", "16", "--depth", "2", "--heads", "2", "--data.context", "16", "--precision", "fp32"]
    common = ["--runs", str(tmp_path / "runs")]
    if recipe == "llama":
        small += ["--config.portable.key_heads", "1"]
    data = ["--data", str(tmp_path / "t.txt"), "--budget", "6steps"]
    assert not main(["train", recipe, "--name", "a", *data, *small, *common])
    assert not main(["export", "a", "--out", str(tmp_path / "out"), *common])
    assert not main(["export", "a", "--format", "gguf", "--out", str(tmp_path / "a.gguf"), *common])
    assert main(["export", "a", "--out", str(tmp_path / "out"), *common]) == 2
    assert "not empty: choose another --out" in capsys.readouterr().err
    loaded = load(find("a", tmp_path / "runs"))
    model, tokenizer = loaded.model, loaded.tokenizer
    assert isinstance(model, GPT)
    assert tokenizer is not None
    ids = torch.tensor([tokenizer.encode("the cat sat on")])
    there = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    begun = torch.cat((torch.tensor([[model.start]]), ids), 1)
    logits = there(begun).logits.detach()
    torch.testing.assert_close(logits[..., : model.vocabulary], logits_of(model, ids), atol=1e-5, rtol=1e-5)
    assert transformers.GenerationConfig.from_pretrained(tmp_path / "out").suppress_tokens == [model.start]
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert words("the cat\n?")["input_ids"] == tokenizer.encode("the cat\n?")
    _check_gguf(tmp_path / "a.gguf", recipe, model)


def _check_gguf(path: Path, kind: str, model: GPT) -> None:
    gguf = pytest.importorskip("gguf")
    reader = gguf.GGUFReader(path)
    assert reader.fields["general.architecture"].contents() == kind
    assert reader.fields[f"{kind}.block_count"].contents() == 2
    assert reader.fields["tokenizer.ggml.bos_token_id"].contents() == model.start
    assert len(reader.fields["tokenizer.ggml.tokens"].contents()) == model.start + 1
    held = {t.name: torch.from_numpy(np.array(t.data)) for t in reader.tensors}
    ours = {k.removeprefix("network."): v for k, v in model.state_dict().items()}
    assert torch.equal(held["token_embd.weight"], ours["embedding.weight"])
    up = "ffn_up"
    assert torch.equal(held[f"blk.1.{up}.weight"], ours["blocks.1.mlp.up.weight"])
    if kind == "llama":
        turned = held["blk.0.attn_q.weight"]
        assert torch.equal(halves(turned, 2), ours["blocks.0.attention.query.weight"])
        assert set(held) >= {"output.weight", "output_norm.weight", "blk.1.ffn_gate.weight", "blk.1.attn_norm.weight"}
    else:
        three = torch.cat([ours[f"blocks.0.attention.{x}.weight"] for x in ("query", "key", "value")])
        assert torch.equal(held["blk.0.attn_qkv.weight"], three)
        assert set(held) >= {"position_embd.weight", "output_norm.bias", "blk.1.attn_output.bias"}


def binary(folder: Path, model: Any) -> Path:
    """A llama2.c model and tokenizer of the weights of a LlamaForCausalLM, whose rotary pairs lie beside each other."""
    folder.mkdir()
    c, w = model.config, {k: t.detach() for k, t in model.state_dict().items()}
    layers = range(c.num_hidden_layers)

    def of(name: str, turned: int = 0) -> list[torch.Tensor]:
        found = [w[f"model.layers.{i}.{name}.weight"] for i in layers]
        return [neighbours(t, turned) if turned else t for t in found]

    parts = [
        w["model.embed_tokens.weight"],
        *of("input_layernorm"),
        *of("self_attn.q_proj", 4),
        *of("self_attn.k_proj", 2),
        *of("self_attn.v_proj"),
        *of("self_attn.o_proj"),
        *of("post_attention_layernorm"),
        *of("mlp.gate_proj"),
        *of("mlp.down_proj"),
        *of("mlp.up_proj"),
        w["model.norm.weight"],
        torch.zeros(2, CONTEXT, 2),
        w["lm_head.weight"],
    ]
    head = (c.hidden_size, c.intermediate_size, 2, 4, 2, -c.vocab_size, CONTEXT)
    floats = b"".join(t.contiguous().numpy().tobytes() for t in parts)
    (folder / "model.bin").write_bytes(struct.pack("<7i", *head) + floats)
    words = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(bytes([i]) for i in range(256)),
             b" ", b"a", b"b", b" a", b" b", *(f"c{i}".encode() for i in range(V - 264))]  # fmt: skip
    body = b"".join(struct.pack("<fi", -float(i), len(x)) + x for i, x in enumerate(words))
    (folder / "tokenizer.bin").write_bytes(struct.pack("<i", 27) + body)
    return folder / "model.bin"


def test_a_llama2c_binary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = llama(rms_norm_eps=1e-5)
    path = binary(tmp_path / "c", theirs)
    assert not main(["import", str(path), "--name", "c", "--runs", str(tmp_path / "runs")])
    assert "context     24 tokens" in capsys.readouterr().out
    loaded = load(find("c", tmp_path / "runs"))
    assert isinstance(loaded.model, GPT)
    ids = torch.randint(V, (2, CONTEXT - 1), generator=torch.Generator().manual_seed(1))
    wanted = theirs(torch.cat((torch.full((2, 1), 1), ids), 1)).logits.detach()
    torch.testing.assert_close(logits_of(loaded.model, ids), wanted, atol=1e-5, rtol=1e-5)
    assert loaded.tokenizer is not None
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("a b\n\u00e4")) == " a b\n\u00e4"
    assert not main(["sample", "c", "--prompt", "a b", "--length", "5", "--runs", str(tmp_path / "runs")])
    assert capsys.readouterr().out.startswith("a b")
    assert main(["evaluate", "c", "--runs", str(tmp_path / "runs")]) == 2
    assert "was imported and has no data of its own" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(Damaged, match="bytes, its header promises"):
        read_foreign(path)
    path.write_bytes(b"\x00" * 40)
    with pytest.raises(Damaged, match="header makes no sense"):
        read_foreign(path)


def test_an_imported_model_goes_on_learning(tmp_path: Path) -> None:
    saved(gpt2(), tmp_path / "theirs")
    (tmp_path / "t.txt").write_text(TEXT * 200, encoding="utf-8")
    common = ["--runs", str(tmp_path / "runs")]
    assert not main(["import", str(tmp_path / "theirs"), "--name", "g", *common])
    tune = ["--name", "h", "--budget", "4steps", "--batch", "4", "--precision", "fp32"]
    assert not main(["train", "--from", "g", "--data", str(tmp_path / "t.txt"), *tune, *common])
    first, second = (json.loads((tmp_path / "runs" / x / "tokenizer.json").read_text()) for x in "gh")
    assert first == second
    assert not main(["evaluate", "h", "-n", "2", *common])


def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    folder = saved(gpt2(), tmp_path / "g")
    said = json.loads((folder / "config.json").read_text())
    for changed, message in (
        ({"model_type": "mamba"}, "is a 'mamba': genloom reads models in the shape of gpt2 and llama"),
        ({"activation_function": "relu"}, "activation_function 'relu' is not known here: expected 'gelu_new'"),
        ({"n_layer": 3}, "weights do not fit what its configuration tells"),
    ):
        (folder / "config.json").write_text(json.dumps({**said, **changed}))
        with pytest.raises(BadData, match=message):
            as_run(read_foreign(folder), "g", tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*"))
    (folder / "config.json").write_text(json.dumps(said))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(NotFound, match="is a pickle, which could run anything: save it as safetensors"):
        read_foreign(folder)
    with pytest.raises(NotFound, match=r"there is no .*nothing"):
        read_foreign(tmp_path / "nothing")
    with pytest.raises(BadData, match="holds no model that can be read"):
        read_foreign(tmp_path)


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    spec = {"text": Field("text", (8,), vocabulary=4)}
    tokenizer = CharTokenizer("abc")
    with pytest.raises(BadData, match="train one with recipe gpt2 or llama"):
        to_transformers(GPT(GPTConfig(width=16, depth=1, heads=2), spec), tokenizer, tmp_path / "x", "run")
    odd = GPTConfig(width=16, depth=1, heads=2, network="portable")
    odd = replace(odd, portable=replace(odd.portable, positions="alibi"))
    with pytest.raises(BadData, match="neither GPT-2's nor Llama's"):
        to_gguf(GPT(odd, spec), tokenizer, tmp_path / "x.gguf", "run")
    assert not list(tmp_path.iterdir())


def test_pieces_are_joined_by_their_scores() -> None:
    words = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    words += ["\u2581", "a", "b", "ab", "\u2581a", "\u2581ab"]
    scores = [0.0] * 259 + [-9.0, -9.0, -9.0, -1.0, -2.0, -3.0]
    found = of_pieces(words, scores, end=1)
    assert [found.piece(i) for i in found.encode("ab a")] == [b" ab", b" a"]
    assert found.piece(1) == b""
    again = tokenizer_from_json(found.to_json())
    assert isinstance(again, PretrainedTokenizer)
    assert again.encode("ab \u00e4") == found.encode("ab \u00e4")
    assert again.decode(again.encode("ab \u00e4")) == " ab \u00e4"
    with pytest.raises(BadValue, match="made by another tokenizer"):
        again.piece(len(words))


def test_rotary_pairs_turn_back() -> None:
    weight = torch.randn(16, 5)
    assert torch.equal(halves(neighbours(weight, 2), 2), weight)
    assert not torch.equal(neighbours(weight, 2), weight)
