"""Packages of Debian and its kin: the installed files where they are there, else the package file, without root.

`apt-get download --print-uris` tells the address and the sha256 from apt's signed lists; `apt-get download` gets the
file where our own request is not let in, or apt has a way of its own (mirror+http:, tor+http:, cdrom:).
"""

from __future__ import annotations

import re
import shutil
import urllib.parse
from pathlib import Path

from genloom.data.fetch.clients import GETTING, Offer, ask, only_file
from genloom.data.fetch.entry import Apt
from genloom.data.fetch.trouble import Failed, need_network

ROOT = Path("/")


def client() -> str | None:
    """The command that starts apt-get; None where there is none."""
    return shutil.which("apt-get")


def offers(source: Apt) -> list[Offer]:
    """Where the package file lies; none where only apt itself knows how to get it. Needs no network."""
    command = client()
    if command is None:
        raise Failed("apt-get is not there: this is no Debian or Ubuntu")
    try:
        said = ask([command, "download", "--print-uris", "-qq", source.package])
    except Failed as error:
        raise Failed(f"{error}; `apt-get update` brings apt's lists up to date") from None
    found = []
    for address, filename, digest in re.findall(r"^'([^']+)' (\S+) \d+ ?(\S*)", said, re.MULTILINE):
        scheme = urllib.parse.urlsplit(address).scheme
        if scheme in ("http", "https", "file", "copy"):
            address = "file" + address.removeprefix("copy") if scheme == "copy" else address
            sha256 = digest.removeprefix("SHA256:") if digest.startswith("SHA256:") else ""
            found.append(Offer(address, urllib.parse.unquote(filename), sha256))
    return found


def download(source: Apt, folder: Path) -> Path:
    """The package file, fetched by apt itself into an empty folder; nothing is installed."""
    command = client()
    if command is None:
        raise Failed("apt-get is not there")
    need_network("apt")
    ask([command, "download", "-qq", source.package], cwd=folder, seconds=GETTING)
    return only_file(folder, "apt-get")


def installed(path: str) -> Path | None:
    """The file as the installed package has it, or None."""
    place = ROOT / path.lstrip("/")
    return place if place.is_file() else None
