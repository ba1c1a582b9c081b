"""`genloom cite`: BibTeX for exactly what was used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from genloom import __version__
from genloom.errors import NotFound, unknown
from genloom.verbs.opened import AnyRun, find_run


@dataclass(frozen=True)
class Citation:
    """BibTeX entries: of genloom, and of the model and data of a run or recipe. notes: what each is for."""

    entries: tuple[str, ...]

    def to_json(self) -> dict[str, list[str]]:
        """{"bibtex": [entry, ...]}"""
        return {"bibtex": list(self.entries)}

    def __str__(self) -> str:
        return "\n\n".join(self.entries)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return f"```bibtex\n{self}\n```"


def genloom_entry() -> str:
    """The entry of this software."""
    return (
        "@software{genloom,\n  title = {genloom: generative models from your own data},\n"
        f"  author = {{The genloom authors}},\n  version = {{{__version__}}}\n}}"
    )


def cite(run: AnyRun = None, runs: str | Path = "runs") -> Citation:
    """BibTeX of genloom, and of the model (and the data) behind a run, a recipe or a recipe file.

    Raises NotFound where neither a recipe nor a run has that name.
    """
    from genloom import data as sets
    from genloom.models.registry import model_class
    from genloom.recipes import files, registry
    from genloom.runs import list_runs

    if run is None:
        return Citation((genloom_entry(),))
    names = {e.name for e in registry.entries()}
    if isinstance(run, str) and (run in names or files.is_file(run)):
        _, recipe = files.resolve(run)
        model, source = recipe.model, ""
    else:
        try:
            config = find_run(run, runs).config
        except NotFound as error:
            text = str(run)
            if "/" in text or os.sep in text or text.isdigit():
                raise
            known = {*names, *(r.name for r in list_runs(runs))}
            raise unknown("recipe or run", text, known) from error
        model, source = config["model"], (config.get("data") or {}).get("source", "")
    found = [genloom_entry(), model_class(model).citation.strip()]
    card = sets.catalogue().get(source)
    if card is not None and card.citation:
        found.append(card.citation.strip())
    return Citation(tuple(found))
