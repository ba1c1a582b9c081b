"""Packages through pip, npm and apt: as they are configured, without running anything of a package."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fetching import Server, Told, entry, first_on_path, program, sha
from test_fetch_archive import deb

from genloom.data.fetch import apt, npm, pip
from genloom.data.fetch.clients import ask
from genloom.data.fetch.entry import Apt, Archive, File, Npm, Package, Pip
from genloom.data.fetch.obtain import obtain
from genloom.data.fetch.trouble import Failed
from genloom.errors import NotFound

DATA = b"1,2,3\n" * 1000
WHEEL = "sample_data-1.2.0-py3-none-any.whl"


def wheel(content: bytes = DATA) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sample_data/rows.csv", content)
        archive.writestr("sample_data/__init__.py", "raise RuntimeError('run')")
    return out.getvalue()


def tarball(top: str, files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


SDIST = tarball("sample-data-1.2.0", {"sample_data/rows.csv": DATA, "setup.py": b"raise SystemExit", "PKG-INFO": b""})
FILE = File("rows.csv", sha(DATA), (Pip("Sample.Data", "1.2", "sample_data/rows.csv"),), len(DATA))


@pytest.fixture(autouse=True)
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fake clients that refuse everything and write down what they were asked; nothing of this machine's settings."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "npm_config_", "NPM_CONFIG_", "UV_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    folder = tmp_path / "bin"
    for name in ("pip", "npm", "apt-get"):
        program(folder, name, f'echo "{name} $*" >> {tmp_path}/asked; echo "ERROR: not allowed here" >&2; exit 1')
    monkeypatch.setenv("PATH", first_on_path(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(pip, "client", lambda: [str(folder / "pip")])
    monkeypatch.setattr(pip, "OFFICIAL", (tmp_path / "no-index").as_uri())
    monkeypatch.setattr(apt, "ROOT", tmp_path / "root")
    return folder


def asked(tmp_path: Path) -> list[str]:
    log = tmp_path / "asked"
    return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def test_settings_of_pip_come_from_its_files_and_win_from_the_environment() -> None:
    listed = (
        "global.index-url='https://a/simple'\nglobal.cert='/c'\ndownload.cert='/d'\n:env:.index-url='https://b'\nx\n"
    )
    assert pip.settings(listed, {}) == {"index-url": "https://a/simple", "cert": "/d"}
    assert pip.settings(listed, {"PIP_INDEX_URL": "https://b", "PIP_CERT": ""})["index-url"] == "https://b"


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        (WHEEL, True),
        ("Sample.Data-1.2-1-cp311-cp311-linux_x86_64.whl", True),
        ("sample-data-1.2.0.tar.gz", True),
        ("sample_data-1.2.zip", True),
        ("sample_data-1.2.1-py3-none-any.whl", False),
        ("sample_data_more-1.2.0-py3-none-any.whl", False),
        ("sample_data-1.2.0.exe", False),
        ("sample_data-1.2.0-py3-none-any.whl.metadata", False),
        ("index.html", False),
    ],
)
def test_files_are_told_by_their_names(name: str, fits: bool) -> None:
    assert pip.matches(name, "sample-data", "1.2.0") == fits


@pytest.mark.parametrize("way", ["folder", "page", "index folder", "find-links"])
def test_local_indexes_need_no_network(
    tmp_path: Path, clients: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("GENLOOM_OFFLINE", "1")
    simple = tmp_path / "simple" / "sample-data"
    simple.mkdir(parents=True)
    (tmp_path / WHEEL).write_bytes(wheel())
    if way == "find-links":
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    else:
        program(clients, "pip", f"echo \"global.extra-index-url='{(tmp_path / 'simple').as_uri()}'\"")
        if way == "page":
            page = tmp_path / "page.html"
            page.write_text(f'<a href="{WHEEL}#sha256={sha(wheel())}">x</a>')
            monkeypatch.setenv("PIP_FIND_LINKS", page.as_uri())
        elif way == "folder":
            (simple / WHEEL).write_bytes(wheel())
        else:
            (simple / "index.html").write_text(f'<html><a href="../../{WHEEL}">{WHEEL}</a>')
    folder = obtain(entry(FILE))
    assert (folder / "rows.csv").read_bytes() == DATA


@pytest.mark.parametrize("kind", ["json", "html"])
def test_an_index_with_credentials_is_read_as_pip_would(
    server: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    server.files = {f"/files/{WHEEL}": wheel(), "/files/sample-data-1.2.0.tar.gz": SDIST}
    base = server.address if kind == "json" else "../.."  # links of both kinds occur
    files = [
        {"filename": "sample-data-1.2.0.tar.gz", "url": f"{base}/files/sample-data-1.2.0.tar.gz", "hashes": {}},
        {"filename": WHEEL, "url": f"{base}/files/{WHEEL}", "hashes": {"sha256": sha(wheel())}},
        {"filename": "sample_data-9-py3-none-any.whl", "url": f"{base}/files/none.whl", "hashes": {}},
    ]
    page = "".join(f'<a data-x href="{f["url"]}#sha256={f["hashes"].get("sha256", "")}">f</a>' for f in files)
    server.files["/simple/sample-data/"] = json.dumps({"files": files}).encode() if kind == "json" else page.encode()
    server.kinds["/simple/sample-data/"] = "application/vnd.pypi.simple.v1+json" if kind == "json" else "text/html"
    monkeypatch.setenv("PIP_INDEX_URL", server.address.replace("//", "//user:secret@") + "/simple")
    told = Told()
    folder = obtain(entry(FILE), report=told)
    assert (folder / "rows.csv").read_bytes() == DATA
    assert [path for path, _, _ in server.asked] == [
        "/simple/sample-data/",
        f"/files/{WHEEL}",
    ]  # the wheel, not the sdist
    assert all(headers["Authorization"].startswith("Basic ") for _, _, headers in server.asked)
    assert "secret" not in " ".join(told.notes) + (folder / "manifest.json").read_text()


def test_an_sdist_is_unpacked_by_us_and_never_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = {
        "/simple/sample-data/": b'<a href="/sample-data-1.2.0.tar.gz">s</a>',
        "/sample-data-1.2.0.tar.gz": SDIST,
    }
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple/")
    archive = Archive("rows", (Package(Pip("sample-data", "1.2.0"), sha(SDIST), {"sample_data/*.csv": ""}),))
    assert (obtain(entry(archive)) / "rows.csv").read_bytes() == DATA
    assert not [line for line in asked(tmp_path) if "download" in line or "install" in line]


def test_pip_itself_is_asked_where_our_request_is_refused(
    server: Server, tmp_path: Path, clients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.codes = [401, 403]
    (tmp_path / WHEEL).write_bytes(wheel())
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple")
    script = f"""echo "pip $*" >> {tmp_path}/asked
    while [ $# -gt 0 ]; do [ "$1" = --dest ] && cp {tmp_path}/{WHEEL} "$2"; shift; done"""
    program(clients, "pip", script)
    assert (obtain(entry(FILE)) / "rows.csv").read_bytes() == DATA
    command = asked(tmp_path)[-1]
    assert "--no-deps" in command
    assert "--only-binary :all:" in command
    assert command.endswith("Sample.Data==1.2")


def test_what_pip_cannot_do_is_said_in_one_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple".replace("//", "//user:secret@"))
    with pytest.raises(NotFound, match=r"pip Sample.Data==1.2: .*answers 404") as caught:
        obtain(entry(FILE))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not [line for line in asked(tmp_path) if "download" in line]  # nobody finds what is not there
    server.codes = [403]
    with pytest.raises(NotFound, match=r"answers 403.*pip: not allowed here"):
        obtain(entry(FILE))


NPM = tarball("package", {"data/rows.csv": DATA, "package.json": b"{}"})
NPM_FILE = File("rows.csv", sha(DATA), (Npm("@scope/sample", "2.0.1", "data/rows.csv"),), len(DATA))


def test_npm_tells_the_tarball(server: Server, tmp_path: Path, clients: Path) -> None:
    server.files = {"/s/-/sample-2.0.1.tgz": NPM}
    dist = json.dumps({"tarball": f"{server.address}/s/-/sample-2.0.1.tgz"})
    program(clients, "npm", f"echo \"npm $*\" >> {tmp_path}/asked\n[ $1 = view ] && echo '{dist}' || echo null")
    assert (obtain(entry(NPM_FILE)) / "rows.csv").read_bytes() == DATA
    assert asked(tmp_path)[0].startswith("npm view @scope/sample@2.0.1 dist --json")
    assert len(server.asked) == 1


def test_npm_packs_without_scripts_where_our_request_is_refused(server: Server, tmp_path: Path, clients: Path) -> None:
    server.codes = [401]
    (tmp_path / "p.tgz").write_bytes(NPM)
    script = f"""echo "npm $*" >> {tmp_path}/asked
    [ $1 = view ] && echo '{{"tarball": "{server.address}/p.tgz"}}' && exit
    [ $1 = config ] && echo null && exit
    while [ $# -gt 0 ]; do [ "$1" = --pack-destination ] && cp {tmp_path}/p.tgz "$2"; shift; done"""
    program(clients, "npm", script)
    assert (obtain(entry(NPM_FILE)) / "rows.csv").read_bytes() == DATA
    command = asked(tmp_path)[-1]
    assert command.startswith("npm pack @scope/sample@2.0.1")
    assert "--ignore-scripts" in command


def test_without_npm_the_registry_is_asked(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm, "client", lambda: None)
    (tmp_path / ".npmrc").write_text(f"registry={server.address}/npm/\n")
    about = {"versions": {"2.0.1": {"dist": {"tarball": f"{server.address}/p.tgz"}}}}
    server.files = {"/npm/@scope%2fsample": json.dumps(about).encode(), "/p.tgz": NPM}
    assert (obtain(entry(NPM_FILE)) / "rows.csv").read_bytes() == DATA
    with pytest.raises(Failed, match="no such version"):
        npm.offers(Npm("@scope/sample", "3.0.0"))


DEB = deb({"./usr/share/sample/rows.csv.gz": gzip.compress(DATA), "./usr/share/doc/x": b"x"})
APT_FILE = File("rows.csv", sha(DATA), (Apt("sample", "/usr/share/sample/rows.csv.gz"),), len(DATA), "gzip")


def test_apt_tells_the_address_and_its_sum_is_checked(server: Server, tmp_path: Path, clients: Path) -> None:
    server.files = {"/pool/sample_1%2b1_all.deb": DEB}
    line = f"'{server.address}/pool/sample_1%2b1_all.deb' sample_1+1_all.deb {len(DEB)} SHA256:{sha(DEB)}"
    program(clients, "apt-get", f'echo "apt-get $*" >> {tmp_path}/asked\necho "{line}"')
    assert (obtain(entry(APT_FILE)) / "rows.csv").read_bytes() == DATA
    assert asked(tmp_path) == ["apt-get download --print-uris -qq sample"]
    server.files["/pool/sample_1%2b1_all.deb"] = DEB[:-9]
    with pytest.raises(NotFound, match=r"apt sample: .*sha256 differs"):
        obtain(entry(APT_FILE, name="again"))


def test_apts_own_ways_are_left_to_apt(tmp_path: Path, clients: Path) -> None:
    (tmp_path / "sample.deb").write_bytes(DEB)
    script = f"""[ "$2" = --print-uris ] && echo "'mirror+http://mirrors/x.deb' x.deb 5 SHA256:{sha(DEB)}" && exit
    cp {tmp_path}/sample.deb ."""
    program(clients, "apt-get", script)
    assert (obtain(entry(APT_FILE)) / "rows.csv").read_bytes() == DATA
    assert not Path("sample.deb").exists()


def test_an_installed_package_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLOOM_OFFLINE", "1")
    place = apt.ROOT / "usr/share/sample"
    place.mkdir(parents=True)
    (place / "rows.csv.gz").write_bytes(gzip.compress(DATA))
    assert (obtain(entry(APT_FILE)) / "rows.csv").read_bytes() == DATA
    assert (place / "rows.csv.gz").exists()
    assert asked(tmp_path) == []
    (apt.ROOT / "var/lib/dpkg/info").mkdir(parents=True)
    (apt.ROOT / "var/lib/dpkg/info/sample.list").touch()
    (place / "notes").write_text("x")
    members = {"usr/share/sample/*.gz": "all/"}
    got = {"all/rows.csv.gz": sha((place / "rows.csv.gz").read_bytes())}
    from genloom.data.fetch.manifest import contents_hash

    archive = Archive("rows", (Package(Apt("sample"), None, members),), contents_hash(got))
    folder = obtain(entry(archive, name="many"))
    assert [p.name for p in (folder / "all").iterdir()] == ["rows.csv.gz"]


def test_a_client_that_fails_hangs_or_is_missing_is_a_reason(tmp_path: Path, clients: Path) -> None:
    program(clients, "apt-get", 'echo "W: old lists" >&2; echo "E: Unable to locate package sample" >&2; exit 100')
    with pytest.raises(Failed, match="Unable to locate package sample"):
        apt.offers(Apt("sample"))
    with pytest.raises(Failed, match="said nothing for 0 seconds"):
        ask([str(program(clients, "slow", "exec sleep 5"))], seconds=0.1)
    with pytest.raises(Failed, match="cannot be run"):
        ask([str(tmp_path / "none")])
    said = "npm error code E404\nnpm error 404 Not Found - GET x\nnpm error A complete log of this run: /l"
    (tmp_path / "said").write_text(said)
    with pytest.raises(Failed, match=r"^Not Found - GET x$"):
        ask([str(program(clients, "npm", f"cat {tmp_path}/said >&2; exit 1"))])
