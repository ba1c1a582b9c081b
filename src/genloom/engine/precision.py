"""Which arithmetic trains fastest here without changing what is learnt: measured on the real model, never assumed."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genloom.core import Batch, Model
from genloom.engine.options import TrainOptions
from genloom.errors import Storage
from genloom.runs import write_json


@dataclass(frozen=True)
class Plan:
    """dtype: fp32, bf32 (fp32 tensors, bf16 inside products) or bf16 (autocast); channels_last: memory format of
    convolutions; compile: torch.compile on the networks; threads: of the processor; reason: why, for people."""

    dtype: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    threads: int = 1
    reason: str = "asked for"

    def __str__(self) -> str:
        extras = [e for e, on in (("channels_last", self.channels_last), ("compiled", self.compile)) if on]
        return ", ".join([self.dtype, *extras])


@contextmanager
def arithmetic(plan: Plan, device: torch.device) -> Iterator[None]:
    """The plan's number formats, inside this block only."""
    if plan.dtype == "bf16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
    elif plan.dtype == "bf32" and device.type == "cpu":
        flags: Any = (torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv)  # type: ignore[attr-defined]
        before = [f.fp32_precision for f in flags]
        try:
            for f in flags:
                f.fp32_precision = "bf16"
            yield
        finally:
            for f, b in zip(flags, before, strict=True):
                f.fp32_precision = b
    else:
        with nullcontext():
            yield


def arrange(model: nn.Module, plan: Plan) -> None:
    """Puts the weights into the plan's memory format."""
    form = torch.channels_last if plan.channels_last else torch.contiguous_format
    model.to(memory_format=form)  # type: ignore[call-overload]


def arrange_batch(batch: Batch, plan: Plan, device: torch.device) -> Batch:
    """Puts a batch on the device, images in the plan's memory format."""
    form = torch.channels_last if plan.channels_last else torch.contiguous_format
    return {
        k: t.to(device, non_blocking=True, memory_format=form) if t.ndim == 4 else t.to(device, non_blocking=True)
        for k, t in batch.items()
    }


def cache_folder() -> Path:
    """The user's cache: GENLOOM_CACHE, or genloom under XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("GENLOOM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genloom"


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _busy() -> bool:
    """Whether other programs have been wanting this machine's cores for the last minute."""
    try:
        return os.getloadavg()[0] > 1.25 * (os.cpu_count() or 1)
    except (OSError, AttributeError):  # not on this system
        return False


Play = Callable[[Model, Plan], float]
"""Plays every phase once on a fixed batch with fixed draws, leaves gradients behind, returns the first loss."""


def choose(
    model: Model,
    play: Play,
    options: TrainOptions,
    device: torch.device,
    budget_seconds: float | None,
    steps: int | None,
    key: object,
) -> Plan:
    """The fastest plan whose gradients agree with fp32's.

    budget_seconds or steps: how long the run will be; the measurement takes about 3% of it, at most 6 s. Its result is
    kept for the same machine, versions, model and batch. The model is left as it was.
    """
    threads = torch.get_num_threads()
    convolutional = any(p.ndim == 4 for p in model.parameters())
    second_order = any(p.second_order for p in model.phases())
    # The likeliest to win comes before what seldom does: a short budget cuts the race off.
    dtypes = ["fp32", "bf16"] if device.type != "cpu" else ["fp32", "bf16", "bf32"]
    if options.precision != "auto":
        dtypes = [options.precision]
    layouts = {"auto": [False, True] if convolutional else [False], "on": [convolutional], "off": [False]}
    plans = [Plan(d, c, options.compile == "on", threads) for d in dtypes for c in layouts[options.channels_last]]
    if len(plans) == 1:
        return replace(plans[0], reason="asked for" if options.precision != "auto" else "the only choice")
    signature = hashlib.sha256(
        json.dumps(
            [processor(), torch.__version__, str(device), threads, [str(p) for p in plans], key], default=str
        ).encode()
    ).hexdigest()[:24]
    memory = cache_folder() / "precision" / f"{signature}.json"
    if memory.exists():
        try:
            return Plan(**json.loads(memory.read_text()))
        except (ValueError, TypeError, OSError):
            memory.unlink(missing_ok=True)
    plan, complete = _race(model, play, plans, budget_seconds, steps, device)
    patient = options.compile == "auto" and not second_order and (budget_seconds or 0) > 1800
    if patient and (device.type == "cuda" or shutil.which("c++") or shutil.which("g++")):
        plan = _try_compiled(model, play, plan, device)
    if complete and not _busy():  # a race cut short, or run beside others, must not decide for later runs
        with suppress(OSError, Storage):  # a cache that cannot be written only costs the next run its measurement
            memory.parent.mkdir(parents=True, exist_ok=True)
            write_json(memory, asdict(plan))
    return plan


