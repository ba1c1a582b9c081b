"""Downloads that stop and go on, servers that misbehave, disks that are full."""

from __future__ import annotations

import errno
import gzip
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fetching import Server, Told, sha

from genloom.data.fetch import download as module
from genloom.data.fetch.download import download
from genloom.data.fetch.trouble import Failed, Quiet, shown
from genloom.errors import Storage

CONTENT = b"".join(i.to_bytes(4, "big") for i in range(100_000))
GOOD = sha(CONTENT)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "BACKOFF", 0.01)
    with Server({"/f": CONTENT}) as running:
        yield running


def test_a_broken_download_asks_only_for_the_rest(server: Server, tmp_path: Path) -> None:
    """The connection breaks at half, and no more is asked for than what is missing; the same over two calls."""
    server.cut, server.cuts = len(CONTENT) // 2, 1
    told = Told()
    path = download(f"{server.address}/f", tmp_path / "x", told, sha256=GOOD)
    assert path.read_bytes() == CONTENT
    assert server.sent == len(CONTENT)
    assert [asked[1] for asked in server.asked] == [None, f"bytes={len(CONTENT) // 2}-"]
    assert any("broke off" in note and "trying again" in note for note in told.notes)
    assert told.moves[-1] == ("x", len(CONTENT), len(CONTENT))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    download(f"{server.address}/f", tmp_path / "x", told, sha256=GOOD)  # what is here is not asked for
    assert len(server.asked) == 2


def test_a_line_that_breaks_often_gets_there_as_long_as_something_arrives(server: Server, tmp_path: Path) -> None:
    server.cut, server.cuts = len(CONTENT) // 5, 4
    assert download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD).read_bytes() == CONTENT
    assert server.sent == len(CONTENT)
    server.cut, server.cuts = 0, 9
    server.asked.clear()
    with pytest.raises(Failed, match="broke off"):
        download(f"{server.address}/f", tmp_path / "y", Quiet(), sha256=GOOD)
    assert len(server.asked) == 2


def test_a_killed_fetch_goes_on_in_another_process(server: Server, tmp_path: Path) -> None:
    """SIGKILL at half: the next process asks for the rest and nothing else."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from genloom.data.fetch.download import download\n"
        "class Slow:\n"
        "    def note(self, line): pass\n"
        "    def moved(self, what, done, total, seconds, new):\n"
        "        if done > total // 2: print('half', flush=True); time.sleep(60)\n"
        f"download('{server.address}/f', Path(sys.argv[1]), Slow(), sha256='{GOOD}')\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "x")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    here = (tmp_path / "x.part").stat().st_size
    assert here > len(CONTENT) // 2
    server.sent = 0
    assert download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD).read_bytes() == CONTENT
    assert server.asked[-1][1] == f"bytes={here}-"
    assert server.sent == len(CONTENT) - here


def test_a_server_that_ignores_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cut, server.cuts = False, 1000, 1
    assert download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD).read_bytes() == CONTENT
    assert server.asked[1][1] == "bytes=1000-"
    assert server.sent == len(CONTENT) + 1000


@pytest.mark.parametrize("etags", [True, False])
def test_a_beginning_of_another_file_is_thrown_away(server: Server, tmp_path: Path, etags: bool) -> None:
    """Told by the server's ETag, or else by the sha256 of the whole."""
    server.etags = etags
    server.files["/f"] = CONTENT[::-1]
    server.cut, server.cuts = 1000, 1
    _interrupt(server, tmp_path)
    assert (tmp_path / "x.part").read_bytes() == CONTENT[::-1][:1000]
    server.files["/f"] = CONTENT
    server.asked.clear()
    assert download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD).read_bytes() == CONTENT
    assert [asked[1] for asked in server.asked] == (["bytes=1000-"] if etags else ["bytes=1000-", None])


