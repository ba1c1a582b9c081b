"""Unpacking what strangers packed: by pattern, inside the folder, within limits, whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fetching import program

from genloom.data.fetch.archive import Limits, Wanted, extract
from genloom.errors import Damaged

FILES = {
    "top/a.txt": b"first",
    "top/img/64/x.png": b"picture",
    "top/img/64/deep/y.png": b"other",
    "top/b.bin": b"\0" * 99,
}
ALL = {"**": ""}


def tar(members: dict[str, bytes], *more: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return out.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def deb(members: dict[str, bytes], pack: Callable[[bytes], bytes] = lzma.compress, ending: str = ".xz") -> bytes:
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(tar({})),
        "data.tar" + ending: pack(tar(members)),
    }
    out = b"!<arch>\n"
    for name, content in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


def put(folder: Path, content: bytes) -> Path:
    path = folder / "archive"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        zipped(FILES),
        tar(FILES),
        gzip.compress(tar(FILES)),
        bz2.compress(tar(FILES)),
        lzma.compress(tar(FILES)),
        deb({"./" + n: c for n, c in FILES.items()}),
        deb({"./" + n: c for n, c in FILES.items()}, gzip.compress, ".gz"),
        deb({"./" + n: c for n, c in FILES.items()}, bytes, ""),
    ],
    ids=["zip", "tar", "tgz", "tbz", "txz", "deb", "deb-gz", "deb-plain"],
)
def test_only_wanted_members_come_out_of_every_kind(tmp_path: Path, content: bytes) -> None:
    members = {"a.txt": "renamed.txt", "img/64/*.png": "pictures/", "absent/*": ""}
    got = extract(put(tmp_path, content), members, tmp_path / "out", strip=True)
    assert got == {
        n: hashlib.sha256(c).hexdigest() for n, c in (("renamed.txt", b"first"), ("pictures/x.png", b"picture"))
    }
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")) == sorted(got)
    assert (tmp_path / "out/renamed.txt").read_bytes() == b"first"


def test_patterns_say_where_files_go() -> None:
    wanted = Wanted.of({"a/*.png": "x/", "b/**": "", "c/d.txt": "", "e.txt": "f.txt", "[g]?.txt": "h/"})
    for name, place in {
        "a/1.png": "x/1.png",
        "a/b/1.png": None,
        "b/1/2.bin": "1/2.bin",
        "c/d.txt": "d.txt",
        "c/d.txt2": None,
        "e.txt": "f.txt",
        "ga.txt": None,  # brackets are letters like others
        "[g]a.txt": "h/[g]a.txt",
    }.items():
        hit = wanted.target(name)
        assert (hit and hit[1]) == place, name


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/passwd", "a\\..\\up", "C:/x", "//host/x"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    """Even where the member is not wanted: whoever made this archive means no good."""
    for content in (gzip.compress(tar({"ok": b"1", name: b"2"})), zipped({"ok": b"1", name: b"2"})):
        for members in (ALL, {"ok": "ok"}):
            with pytest.raises(Damaged, match=r"leads out of the folder|is called") as caught:
                extract(put(tmp_path, content), members, tmp_path / "in" / "out")
            assert "\n" not in str(caught.value)
    assert not (tmp_path / "in" / "up").exists()
    assert not (tmp_path / "up").exists()


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    content = zipped({"evil_txt": b"1"}).replace(b"evil_txt", b"evil\0txt")
    with pytest.raises(Damaged, match="is called"):
        extract(put(tmp_path, content), ALL, tmp_path / "out")


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (special("l", tarfile.SYMTYPE, "/etc/passwd"), "leads out"),
        (special("l", tarfile.SYMTYPE, "../secret"), "leads out"),
        (special("d/l", tarfile.SYMTYPE, "../../secret"), "leads out"),
        (special("l", tarfile.LNKTYPE, "../secret"), "leads out"),
        (special("l", tarfile.SYMTYPE, "missing"), "no wanted file"),
        (special("l", tarfile.CHRTYPE), "a device"),
        (special("l", tarfile.FIFOTYPE), "a device"),
    ],
    ids=["absolute", "up", "up-twice", "hard", "dangling", "device", "pipe"],
)
def test_links_and_devices_are_refused(tmp_path: Path, member: tarfile.TarInfo, words: str) -> None:
    (tmp_path / "secret").write_text("mine")
    path = put(tmp_path, gzip.compress(tar({"ok": b"1"}, member)))
    with pytest.raises(Damaged, match=words):
        extract(path, ALL, tmp_path / "out")
    assert extract(path, {"ok": ""}, tmp_path / "out") == {"ok": hashlib.sha256(b"1").hexdigest()}  # and ignored else
    assert not (tmp_path / "out" / "l").exists()


def test_a_link_inside_becomes_a_copy(tmp_path: Path) -> None:
    links = (special("d/l", tarfile.SYMTYPE, "../ok"), special("h", tarfile.LNKTYPE, "ok"))
    got = extract(put(tmp_path, tar({"ok": b"1"}, *links)), ALL, tmp_path / "out")
    assert set(got) == {"ok", "d/l", "h"}
    assert (tmp_path / "out/d/l").read_bytes() == b"1"
    assert not (tmp_path / "out/d/l").is_symlink()


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("l")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Damaged, match="is a link"):
        extract(put(tmp_path, out.getvalue()), ALL, tmp_path / "out")


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    twice = tar({"a": b"1"})[:1024] + tar({"a": b"2"})
    with pytest.raises(Damaged, match="twice"):
        extract(put(tmp_path, twice), ALL, tmp_path / "out")


@pytest.mark.parametrize("wanted", [ALL, {"nothing": ""}], ids=["wanted", "passed over"])
def test_bombs_are_stopped_while_they_are_unpacked(tmp_path: Path, wanted: dict[str, str]) -> None:
    """What a tar unpacks to counts even where its members are only passed over."""
    zeros = {"zeros": bytes(20_000_000)}
    limits = Limits(free=1 << 20)
    for content in (gzip.compress(tar(zeros), 9), lzma.compress(tar(zeros)), deb(zeros)):
        with pytest.raises(Damaged, match="300 times its size"):
            extract(put(tmp_path, content), wanted, tmp_path / "out", limits=limits)
    with pytest.raises(Damaged, match="more than 1,000,000 bytes"):
        extract(put(tmp_path, tar(zeros)), wanted, tmp_path / "out", limits=Limits(total=1_000_000))
    written = tmp_path / "out" / "zeros"
    assert not written.exists() or written.stat().st_size < 3_000_000


def test_bombs_in_zips_are_stopped(tmp_path: Path) -> None:
    path = put(tmp_path, zipped({"zeros": bytes(20_000_000)}))
    with pytest.raises(Damaged, match="300 times its size"):
        extract(path, ALL, tmp_path / "out", limits=Limits(free=1 << 20))
    lying = bytearray(zipped({"zeros": bytes(3_000_000)}))
    for at in (22, lying.index(b"PK\x01\x02") + 24):  # the header promises ten bytes
        lying[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(Damaged, match=r"cut short or changed|times its size"):
        extract(put(tmp_path, bytes(lying)), ALL, tmp_path / "out", limits=Limits(free=1000))


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    many = {f"{i}": b"" for i in range(20)}
    for content in (tar(many), zipped(many)):
        with pytest.raises(Damaged, match="more than 10 members"):
            extract(put(tmp_path, content), ALL, tmp_path / "out", limits=Limits(members=10))


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz", "txz", "deb", "deb-plain"])
def test_half_archives_are_damaged(tmp_path: Path, kind: str) -> None:
    noise = hashlib.shake_256(b"noise").digest(40_000)
    members = {"a": noise, "b": noise[::-1], "c": b"end"}
    content = {
        "zip": zipped(members),
        "tar": tar(members).rstrip(b"\0"),
        "tgz": gzip.compress(tar(members)),
        "txz": lzma.compress(tar(members)),
        "deb": deb(members),
        "deb-plain": deb(members, bytes, ""),
    }[kind]
    for share in (0.3, 0.7, 0.999):
        path = put(tmp_path, content[: int(len(content) * share)])
        with pytest.raises(Damaged, match=r"cut short or changed.*fetch it again"):
            extract(path, ALL, tmp_path / "out")


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    noise = hashlib.shake_256(b"noise").digest(40_000)
    for content in (zipped({"a": noise}), gzip.compress(tar({"a": noise}))):
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        with pytest.raises(Damaged, match="cut short or changed"):
            extract(put(tmp_path, bytes(changed)), ALL, tmp_path / "out")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"<html>not here</html>" * 500, b"PK\x03\x04", b"!<arch>\n", b"\x1f\x8b"]
)
def test_what_is_no_archive_is_damaged(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Damaged):
        extract(put(tmp_path, content), ALL, tmp_path / "out")


def test_a_deb_packed_with_zstd_is_opened_by_dpkg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, path = tmp_path / "inner.tar", put(tmp_path, deb({"a": b"1"}, lambda _: b"zstd", ".zst"))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(Damaged, match="needs dpkg-deb: install dpkg"):
        extract(path, ALL, tmp_path / "out")
    cat = shutil.which("cat", path="/usr/bin:/bin")
    program(tmp_path / "bin", "dpkg-deb", f'[ "$1 $2" = "--fsys-tarfile {path}" ] && exec {cat} {inner}')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    inner.write_bytes(tar({"a": b"1"}))
    assert set(extract(path, ALL, tmp_path / "out")) == {"a"}
    inner.write_bytes(tar({"a": b"1"})[:700])
    with pytest.raises(Damaged, match="cut short"):
        extract(path, ALL, tmp_path / "out")
