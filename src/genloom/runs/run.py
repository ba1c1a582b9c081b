"""The run directory: what training writes and everything else reads.

0001-flow/
  config.json         what was asked for, resolved; the data's specification and digest
  environment.json    versions, processor, threads, the precision plan
  status.json         state (running, stopped, finished, failed), steps, items, seconds, cost
  lock                held by the process that trains
  tokenizer.json      of text models
  metrics.jsonl       one row per moment: step, items, seconds, losses, monitor, readings of the watch
  health.jsonl        what ails or ailed it: a line when it was first seen, one when it was gone
  repairs.jsonl       what was changed while it trained, with the step, where `on_illness` is "repair"
  events/             the same rows for TensorBoard
  samples/            grids or texts from fixed noise, by step
  checkpoints/STEP/   model, ema, optimizer .safetensors and state.json, written last: it makes the rest valid
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from genloom.errors import BadValue, Busy, Damaged, NotFound, nearest
from genloom.runs.files import read_json, storage, write_json

FORMAT = 1


class Run:
    """A run directory. Cheap to make: files are read when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(cls, root: Path | str, recipe: str, config: Mapping[str, Any], name: str | None = None) -> Run:
        """A new directory under `root`, named NUMBER-RECIPE or `name`, that holds config.json and a status.

        Raises BadValue where the name is taken or unusable, Storage where `root` cannot be written.
        """
        root = Path(root)
        if name is not None and (not re.fullmatch(r"[\w][\w.+-]*", name)):
            raise BadValue(f"--name {name!r}: expected letters, digits, '.', '_', '+' or '-'; choose another name")
        with storage(root):
            root.mkdir(parents=True, exist_ok=True)
            while True:
                path = root / (name or f"{_next_number(root):04d}-{recipe}")
                try:
                    path.mkdir()
                    break
                except FileExistsError as e:
                    if name is not None:
                        raise BadValue(
                            f"{path} exists already: choose another --name, or go on with --resume {path}"
                        ) from e
            (path / "samples").mkdir()
            (path / "checkpoints").mkdir()
        run = cls(path)
        write_json(path / "config.json", {"format": FORMAT, **config})
        run.set_status(state="new", created=time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        return run

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def config(self) -> dict[str, Any]:
        """config.json. Raises Damaged where it is missing, broken or of another format."""
        config = read_json(self.path / "config.json")
        written = config.get("format") if isinstance(config, dict) else None
        if written != FORMAT:
            raise Damaged(
                f"{self.path}/config.json has format {written}, expected {FORMAT}: use the version that wrote it"
            )
        return config

    @property
    def makes_texts(self) -> bool:
        """Whether its items are texts, whose tokenizer it holds."""
        items = (f for f in self.config["spec"].values() if f["role"] == "item")
        return all(f["modality"] == "text" for f in items) and (self.path / "tokenizer.json").exists()

    @property
    def environment(self) -> dict[str, Any]:
        """environment.json; empty where training has not begun."""
        path = self.path / "environment.json"
        return read_json(path) if path.exists() else {}

    @property
    def status(self) -> dict[str, Any]:
        """status.json."""
        return read_json(self.path / "status.json")

    def set_status(self, **changes: Any) -> None:
        """Changes some entries of status.json, atomically."""
        path = self.path / "status.json"
        write_json(path, {**(read_json(path) if path.exists() else {}), **changes})

    def write(self, name: str, data: Any) -> None:
        """Writes one JSON file of the run, atomically."""
        write_json(self.path / name, data)

    @property
    def samples(self) -> Path:
        """The directory of previews and samples."""
        return self.path / "samples"

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step lies or will lie."""
        return self.path / "checkpoints" / f"{step:08d}"

    def checkpoints(self) -> list[int]:
        """The steps of all complete checkpoints, oldest first."""
        folder = self.path / "checkpoints"
        found = [p for p in folder.glob("[0-9]*") if (p / "state.json").exists()] if folder.exists() else []
        return sorted(int(p.name) for p in found)

    def metrics(self) -> list[dict[str, Any]]:
        """All rows of metrics.jsonl; a last line that was cut short is left out."""
        return _read_lines(self.path / "metrics.jsonl")

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Adds a row to metrics.jsonl."""
        _append_line(self.path / "metrics.jsonl", row)

    def health(self) -> list[dict[str, Any]]:
        """What ails or ailed it, oldest first: name, seen, likely, advice, level ("note", "warning" or "serious"), step
        and seconds when it was first seen, and until: the step at which it was gone, None where it is still there."""
        found: list[dict[str, Any]] = []
        for line in _read_lines(self.path / "health.jsonl"):
            still = next((f for f in reversed(found) if f["name"] == line["name"] and f["until"] is None), None)
            if line.get("gone"):
                if still is not None:
                    still["until"] = line["step"]
            elif still is not None:  # it grew worse
                still |= {**line, "step": still["step"], "seconds": still["seconds"]}
            else:
                found.append({**line, "until": None})
        return found

    def append_health(self, line: Mapping[str, Any]) -> None:
        """Adds a line to health.jsonl: a finding with "step" and "seconds", or {"name", "gone": true, "step"}."""
        _append_line(self.path / "health.jsonl", line)

    def repairs(self) -> list[dict[str, Any]]:
        """What was changed while it trained, first to last; see `genloom.engine.repair.Repair`."""
        return _read_lines(self.path / "repairs.jsonl")

    def append_repair(self, line: Mapping[str, Any]) -> None:
        """Adds a line to repairs.jsonl. Nothing is ever taken out: a resumed run repeats them."""
        _append_line(self.path / "repairs.jsonl", line)

    def cut_metrics(self, step: int) -> None:
        """Drops the rows of metrics.jsonl and health.jsonl after `step`: a resumed run writes them again."""
        from genloom.runs.files import write_text

        for path in (self.path / "metrics.jsonl", self.path / "health.jsonl"):
            if path.exists():
                kept = (r for r in _read_lines(path) if r.get("step", 0) <= step)
                write_text(path, "".join(json.dumps(r) + "\n" for r in kept))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while training; the system frees it when the process dies. Raises Busy."""
        lock = FileLock(self.path / "lock")
        with storage(self.path / "lock"):
            try:
                lock.acquire(timeout=0)
            except Timeout as e:  # itself an OSError
                advice = "wait for it, or choose another --name"
                raise Busy(f"{self.path} is being trained by another process: {advice}") from e
        try:
            yield
        finally:
            lock.release()

    def remove(self) -> None:
        """Deletes the directory (used where a run failed before its first step)."""
        shutil.rmtree(self.path, ignore_errors=True)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; a last line that was cut short is left out, a file that is missing empty."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def _append_line(path: Path, row: Mapping[str, Any]) -> None:
    """One line, written at once: a reader sees all of it or a last line cut short, which `_read_lines` leaves out."""
    with storage(path), open(path, "a", encoding="utf-8") as f:
        f.write(json.dumps(row) + "\n")


def _next_number(root: Path) -> int:
    numbers = [int(m.group(1)) for p in root.iterdir() if (m := re.match(r"(\d{4,})-", p.name))]
    return max(numbers, default=0) + 1


def list_runs(root: Path | str = "runs") -> list[Run]:
    """All runs under a directory, by name."""
    root = Path(root)
    if not root.is_dir():
        return []
    return [Run(p) for p in sorted(root.iterdir()) if (p / "config.json").is_file()]


def find(name: str | os.PathLike[str], root: Path | str = "runs") -> Run:
    """The run at a path, or of a name, or of a number ("7" finds 0007-flow) under `root`.

    Raises NotFound with the nearest names.
    """
    path = Path(name)
    for candidate in (path, Path(root) / path):
        if (candidate / "config.json").is_file():
            return Run(candidate)
    runs = list_runs(root)
    text = str(name)
    if text.isdigit():
        numbered = [r for r in runs if re.match(rf"0*{int(text)}-", r.name)]
        if len(numbered) == 1:
            return numbered[0]
    near = nearest(path.name, [r.name for r in runs])
    if near:
        advice = "did you mean " + " or ".join(str(Path(root) / n) for n in near) + "?"
    elif runs:
        advice = f"`genloom runs --runs {root}` lists {len(runs)}"
    else:
        advice = f"there are no runs under {root} yet; `genloom train` makes one"
    raise NotFound(f"no run {text!r}: {advice}")
