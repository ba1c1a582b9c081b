"""A page to judge samples by without knowing who made them, and what the votes that it collects amount to.

Every trial shows two items of hidden makers, a model and another or a model and real data; now and then the same item
twice, as a control. Which items meet, in which order and on which side is drawn from a seed that the page holds. The
makers' names stand in the page only in a key that is encoded, so that reading its source tells nothing by accident; it
hides nothing from somebody who decodes it. Votes are kept in the browser as a log that only grows, and are saved as
JSON. Intervals are exact (Clopper and Pearson), as `genloom compare --score` gives them too.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from genloom.errors import BadData, BadValue
from genloom.runs import write_text

REAL = "real items"
FORMAT = 1
MOST_TRIALS = 60
CONTROL_EVERY = 10  # every tenth trial shows one item twice
MOST_BYTES = 5_000_000


@dataclass(frozen=True)
class Item:
    """One thing to be judged: maker: its name; shown: PNG bytes, or text."""

    maker: str
    shown: bytes | str


@dataclass(frozen=True)
class Trial:
    """Two items by their number on the page; the same number twice is a control."""

    left: int
    right: int


def trials(makers: Sequence[str], seed: int, most: int = MOST_TRIALS) -> list[Trial]:
    """Trials over items whose makers are given in the order of their numbers: every pair of makers equally often, each
    maker on the left in half of its pair's trials, items in turn, the order drawn from `seed`, controls in between."""
    draw = random.Random(f"genloom blind {seed}")
    names = sorted(set(makers))
    stock = {name: [i for i, m in enumerate(makers) if m == name] for name in names}
    for numbers in stock.values():
        draw.shuffle(numbers)
    taken = dict.fromkeys(names, 0)

    def one(name: str) -> int:
        taken[name] += 1
        return stock[name][(taken[name] - 1) % len(stock[name])]

    meetings = list(itertools.combinations(names, 2))
    found: list[Trial] = []
    for turn in range(max(2, most // max(1, len(meetings)))):
        for a, b in meetings:
            first, second = (a, b) if turn % 2 == 0 else (b, a)
            found.append(Trial(one(first), one(second)))
    draw.shuffle(found)
    for place in range(CONTROL_EVERY // 2, len(found) + len(found) // CONTROL_EVERY, CONTROL_EVERY):
        same = draw.randrange(len(makers))
        found.insert(place, Trial(same, same))
    return found


def key_of(makers: Sequence[str], identity: str) -> str:
    """The makers of all items by number, encoded."""
    return base64.b64encode(_mask(json.dumps(list(makers)).encode(), identity)).decode()


def makers_of(key: str, identity: str) -> list[str]:
    """The inverse of `key_of`. Raises BadData for a key of something else."""
    try:
        names = json.loads(_mask(base64.b64decode(key, validate=True), identity))
    except (ValueError, UnicodeDecodeError) as e:
        raise BadData(f"the key of the votes cannot be read ({e}): save them from the page again") from e
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise BadData("the key of the votes holds no makers: save them from the page again")
    return names


def _mask(content: bytes, identity: str) -> bytes:
    """Each byte with one of the identity's, in turn, by exclusive or: its own inverse."""
    by = identity.encode() or b"-"
    return bytes(c ^ by[i % len(by)] for i, c in enumerate(content))


def write_page(items: Iterable[Item], path: Path, *, title: str, identity: str, seed: int) -> Path:
    """Writes the page: items are mixed, numbered and shown in `trials`. Raises BadData for fewer than two makers."""
    mixed = _fitting(list(items))
    random.Random(f"genloom items {seed}").shuffle(mixed)
    makers = [item.maker for item in mixed]
    if len(set(makers)) < 2:
        raise BadData("a page of blind trials needs items of two makers or more")
    data = {
        "format": FORMAT,
        "comparison": identity,
        "seed": seed,
        "title": title,
        "key": key_of(makers, identity),
        "items": [_shown(item) for item in mixed],
        "trials": [[t.left, t.right] for t in trials(makers, seed)],
    }
    content = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    page = files("genloom.compare").joinpath("blind.html").read_text(encoding="utf-8")
    write_text(path, page.replace("{{title}}", html.escape(title)).replace("{{data}}", content))
    return path


def _fitting(items: list[Item]) -> list[Item]:
    """As many items of each maker, in their order, as keep the page below MOST_BYTES; at least four."""
    stock: dict[str, list[Item]] = {}
    for item in items:
        stock.setdefault(item.maker, []).append(item)
    count = min(map(len, stock.values()), default=0)
    while count > 4 and sum(len(i.shown) for of in stock.values() for i in of[:count]) > MOST_BYTES * 3 // 4:
        count -= 1
    return [item for of in stock.values() for item in of[:count]]


def _shown(item: Item) -> dict[str, str]:
    if isinstance(item.shown, str):
        return {"text": item.shown}
    return {"src": "data:image/png;base64," + base64.b64encode(item.shown).decode()}


@dataclass(frozen=True)
class Score:
    """How often items of `a` were preferred to those of `b`: wins out of n; interval: 95%, exact, of the share."""

    a: str
    b: str
    wins: int
    n: int
    interval: tuple[float, float]


def exact(wins: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share by Clopper and Pearson; (0, 1) where nothing was tried."""
    if n == 0:
        return 0.0, 1.0
    low, high = binomtest(wins, n).proportion_ci(0.95, method="exact")
    return float(low), float(high)


def score(votes: Sequence[Mapping[str, Any]]) -> tuple[list[Score], Score]:
    """The scores of every pair of makers that met, over all files of votes together; and of the left side in controls.

    Only the first vote on a trial counts. Raises BadData for files that are no votes or of different comparisons.
    """
    if len({str(v.get("comparison")) for v in votes if isinstance(v, Mapping)}) > 1:
        raise BadValue("these votes are from different comparisons: score one comparison at a time")
    wins: dict[tuple[str, str], list[int]] = {}
    left = [0, 0]
    for one in votes:
        for first, second, chosen in _choices(one):
            if first is None or second is None:
                left[0] += chosen
                left[1] += 1
                continue
            a, b = sorted((first, second))
            if b == REAL or a == REAL:  # a model's name goes first: its share against real data is what is asked
                a, b = (b, a) if a == REAL else (a, b)
            tally = wins.setdefault((a, b), [0, 0])
            tally[0] += chosen if first == a else 1 - chosen
            tally[1] += 1
    found = [Score(a, b, w, n, exact(w, n)) for (a, b), (w, n) in sorted(wins.items())]
    return found, Score("left", "right", left[0], left[1], exact(left[0], left[1]))


def _choices(votes: Mapping[str, Any]) -> list[tuple[str | None, str | None, int]]:
    """(left maker, right maker, 1 where the left was chosen) of each first vote; makers are None in a control."""
    try:
        if votes["format"] != FORMAT:
            raise BadValue(f"these votes have format {votes['format']!r}, expected {FORMAT}: save them again")
        makers = makers_of(str(votes["key"]), str(votes["comparison"]))
        seen: set[int] = set()
        found: list[tuple[str | None, str | None, int]] = []
        for vote in votes["log"]:
            if int(vote["trial"]) in seen:
                continue
            seen.add(int(vote["trial"]))
            left, right = int(vote["left"]), int(vote["right"])
            if vote["chosen"] not in ("left", "right") or not 0 <= min(left, right) <= max(left, right) < len(makers):
                raise BadData(f"vote {vote} is none that the page makes: save the votes from the page again")
            chosen = int(vote["chosen"] == "left")
            same = left == right
            found.append((None, None, chosen) if same else (makers[left], makers[right], chosen))
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise BadData(f"this file holds no votes of a page of blind trials ({type(e).__name__}: {e})") from e
    return found
