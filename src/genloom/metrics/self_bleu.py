"""Self-BLEU (Zhu et al. 2018): how much a model's texts resemble each other. High where they are all alike.

BLEU rises with the number of references, so the usual form, each text against all others, compares at one n only. Here
texts are put into groups of ten by a recorded seed, each is scored against the other nine of its group, and the groups'
means are independent: their mean does not depend on n, and Student's interval of it is honest. At most 50 groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from genloom.errors import BadValue
from genloom.metrics.base import Result
from genloom.metrics.ngrams import beside
from genloom.metrics.translation import sacrebleu_metrics

CITATION = (
    "@inproceedings{zhu2018texygen, title={Texygen: A Benchmarking Platform for Text Generation Models}, author={Zhu, "
    "Yaoming and Lu, Sidi and Zheng, Lei and Guo, Jiaxian and Zhang, Weinan and Wang, Jun and Yu, Yong}, "
    "booktitle={SIGIR}, year={2018}}"
)
GROUP = 10
MOST = 50  # groups


def group_means(texts: Sequence[str], *, seed: int = 0, unit: str = "word") -> list[float]:
    """For each group of ten texts the mean BLEU (0 to 100) of a text against the other nine.

    Raises BadValue for fewer than ten texts, or where sacrebleu is not installed.
    """
    if len(texts) < GROUP:
        raise BadValue(f"self-BLEU needs {GROUP} texts, got {len(texts)}: give more")
    metric = _metric(unit)
    order = np.random.default_rng(seed).permutation(len(texts)).tolist()
    means = []
    for start in range(0, min(len(texts) // GROUP, MOST) * GROUP, GROUP):
        group = [texts[i] for i in order[start : start + GROUP]]
        scores = [metric.sentence_score(text, group[:i] + group[i + 1 :]).score for i, text in enumerate(group)]
        means.append(sum(scores) / GROUP)
    return means


def self_bleu(texts: Sequence[str], *, seed: int = 0, unit: str = "word") -> float:
    """The mean over the groups."""
    means = group_means(texts, seed=seed, unit=unit)
    return sum(means) / len(means)


def self_bleu_result(texts: Sequence[str], held_out: Sequence[str], *, seed: int = 0, unit: str = "word") -> Result:
    """Of samples, beside that of held-out texts, where there are ten of those."""
    means = group_means(texts, seed=seed, unit=unit)
    value, k = sum(means) / len(means), len(means)
    interval = None
    if k >= 3:
        half = float(student.ppf(0.975, k - 1)) * float(np.std(means, ddof=1)) / k**0.5
        interval = (max(0.0, value - half), min(100.0, value + half))
    floor = self_bleu(held_out, seed=seed, unit=unit) if len(held_out) >= GROUP else None
    metric = _metric(unit)
    metric.sentence_score("a", ["a"])  # a signature wants to have seen references
    protocol: dict[str, Any] = {
        "groups": k,
        "texts_a_group": GROUP,
        "groups_seed": seed,
        "sacrebleu": str(metric.get_signature()).replace("nrefs:1", f"nrefs:{GROUP - 1}"),
        "interval": f"t, 95%, over {k} groups" if interval else "none: it takes three groups of ten texts",
        **({} if floor is None else beside(floor, len(held_out))),
    }
    return Result("self_bleu", "self-BLEU", value, interval, k * GROUP, protocol, CITATION)


def _metric(unit: str) -> Any:
    return sacrebleu_metrics().BLEU(effective_order=True, tokenize="13a" if unit == "word" else "char")
