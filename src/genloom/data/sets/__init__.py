"""The data sets genloom knows by name: one file per kind, `registry` for all of them.

Each is an `Entry`: a card, pinned files with where they come from, and how its items are read, where genloom's recipes
can learn them. `genloom data list` shows them all, docs/guides/datasets.md says which routes were tried.
"""

from __future__ import annotations
