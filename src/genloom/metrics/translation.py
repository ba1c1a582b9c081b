"""BLEU (Papineni et al. 2002) and chrF (Popovic 2015) against references, by sacrebleu, with its signatures.

Both are figures of a whole corpus. Their interval is sacrebleu's bootstrap over segments, as its users know it. Beside
each stands what chance gives: every text against the references of the next one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from genloom.errors import BadData, BadValue
from genloom.metrics.base import Result

BLEU_CITATION = (
    "@inproceedings{post2018call, title={A Call for Clarity in Reporting {BLEU} Scores}, author={Post, Matt}, "
    "booktitle={WMT}, year={2018}}"
)
CHRF_CITATION = (
    "@inproceedings{popovic2015chrf, title={chrF: Character n-gram F-score for Automatic {MT} Evaluation}, "
    "author={Popovi\\'c, Maja}, booktitle={WMT}, year={2015}}"
)
RESAMPLES = 1_000
FEWEST = 10  # segments from which on a bootstrap over them is worth printing


def sacrebleu_metrics() -> Any:
    """The module sacrebleu.metrics. Raises BadValue in one line where it is not installed."""
    try:
        from sacrebleu import metrics
    except ImportError:
        raise BadValue('BLEU and chrF need sacrebleu: pip install "genloom[text]"') from None
    return metrics


def check_pairs(texts: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Raises BadValue or BadData unless every text has a reference."""
    if not texts or len(texts) != len(references):
        raise BadValue(f"expected references for each text, got {len(texts)} texts and {len(references)} references")
    missing = [i for i, one in enumerate(references) if not any(r.strip() for r in one)]
    if missing:
        raise BadData(f"{len(missing)} of {len(texts)} texts have no reference, the first is number {missing[0] + 1}")


def bleu(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Result:
    """Corpus BLEU, 0 to 100, of texts against one or more references each. Raises BadValue, BadData."""
    check_pairs(texts, references)
    return _scored("bleu", "BLEU", sacrebleu_metrics().BLEU, texts, references, BLEU_CITATION)


def chrf(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Result:
    """Corpus chrF2, 0 to 100, likewise."""
    check_pairs(texts, references)
    return _scored("chrf", "chrF", sacrebleu_metrics().CHRF, texts, references, CHRF_CITATION)


def _scored(
    key: str, name: str, make: Any, texts: Sequence[str], references: Sequence[Sequence[str]], citation: str
) -> Result:
    metric = make()
    streams = _streams(references)
    value = float(metric.corpus_score(list(texts), streams).score)
    interval = None
    signature = str(metric.get_signature())
    if len(texts) >= FEWEST:
        resampled = make()
        told = json.loads(resampled.corpus_score(list(texts), streams, n_bootstrap=RESAMPLES).format(
            is_json=True, signature=str(resampled.get_signature())))  # fmt: skip
        signature = told["signature"]
        mean, half = told.get("confidence_mean", value), told.get("confidence_var", 0.0)  # left out where all are 0
        low, high = mean - half, mean + half
        interval = (max(0.0, low), min(100.0, high))
    protocol: dict[str, Any] = {
        "sacrebleu": signature,
        "references": max(map(len, references)),
        "interval": f"sacrebleu's bootstrap over texts, 95%, {RESAMPLES} resamples" if interval else "none: few texts",
    }
    if len(texts) > 1:
        turned = [*references[1:], references[0]]
        protocol["by_chance"] = round(float(make().corpus_score(list(texts), _streams(turned)).score), 4)
    return Result(key, name, value, interval, len(texts), protocol, citation, "higher")


def _streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """References as sacrebleu takes them: one list for each place, None where a text has fewer."""
    most = max(map(len, references))
    return [[one[i] if i < len(one) else None for one in references] for i in range(most)]
