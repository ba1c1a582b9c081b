import math

import pytest
import torch

from genloom.core import Decoding, Sampling
from genloom.errors import BadValue
from genloom.samplers import decoding

LOGITS = torch.tensor([[0.5, 0.2, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]).log()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def kept(logits: torch.Tensor) -> list[list[int]]:
    return [row.isfinite().nonzero().flatten().tolist() for row in logits]


def test_top_k() -> None:
    assert kept(decoding.top_k(LOGITS, 1)) == [[0], [3]]
    assert kept(decoding.top_k(LOGITS, 3)) == [[0, 1, 2], [1, 2, 3]]
    assert kept(decoding.top_k(LOGITS, 2)) == [[0, 1, 2], [2, 3]]  # equals of the last one stay
    for everything in (0, 4, 99):
        assert torch.equal(decoding.top_k(LOGITS, everything), LOGITS)
    some = decoding.top_k(LOGITS, 2)
    assert torch.equal(some[some.isfinite()], LOGITS[some.isfinite()])


def test_top_p() -> None:
    assert kept(decoding.top_p(LOGITS, 0.39)) == [[0], [3]]
    assert kept(decoding.top_p(LOGITS, 1e-9)) == [[0], [3]]
    assert kept(decoding.top_p(LOGITS, 0.65)) == [[0, 1], [2, 3]]
    assert kept(decoding.top_p(LOGITS, 0.95)) == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert torch.equal(decoding.top_p(LOGITS, 1.0), LOGITS)
    assert kept(decoding.top_p(decoding.top_k(LOGITS, 1), 0.9)) == [[0], [3]]  # after top-k nothing removed returns


def test_draw_has_the_right_frequencies() -> None:
    n = 40_000
    tokens = decoding.draw(LOGITS[:1].expand(n, -1), generator())
    share = tokens.bincount(minlength=4) / n
    assert (share - LOGITS[0].exp()).abs().max() < 4 * math.sqrt(0.25 / n)


def test_draw_never_takes_what_was_removed() -> None:
    logits = torch.full((5000, 50), -math.inf)
    logits[:, 7] = -200.0
    logits[:, 9] = -200.0
    assert set(decoding.draw(logits, generator()).tolist()) == {7, 9}


def test_draw_is_decided_by_its_generator() -> None:
    logits = torch.zeros(64, 30)
    state = torch.random.get_rng_state()
    first = decoding.draw(logits, generator(1))
    assert torch.equal(first, decoding.draw(logits, generator(1)))
    assert not torch.equal(first, decoding.draw(logits, generator(2)))
    assert torch.equal(state, torch.random.get_rng_state())


def test_temperature() -> None:
    greedy = decoding.next_token(LOGITS, Sampling(temperature=0), generator())
    assert greedy.tolist() == [0, 3]
    wide = LOGITS[:1].expand(20_000, -1)
    for temperature in (0.5, 2.0):
        tokens = decoding.next_token(wide, Sampling(temperature=temperature), generator())
        expected = (LOGITS[0] / temperature).softmax(-1)
        assert (tokens.bincount(minlength=4) / 20_000 - expected).abs().max() < 0.02
    both = decoding.next_token(wide, Sampling(temperature=1.5, top_k=3, top_p=0.3), generator())
    assert both.unique().tolist() == [0]


@pytest.mark.parametrize(
    "options",
    [
        Sampling(temperature=-1),
        Sampling(temperature=math.nan),
        Sampling(temperature=math.inf),
        Sampling(top_k=-1),
        Sampling(top_p=0),
        Sampling(top_p=1.1),
        Sampling(length=0),
    ],
)
def test_senseless_choices(options: Sampling) -> None:
    with pytest.raises(BadValue, match="must"):
        decoding.check(options)


def test_min_p() -> None:
    assert kept(decoding.min_p(LOGITS, 0.45)) == [[0], [1, 2, 3]]
    assert kept(decoding.min_p(LOGITS, 1.0)) == [[0], [3]]
    assert torch.equal(decoding.min_p(LOGITS, 0.0), LOGITS)


def test_typical() -> None:
    """Of 0.5, 0.2, 0.2, 0.1 (entropy 1.22 nats) the surprise of 0.2 is nearest to it, then that of 0.5, then 0.1's."""
    assert kept(decoding.typical(LOGITS[:1], 0.1)) == [[1]]
    assert kept(decoding.typical(LOGITS[:1], 0.39)) == [[1, 2]]
    assert kept(decoding.typical(LOGITS[:1], 0.85)) == [[0, 1, 2]]
    assert torch.equal(decoding.typical(LOGITS, 1.0), LOGITS)
    assert kept(decoding.typical(decoding.top_k(LOGITS[:1], 1), 0.9)) == [[0]]  # what was removed never returns


def test_penalties() -> None:
    from genloom.samplers.decoding.filters import Tally

    logits = torch.tensor([[2.0, -1.0, 0.5, 0.25]])
    tally = Tally.of([torch.tensor([0, 1])], 4)
    for token in (2, 2, 0):
        tally.add(torch.tensor([token]))
    changed = decoding.penalised(
        logits, tally, Sampling(decoding=Decoding(repetition=2.0, presence=0.5, frequency=0.25))
    )
    # 0: seen and written once; 1: of the prompt alone; 2: written twice; 3: new
    expected = torch.tensor([[2.0 / 2 - 0.5 - 0.25, -1.0 * 2, 0.5 / 2 - 0.5 - 0.5, 0.25]])
    torch.testing.assert_close(changed, expected)
    assert torch.equal(decoding.penalised(logits, None, Sampling()), logits)


@pytest.mark.parametrize(
    "choice",
    [
        {"strategy": "best"},
        {"min_p": 1.5},
        {"typical": 0},
        {"repetition": 0},
        {"presence": math.nan},
        {"beams": 0},
        {"strategy": "diverse-beam", "beams": 4, "groups": 3},
        {"alpha": 2},
        {"draft": 64},
        {"overflow": "cut"},
    ],
)
def test_senseless_decoding(choice: dict[str, object]) -> None:
    with pytest.raises(BadValue, match=str(next(iter(choice)) if len(choice) == 1 else "groups")):
        decoding.check(Sampling(decoding=Decoding(**choice)))  # type: ignore[arg-type]