def _race(
    model: Model, play: Play, plans: list[Plan], budget_seconds: float | None, steps: int | None, device: torch.device
) -> tuple[Plan, bool]:
    """The fastest plan, and whether all were tried."""
    original = copy.deepcopy(model)
    reference: Tensor | None = None
    times: list[tuple[float, Plan]] = []
    begun, complete = time.perf_counter(), True
    seconds = 6.0 if budget_seconds is None else min(6.0, 0.03 * budget_seconds)
    for tried, plan in enumerate(plans):
        if tried and time.perf_counter() - begun > seconds:
            complete = False
            break  # steps so slow, or a budget so short, that trying more would cost more than it could win
        trial = copy.deepcopy(original)
        arrange(trial, plan)
        started = time.perf_counter()
        play(trial, plan)
        grads = _gradients(trial)
        if reference is None:
            reference = grads
        silent = not grads.any() and not reference.any()
        agreement = 1.0 if silent else torch.nn.functional.cosine_similarity(grads, reference, dim=0).item()
        if not agreement > 0.95:  # also refuses nan
            continue
        fastest = float("inf")
        while True:
            before = time.perf_counter()
            play(trial, plan)
            if device.type == "cuda":
                torch.cuda.synchronize()
            now = time.perf_counter()
            fastest = min(fastest, now - before)
            if steps is not None and not times:  # the length of a run of so many steps is known from here on
                seconds = min(6.0, 0.03 * steps * fastest)
            if now - started > seconds / len(plans):
                break
        times.append((fastest, plan))
    if not times:
        return replace(plans[0], reason="nothing else agreed with it"), complete
    seconds_fp32 = next((t for t, p in times if p.dtype == plans[0].dtype), times[0][0])
    best, plan = min(times, key=lambda pair: pair[0])
    told = f"measured: {best * 1e3:.1f} ms a step, {plans[0].dtype} {seconds_fp32 * 1e3:.1f} ms"
    return replace(plan, reason=told), complete


def _gradients(model: nn.Module) -> Tensor:
    grads = [p.grad.detach().float().reshape(-1) for p in model.parameters() if p.grad is not None]
    return torch.cat(grads) if grads else torch.ones(1)


def compile_networks(model: nn.Module) -> None:
    """Compiles each direct part of the model in place, and those of a model inside it that learns; names of parameters
    stay."""
    for part in model.children():
        if not isinstance(part, Model):
            part.compile()
        elif any(p.requires_grad for p in part.parameters()):
            compile_networks(part)


def _try_compiled(model: Model, play: Play, plan: Plan, device: torch.device) -> Plan:
    compiled = replace(plan, compile=True)
    times = []
    for candidate in (plan, compiled):
        trial = copy.deepcopy(model)
        arrange(trial, candidate)
        if candidate.compile:
            compile_networks(trial)
        try:
            for _ in range(3):
                play(trial, candidate)
            before = time.perf_counter()
            for _ in range(5):
                play(trial, candidate)
            if device.type == "cuda":
                torch.cuda.synchronize()
        except Exception:
            return replace(plan, reason=plan.reason + "; torch.compile failed here")
        times.append((time.perf_counter() - before) / 5)
    if times[1] < 0.9 * times[0]:
        return replace(compiled, reason=f"{plan.reason}; compiled {times[1] * 1e3:.1f} ms")
    return replace(plan, reason=f"{plan.reason}; compiling gained nothing ({times[1] * 1e3:.1f} ms)")


def settings(plan: Plan) -> dict[str, Any]:
    """The plan as JSON."""
    return asdict(plan)
