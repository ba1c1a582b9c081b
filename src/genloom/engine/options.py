"""What a recipe says about training. No torch here, so that the command line may read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainOptions:
    """How long, how fast, and what is kept.

    budget: "5m", "300s", "1h", "2000steps", "1Mitems" or "10epochs"; the clock starts when the data is loaded.
    batch: items a step draws, over all processes together.
    seed: from which every draw derives.
    last_batch: "carry" fills the last batch of an epoch from the next one; "keep" leaves it smaller, as DataLoaders do.
    ema: relative width of the power-function average of weights (EDM2's sigma_rel); 0 keeps none.
    ema_post_hoc: keep snapshots of two widths, to choose the width after the run.
    precision: "auto" measures fp32, bf32 and bf16 on the real model at the start; or one of them.
    channels_last: "auto" measures it; "on" or "off".
    compile: "auto" tries torch.compile where the budget can repay it; "on" or "off".
    checkpoint_every: time between checkpoints ("30s") or steps ("200steps").
    validate_every: how often the monitor is computed; preview_every: how often a sample grid is drawn.
    keep: how many of the newest checkpoints stay, beside the best.
    moments: shares of the budget at which the averaged weights are kept too, such as 0.25,0.5: for curves of quality.
    device: "auto" takes a GPU where there is one; "cpu" or "cuda".
    guard: roll back and lower the rate when a loss or gradient is not finite.
    on_illness: when the watch finds something: "warn" says it; "stop" ends the run cleanly where it is serious;
    "repair" also does what helps, one change at a time, and records it; "off" does not watch.
    """

    budget: str = "5m"
    batch: int = 128
    seed: int = 0
    last_batch: Literal["carry", "keep"] = "carry"
    ema: float = 0.10
    ema_post_hoc: bool = False
    precision: Literal["auto", "fp32", "bf32", "bf16"] = "auto"
    channels_last: Literal["auto", "on", "off"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    checkpoint_every: str = "30s"
    validate_every: str = "20s"
    preview_every: str = "20s"
    keep: int = 2
    moments: tuple[float, ...] = ()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    guard: bool = True
    on_illness: Literal["warn", "stop", "repair", "off"] = "warn"
