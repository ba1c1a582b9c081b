"""Every strategy against what can be computed by hand, on a model whose next token depends on the last one alone."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from chain import Chain, chain
from torch import Tensor

from genloom.core import Decoding, Field, Sampling
from genloom.errors import BadValue
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.samplers import decoding

NOTHING = torch.zeros(0, dtype=torch.int64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def log_p(model: Chain, ids: tuple[int, ...]) -> float:
    before = (model.vocabulary, *ids[:-1])
    return sum(float(model.logits[a].log_softmax(-1)[b]) for a, b in zip(before, ids, strict=True))


def gpt(**choices: int) -> GPT:
    torch.manual_seed(0)
    config = GPTConfig(**{"width": 16, "depth": 2, "heads": 2, "values": 1, "pairs": 50, **choices})
    model = GPT(config, {"text": Field("text", (12,), vocabulary=11)}).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.4 * torch.randn(p.shape, generator=generator(1)))
    return model


def test_beam_search_over_all_beginnings_finds_the_likeliest_text() -> None:
    model = chain()
    everything = sorted(itertools.product(range(4), repeat=4), key=lambda ids: -log_p(model, ids))
    options = Sampling(length=4, decoding=Decoding(strategy="beam", beams=64))
    from genloom.samplers.decoding.beam import beam

    found = beam(model, NOTHING, 4, options)
    assert [t.ids for t in found[:10]] == everything[:10]
    for one in found[:10]:
        assert one.score == pytest.approx(log_p(model, one.ids) / 4, abs=1e-5)
        assert sum(one.logprobs) == pytest.approx(log_p(model, one.ids), abs=1e-5)


def test_one_beam_is_greedy_and_more_are_no_worse() -> None:
    model = chain(8, seed=3)
    greedy = decoding.texts(model, [NOTHING], Sampling(length=9, temperature=0), generator())[0]
    scores = []
    for beams in (1, 2, 8):
        options = Sampling(length=9, decoding=Decoding(strategy="beam", beams=beams))
        one = decoding.texts(model, [NOTHING], options, generator())[0]
        scores.append(sum(one.logprobs))
        assert beams > 1 or one.ids == greedy.ids
    assert scores[0] <= scores[1] + 1e-6
    assert scores[0] < scores[2]


def test_beams_keep_their_own_cache() -> None:
    """The score of a beam that changed places many times is that of its text read at once."""
    model = gpt()
    options = Sampling(length=20, decoding=Decoding(strategy="beam", beams=5))
    prompt = torch.tensor([3, 1, 4])
    one = decoding.texts(model, [prompt], options, generator())[0]
    ids = torch.cat((prompt, torch.tensor(one.ids)))
    for t, logp in enumerate(one.logprobs, 3):
        assert float(model.begin(ids[None, :t])[1][0].log_softmax(-1)[ids[t]]) == pytest.approx(logp, abs=1e-4)


def test_diverse_beams_differ() -> None:
    model = chain(6, seed=2)
    from genloom.samplers.decoding.beam import beam

    def first_tokens(diversity: float) -> list[int]:
        d = Decoding(strategy="diverse-beam", beams=3, groups=3, diversity=diversity)
        return [t.ids[0] for t in beam(model, NOTHING, 1, Sampling(decoding=d))]

    assert len(set(first_tokens(0.0))) == 1  # groups that do not shun each other all find the same
    assert len(set(first_tokens(50.0))) == 3


def test_beams_end_at_stops_and_lengths_count() -> None:
    """Token 0 ends a text. A high power of the length prefers long texts."""
    model = chain(3, seed=1)
    from genloom.samplers.decoding.beam import beam

    def best(power: float) -> int:
        d = Decoding(strategy="beam", beams=6, length_penalty=power)
        found = beam(model, NOTHING, 8, Sampling(decoding=d), ended=lambda ids: ids[-1] == 0)
        assert all(t.why == ("stop" if t.ids[-1] == 0 else "length") for t in found)
        assert all(0 not in t.ids[:-1] for t in found)
        return len(found[0].ids)

    assert best(0.0) < best(8.0)


@pytest.mark.parametrize("choice", [{}, {"temperature": 0.7, "top_k": 3}, {"top_p": 0.8}, {"repetition": 1.5}])
def test_speculative_decoding_has_the_large_models_distribution(choice: dict[str, float]) -> None:
    """Texts of three tokens: frequencies with a bad drafter against probabilities computed token by token."""
    large, small = chain(4, seed=0), chain(4, seed=5)
    d = Decoding(draft=2, repetition=choice.get("repetition", 1.0))
    options = Sampling(length=3, decoding=d, **{k: v for k, v in choice.items() if k != "repetition"})  # type: ignore[arg-type]
    n = 1500
    texts = decoding.texts(large, [NOTHING] * n, options, generator(1), small=small)
    counts = torch.zeros(4, 4, 4)
    for one in texts:
        counts[one.ids] += 1
    expected = torch.zeros(4, 4, 4)
    for ids in itertools.product(range(4), repeat=3):
        p, tally = 1.0, decoding.filters.Tally.of([NOTHING], 4)
        for before, token in zip((4, *ids[:-1]), ids, strict=True):
            p *= float(decoding.shaped(large.logits[before][None], options, tally)[0].softmax(-1)[token])
            tally.add(torch.tensor([token]))
        expected[ids] = p
    assert expected.sum() == pytest.approx(1, abs=1e-4)
    assert not counts[expected == 0].any()
    rare = n * expected < 5  # counted together: the test needs a few of each kind
    observed, awaited = (torch.cat((t[~rare], t[rare].sum()[None])) for t in (counts, n * expected))
    chi = ((observed - awaited) ** 2 / awaited.clamp_min(1)).sum()
    assert chi < len(awaited) + 4 * math.sqrt(2 * len(awaited))


def test_speculative_greedy_is_greedy() -> None:
    large, small = gpt(), gpt(width=8, heads=1)
    prompts = [torch.tensor([1, 2]), NOTHING]
    options = Sampling(length=30, temperature=0)  # several windows
    plain = decoding.texts(large, prompts, options, generator())
    for drafter in (small, large):
        assert decoding.texts(large, prompts, options, generator(), small=drafter)[0].ids == plain[0].ids
    with pytest.raises(BadValue, match="same tokenizer"):
        decoding.texts(large, prompts, options, generator(), small=chain(4))


def test_contrastive_search_weighs_likeness() -> None:
    model = chain(6, seed=4)
    greedy = decoding.texts(model, [NOTHING], Sampling(length=8, temperature=0), generator())[0].ids

    def search(alpha: float) -> tuple[int, ...]:
        d = Decoding(strategy="contrastive", alpha=alpha)
        return decoding.texts(model, [NOTHING], Sampling(length=8, top_k=4, decoding=d), generator())[0].ids

    assert search(0.0) == greedy
    vectors = torch.nn.functional.normalize(model.vectors, dim=-1)
    ids = [6]  # by hand, at alpha 0.5
    for _ in range(8):
        p, candidates = model.logits[ids[-1]].softmax(-1).topk(4)
        like = (vectors[candidates] @ vectors[ids].T).amax(1)
        ids.append(int(candidates[(0.5 * p - 0.5 * like).argmax()]))
    assert list(search(0.5)) == ids[1:]
    assert (
        len(
            decoding.texts(
                gpt(), [NOTHING, NOTHING], Sampling(length=15, decoding=Decoding(strategy="contrastive")), generator()
            )
        )
        == 2
    )


def test_a_texts_draws_are_its_own() -> None:
    """With a generator for each, a text is the same beside any others, ragged or not, and when some end early."""
    model = gpt()
    prompts = [torch.tensor([1]), torch.tensor([5, 6, 7]), NOTHING, torch.tensor([2])]
    options = Sampling(length=18, temperature=0.9, decoding=Decoding(frequency=0.3))

    def ended(ids: object) -> bool:
        return ids[-1] in (1, 4)  # type: ignore[index]

    together = decoding.texts(model, prompts, options, [generator(i) for i in range(4)], ended=ended, top=0)
    for i, prompt in enumerate(prompts):
        alone = decoding.texts(model, [prompt], options, [generator(i)], ended=ended, top=0)[0]
        assert alone.ids == together[i].ids
        assert alone.why == together[i].why
        torch.testing.assert_close(torch.tensor(alone.logprobs), torch.tensor(together[i].logprobs), atol=1e-4, rtol=0)
    assert {t.why for t in together} == {"stop", "length"}


def test_logprobs_are_the_models_own() -> None:
    model = chain(5, seed=8)
    options = Sampling(length=6, temperature=0.5, top_k=2)
    one = decoding.texts(model, [torch.tensor([3])], options, generator(), top=3)[0]
    for before, token, logp, top in zip((3, *one.ids[:-1]), one.ids, one.logprobs, one.top, strict=True):
        own: Tensor = model.logits[before].log_softmax(-1)
        assert logp == pytest.approx(float(own[token]), abs=1e-5)
        assert [t for t, _ in top] == own.topk(3).indices.tolist()
        assert [v for _, v in top] == pytest.approx(own.topk(3).values.tolist(), abs=1e-5)


def test_overflow_is_refused_where_asked() -> None:
    model = gpt()
    refuse = Decoding(overflow="refuse")
    assert len(decoding.texts(model, [NOTHING], Sampling(length=12, decoding=refuse), generator())[0].ids) == 12
    with pytest.raises(BadValue, match=r"context of 12.*--overflow slide"):
        decoding.texts(model, [torch.tensor([1])], Sampling(length=12, decoding=refuse), generator())
    assert len(decoding.texts(model, [torch.tensor([1])], Sampling(length=12), generator())[0].ids) == 12


def test_repetition_penalty_repeats_less() -> None:
    model = chain(12, seed=6, spread=3.0)

    def kinds(repetition: float) -> int:
        options = Sampling(length=24, temperature=0, decoding=Decoding(repetition=repetition))
        return len(set(decoding.texts(model, [NOTHING], options, generator())[0].ids))

    assert kinds(1.0) < kinds(2.0)


def test_a_text_ends_as_often_as_the_model_leaves_its_grammar() -> None:
    """Token 0 has probability 0.75: a grammar of zeros, one at least, ends after each with probability 0.25."""

    class Zeros:
        start = 0

        def allowed(self, state: int, left: int) -> Tensor:
            return torch.tensor([left > 0, False])

        def follow(self, state: int, token: int) -> int:
            return 1

        def complete(self, state: int) -> bool:
            return state == 1

    model, n = Chain(torch.tensor([0.75, 0.25]).log().expand(3, 2)), 4000
    found = decoding.texts(model, [NOTHING] * n, Sampling(length=50), generator(), grammar=Zeros())
    assert {t.why for t in found} == {"grammar"}
    for k in (1, 2, 3):
        assert sum(len(t.ids) == k for t in found) / n == pytest.approx(0.25 * 0.75 ** (k - 1), abs=0.03)
    beam = Sampling(length=50, decoding=Decoding(strategy="beam", beams=2, length_penalty=0.0))
    assert decoding.texts(model, [NOTHING], beam, generator(), grammar=Zeros())[0].ids == (0,)
