"""A small server, fake clients and entries that the tests of fetching share."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from genloom.data.dataset import Card
from genloom.data.fetch.entry import Archive, Entry, File

CARD = Card("A test set", "a server here", "MIT", "@misc{test}", "few")


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(*files: File | Archive, name: str = "try", restricted: str = "") -> Entry:
    return Entry(name, CARD, files, restricted)


@dataclass
class Server:
    """Files by path, and how it behaves. asked: (path, Range, headers) of each request; sent: bytes of bodies."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etags: bool = True
    cut: int = 0  # bytes after which the next answer breaks off
    cuts: int = 0  # how many answers break off
    codes: list[int] = field(default_factory=list)  # answers to give first
    kinds: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds before each answer
    sent: int = 0
    asked: list[tuple[str, str | None, dict[str, str]]] = field(default_factory=list)
    address: str = ""

    def __enter__(self) -> Server:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Any) -> None:
        wanted = request.headers.get("Range")
        self.asked.append((request.path, wanted, dict(request.headers)))
        time.sleep(self.delay)
        content = self.files.get(request.path)
        if self.codes or content is None:
            request.send_error(self.codes.pop(0) if self.codes else 404)
            return
        tag = f'"{sha(content)[:16]}"'
        start = 0
        if wanted and self.ranges and request.headers.get("If-Range", tag) == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(content) > 0:
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.send_header("Content-Type", self.kinds.get(request.path, "application/octet-stream"))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.etags:
            request.send_header("ETag", tag)
        request.end_headers()
        body = content[start:]
        if self.cuts:
            self.cuts -= 1
            body = body[: self.cut]
        self.sent += len(body)
        request.wfile.write(body)
        request.close_connection = True


def program(folder: Path, name: str, script: str) -> Path:
    """An executable shell script of that name in `folder`."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def first_on_path(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


class Told:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.moves: list[tuple[str, int, int | None]] = []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def moved(self, what: str, done: int, total: int | None, seconds: float, new: int) -> None:
        self.moves.append((what, done, total))
