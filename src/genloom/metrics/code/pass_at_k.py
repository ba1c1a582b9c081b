"""pass@k: the probability that at least one of k candidates passes all tests of its task (Chen et al. 2021,
arXiv:2107.03374).

From n candidates of which c pass, 1 - C(n - c, k) / C(n, k) estimates it without bias (their eq. 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from genloom.errors import BadValue
from genloom.metrics.base import Result

CITATION = """@article{chen2021evaluating,
  title={Evaluating Large Language Models Trained on Code},
  author={Chen, Mark and others},
  journal={arXiv:2107.03374},
  year={2021}
}"""


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The estimate for one task. Raises BadValue where it cannot be estimated."""
    if not 1 <= k <= n or not 0 <= passed <= n:
        raise BadValue(f"pass@{k} needs at least {k} candidates, of which 0 to n pass; got n = {n}, passed = {passed}")
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)


def mean_pass_at_k(passed: Sequence[int], n: int, k: int) -> Result:
    """The mean over tasks of which `passed` of n candidates pass, with a 95% interval over tasks."""
    each = np.array([pass_at_k(n, c, k) for c in passed])
    half = 1.96 * each.std(ddof=1) / math.sqrt(len(each)) if len(each) > 1 else math.nan
    low, high = max(0.0, float(each.mean() - half)), min(1.0, float(each.mean() + half))
    return Result(
        f"pass_{k}", f"pass@{k}", float(each.mean()), (low, high) if len(each) > 1 else None, len(each),
        {"candidates": n, "interval": "normal, over tasks"}, CITATION, "higher",
    )  # fmt: skip
