"""Every entry is well formed, its page says the same, and small free sets come by themselves. No network."""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import replace
from os.path import commonprefix
from pathlib import Path

import pytest
from fetching import sha

from genloom.cli.main import main
from genloom.data import DataOptions, catalogue, load
from genloom.data.fetch import obtain as obtain_module
from genloom.data.fetch.entry import Apt, Archive, Entry, File, Folder, Hub, Npm, Package, Pip, Url
from genloom.data.fetch.manifest import present
from genloom.data.fetch.obtain import obtain
from genloom.data.fetch.places import Delivered
from genloom.data.sets import common, text
from genloom.data.sets.registry import ENTRIES, LEARNT, cards, find
from genloom.errors import NotFound

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "datasets.md"
MODALITIES = {*LEARNT, "music", "speech", "strokes", "table", "weights"}
ROUTES = {Folder: "folder", Npm: "npm", Pip: "pip", Apt: "apt", Url: "address", Hub: "hub"}


def sources(entry: Entry) -> list[list[object]]:
    """The sources of every part, in the order in which they are tried."""
    return [[*p.sources] if isinstance(p, File) else [q.source for q in p.packages] for p in entry.files]


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_is_well_formed(name: str) -> None:
    entry = find(name)
    card = entry.card
    assert entry.name == name
    assert all((card.title, card.source, card.licence, card.items))
    assert card.modality in MODALITIES
    assert (entry.load is not None) == (card.modality in LEARNT)
    for found in card.citation.split("\n@"):
        assert re.match(r"@?\w+\{[a-z0-9]+,\n", found)
        assert found.count("{") == found.count("}")
        assert re.search(r"\b(title) = \{", found)
    assert len({part.name for part in entry.files}) == len(entry.files)
    for part in entry.files:
        assert part.size > 0  # the hashes are checked where the parts are made
        if isinstance(part, Archive):
            assert part.count > 0
            assert part.contents
    for tried in sources(entry):
        assert isinstance(tried[0], Folder)
        for source in tried:
            if isinstance(source, Hub):
                assert re.fullmatch(r"[0-9a-f]{40}", source.revision)
            if isinstance(source, Url):
                assert source.url.startswith("https://")
                if re.search(r"github", source.url):
                    assert re.search(r"/[0-9a-f]{40}(/|$)", source.url), "an address of GitHub names a commit"


def test_what_asks_for_consent() -> None:
    """A new set with terms is added here on purpose, and none loses its terms by accident."""
    assert {name for name, entry in ENTRIES.items() if entry.restricted} == {"olivetti", "multi30k"}
    for name, entry in ENTRIES.items():
        free = not re.search(r"non-commercial|research, with", entry.card.licence)
        assert free == (not entry.restricted), name
    assert catalogue() == cards()


def below(own: list[str]) -> str:
    """One path for all: the file, the folder of several, or what their names begin with."""
    shared = commonprefix(own)  # noqa: RUF071
    if len(own) == 1:
        return shared if "." in shared else f"{shared}/"
    if shared in own:
        return f"{shared}/" if all(path == shared or path.startswith(f"{shared}/") for path in own) else f"{shared}*"
    return f"{shared}*" if shared.endswith(".") else shared[: shared.rfind("/") + 1]


def row(entry: Entry) -> tuple[str, ...]:
    """What a row of the page says: name, what it holds, bytes, licence, routes, place below GENLOOM_DATA."""
    tried = [source for part in sources(entry) for source in part]
    routes = [said for kind, said in ROUTES.items() if any(isinstance(s, kind) for s in tried)]
    own = [s.path for s in tried if isinstance(s, Folder)]
    size = common.mega(common.download_size(entry)) + (", asks" if entry.restricted else "")
    return (
        f"`{entry.name}`",
        entry.card.items,
        size if entry.files else "",
        entry.card.licence,
        ", ".join(routes) or "with genloom",
        f"`{below(own)}`" if own else "",
    )


def test_the_page_says_what_the_entries_say() -> None:
    found = [re.split(r"\s*\|\s*", line.strip())[1:-1] for line in PAGE.read_text().splitlines() if line[:3] == "| `"]
    found = [cells for cells in found if len(cells) == 6]
    said = {tuple(cell.replace("**", "") for cell in cells) for cells in found}
    wanted = {row(entry) for entry in ENTRIES.values()}
    missing = sorted(wanted - said)
    assert said == wanted, f"docs/guides/datasets.md lacks | {' | '.join(missing[0]) if missing else ''} |"
    assert len(found) == len(ENTRIES)


