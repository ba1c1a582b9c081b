"""How fast tokens are written on a CPU, beside transformers' `generate` with the same weights.

    python benchmarks/decoding_speed.py [--seconds 6]

GPT-2-shaped networks of 0.8M (4 blocks of 128, context 64) and 10.7M parameters (6 of 384, context 256), 65 characters:
the shapes of nanoGPT's two recipes for Shakespeare. transformers' `GPT2LMHeadModel` is made with random weights, whose
first layer norms are spread so that the logits differ, and the same weights are put into genloom's `gpt`. Both write
greedily from a start symbol until the context is full, one text or 32 at a time, in turn, again and again for some
seconds; the fastest of all turns counts for each, as the machine is shared. Logits are compared over the whole text, in
fp32; of int8, how often its likeliest token is the network's, over the positions of the text that fp32 writes by
drawing. `bandwidth`: the bytes of all weights that one step reads, over the time of a step; `share`: of what a plain
sum over an array of the same bytes reaches in the same process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers

from _result import publish
from genloom.core import CanContinue, Field, Sampling
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.nets.quick import quick
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


class Plain(CanContinue):
    """The network itself, in PyTorch, with its static cache."""

    def __init__(self, gpt: GPT) -> None:
        self.gpt, self.item, self.vocabulary, self.context = gpt, gpt.item, gpt.vocabulary, gpt.context

    def begin(self, prompt_BL: torch.Tensor) -> Any:
        reading = WindowReading(self.gpt.network, self.gpt.start, self.gpt.context, prompt_BL)
        return reading, reading.said_BV


def in_turn(ways: dict[str, Callable[[], Any]], tokens: int, seconds: float) -> dict[str, float]:
    """Tokens a second of each way: all in turn until the seconds are over, the fastest turn of each."""
    best = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        way()
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: round(tokens / t, 1) for name, t in best.items()}


def reading_rate(size: int) -> float:
    """Bytes a second of summing an array of `size` bytes: what the memory (or a cache that holds it) gives one
    thread."""
    data = np.ones(size // 4, np.float32)
    best = float("inf")
    for _ in range(30):
        start = time.perf_counter()
        np.dot(data, data)
        best = min(best, time.perf_counter() - start)
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
        light = ours.lightened()
        new = context - 1
        generator = torch.Generator().manual_seed(0)
        drawn = decoding.texts(ours, [torch.zeros(0, dtype=torch.int64)] * 8, Sampling(length=new), generator)
        ids = torch.tensor([t.ids for t in drawn])
        begun = torch.cat((torch.full((8, 1), CHARACTERS), ids[:, :-1]), 1)
        reference = theirs(begun).logits[..., :CHARACTERS]
        net, small = quick(ours.network), quick(ours.network, "int8")
        steps = {}
        for kind, fast in (("fp32", net), ("int8", small)):
            cache = fast.cache(8)
            steps[kind] = torch.cat([fast(part, cache) for part in begun.split(1, 1)], 1)
        agree = (steps["int8"].argmax(-1) == reference.argmax(-1)).float().mean().item()
        batches = {}
        for batch in (1, 32):
            start = torch.full((batch, 1), CHARACTERS)
            mask = torch.ones_like(start)
            options = {"do_sample": False, "max_new_tokens": new, "min_new_tokens": new, "use_cache": True,
                       "suppress_tokens": [CHARACTERS], "attention_mask": mask}  # fmt: skip
            ways: dict[str, Callable[[], Any]] = {
                "transformers": partial(theirs.generate, start, **options),
                "torch": partial(write, Plain(ours), batch, new),
                "genloom": partial(write, ours, batch, new),
                "genloom int8": partial(write, light, batch, new),
            }
            same = theirs.generate(start, **options)[0, 1:].tolist() == list(write(ours, batch, new)[0])
            rates = in_turn(ways, batch * new, seconds)
            factors = {k: round(v / rates["transformers"], 2) for k, v in rates.items() if k != "transformers"}
            batches[batch] = {"tokens_per_second": rates, "times_transformers": factors, "same_greedy_text": same}
        parameters = sum(p.numel() for p in ours.network.parameters())
        read = 4 * (parameters - ours.network.positions.weight.numel())  # type: ignore[union-attr]
        rate = read * batches[1]["tokens_per_second"]["genloom"]
        limit = reading_rate(read)
        shapes[name] = {
            "parameters": parameters,
            "batch": batches,
            "logits_differ_at_most": (steps["fp32"] - reference).abs().max().item(),
            "logits_spread": reference.std().item(),
            "int8_top1_agreement": agree,
            "positions_compared": ids.numel(),
            "bandwidth_GB_per_second": round(rate / 1e9, 2),
            "reading_alone_GB_per_second": round(limit / 1e9, 2),
            "share_of_bandwidth": round(rate / limit, 3),
        }
    publish(
        "decoding_speed",
        {"transformers": transformers.__version__, "machine_shared": True, "seconds_each": seconds, "shapes": shapes},
        f"python benchmarks/decoding_speed.py --seconds {seconds:g}",
    )


if __name__ == "__main__":
    main()
