"""What a run costs: time and memory measured, energy and CO2 as estimated ranges that are labelled so."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch

CPU_WATTS_PER_CORE = (3.0, 15.0)
"""From an efficient laptop core to a server core with its share of memory and losses."""
GPU_WATTS = (100.0, 700.0)
GRAMS_CO2_PER_KWH = (30.0, 700.0)
"""From a grid of hydro and nuclear power to one of coal."""


class Meter:
    """Adds up the cost of a run over all its processes in time. `before`: what earlier attempts had cost."""

    def __init__(self, device: torch.device, before: dict[str, Any] | None = None) -> None:
        self.device, self.before = device, before or {}
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def read(self, items: int) -> dict[str, Any]:
        """The cost so far: seconds, bytes, items a second, kWh and grams of CO2 as [low, high]."""
        wall = time.monotonic() - self.wall + self.before.get("wall_seconds", 0.0)
        cpu = time.process_time() - self.cpu + self.before.get("cpu_seconds", 0.0)
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        cost: dict[str, Any] = {
            "wall_seconds": round(wall, 2),
            "cpu_seconds": round(cpu, 2),
            "items_per_second": round(items / max(wall, 1e-9), 1),
            "peak_memory_bytes": max(peak, self.before.get("peak_memory_bytes", 0)),
        }
        joules = [cpu * watts for watts in CPU_WATTS_PER_CORE]
        if self.device.type == "cuda":
            cost["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated(self.device)
            joules = [j + wall * watts for j, watts in zip(joules, GPU_WATTS, strict=True)]
        kwh = [j / 3.6e6 for j in joules]
        cost["energy_kwh_estimated"] = [float(f"{k:.2g}") for k in kwh]
        cost["co2_grams_estimated"] = [float(f"{k * g:.2g}") for k, g in zip(kwh, GRAMS_CO2_PER_KWH, strict=True)]
        return cost
