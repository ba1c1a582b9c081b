"""How fast tokens are written on a CPU, beside transformers' `generate` with the same weights.

    python benchmarks/decoding_speed.py [--seconds 6]

GPT-2-shaped networks of 0.8M (4 blocks of 128, context 64) and 10.7M parameters (6 of 384, context 256), 65 characters:
the shapes of nanoGPT's two recipes for Shakespeare. transformers' `GPT2LMHeadModel` is made with random weights, whose
first layer norms are spread so that the logits differ, and the same weights are put into genloom's `gpt`. Both write
greedily from a start symbol until the context is full, one text or 32 at a time, in turn, again and again for some
seconds; the fastest of all turns counts for each, in processor time of one thread, as the machine is shared.
"compiled" is what `genloom[fast]` does, "NumPy" genloom without it, "torch" the network itself; `bytes_in_tiles`: the
processor multiplies matrices of bytes (AMX). Logits are compared over texts that were drawn, also with transformers' in
double precision; of int8, how often its likeliest token is the network's, there and, for a network of the first shape
that has learnt tiny Shakespeare for 300 steps, in held-out text.
`bandwidth`: the bytes of all weights that one step reads, over the time of a step; `share`: of what a plain sum over an
array of the same bytes reaches in the same process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
import torch
import transformers

from _result import publish
from genloom.core import CanContinue, Field, Sampling
from genloom.data import DataOptions, load
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.nets.quick import Quick
from genloom.nets.reading import WindowReading
from genloom.samplers import decoding

CHARACTERS = 65
SHAPES = {"0.8M": (4, 4, 128, 64), "10.7M": (6, 6, 384, 256)}


def pair(depth: int, heads: int, width: int, context: int) -> tuple[Any, GPT]:
    """transformers' model and genloom's, with the same weights."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=CHARACTERS + 1, n_positions=context, n_embd=width, n_layer=depth, n_head=heads,
        bos_token_id=CHARACTERS, eos_token_id=None, pad_token_id=CHARACTERS,
    )  # fmt: skip
    theirs = transformers.GPT2LMHeadModel(config).eval().requires_grad_(False)
    for name, p in theirs.named_parameters():
        if "ln_" in name or "wte" in name:
            p.add_(0.3 * torch.randn_like(p))
    spec = {"text": Field("text", (context,), vocabulary=CHARACTERS)}
    ours = GPT(GPTConfig(network="portable", width=width, depth=depth, heads=heads), spec).eval().requires_grad_(False)
    given = theirs.transformer
    net: Any = ours.network
    net.embedding.weight.copy_(given.wte.weight)
    net.positions.weight.copy_(given.wpe.weight)
    net.norm.load_state_dict(given.ln_f.state_dict())
    for mine, block in zip(net.blocks, given.h, strict=True):
        mine.norm_1.load_state_dict(block.ln_1.state_dict())
        mine.norm_2.load_state_dict(block.ln_2.state_dict())
        weights, biases = block.attn.c_attn.weight.T.split(width), block.attn.c_attn.bias.split(width)
        maps = [mine.attention.query, mine.attention.key, mine.attention.value]
        for linear, w, b in zip(maps, weights, biases, strict=True):
            linear.weight.copy_(w)
            linear.bias.copy_(b)
        there = (block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj)
        for linear, conv in zip((mine.attention.out, mine.mlp.up, mine.mlp.down), there, strict=True):
            linear.weight.copy_(conv.weight.T)
            linear.bias.copy_(conv.bias)
    return theirs, ours


def write(model: CanContinue, batch: int, length: int) -> list[tuple[int, ...]]:
    """Greedy texts after the start symbol."""
    prompts = [torch.zeros(0, dtype=torch.int64)] * batch
    generators = [torch.Generator()] * batch
    options = Sampling(temperature=0, length=length)
    return [t.ids for t in decoding.texts(model, prompts, options, generators)]


class Through(CanContinue):
    """A GPT whose tokens come from this pass: the network itself in PyTorch with its static cache, or a `Quick`."""

    def __init__(self, gpt: GPT, network: Any) -> None:
        self.gpt, self.item, self.vocabulary, self.context = gpt, gpt.item, gpt.vocabulary, gpt.context
        self.network = network

    def begin(self, prompt_BL: torch.Tensor) -> Any:
        reading = WindowReading(self.network, self.gpt.start, self.gpt.context, prompt_BL)
        return reading, reading.said_BV


def one_by_one(net: Quick, ids_BL: torch.Tensor) -> torch.Tensor:
    """The logits (B, L, V), token by token."""
    cache = net.cache(len(ids_BL))
    return torch.cat([net(part, cache) for part in ids_BL.split(1, 1)], 1)


