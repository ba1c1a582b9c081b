"""All figures of texts that need no model: of samples beside held-out text, and of texts beside their references."""

from __future__ import annotations

from collections.abc import Sequence

from genloom.errors import GenloomError
from genloom.metrics.base import Result
from genloom.metrics.distinct_n import distinct_results
from genloom.metrics.ngram_novelty import novelty_results
from genloom.metrics.ngrams import inner, unit_of, words_of
from genloom.metrics.rouge import rouge
from genloom.metrics.self_bleu import self_bleu_result
from genloom.metrics.translation import bleu, chrf


def of_texts(
    texts: Sequence[str], held_out: Sequence[str], source: str, notes: list[str], *, seed: int = 0
) -> list[Result]:
    """Distinct-1 to 4, self-BLEU and the novelty of runs of words.

    held_out: stretches of held-out text of about the same length; source: the training text. What cannot be measured
    is left out with a note.
    """
    unit = unit_of(held_out)
    mine, theirs = ([inner(words_of(t, unit)) for t in part] for part in (texts, held_out))
    results = distinct_results(mine, theirs, unit)
    try:
        between = " " if unit == "word" else ""
        both = ([between.join(words) for words in part] for part in (mine, theirs))
        results.append(self_bleu_result(*both, seed=seed, unit=unit))
    except GenloomError as error:
        notes.append(f"no self-BLEU: {error}")
    return results + novelty_results(mine, theirs, words_of(source, unit), unit)


def of_pairs(texts: Sequence[str], references: Sequence[Sequence[str]], *, seed: int = 0) -> list[Result]:
    """BLEU, chrF and ROUGE of texts that have references. Raises BadValue, BadData."""
    return [bleu(texts, references), chrf(texts, references), *rouge(texts, references, seed=seed)]
