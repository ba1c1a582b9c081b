"""Sets as a whole: sources in turn, manifests, consent, other processes, and the verb."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fetching import CARD, Server, Told, entry, sha

import genloom
from genloom.cli.main import main
from genloom.data.fetch import download, manifest
from genloom.data.fetch.entry import Archive, Entry, File, Folder, Hub, Installed, Npm, Package, Pip, Url
from genloom.data.fetch.manifest import contents_hash, present, set_folder
from genloom.data.fetch.obtain import obtain
from genloom.errors import BadValue, Damaged, GenloomError, NotFound, Storage
from genloom.verbs import fetch as verb

DATA = b"To be, or not to be.\n" * 500


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "BACKOFF", 0.01)
    with Server({"/f": DATA, "/f.gz": gzip.compress(DATA)}) as running:
        yield running


def file(*sources: Any, name: str = "f.txt", content: bytes = DATA, unpack: Any = None) -> File:
    return File(name, sha(content), sources, len(content), unpack)


def bundle(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_sources_are_tried_in_turn_and_the_first_good_one_serves(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setenv("GENLOOM_DATA", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", server.address + "/hub/")
    monkeypatch.setenv("HF_TOKEN", "secret")
    server.files["/hub/datasets/a/b/resolve/v1/f%20.txt"] = b"something else"
    url = Url(f"{server.address}/f.gz" if packed else f"{server.address}/f")
    sources = (Folder("sub/f.txt"), Installed("numpy", "no/such.txt"), Hub("a/b", "f .txt", "v1"), url)
    wanted = entry(file(*sources, unpack="gzip" if packed else None))
    folder = obtain(wanted)
    assert (folder / "f.txt").read_bytes() == DATA
    assert sorted(p.name for p in folder.iterdir()) == ["f.txt", "manifest.json"]
    assert manifest.read("try")["sources"] == {"f.txt": str(url)}  # type: ignore[index]
    assert [asked[2].get("Authorization") for asked in server.asked] == ["Bearer secret", None]
    assert not list((folder.parent.parent / "downloads").iterdir())
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ("f.txt.gz" if packed else "f.txt")).write_bytes(gzip.compress(DATA) if packed else DATA)
    verb._remove(["try"], {}, Told())
    obtain(wanted)
    assert manifest.read("try")["sources"] == {"f.txt": "GENLOOM_DATA/sub/f.txt"}  # type: ignore[index]
    assert len(server.asked) == 2


def test_a_file_inside_an_installed_package_is_a_source() -> None:
    found = importlib.util.find_spec("sklearn")  # not imported, neither here nor by the source
    assert found is not None
    assert found.origin is not None
    content = (Path(found.origin).parent / "datasets/data/iris.csv").read_bytes()
    for package, member in (("sklearn", "datasets/data/iris.csv"), ("sklearn.datasets", "data/iris.csv")):
        made = entry(file(Installed(package, member), content=content), name=package.replace(".", "-"))
        assert (obtain(made) / "f.txt").read_bytes() == content


def test_what_failed_is_said_of_every_source_in_one_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLOOM_OFFLINE", "1")
    sources = (Folder("f.txt"), Installed("nothing_like_it", "f"), Url(server.address + "/f"), Npm("a", "1", "f"))
    with pytest.raises(NotFound) as caught:
        obtain(entry(file(*sources)))
    said = str(caught.value)
    assert "\n" not in said
    for words in (
        "GENLOOM_DATA is not set",
        "is not installed",
        "/f: it needs the network",
        "GENLOOM_OFFLINE",
        "npm a@1:",
    ):
        assert words in said
    assert server.asked == []
    assert present(entry(file(*sources))) is None


def test_an_archive_gives_many_files_from_any_of_its_packages(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"img/{i}.png": bytes([i]) * 50 for i in range(5)}
    good = {f"p/{i}.png": sha(bytes([i]) * 50) for i in range(5)}
    server.files["/a.tgz"] = packed = bundle({**files, "readme": b"x"})
    server.files["/old.tgz"] = bundle(dict(list(files.items())[:4]))
    packages = (
        Package(Folder("pictures"), None, {"*.png": "p/"}),
        Package(Url(server.address + "/old.tgz"), None, {"img/*.png": "p/"}),
        Package(Url(server.address + "/a.tgz"), sha(packed), {"img/*.png": "p/"}),
    )
    wanted = entry(Archive("pictures", packages, contents_hash(good), count=5), file(Url(server.address + "/f")))
    folder = obtain(wanted)
    about = manifest.read("try")
    assert about is not None
    assert {f["name"]: f["sha256"] for f in about["files"]} == {**good, "f.txt": sha(DATA)}
    assert about["sources"]["pictures"] == f"{server.address}/a.tgz"
    assert (folder / "p/3.png").read_bytes() == bytes([3]) * 50
    (tmp_path / "pictures").mkdir()
    for i in range(5):
        (tmp_path / "pictures" / f"{i}.png").write_bytes(bytes([i]) * 50)
    monkeypatch.setenv("GENLOOM_DATA", str(tmp_path))
    manifest.remove("try", Told())
    obtain(wanted)
    assert manifest.read("try")["sources"]["pictures"] == "GENLOOM_DATA/pictures"  # type: ignore[index]


def test_what_is_not_the_published_content_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder of one's own, too; and a package without a sha256 is judged by what it holds."""
    monkeypatch.setenv("GENLOOM_DATA", str(tmp_path))
    (tmp_path / "f.txt").write_bytes(DATA[::-1])
    with pytest.raises(NotFound, match=r"GENLOOM_DATA/f\.txt: is not the published file"):
        obtain(entry(file(Folder("f.txt"))))
    (tmp_path / "f.txt").write_bytes(DATA * 2)
    with pytest.raises(NotFound, match="larger than the published"):
        obtain(entry(file(Folder("f.txt"))))
    assert (tmp_path / "f.txt").read_bytes() == DATA * 2
    server.files["/a.tgz"] = bundle({"a": b"changed"})
    package = Package(Url(server.address + "/a.tgz"), None, {"*": ""})
    with pytest.raises(NotFound, match="not the published ones"):
        obtain(entry(Archive("a", (package,), contents_hash({"a": sha(b"right")}), count=1)))
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(tmp_path / "secret")
    linked = Archive("a", (Package(Folder("set"), None, {"*": ""}),), contents_hash({"link": sha(b"mine")}))
    with pytest.raises(NotFound, match="a link that leads out"):
        obtain(entry(linked))
    assert list(set_folder("try").iterdir()) == []


