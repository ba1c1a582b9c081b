"""What the suite asks of models that continue a text."""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import CanContinue, Sampling
from genloom.samplers import decoding


def reads_on(model: CanContinue, ids_BL: Tensor) -> None:
    """AssertionError unless logits are those of reading at once, whatever is read step by step, selected and taken
    back, and texts written together are those written alone. ids_BL: three texts of at least seven tokens."""
    whole = [model.begin(ids_BL[:, :t])[1] for t in range(8)]
    reading, first = model.begin(ids_BL[:, :2])
    said = [first, *reading.read(ids_BL[:, 2:4]).unbind(1)]
    reading.read(ids_BL[:, :3])
    reading.forget(3)
    said += reading.read(ids_BL[:, 4:5]).unbind(1)
    rows = torch.tensor([2, 0, 0])
    reading.select(rows)
    said += reading.read(ids_BL[rows, 5:7]).unbind(1)
    for t, logits_BV in enumerate(said, 2):
        expected = whole[t] if t <= 5 else whole[t][rows]
        gap = (logits_BV.softmax(-1) - expected.softmax(-1)).abs().max().item()
        assert gap <= 1e-4, f"after {t} tokens, step by step and at once, probabilities differ by {gap:.2g}"
    greedy = Sampling(temperature=0, length=2 * ids_BL.shape[1])
    prompts = [ids_BL[0, :0], ids_BL[0, :1], ids_BL[1, :5]]
    together = decoding.texts(model, prompts, greedy, torch.Generator())
    for prompt, one in zip(prompts, together, strict=True):
        alone = decoding.texts(model, [prompt], greedy, torch.Generator())[0]
        assert alone.ids == one.ids, "the greedy text after a prompt depends on the prompts beside it"
