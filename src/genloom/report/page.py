"""What every page shares: templates that refuse undefined names, and a file that is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import jinja2

from genloom.errors import Storage
from genloom.runs.files import storage, write_text


def environment() -> jinja2.Environment:
    """The templates of this package, escaping what they are given."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("genloom.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def put(page: str, path: str | os.PathLike[str]) -> Path:
    """Writes a page beside its place first and then renames it; folders are made. Returns the path. Raises Storage."""
    target = Path(path)
    try:
        with storage(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, page)
    except Storage as error:
        raise Storage(f"{error}: choose another place with --out") from error
    return target
