"""Contrastive search (Su et al. 2022, arXiv:2202.06417, eq. 5): of the k likeliest tokens the one that maximises

    (1 - alpha) p(v | text) - alpha max_j cos(h_v, h_j)

where h_v is the model's vector of v, read as if it came next, and h_j are those of the text so far. Nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from genloom.core import CanContinue, Reading, Sampling
from genloom.errors import BadValue
from genloom.samplers.decoding.filters import Tally, penalised, penalises
from genloom.samplers.decoding.written import Chosen, Ended, never

USUAL = 5  # candidates where top_k is not given


def contrastive(
    model: CanContinue, prompts: Sequence[Tensor], length: int, options: Sampling, ended: Ended = never
) -> Iterator[Chosen]:
    """At most `length` tokens after each prompt, one text after another. Raises BadValue for models without vectors."""
    for row, prompt_L in enumerate(prompts):
        ids: list[int] = []
        for chosen in _one(model, prompt_L, length, options):
            ids.append(int(chosen.token_R))
            over = "stop" if ended(ids) else ""
            yield chosen._replace(rows=[row], over=[over])
            if over:
                break


def _one(model: CanContinue, prompt_L: Tensor, length: int, options: Sampling) -> Iterator[Chosen]:
    k = min(options.top_k or USUAL, model.vocabulary)
    alpha = options.decoding.alpha
    reading, logits_V = model.begin(prompt_L[None])
    logits_V = logits_V[0]
    known_TD = _vectors(reading)[0]
    tally = Tally.of([prompt_L], model.vocabulary) if penalises(options) else None
    for _ in range(length):
        probability_V = penalised(logits_V[None], tally, options)[0].softmax(-1)
        p_K, token_K = probability_V.topk(k)
        reading.select(torch.zeros(k, dtype=torch.int64, device=token_K.device))
        next_KV = reading.read(token_K[:, None])[:, -1]
        h_KD = _vectors(reading)[:, -1]
        like_K = (h_KD @ known_TD.T).amax(1) if len(known_TD) else torch.zeros_like(p_K)
        best = int(((1 - alpha) * p_K - alpha * like_K).argmax())
        token = token_K[best : best + 1]
        yield Chosen([0], token, logits_V[None], [""])
        reading.select(torch.tensor([best], device=token.device))
        if tally is not None:
            tally.add(token)
        known_TD = torch.cat((known_TD, h_KD[best : best + 1]))
        logits_V = next_KV[best]


def _vectors(reading: Reading) -> Tensor:
    if reading.vectors is None:
        raise BadValue("contrastive search compares vectors, and this model has none: choose another strategy")
    return F.normalize(reading.vectors.float(), dim=-1)
