"""README and docs do what they say: commands run, Python runs, links lead somewhere, tables are complete."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from doc_pages import ROOT, Block, anchors, blocks, links, pages

from genloom import __version__
from genloom.cli import parse
from genloom.cli.main import main
from genloom.cli.table import VERBS

GUIDE = ROOT / "docs" / "guides" / "add-a-model.md"
PLUGIN = ROOT / "tests" / "plugin"
OTHERS = ("pip", "git", "cd", "source", "tensorboard", "pre-commit", "pytest")  # not ours: never run
LONG = ("demo", "compare", "tune", "experiment")  # run by tests of their own


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def understood(words: list[str]) -> None:
    """A genloom command that is not run is at least parsed, with all its flags and fields."""
    from genloom.recipes import registry

    parsed = parse.parse(*parse.find_verb(words))
    if parsed.verb.name == "train" and parsed.word(0) and not str(parsed.word(0)).endswith(".toml"):
        registry.override(registry.get(str(parsed.word(0)), parsed.values.get("size")), parsed.fields)


def type_in(command: str, run: bool) -> None:
    """What happens when a reader types this line."""
    words = shlex.split(command, comments=True)
    if words and words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
        assert set(words[1:]) <= set(targets), f"Makefile lacks a target of `{command}`"
    elif words[:2] == ["python", "-c"]:
        exec(compile(words[2], command, "exec"), {})
    elif "genloom" in words[:1] or words[:3] == ["python", "-m", "genloom"]:
        words = words[1:] if words[0] == "genloom" else words[3:]
        if not run or words[:1] in ([w] for w in LONG):
            understood(words)
            return
        assert main(words) == 0, f"`{command}` failed"
    elif words and words[0] == "torchrun":
        understood(words[words.index("genloom") + 1 :])
    else:
        known = not words or Path(words[0]).name in OTHERS or words[1:3] == ["-m", "venv"] or not run
        assert known, f"`{command}`: nobody checks this; mark the block <!-- not run: why -->"


def run_block(block: Block, space: dict[str, object]) -> None:
    if block.kind == "python" and block.not_run is None:
        exec(compile("\n" * block.line + block.text, name(block.page), "exec"), space)
    for command in block.commands:
        type_in(command, run=block.not_run is None)


@pytest.mark.parametrize("page", pages(), ids=name)
def test_what_a_page_says_runs(page: Path, here: Path, quick: None, request: pytest.FixtureRequest) -> None:
    if page == GUIDE:
        request.getfixturevalue("plugin")
    space: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        if not (page == GUIDE and block.kind == "python"):  # those are the parts of a file, run by test_plugin.py
            run_block(block, space)


@pytest.mark.parametrize("page", [*pages(), ROOT / "CHANGELOG.md"], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name(page)} links to {target}, which does not exist"
        assert there.is_relative_to(ROOT), f"{name(page)} links out of the project: {target}"
        if anchor:
            assert anchor in anchors(there), f"{name(page)} links to {target}: there is no such heading"


def test_the_guide_shows_the_package_as_it_is() -> None:
    found = blocks(GUIDE)
    python = [b.text.strip("\n") for b in found if b.kind == "python"]
    *parts, test = python
    shown = re.sub(r"\s*\n", "\n", "\n".join(parts))
    assert shown == re.sub(r"\s*\n", "\n", (PLUGIN / "genloom_ppca.py").read_text().rstrip())
    assert test == (PLUGIN / "test_ppca.py").read_text().rstrip()
    assert [b.text for b in found if b.kind == "toml"] == [(PLUGIN / "pyproject.toml").read_text().rstrip()]


def test_the_readme_lists_every_recipe() -> None:
    from genloom.recipes import registry

    rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "README.md").read_text(), flags=re.M)
    built_in = [e.name for e in registry.entries() if e.build.__module__.startswith("genloom.recipes")]
    assert sorted(rows) == sorted(built_in)


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / t.partition("#")[0]).resolve() for t in links(index)}
    missing = [name(p) for p in sorted((ROOT / "docs").rglob("*.md")) if p != index and p.resolve() not in listed]
    assert not missing, f"docs/index.md does not mention {missing}"


@pytest.mark.parametrize("verb", VERBS, ids=lambda v: v.name)
def test_examples_of_help_are_understood(verb: object) -> None:
    for example in verb.examples:  # type: ignore[attr-defined]
        understood(shlex.split(example)[1:])


def test_every_block_that_is_not_run_says_why() -> None:
    for page in pages():
        for line in page.read_text().splitlines():
            if line.lstrip().startswith("<!--") and "not run" in line:
                assert re.fullmatch(r"\s*<!-- not run: .{10,} -->", line), f"{name(page)}: {line}"


def test_versions_agree() -> None:
    changes = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    assert changes[:2] == ["Unreleased", __version__]
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert (ROOT / "LICENSE").read_text().split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"