def _interrupt(server: Server, folder: Path) -> None:
    """A download of which 1,000 bytes arrive before the server is out of order."""

    class Stop(Told):
        def note(self, line: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(f"{server.address}/f", folder / "x", Stop(), sha256=GOOD)


def test_another_file_is_refused_and_forgotten(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="sha256 differs"):
        download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []
    assert len(server.asked) == 1


def test_more_than_the_file_can_have_is_stopped(server: Server, tmp_path: Path) -> None:
    server.files["/f"] = bytes(8_000_000)
    with pytest.raises(Failed, match="more than the 1,000,000 bytes"):
        download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD, limit=1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_what_is_packed_is_checked_unpacked(server: Server, tmp_path: Path) -> None:
    server.files["/f.gz"] = packed = gzip.compress(CONTENT)
    path = download(f"{server.address}/f.gz", tmp_path / "x", Quiet(), sha256=GOOD, unpack=True)
    assert path.read_bytes() == packed
    server.files["/f.gz"] = packed[:-20]
    with pytest.raises(Failed, match="sha256 differs"):
        download(f"{server.address}/f.gz", tmp_path / "y", Quiet(), sha256=GOOD, unpack=True)


@pytest.mark.parametrize(("code", "asked"), [(404, 1), (403, 1), (500, 2), (503, 2), (429, 2)])
def test_only_troubles_that_may_pass_are_tried_again(server: Server, tmp_path: Path, code: int, asked: int) -> None:
    server.codes = [code, code]
    with pytest.raises(Failed, match=f"answers {code}") as caught:
        download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD)
    assert len(server.asked) == asked
    assert caught.value.refused == (code != 404)  # a client with credentials may be let in
    server.codes = [503]
    assert download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD).exists()


def test_silent_and_absent_servers_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(module, "BACKOFF", 0.01)
    monkeypatch.setenv("GENLOOM_TIMEOUT", "0.2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/f"
        begin = time.monotonic()
        with pytest.raises(Failed, match=r"cannot be reached|broke off"):
            download(address, tmp_path / "x", Quiet())
        assert time.monotonic() - begin < 5
    for url, words in (
        (address, "cannot be reached"),
        ("ftp://127.0.0.1/f", "cannot fetch by ftp"),
        ("x", "no scheme"),
    ):
        with pytest.raises(Failed, match=words):
            download(url, tmp_path / "x", Quiet())


def test_offline_forbids_the_network_but_not_files(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENLOOM_OFFLINE", "1")
    with pytest.raises(Failed, match="GENLOOM_OFFLINE forbids"):
        download(f"{server.address}/f", tmp_path / "x", Quiet())
    assert server.asked == []
    (tmp_path / "a file").write_bytes(CONTENT)
    assert download((tmp_path / "a file").as_uri(), tmp_path / "x", Quiet(), sha256=GOOD).read_bytes() == CONTENT


def test_a_full_disk_is_storage_and_keeps_what_came(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(Storage, match=r"room for 1,000 bytes.*400,000 are needed.*GENLOOM_CACHE"):
        download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD)
    monkeypatch.undo()

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    real = open
    monkeypatch.setattr(
        module,
        "open",
        lambda *a, **k: (
            SimpleNamespace(write=full, flush=full, close=lambda: None) if a[1:] == ("wb",) else real(*a, **k)
        ),
        raising=False,
    )
    with pytest.raises(Storage, match="the disk is full"):
        download(f"{server.address}/f", tmp_path / "x", Quiet(), sha256=GOOD)


def test_credentials_reach_their_host_alone_and_no_message(server: Server, tmp_path: Path) -> None:
    with Server({"/away": b"x"}) as other:
        address = server.address.replace("//", "//me:se%20cret@")
        download(f"{address}/f", tmp_path / "x", Quiet(), headers={"X-Token": "t"})
        headers = server.asked[0][2]
        assert headers["Authorization"] == "Basic bWU6c2UgY3JldA=="
        assert headers["X-Token"] == "t"
        real = server.answer

        def redirect(request: Any) -> None:
            request.send_response(302)
            request.send_header("Location", f"{other.address}/away")
            request.end_headers()

        server.answer = redirect  # type: ignore[method-assign]
        download(f"{address}/f", tmp_path / "y", Quiet(), headers={"X-Token": "t"})
        server.answer = real  # type: ignore[method-assign]
        assert not {"Authorization", "X-Token"} & set(other.asked[0][2])
    assert shown(f"{address}/f is gone") == f"{server.address}/f is gone"
