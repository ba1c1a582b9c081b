"""Training tokens a second of `gpt` beside transformers' GPT-2, in turn in one run, over a curve of model sizes.

Each step is a forward pass, a backward pass and an update on 12 windows of 64 characters, drawn beforehand. The peer is
GPT2LMHeadModel with a vocabulary of 65, no dropout and torch's AdamW, in fp32 as its documentation trains on a CPU, and
in bf16 autocast. Ours is the engine's own step (`Game.step`: dealing items, loss, gradients, clipping, update): the
portable network in the peer's very shape with AdamW, also compiled as the engine does where a budget repays that, and
the network of the `gpt` recipe with AdamW and with Muon.
A figure is the median over rounds; every round measures all variants one after the other. Threads as they are set.
Needs `pip install transformers`; writes results/training_speed.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from _result import publish
from genloom.core import Field, Optimizer
from genloom.data import DataOptions
from genloom.data.parts import TextSplit
from genloom.engine.distributed import World
from genloom.engine.game import Game, Moment
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan, compile_networks
from genloom.models.autoregressive.gpt import GPT, GPTConfig

BATCH, CONTEXT, VOCABULARY = 12, 64, 65
SIZES = ((128, 4, 4), (256, 6, 4), (384, 6, 6))  # width, depth, heads; the first has 0.8M parameters
CPU = torch.device("cpu")
ADAM = Optimizer("adamw", lr=1e-3, clip=1.0)


def peer(width: int, depth: int, heads: int, bf16: bool) -> tuple[Callable[[], None], int]:
    """A step of transformers' GPT-2, and its parameters."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=width, n_layer=depth, n_head=heads, bos_token_id=0,
        eos_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(VOCABULARY, (BATCH, CONTEXT), generator=torch.Generator().manual_seed(0))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step, sum(p.numel() for p in model.parameters())


def ours(config: GPTConfig, dtype: str, compiled: bool = False) -> tuple[Callable[[], None], int]:
    """A step of the engine, and the model's parameters."""
    torch.manual_seed(0)
    spec = {"text": Field("text", (CONTEXT,), vocabulary=VOCABULARY)}
    model = GPT(config, spec).train()
    ids = torch.randint(VOCABULARY, (100_000,), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    options = TrainOptions(batch=BATCH)
    if compiled:
        compile_networks(model)
    game = Game(model, TextSplit(spec, ids), DataOptions(), options, Plan(dtype, compile=compiled), CPU, World())
    index = iter(range(1_000_000))
    return lambda: game.step(Moment(next(index), 0.2)) and None, sum(p.numel() for p in model.parameters())


def variants(width: int, depth: int, heads: int) -> dict[str, tuple[Callable[[], None], int]]:
    """All that is compared at one size, by name."""
    base = GPTConfig(width=width, depth=depth, heads=heads)
    portable, adam = replace(base, network="portable", optimizer=ADAM), replace(base, optimizer=ADAM)
    return {
        "transformers GPT-2, fp32": peer(width, depth, heads, False),
        "transformers GPT-2, bf16": peer(width, depth, heads, True),
        "gpt2 (same shape, AdamW), fp32": ours(portable, "fp32"),
        "gpt2 (same shape, AdamW), bf16": ours(portable, "bf16"),
        "gpt2 (same shape, AdamW), bf16, compiled": ours(portable, "bf16", compiled=True),
        "gpt (AdamW), bf16": ours(adam, "bf16"),
        "gpt (as it comes, Muon), bf16": ours(base, "bf16"),
    }


def seconds(step: Callable[[], None], least: float) -> float:
    """Of one step: the mean over as many as fill `least` seconds."""
    begun, n = time.perf_counter(), 0
    while (took := time.perf_counter() - begun) < least or n < 2:
        step()
        n += 1
    return took / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.7, help="of each variant in each round")
    a = parser.parse_args()
    curve = []
    for size in SIZES:
        made = variants(*size)
        for step, _ in made.values():
            seconds(step, 0.1)
        taken: dict[str, list[float]] = {name: [] for name in made}
        for _ in range(a.rounds):
            for name, (step, _) in made.items():
                taken[name].append(seconds(step, a.seconds))
        base = median(taken["transformers GPT-2, fp32"])
        curve.append({
            "width": size[0], "depth": size[1], "heads": size[2],
            "variants": [
                {"name": name, "parameters": made[name][1], "tokens_per_second": round(BATCH * CONTEXT / median(t)),
                 "times_the_peer": round(base / median(t), 2)}
                for name, t in taken.items()
            ],
        })  # fmt: skip
    command = f"python benchmarks/training_speed.py --rounds {a.rounds} --seconds {a.seconds:g}"
    publish("training_speed", {"batch": BATCH, "context": CONTEXT, "curve": curve}, command)


if __name__ == "__main__":
    main()
