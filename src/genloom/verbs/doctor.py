"""`genloom doctor`: what this machine offers, and what stands in the way."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genloom import __version__
from genloom.verbs.results import Facts, size_text

FAST = ("amx_bf16", "amx_tile", "avx512_bf16", "avx512f", "avx2", "asimd", "bf16")


def doctor() -> Facts:
    """Versions, processor, memory, the arithmetic measured to be fast here, caches, data found; then advice."""
    import psutil
    import torch

    from genloom.engine.precision import cache_folder, processor

    advice: list[str] = []
    cores, threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1, torch.get_num_threads()
    flags = [f for f in FAST if f in _cpu_flags()]
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(Path.cwd())
    cache = cache_folder()
    writable = _writable(cache)
    if not writable:
        advice.append(f"the cache {cache} cannot be written: set GENLOOM_CACHE to a folder of yours")
    if memory.available < 2e9:
        advice.append(f"only {size_text(memory.available)} of memory are free: close something, or lower --batch")
    if disk.free < 2e9:
        advice.append(f"only {size_text(disk.free)} of disk are free here: checkpoints may not fit")
    if broken := _torchvision(torch.__version__):
        advice.append(broken)
    precision, counts = _measured(cache)
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found = _data_found()
    facts: list[tuple[str, Any]] = [
        ("genloom", __version__),
        ("Python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"),
        ("torch", torch.__version__),
        ("processor", processor()),
        ("cores", f"{cores}, torch uses {threads} threads"),
        ("instructions", ", ".join(flags) or "nothing special"),
        ("GPU", ", ".join(gpus) or "none (not needed)"),
        ("memory", f"{size_text(memory.available)} free of {size_text(memory.total)}"),
        ("disk here", f"{size_text(disk.free)} free"),
        ("fast arithmetic", precision),
        ("cache", f"{cache} ({'writable' if writable else 'NOT writable'})"),
        *((f"data {name}", place) for name, place in found.items()),
    ]
    data = {
        "genloom": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "processor": processor(),
        "cores": cores,
        "threads": threads,
        "flags": flags,
        "gpus": gpus,
        "memory_bytes": memory.total,
        "memory_free_bytes": memory.available,
        "disk_free_bytes": disk.free,
        "precision_measured": counts,
        "cache": str(cache),
        "cache_writable": writable,
        "data": found,
        "advice": advice,
    }
    notes = tuple(f"advice: {a}" for a in advice) or ("nothing stands in the way",)
    return Facts("genloom doctor", tuple(facts), data, ("", *notes))


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":", 1)[1].split()}


def _writable(folder: Path) -> bool:
    there: Iterable[Path] = (folder, *folder.absolute().parents)
    nearest = next((p for p in there if p.exists()), folder)
    return nearest.is_dir() and os.access(nearest, os.W_OK)


def _measured(cache: Path) -> tuple[str, dict[str, int]]:
    """Which precision earlier runs measured to be the fastest, how often each."""
    counts: dict[str, int] = {}
    for path in sorted((cache / "precision").glob("*.json")) if cache.is_dir() else []:
        try:
            plan = json.loads(path.read_text())
            key = plan["dtype"] + (" channels_last" if plan.get("channels_last") else "")
        except (OSError, ValueError, KeyError, TypeError):
            continue
        counts[key] = counts.get(key, 0) + 1
    if not counts:
        return "not measured yet; the first training does so", counts
    order = sorted(counts, key=lambda k: -counts[k])
    return ", ".join(f"{k} (fastest for {counts[k]} of {sum(counts.values())} models)" for k in order), counts


def _torchvision(torch_version: str) -> str:
    """A hint where an installed torchvision belongs to another torch: other tools then fail in strange ways."""
    if importlib.util.find_spec("torchvision") is None:
        return ""
    try:
        version = importlib.metadata.version("torchvision")
        wanted = next(
            (r.split("==")[1].split(";")[0].strip() for r in importlib.metadata.requires("torchvision") or []
             if r.replace(" ", "").startswith("torch==")),
            "",
        )  # fmt: skip
    except importlib.metadata.PackageNotFoundError:
        return ""
    if wanted and wanted != torch_version.split("+")[0]:
        return (
            f"torchvision {version} belongs to torch {wanted}, not {torch_version}: genloom does without, others break"
        )
    return ""


def _data_found() -> dict[str, str]:
    """Which data sets that are not carried by the installation are here."""
    from genloom.data.fetch.manifest import present
    from genloom.data.sets.registry import ENTRIES

    fetched = [name for name, entry in ENTRIES.items() if entry.files]
    here = [name for name in fetched if present(ENTRIES[name])]
    return {
        "GENLOOM_DATA": os.environ.get("GENLOOM_DATA", "not set"),
        "data sets here": ", ".join(here) or "none but those that come with genloom",
        "not here": f"{len(fetched) - len(here)} that `genloom data list` names",
    }
