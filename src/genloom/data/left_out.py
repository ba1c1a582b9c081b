"""Classes that a model is not to learn (`--data.without`): their items all test, to see how it meets them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genloom.data.options import DataOptions
from genloom.data.splits import Rows
from genloom.errors import BadValue, unknown


def named(text: str, classes: Sequence[str], flag: str) -> tuple[int, ...]:
    """The numbers of the classes that `text` names, by name or number, several by semicolon; () for none.

    Raises NotFound for a class that is not there, BadValue where there are no classes.
    """
    words = [word.strip() for word in text.split(";") if word.strip()]
    if words and not classes:
        raise BadValue(
            f"{flag} {text}: these data have no classes (of a table --data.target names the column of classes): "
            "leave it out"
        )
    found = set()
    for word in words:
        if word in classes:
            found.add(list(classes).index(word))
        elif word.isdecimal() and int(word) < len(classes):
            found.add(int(word))
        else:
            raise unknown("class", word, classes)
    return tuple(sorted(found))


def leave_out(
    rows: Rows, labels: Tensor | None, classes: Sequence[str], options: DataOptions, notes: list[str]
) -> Rows:
    """The rows with every item of the classes of `options.without` moved to the test part.

    labels: the class of every stored item (N,), whether or not a model is told it. Raises NotFound or BadValue.
    """
    left = named(options.without, classes if labels is not None else (), "--data.without")
    if not left or labels is None:
        return rows
    out = torch.isin(labels, torch.tensor(left))
    kept, moved = [part[~out[part]] for part in rows], [part[out[part]] for part in rows]
    if not len(kept[0]) or not len(kept[1]):
        raise BadValue(f"--data.without {options.without} leaves nothing to learn: leave out fewer")
    names = ", ".join(classes[i] for i in left)
    notes.append(f"{sum(map(len, moved)):,} items of {names} are left out of training and validation; they all test")
    return kept[0], kept[1], torch.cat([kept[2], *(moved[i] for i in (2, 0, 1))])
