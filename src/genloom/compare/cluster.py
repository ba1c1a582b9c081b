"""Runs over a Ray cluster: each is one task that has its machine to itself, unless several workers a machine are asked
for. Ray is an extra; the comparison's folder must lie where all machines see it under the same path."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genloom.compare.play import Played, here
from genloom.errors import BadValue


def need_ray() -> Any:
    """The module. Raises BadValue where it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise BadValue('--engine ray needs Ray: pip install "genloom[ray]", or leave --engine out') from error
    return ray


def play_all(paths: Sequence[Path], workers: int | None) -> Iterator[tuple[Path, Played]]:
    """Trains the runs at `paths`, in this order as workers become free; yields each when it has ended.

    workers: tasks at the same time; None is one a machine. On Ctrl-C all are asked to stop, and are waited for.
    """
    ray = need_ray()
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
    try:
        share = _share(ray, workers)
        task = ray.remote(max_calls=1, max_retries=0, **share)(_task)  # a fresh process each: its memory is its own
        waiting = {task.remote(str(path.absolute())): path for path in paths}
        try:
            while waiting:
                done, _ = ray.wait(list(waiting), num_returns=1)
                for reference in done:
                    yield waiting.pop(reference), _answer(ray, reference)
        except (KeyboardInterrupt, GeneratorExit):
            for reference in waiting:
                ray.cancel(reference, force=False)
            ray.wait(list(waiting), num_returns=len(waiting), timeout=60)
            raise
    finally:
        if ours:
            ray.shutdown()


def _share(ray: Any, workers: int | None) -> dict[str, float]:
    """What one task asks for: a machine, or the part of one that leaves room for `workers` tasks in all."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = min(int(m.get("CPU", 1)) for m in machines)
    asked: dict[str, float] = {"num_cpus": max(1, cores)}
    a_machine = 1
    if workers is not None:
        a_machine = -(-workers // len(machines))
        if a_machine > cores:
            there = f"{len(machines)} machines of {cores} cores"
            raise BadValue(f"--workers {workers}: the cluster has {there}: ask for less")
        asked["num_cpus"] = cores // a_machine
    if all(m.get("GPU", 0) >= 1 for m in machines):
        asked["num_gpus"] = 1 / a_machine
    return asked


def _task(path: str) -> dict[str, str]:
    place = Path(path)
    if not (place / "config.json").is_file():
        said = f"{place} is not there on {os.uname().nodename}: put the comparison where all machines see it (--out)"
        return {"error": said, "kind": "NotFound"}
    return vars(here(place, f"{place.name}: "))


def _answer(ray: Any, reference: Any) -> Played:
    try:
        return Played(**ray.get(reference))
    except (ray.exceptions.RayError, KeyboardInterrupt) as error:
        first = next(iter(str(error).splitlines()), "")
        return Played(error=f"its worker ended: {type(error).__name__} {first}".strip(), kind="Crashed")
