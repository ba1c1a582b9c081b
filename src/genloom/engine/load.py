"""A finished (or stopped) run as a model that can be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from safetensors.torch import load_file

from genloom.core import CanSample, DataSpec, Model, spec_from_json
from genloom.engine import checkpoint
from genloom.engine.ema import post_hoc_weights
from genloom.engine.given import partners
from genloom.engine.moments import Kept, weights
from genloom.engine.precision import Plan, arithmetic, arrange, processor
from genloom.engine.repair import beginnings, repaired, repairs_of
from genloom.engine.train import Settings, device_of, settings_of
from genloom.errors import BadValue, Damaged
from genloom.modalities.text import Tokenizer, tokenizer_from_json
from genloom.models.registry import model_class
from genloom.runs import Run, read_json


@dataclass(frozen=True)
class Loaded:
    """model: in evaluation mode, on `device`; tokenizer: of text models; step: the checkpoint's;
    plan: how samples are drawn."""

    run: Run
    model: Model
    spec: DataSpec
    tokenizer: Tokenizer | None
    settings: Settings
    device: torch.device
    step: int
    plan: Plan = Plan()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """The arithmetic in which samples are drawn: the run's own where the model is iterative and this is the
        processor it was chosen on, else fp32."""
        with arithmetic(self.plan, self.device):
            yield


def _drawing(run: Run, model: Model, device: torch.device) -> Plan:
    """How samples are drawn here. Forward passes alone are fastest in bf16 wherever training gained by any bf16."""
    known = run.environment
    chosen = known.get("plan") or {}
    same = known.get("processor") == processor() and chosen.get("dtype", "fp32") != "fp32"
    if not (same and isinstance(model, CanSample) and model.iterative):
        return Plan()
    return Plan("bf16", channels_last=bool(chosen.get("channels_last")), reason="as it was trained")


def load(
    run: Run, raw: bool = False, step: int | None = None, ema: float | None = None, moment: Kept | None = None
) -> Loaded:
    """The model of a run with its averaged weights (raw: those of the last step), from its newest checkpoint or `step`.

    ema: the relative width of another average, put together from a run trained with `train.ema_post_hoc`.
    moment: weights that were kept on the way, before anything that `finish` does.
    Raises Damaged where there is no checkpoint, or it was changed, cut short or belongs to another model or version.
    """
    settings = settings_of(run)
    steps = run.checkpoints()
    if not steps:
        raise Damaged(f"{run.path} has no complete checkpoint: go on with `genloom train --resume {run.path}`")
    step = steps[-1] if step is None else step
    if step not in steps:
        raise Damaged(f"{run.path} has no checkpoint of step {step}: it has {', '.join(map(str, steps))}")
    spec = spec_from_json(run.config["spec"])
    model = model_class(settings.model)(settings.config, spec, partners(run))
    if moment is not None:
        step, tensors = moment.step, weights(moment)
    else:
        averaged = "ema.safetensors" in checkpoint.read_state(run, step)["sha256"]
        tensors = checkpoint.read_tensors(run, step, "ema" if averaged and not raw else "model")
    if ema is not None:
        tensors |= post_hoc(run, step, ema)
    model.make_room({name: tuple(t.shape) for name, t in tensors.items()})
    expected = model.state_dict()
    if set(tensors) != set(expected) or any(tensors[k].shape != expected[k].shape for k in tensors):
        raise Damaged(f"the checkpoint of {run.path} is another model's: its weights do not fit {settings.model!r}")
    model.load_state_dict(tensors)
    if made := repairs_of(run):
        done = [r for r, begun in zip(made, beginnings(made), strict=True) if begun <= step]
        settings = replace(settings, config=repaired(settings.config, done))
        model.config = settings.config
    tokenizer_file = run.path / "tokenizer.json"
    tokenizer = tokenizer_from_json(read_json(tokenizer_file)) if tokenizer_file.exists() else None
    device = device_of(settings.train)
    model.to(device).eval().requires_grad_(False)
    plan = _drawing(run, model, device)
    arrange(model, plan)
    return Loaded(run, model, spec, tokenizer, settings, device, step, plan)


def post_hoc(run: Run, step: int, sigma_rel: float) -> dict[str, torch.Tensor]:
    """The average of width sigma_rel at `step`, from the snapshots of two widths that a run kept (EDM2, section 3.2).

    Raises BadValue where the run kept none.
    """
    files = [p for p in sorted((run.path / "snapshots").glob("*/*.safetensors")) if int(p.parent.name) <= step]
    if len(files) < 2:
        raise BadValue(
            f"{run.path} kept no snapshots: train with --train.ema_post_hoc true to choose the width afterwards"
        )
    stored = [(float(p.parent.name), float(p.stem)) for p in files]
    weights = post_hoc_weights(stored, float(step), sigma_rel)
    total: dict[str, torch.Tensor] = {}
    for path, weight in zip(files, weights, strict=True):
        for name, value in load_file(path).items():
            if value.is_floating_point():
                part = value * float(weight)
                total[name] = total[name] + part if name in total else part
    return total
