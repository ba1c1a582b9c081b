"""Reads Markdown: the commands a page tells its reader to type, its other code, its links and headings."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_RUN = re.compile(r"<!--\s*not run:\s*(\S.*?)\s*-->")
FENCE = re.compile(r"^(\s*)```(\S*)")


@dataclass(frozen=True)
class Block:
    """Code on a page. kind: the fence's language ("sh", "python", "toml", ...) or "indented"; not_run: why not."""

    page: Path
    line: int
    kind: str
    text: str
    not_run: str | None = None

    @property
    def commands(self) -> list[str]:
        """What a reader would type: lines of sh blocks, lines after "$ " in consoles, `genloom ...` where indented."""
        joined = self.text.replace("\\\n", " ").splitlines()
        if self.kind in ("sh", "bash", "shell"):
            return [line for line in joined if line.strip() and not line.lstrip().startswith("#")]
        if self.kind == "console":
            return [line[2:] for line in joined if line.startswith("$ ")]
        return [line for line in joined if line.startswith("genloom ")] if self.kind == "indented" else []


def pages() -> list[Path]:
    """README and every page below docs/, as a reader meets them."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """All code of a page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found: list[Block] = []
    i = 0
    while i < len(lines):
        start, kind, body = i, "", []
        if fence := FENCE.match(lines[i]):
            kind, indent = fence[2] or "text", len(fence[1])
            i += 1
            while i < len(lines) and not lines[i].strip().startswith("```"):
                body.append(lines[i][indent:])
                i += 1
            assert i < len(lines), f"{page}: the block that begins in line {start + 1} never ends"
        elif lines[i].startswith("    ") and (i == 0 or not lines[i - 1].strip()):
            kind = "indented"
            while i < len(lines) and (lines[i].startswith("    ") or not lines[i].strip()):
                body.append(lines[i][4:])
                i += 1
        if kind:
            before = next((line for line in reversed(lines[:start]) if line.strip()), "")
            reason = NOT_RUN.fullmatch(before.strip())
            found.append(Block(page, start + 1, kind, "\n".join(body), reason[1] if reason else None))
        i += 1
    return found


def prose(page: Path) -> str:
    """The page without its fenced code."""
    return re.sub(r"^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def links(page: Path) -> list[str]:
    """Targets of all links and pictures."""
    return re.findall(r"\]\(<?([^()\s>]+)>?\)", re.sub(r"`[^`\n]*`", "", prose(page)))


def anchors(page: Path) -> set[str]:
    """The anchors GitHub gives to a page's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+\s+(.*?)\s*$", prose(page), flags=re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


def install(package: Path, folder: Path) -> Path:
    """What pip would put into a folder for a package of single modules: the modules, and the metadata Python finds
    entry points by. No network, no build. Returns the folder."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    said = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(said, encoding="utf-8")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in names.items())])
        for group, names in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups) + "\n", encoding="utf-8")
    for module in package.glob("*.py"):
        if module.name != "conftest.py":
            shutil.copy(module, folder / module.name)
    return folder
