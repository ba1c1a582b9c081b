"""Molecules as token ids of SMILES: one id for each atom, bond, bracket and ring number (Schwaller et al. 2018).

The first id ends a molecule and fills its row; what the others stand for is the field's own (`Field.classes`), so that
ids need no tokenizer beside them. Whatever ids a model writes, they spell some string; whether it is a molecule is
another question (`chemistry.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from genloom.core import Column, Field

END = 0
ENDING = "<end>"
_TOKEN = re.compile(r"\[[^\[\]]+\]|Br|Cl|Si|Se|@@|%\d\d|[A-Za-z0-9()=#$:/\\.+\-~*@]")


def split(smiles: str) -> list[str] | None:
    """The tokens of a SMILES; None where it holds what is no SMILES."""
    found = _TOKEN.findall(smiles)
    return found if found and sum(map(len, found)) == len(smiles) else None


def field_of(length: int, tokens: Sequence[str]) -> Field:
    """The field of molecules of up to length - 1 tokens, which are sorted."""
    classes = (ENDING, *tokens)
    return Field("molecule", (length,), (0, len(classes) - 1), len(classes), classes, end=END, whole=True)


def property_field(column: Column) -> Field:
    """The field of a number that is told of each molecule, as a table's column has it."""
    return Field("vector", (column.width,), role="condition", columns=(column,))


def encode(tokens: Sequence[str], numbers: dict[str, int], length: int) -> list[int] | None:
    """The ids of a molecule, filled up with ends; None where it is too long or holds an unknown token."""
    if len(tokens) >= length or not all(t in numbers for t in tokens):
        return None
    return [numbers[t] for t in tokens] + [END] * (length - len(tokens))


def decode(ids: Iterable[int], classes: Sequence[str]) -> str:
    """The SMILES of ids, up to the first end."""
    out = []
    for one in ids:
        if one == END:
            break
        out.append(classes[one])
    return "".join(out)


def strings(items: np.ndarray, field: Field) -> list[str]:
    """The SMILES of items (n, L)."""
    return [decode(row, field.classes) for row in items.tolist()]
