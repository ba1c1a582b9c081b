"""N-grams beside their equations written naively, and beside nltk where definitions agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from nltk.lm import KneserNeyInterpolated

from genloom.core import Field, Sampling, Step
from genloom.errors import BadValue, NotFound
from genloom.models.autoregressive.ngram import Ngram, NgramConfig

TEXT = "abracadabra, a cab; a bad crab dabbed a card. "
V, L, START = 70, 23, 70
SPEC = {"text": Field("text", (L,), vocabulary=V)}


def zipf(rows: int = 40) -> torch.Tensor:
    """Some tokens often, many once or never; each prefers the two after it."""
    g, out = torch.Generator().manual_seed(0), []
    for _ in range(rows):
        row = [0]
        for _ in range(L):
            weight = 1 / torch.arange(1.0, V + 1) ** 1.3
            weight[(row[-1] + 1) % V] += 0.7
            weight[(row[-1] + 2) % V] += 0.3
            row.append(int(torch.multinomial(weight, 1, generator=g)))
        out.append(row[1:])
    return torch.tensor(out)


IDS = zipf()
Gram = tuple[int, ...]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counted(config: NgramConfig, ids: torch.Tensor = IDS, parts: int = 5) -> Ngram:
    model = Ngram(config, SPEC)
    model.finish(({"text": part} for part in ids.split(parts)), Step(seed=0))
    return model


class Naive:
    """Kneser-Ney by loops over dictionaries. floor: p_0, or None for p_1 without discount, as nltk has it."""

    def __init__(self, order: int, discount: Any, floor: float | None) -> None:
        self.order, self.floor = order, floor
        windows = [(START, *row) for row in IDS.tolist()]
        raw: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
        for w in windows:
            for k in range(1, order + 1):
                raw[k].update(w[i - k + 1 : i + 1] for i in range(max(1, k - 1), len(w)))
        self.counts: list[dict[Gram, int]] = [{} for _ in range(order + 1)]
        for k in range(1, order + 1):
            before: dict[Gram, set[int]] = defaultdict(set)
            if k < order:
                for gram in raw[k + 1]:
                    before[gram[1:]].add(gram[0])
            for gram, n in raw[k].items():
                self.counts[k][gram] = n if k == order or gram[0] == START else len(before[gram])
        self.d = [self.discounts(k, discount) if k else None for k in range(order + 1)]

    def discounts(self, k: int, how: Any) -> tuple[float, float, float]:
        if isinstance(how, float):
            return how, how, how
        n = [sum(1 for c in self.counts[k].values() if c == i) for i in range(5)]
        y = n[1] / (n[1] + 2 * n[2])
        if how == "one":
            return y, y, y
        return 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]

    def p(self, token: int, history: Gram) -> float:
        k = len(history) + 1
        if k == 1 and self.floor is None:
            return self.counts[1].get((token,), 0) / sum(self.counts[1].values())
        followers = {g[-1]: n for g, n in self.counts[k].items() if g[:-1] == history}
        shorter = self.p(token, history[1:]) if k > 1 else self.floor
        assert shorter is not None
        if not followers:
            return shorter
        total = sum(followers.values())
        d = [0.0, *self.d[k], self.d[k][2]]
        off = {t: d[min(n, 3)] for t, n in followers.items()}
        own = max(followers[token] - off[token], 0) if token in followers else 0.0
        return own / total + sum(off.values()) / total * shorter

    def surprise(self, row: Iterable[int]) -> list[float]:
        text = (START, *row)
        return [self.p(text[t], text[max(0, t - self.order + 1) : t]) for t in range(1, len(text))]


@pytest.mark.parametrize("smoothing", ["kneser-ney", "modified-kneser-ney"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_kneser_ney_is_its_equations(order: int, smoothing: Any) -> None:
    config = NgramConfig(order=order, smoothing=smoothing)
    naive = Naive(order, "one" if smoothing == "kneser-ney" else "three", 1 / V)
    model = counted(config)
    new = torch.randint(V, (3, L), generator=generator())
    for row in (*IDS[:2], *new):
        expected = torch.tensor(naive.surprise(row.tolist()))
        torch.testing.assert_close((-model.surprise(row[None])[0]).exp(), expected, atol=1e-6, rtol=1e-5)


def test_kneser_ney_is_nltks() -> None:
    """nltk neither discounts single tokens nor leaves a share for unseen ones, and has no rule for a text's beginning.
    Elsewhere the definitions agree: so one long text, whose beginning comes again at its end."""
    order, d = 3, 0.1
    ids = [*IDS.flatten().tolist(), *IDS[0, :3].tolist()]
    grams = [[tuple(ids[i : i + k]) for i in range(len(ids) - k + 1)] for k in range(order + 1)]
    theirs = KneserNeyInterpolated(order, discount=d)
    words = [[tuple(chr(65 + i) for i in gram) for k in (1, 2, 3) for gram in grams[k]]]
    theirs.fit(words, vocabulary_text=map(chr, range(65, 65 + V)))
    naive = Naive.__new__(Naive)
    naive.order, naive.floor, naive.d = order, None, [None, (d, d, d), (d, d, d), (d, d, d)]
    before = [Counter(gram[1:] for gram in set(grams[k + 1])) for k in (1, 2)]
    naive.counts = [{}, *before, Counter(grams[3])]
    for t in range(2, 60):
        a, b, w = ids[t - 2 : t + 1]
        assert theirs.score(chr(65 + w), [chr(65 + a), chr(65 + b)]) == pytest.approx(naive.p(w, (a, b)))


@pytest.mark.parametrize("smoothing", ["kneser-ney", "modified-kneser-ney", "stupid-backoff"])
def test_probabilities_of_all_texts_add_up_to_one(smoothing: Any) -> None:
    spec = {"text": Field("text", (2,), vocabulary=V)}
    model = Ngram(NgramConfig(order=3, smoothing=smoothing), spec)
    model.finish([{"text": IDS[:, :2]}], Step(seed=0))
    everything = torch.cartesian_prod(torch.arange(V), torch.arange(V))
    nll = model.nll({"text": everything}, generator=generator())
    torch.testing.assert_close((-nll).exp().sum(), torch.tensor(1.0))
    assert nll.std() > 0.1


def test_stupid_back_off_is_its_equation() -> None:
    model = counted(NgramConfig(order=3, smoothing="stupid-backoff"))
    windows = [[START, *row] for row in IDS.tolist()]

    def count(*gram: int) -> int:
        return sum(w[i : i + len(gram)] == list(gram) for w in windows for i in range(len(w)))

    history = [0, 1]
    scores = []
    for w in range(V):
        if n := count(*history, w):
            scores.append(n / sum(count(*history, v) for v in range(V)))
        elif n := count(history[1], w):
            scores.append(0.4 * n / sum(count(history[1], v) for v in range(V)))
        else:
            scores.append(0.4**2 * count(w) / IDS.numel() if count(w) else 0.4**3 / V)
    expected = torch.tensor(scores) / sum(scores)
    got = model.begin(torch.tensor([[3, *history]]))[1][0].exp()
    torch.testing.assert_close(got, expected)


def test_reading_on_is_reading_at_once() -> None:
    model = counted(NgramConfig(order=4))
    text = torch.randint(V, (2, 40), generator=generator(3))
    reading, first = model.begin(text[:, :0])
    said = torch.cat([first[:, None], *(reading.read(p) for p in text.split([1, 5, 30, 4], 1))], 1)
    picked = said[:, :-1].gather(-1, text[..., None])[..., 0]
    torch.testing.assert_close(-picked, model.surprise(text))
    before = reading.read(text[:, :6])
    reading.forget(4)
    torch.testing.assert_close(reading.read(text[:, 2:6]), before[:, 2:])
    reading.select(torch.tensor([1, 1]))
    assert reading.read(text[:, :1]).shape == (2, 1, V)


def test_a_model_without_counts_finds_all_tokens_alike() -> None:
    model = Ngram(NgramConfig(), SPEC)
    torch.testing.assert_close(
        model.nll({"text": IDS}, generator=generator()) / L, torch.full((len(IDS),), float(V)).log()
    )
    model.finish([], Step(seed=0))
    assert model.nll({"text": IDS[:0]}, generator=generator()).shape == (0,)


def test_at_most_so_many_tokens_are_counted() -> None:
    few = counted(NgramConfig(tokens=2 * L), parts=1)
    torch.testing.assert_close(few.surprise(IDS), counted(NgramConfig(), IDS[:2]).surprise(IDS))


def test_it_writes_what_it_read() -> None:
    letters = sorted(set(TEXT))
    model = Ngram(NgramConfig(order=6), {"text": Field("text", (len(TEXT),), vocabulary=len(letters))})
    model.finish([{"text": torch.tensor([[letters.index(c) for c in TEXT]])}], Step(seed=0))
    prompt = torch.tensor([[letters.index(c) for c in "abracad"]])
    out = model.sample(1, condition={"text": prompt}, options=Sampling(temperature=0, length=4), generator=generator())[
        "text"
    ]
    assert "".join(letters[i] for i in out[0].tolist()) == "abracadabra"
    assert model.sample(2, generator=generator())["text"].shape == (2, len(TEXT))


def test_order_beyond_the_window() -> None:
    model = counted(NgramConfig(order=L + 9))
    assert torch.isfinite(model.surprise(IDS)).all()
    assert model.surprise(IDS).mean() < counted(NgramConfig(order=2)).surprise(IDS).mean()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"order": 0}, BadValue, "at least 1"),
        ({"discount": 1.0}, BadValue, "below 1"),
        ({"smoothing": "kneser"}, NotFound, "did you mean 'kneser-ney'"),
    ],
)
def test_errors(change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Ngram(replace(NgramConfig(), **change), SPEC)