def same_top(a_BLV: torch.Tensor, b_BLV: torch.Tensor) -> float:
    """How often both have the same likeliest token."""
    return (a_BLV.argmax(-1) == b_BLV.argmax(-1)).float().mean().item()


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference."""
    return float(f"{(a - b).abs().max().item():.2g}")


def learnt_agreement(steps: int) -> dict[str, Any]:
    """int8 beside fp32 after some training on text."""
    text = load(DataOptions(source="tinyshakespeare", context=64))
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(network="portable"), text.train.spec)
    rate = torch.optim.AdamW(gpt.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        for _ in range(steps):
            ids_BL = text.train.raw(torch.randint(len(text.train), (32,), generator=generator))["text"]
            loss = gpt.surprise(ids_BL).mean()
            rate.zero_grad()
            loss.backward()
            rate.step()
    gpt.eval().requires_grad_(False)
    held_BL = text.validation.raw(torch.arange(0, len(text.validation) - 1, len(text.validation) // 64))["text"]
    begun = gpt._begun(held_BL[:, :-1])
    reference = gpt.network(begun)
    small = one_by_one(Quick(gpt.network, "int8"), begun)
    return {
        "steps": steps,
        "last_loss": round(loss.item(), 2),
        "positions": held_BL.numel(),
        "top1": same_top(small, reference),
    }


def in_turn(ways: dict[str, Callable[[], Any]], tokens: int, seconds: float) -> dict[str, float]:
    """Tokens of each way a second of processor time: all in turn until the seconds are over, at least twice, the
    fastest turn of each."""
    best = dict.fromkeys(ways, float("inf"))
    begun, rounds = time.process_time(), 0
    while rounds < 2 or time.process_time() - begun < seconds:
        rounds += 1
        for name, way in ways.items():
            start = time.process_time()
            way()
            best[name] = min(best[name], time.process_time() - start)
    return {name: round(tokens / t, 1) for name, t in best.items()}


def reading_rate(size: int) -> float:
    """Bytes a second of summing an array of `size` bytes: what the memory (or a cache that holds it) gives one
    thread."""
    data = np.ones(size // 4, np.float32)
    best = float("inf")
    for _ in range(30):
        start = time.process_time()
        np.dot(data, data)
        best = min(best, time.process_time() - start)
    return size / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each shape and batch")
    seconds = parser.parse_args().seconds
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    shapes: dict[str, Any] = {}
    for name, (depth, heads, width, context) in SHAPES.items():
        theirs, ours = pair(depth, heads, width, context)
        net = ours.network
        passes = {
            "torch": net,
            **{f"{how}{' int8' * (w == 'int8')}": Quick(net, w, how == "compiled")
               for w in ("fp32", "int8") for how in ("compiled", "NumPy")},
        }  # fmt: skip
        ways_of = {how: Through(ours, fast) for how, fast in passes.items()}
        new = context - 1
        generator = torch.Generator().manual_seed(0)
        drawn = decoding.texts(ours, [torch.zeros(0, dtype=torch.int64)] * 8, Sampling(length=new), generator)
        ids = torch.tensor([t.ids for t in drawn])
        begun = torch.cat((torch.full((8, 1), CHARACTERS), ids[:, :-1]), 1)
        reference = theirs(begun).logits[..., :CHARACTERS]
        exact = theirs.double()(begun).logits[..., :CHARACTERS]
        theirs.float()
        said = {how: one_by_one(fast, begun) for how, fast in passes.items() if how != "torch"}
        batches = {}
        for batch in (1, 32):
            start = torch.full((batch, 1), CHARACTERS)
            mask = torch.ones_like(start)
            options = {"do_sample": False, "max_new_tokens": new, "min_new_tokens": new, "use_cache": True,
                       "suppress_tokens": [CHARACTERS], "attention_mask": mask}  # fmt: skip
            ways: dict[str, Callable[[], Any]] = {
                "transformers": partial(theirs.generate, start, **options),
                **{how: partial(write, model, batch, new) for how, model in ways_of.items()},
            }
            text = theirs.generate(start, **options)[0, 1:].tolist()
            same = {how: text == list(write(ways_of[how], batch, new)[0]) for how in ("compiled", "NumPy")}
            rates = in_turn(ways, batch * new, seconds)
            factors = {k: round(v / rates["transformers"], 2) for k, v in rates.items() if k != "transformers"}
            batches[batch] = {
                "tokens_per_second": rates,
                "times_transformers": factors,
                "same_greedy_text": all(same.values()),
            }
        parameters = sum(p.numel() for p in net.parameters())
        read = 4 * (parameters - net.positions.weight.numel())  # type: ignore[union-attr]
        rate = read * batches[1]["tokens_per_second"]["compiled"]
        limit = reading_rate(read)
        shapes[name] = {
            "parameters": parameters,
            "batch": batches,
            "logits_differ_at_most": {how: gap(said[how], reference) for how in ("compiled", "NumPy")},
            "of_fp64": {"transformers": gap(reference, exact), "compiled": gap(said["compiled"], exact)},
            "logits_spread": round(reference.std().item(), 2),
            "int8_top1_agreement": {how: same_top(v, reference) for how, v in said.items() if "int8" in how},
            "positions_compared": ids.numel(),
            "bandwidth_GB_per_second": round(rate / 1e9, 2),
            "reading_alone_GB_per_second": round(limit / 1e9, 2),
            "share_of_bandwidth": round(rate / limit, 3),
        }
    publish(
        "decoding_speed",
        {
            "transformers": transformers.__version__,
            "numba": numba.__version__,
            "machine_shared": True,
            "clock": "processor time",
            "bytes_in_tiles": bool(torch.cpu.get_capabilities().get("amx_int8")),
            "seconds_each": seconds,
            "shapes": shapes,
            "int8_learnt": learnt_agreement(300),
        },
        f"python benchmarks/decoding_speed.py --seconds {seconds:g}",
    )


if __name__ == "__main__":
    main()
