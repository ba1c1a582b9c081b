"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004): F1 of shared words, word pairs and the longest common subsequence, by
rouge-score, the mean over texts. Of several references the one that scores best counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from genloom.errors import BadValue
from genloom.metrics.base import Result
from genloom.metrics.translation import FEWEST, RESAMPLES, check_pairs

CITATION = (
    "@inproceedings{lin2004rouge, title={{ROUGE}: A Package for Automatic Evaluation of Summaries}, author={Lin, "
    "Chin-Yew}, booktitle={Text Summarization Branches Out}, year={2004}}"
)
KINDS = (("rouge1", "ROUGE-1"), ("rouge2", "ROUGE-2"), ("rougeL", "ROUGE-L"))


class _Words:
    """Words in any script, in lower case: rouge-score's own tokenizer drops all but a-z and digits."""

    def tokenize(self, text: str) -> list[str]:
        import re

        return re.findall(r"\w+", text.lower())


def rouge(texts: Sequence[str], references: Sequence[Sequence[str]], *, seed: int = 0) -> list[Result]:
    """The three figures, 0 to 1, of texts against one or more references each. Raises BadValue, BadData.

    Words are those of rouge-score where all is ASCII, and runs of letters and digits of any script otherwise.
    """
    check_pairs(texts, references)
    try:
        from rouge_score import rouge_scorer
    except ImportError:
        raise BadValue('ROUGE needs rouge-score: pip install "genloom[text]"') from None
    plain = all(t.isascii() for t in texts) and all(r.isascii() for one in references for r in one)
    scorer = rouge_scorer.RougeScorer([k for k, _ in KINDS], tokenizer=None if plain else _Words())
    found = [_best(scorer, text, one) for text, one in zip(texts, references, strict=True)]
    turned = [_best(scorer, text, one) for text, one in zip(texts, [*references[1:], references[0]], strict=True)]
    results = []
    for i, (key, name) in enumerate(KINDS):
        values = np.array([row[i] for row in found])
        protocol: dict[str, Any] = {
            "rouge_score": version("rouge-score"),
            "stemmer": "no",
            "words": "a-z, 0-9" if plain else "letters and digits of any script",
            "measure": "F1",
            "references": max(map(len, references)),
            "interval": "none: few texts",
        }
        interval = None
        if len(values) >= FEWEST:
            interval = resampled(values, seed)
            protocol["interval"] = f"bootstrap over texts, 95%, {RESAMPLES} resamples, seed {seed}"
        if len(values) > 1:
            protocol["by_chance"] = round(float(np.mean([row[i] for row in turned])), 4)
        results.append(Result(key.lower(), name, float(values.mean()), interval, len(values), protocol, CITATION,
                              "higher"))  # fmt: skip
    return results


def resampled(values: np.ndarray[Any, Any], seed: int) -> tuple[float, float]:
    """The 95% percentile interval of the mean of independent values."""
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _best(scorer: Any, text: str, references: Sequence[str]) -> list[float]:
    scored = [scorer.score(r, text) for r in references if r.strip()]
    return [max(s[key].fmeasure for s in scored) for key, _ in KINDS]
