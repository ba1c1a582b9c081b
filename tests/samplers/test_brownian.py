"""The tree of noise: one path, the same whoever asks, with the law of Brownian motion in the clock it runs by."""

import math
from itertools import pairwise

import torch

from genloom.samplers.brownian import LEAST, BrownianTree, _clock

N = 40_000


def tree(seed: int = 0, n: int = N) -> BrownianTree:
    return BrownianTree(torch.zeros(n, dtype=torch.float64), seed)


def test_increments_are_standard_normal_and_independent() -> None:
    times = [1.0, 0.9, 0.5, 0.49, 0.1, 0.003]
    path = tree()
    steps = torch.stack([path(t, s) for t, s in pairwise(times)])
    assert torch.allclose(steps.std(1), torch.ones(5, dtype=torch.float64), atol=0.02)
    assert float((torch.corrcoef(steps) - torch.eye(5)).abs().max()) < 0.02
    assert float(steps.mean(1).abs().max()) < 0.02


def test_parts_add_up_to_the_whole_whoever_asks_first() -> None:
    def increment(path: BrownianTree, t: float, s: float) -> torch.Tensor:
        return path(t, s) * math.sqrt(_clock(s) - _clock(t))

    one, two = tree(1, 64), tree(1, 64)
    fine = [increment(one, t, s) for t, s in ((0.8, 0.7), (0.7, 0.55), (0.55, 0.5))]
    coarse = increment(two, 0.8, 0.5)
    assert torch.allclose(sum(fine), coarse, atol=1e-9)
    assert torch.equal(tree(1, 64)(0.3, 0.2), two(0.3, 0.2))  # after other questions, or as the first


def test_seeds_and_ends() -> None:
    assert not torch.equal(tree(1, 8)(0.6, 0.5), tree(2, 8)(0.6, 0.5))
    path = tree(0, 8)
    assert torch.equal(path.at(1.0), torch.zeros(8, dtype=torch.float64))
    assert torch.equal(path.at(0.0), path.at(LEAST))
    assert path(0.5, 0.0).isfinite().all()
    assert path(1.0, 0.999).isfinite().all()


def test_in_single_precision_small_steps_keep_their_size() -> None:
    path = BrownianTree(torch.zeros(N), 0)
    for t, s in ((1.0, 0.999), (0.999, 0.998), (0.5, 0.499), (0.01, 0.009), (0.002, 0.001)):
        assert abs(float(path(t, s).std()) - 1) < 0.03, (t, s)