def test_a_hostile_archive_is_a_reason_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/a.tgz"] = packed = bundle({"a/ok": b"1", "../../../../escaped": b"2"})
    part = Archive("bad", (Package(Url(server.address + "/a.tgz"), sha(packed), {"**": ""}),))
    with pytest.raises(NotFound, match="leads out of the folder"):
        obtain(entry(part))
    assert present(entry(part)) is None
    assert list(set_folder("try").iterdir()) == []
    assert not list(tmp_path.parent.rglob("escaped"))


def test_an_unfinished_fetch_keeps_what_it_has(server: Server) -> None:
    other = b"second" * 100
    both = entry(file(Url(server.address + "/f")), file(Url(server.address + "/g"), name="g.txt", content=other))
    with pytest.raises(NotFound, match=r"g\.txt.*404"):
        obtain(both)
    assert present(both) is None
    server.files["/g"] = other
    obtain(both)
    assert [path for path, _, _ in server.asked] == ["/f", "/g", "/g"]
    obtain(both)  # and a whole one is not looked for again
    assert len(server.asked) == 3


def test_a_changed_entry_fetches_only_what_changed(server: Server) -> None:
    first = entry(file(Url(server.address + "/f")), file(Url(server.address + "/f.gz"), name="old", unpack="gzip"))
    folder = obtain(first)
    server.files["/new"] = b"new"
    second = entry(file(Url(server.address + "/f")), file(Url(server.address + "/new"), name="new", content=b"new"))
    assert present(second) is None
    obtain(second)
    assert sorted(p.name for p in folder.iterdir()) == ["f.txt", "manifest.json", "new"]
    assert [path for path, _, _ in server.asked] == ["/f", "/f.gz", "/new"]
    assert present(second) == folder
    (folder / "new").write_bytes(b"longer")
    assert present(second) is None


def test_verify_finds_what_changed_and_remove_deletes(server: Server) -> None:
    wanted = entry(file(Url(server.address + "/f")))
    folder = obtain(wanted)
    assert manifest.verify("try")["files"][0]["sha256"] == sha(DATA)
    (folder / "f.txt").write_bytes(DATA[:-1] + b"!")
    assert present(wanted) == folder  # a look at sizes does not see it
    with pytest.raises(Damaged, match=r"f\.txt changed.*--remove.*bring it back"):
        manifest.verify("try")
    assert manifest.remove("try", Told())
    assert not folder.exists()
    assert not manifest.remove("try", Told())
    with pytest.raises(NotFound, match="genloom data fetch try"):
        manifest.verify("try")


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc", ".hidden", "a.b", "", "Up", "a\\b", "a\0"])
def test_names_that_are_paths_are_refused(name: str) -> None:
    for act in (set_folder, lambda n: manifest.remove(n, Told()), lambda n: entry(name=n), genloom.data.fetch):
        with pytest.raises(BadValue, match="no data set's name"):
            act(name)


def test_entries_that_could_lead_out_cannot_be_made() -> None:
    url, good = Url("http://x/f"), "0" * 64
    for make in (
        lambda: File("../f", good, (url,)),
        lambda: File("/f", good, (url,)),
        lambda: File("a\\f", good, (url,)),
        lambda: File("f", "abc", (url,)),
        lambda: File("f", good, ()),
        lambda: Package(url, good, {"*": "../x/"}),
        lambda: Package(url, good, {"../*": ""}),
        lambda: Package(url, good, {"*.png": "one.png"}),
        lambda: Archive("a", (Package(url, None, {"*": ""}),)),
        lambda: Pip("--index-url=x", "1"),
        lambda: Npm("./folder", "1"),
    ):
        with pytest.raises(BadValue):
            make()