def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restricted: str = "", size: int = 300) -> None:
    """Shakespeare as a small file below GENLOOM_DATA."""
    content = b"To be, or not to be.\n" * 15
    (tmp_path / "play.txt").write_bytes(content)
    monkeypatch.setenv("GENLOOM_DATA", str(tmp_path))
    part = File("tinyshakespeare.txt", sha(content), (Folder("play.txt"),), size)
    entry = replace(ENTRIES["tinyshakespeare"], files=(part,), restricted=restricted)
    for entries in (ENTRIES, text.ENTRIES):
        monkeypatch.setitem(entries, "tinyshakespeare", entry)


def test_a_small_free_set_comes_at_first_use_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small(tmp_path, monkeypatch, size=len(b"To be, or not to be.\n" * 15))
    options = DataOptions(source="tinyshakespeare", context=8)
    assert common.state(ENTRIES["tinyshakespeare"]).startswith("at first use")
    load(options)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert re.match(r"fetching tinyshakespeare, this once: .* MB, licence: public domain", said[0])
    assert present(ENTRIES["tinyshakespeare"])
    assert common.state(ENTRIES["tinyshakespeare"]) == "here"
    (tmp_path / "play.txt").unlink()
    load(options)  # from the cache, without a word
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("why", ["large", "restricted"])
def test_large_and_restricted_sets_are_asked_for(why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(tmp_path, monkeypatch, "for research" if why == "restricted" else "", 70_000_000 if why == "large" else 300)
    with pytest.raises(NotFound, match=r"`genloom data fetch tinyshakespeare` brings it \(.* MB, licence: ") as caught:
        load(DataOptions(source="tinyshakespeare"))
    assert "\n" not in str(caught.value)
    assert present(ENTRIES["tinyshakespeare"]) is None


def test_sets_that_are_not_here_are_shown_all_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*a: object, **k: object) -> None:
        raise NotFound("chorales could not be fetched")

    monkeypatch.setattr("genloom.data.load", unreachable)
    assert main(["data", "show", "chorales"]) == 0
    said = capsys.readouterr().out
    assert all(
        words in said
        for words in ("Bach", "genloom data fetch chorales", "none stated", "jsb-chorales-16th.json", "could not be")
    )
    assert main(["data", "show", "cifar10"]) == 0  # large, not here: its card without a download
    assert "genloom data fetch cifar10" in capsys.readouterr().out
    assert main(["data", "show", "minilm", "--out", str(tmp_path / "x.png")]) == 2
    assert main(["data", "list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ENTRIES)


def test_a_part_of_a_packages_file_is_cut_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the story-teller's model and tokenizer come out of one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("package/both.data")
        info.size = 10
        archive.addfile(info, io.BytesIO(b"modeltoken"))
    (tmp_path / "p.tgz").write_bytes(packed.getvalue())
    monkeypatch.setattr(obtain_module, "packages", lambda *_: iter([Delivered(tmp_path / "p.tgz", strip=True)]))
    files = tuple(
        File(name, sha(content), (Npm("x", "1.0.0", "both.data", part=part),), 5)
        for name, content, part in (("a.bin", b"model", (0, 5)), ("b.bin", b"token", (5, 10)))
    )
    folder = obtain(Entry("both", ENTRIES["stories15m"].card, files))
    assert ((folder / "a.bin").read_bytes(), (folder / "b.bin").read_bytes()) == (b"model", b"token")
    model, tokenizer = ENTRIES["stories15m"].files
    ends = [s.part for part in (model, tokenizer) if isinstance(part, File) for s in part.sources if isinstance(s, Npm)]
    assert ends == [(0, model.size), (model.size, model.size + tokenizer.size)]


def test_a_patterns_folder_is_where_the_loader_looks() -> None:
    """Each way to an archive leads to the same names."""
    for entry in ENTRIES.values():
        for part in entry.files:
            if isinstance(part, Archive):
                ends = [{target.rstrip("/") for target in p.members.values()} for p in part.packages]
                assert all(isinstance(p, Package) for p in part.packages)
                assert len({frozenset(e - {"", "openmoji.json"}) for e in ends}) == 1, entry.name