def test_a_cache_without_a_place_is_storage(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(Storage, match="cannot write"):
        obtain(entry(file(Url(server.address + "/f"))))


def test_two_processes_fetch_a_set_once(server: Server, own_cache: Path) -> None:
    program = (
        "from genloom.data.fetch.entry import *\n"
        "from genloom.data.fetch.obtain import obtain\n"
        "import types\n"
        "card = types.SimpleNamespace(title='', licence='', citation='', source='')\n"
        f"file = File('f.txt', '{sha(DATA)}', (Url('{server.address}/f'),), {len(DATA)})\n"
        "print(obtain(Entry('try', card, (file,))))\n"
    )
    server.delay = 1.0  # longer than processes differ in starting
    running = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(3)]
    folders = {process.communicate(timeout=60)[0] for process in running}
    assert folders == {f"{own_cache}/data/try\n".encode()}
    assert len(server.asked) == 1


TERMS = "For research only, with credit"


@pytest.fixture
def known(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    free = entry(file(Url(server.address + "/f")), name="free")
    bound = entry(file(Url(server.address + "/f")), name="bound", restricted=TERMS)
    gone = entry(file(Url(server.address + "/gone")), name="gone")
    found = {e.name: e for e in (free, bound, gone, Entry("inside", CARD))}
    monkeypatch.setattr(verb, "entries", lambda: found)
    return found


def test_restricted_sets_ask_first(
    known: dict[str, Entry], server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["data", "fetch", "free", "bound"]) == 2
    said = capsys.readouterr().err
    assert TERMS in said
    assert "--yes" in said
    assert len(said.splitlines()) == 1
    assert server.asked == []  # the question comes before the first download
    for answer, code in (("no\n", 2), ("\n", 2), ("yes\n", 0)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True, readline=lambda a=answer: a))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        assert main(["data", "fetch", "bound"]) == code
        assert "type yes to agree" in capsys.readouterr().err
    consent = manifest.read("bound")["consent"]  # type: ignore[index]
    assert consent["text"] == TERMS
    assert consent["date"][:2] == "20"
    monkeypatch.setattr(sys, "stdin", None)
    (set_folder("bound") / "f.txt").unlink()
    assert main(["data", "fetch", "bound"]) == 0  # what was agreed to once need not be asked again
    assert manifest.read("bound")["consent"] == consent  # type: ignore[index]
    manifest.remove("bound", Told())
    genloom.data.fetch("bound", yes=True, quiet=True)
    assert manifest.read("bound")["restricted"] == TERMS  # type: ignore[index]


def test_the_verb_lists_fetches_verifies_and_removes(
    known: dict[str, Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "fetch"]) == 0
    listed = capsys.readouterr().out
    assert {line.split()[0] for line in listed.splitlines()[1:5]} == set(known)
    assert "asks" in listed
    assert "with genloom" in listed
    assert main(["data", "fetch", "free", "inside", "--json"]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    rows = json.loads(out.out)["fetched"]
    assert [row["name"] for row in rows] == ["free", "inside"]
    assert rows[0]["bytes"] == len(DATA)
    table = genloom.data.fetch("free")
    assert "licence MIT" in str(table)
    assert "@misc{test}" in str(table)
    assert main(["data", "fetch", "--verify"]) == 0
    assert "whole" in capsys.readouterr().out
    assert main(["data", "fetch", "free", "--remove"]) == 0
    assert not set_folder("free").exists()
    for words, said in (
        (["fere"], "did you mean 'free'"),
        (["free", "--remove"], "nothing to remove"),
        (["--remove"], "needs the name"),
        (["../x"], "no data set's name"),
        (["free", "--remove", "--verify"], "got both"),
    ):
        capsys.readouterr()
        assert main(["data", "fetch", *words]) == 2
        assert said in capsys.readouterr().err


def test_one_set_that_fails_does_not_stop_the_others(known: dict[str, Entry]) -> None:
    with pytest.raises(GenloomError, match=r"gone could not be fetched.*404.*free arrived"):
        genloom.data.fetch(["gone", "free"], quiet=True)
    assert present(known["free"])


@pytest.mark.parametrize("live", [False, True])
def test_progress_says_how_far_and_how_fast(live: bool) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return live

    stream = Stream()
    console = verb.Console(stream)
    console.moved("f", 25_000_000, 100_000_000, 10.0, 20_000_000)
    console.note("done")
    assert "f: 25.0 MB of 100 MB (25%), 2.0 MB/s, 38 s left" in stream.getvalue()
    assert stream.getvalue().endswith("\ndone\n")
    assert ("\r" in stream.getvalue()) == live
