"""DPO: preferences learnt directly, without a reward model (Rafailov et al. 2023, arXiv:2305.18290).

    loss = -log sigma(beta (log p(better)/q(better) - log p(worse)/q(worse)))                            (7)

p is the model, q the frozen one it began as; beta says how dear it is to leave q. What differs from the paper: the
model may change by LoRA alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanMerge,
    CanSample,
    DataSpec,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadValue
from genloom.models.autoregressive.gpt import GPT
from genloom.models.autoregressive.policy import Policy, Tuning, merged
from genloom.models.autoregressive.reward import WORSE, check_preferences
from genloom.objectives.preference import dpo


@dataclass(frozen=True)
class DPOConfig:
    """beta: how dear it is to leave the reference; small values allow more.
    tuning: which weights may change, and how answers follow prompts.
    optimizer: how the changes are learnt.
    """

    beta: float = 0.1
    tuning: Tuning = Tuning(apart=False)
    optimizer: Optimizer = Optimizer("adamw", lr=1e-3, betas=(0.9, 0.95), warmup=0.1, decay="cosine")


class DPO(Model, CanSample, CanMerge):
    """A finished gpt that comes to write what was preferred."""

    Config = DPOConfig
    uses = {"reference": GPT}
    citation = """@inproceedings{rafailov2023direct,
  title={Direct Preference Optimization: Your Language Model is Secretly a Reward Model},
  author={Rafailov, Rafael and Sharma, Archit and Mitchell, Eric and Ermon, Stefano and Manning, Christopher D. and
    Finn, Chelsea},
  booktitle={Advances in Neural Information Processing Systems},
  year={2023},
  eprint={2305.18290}
}"""

    def __init__(self, config: DPOConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        if config.beta <= 0:
            raise BadValue(f"config.beta must be above 0, got {config.beta}: at 0 no preference could be learnt")
        check_preferences(spec, "dpo")
        self.policy = Policy(cast(GPT, given["reference"]), config.tuning, spec, "dpo", asks=True)
        self.listens_to = self.policy.listens_to

    def players(self) -> tuple[Player, ...]:
        return (Player("adapters", ("policy.adapters.*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("prefer", "adapters"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """Equation 7. `right`: the share of pairs whose better answer gained more; `margin`: by how much, in nats;
        `chosen`: what the better answers' log p gained, which may fall while the margin grows."""
        prompt, both = batch[self.policy.prompt], []
        for text in (batch[self.policy.item], batch[WORSE]):
            ids, counts = self.policy.sequences(text, prompt)
            both.append([self.policy.logp(ids, counts, reference=r).sum(1) for r in (False, True)])
        (better, known_better), (worse, known_worse) = both
        margin = (better - known_better - worse + known_worse).detach()
        right = ((margin > 0).float() + 0.5 * (margin == 0).float()).mean()
        parts = {"right": right, "margin": margin.mean(), "chosen": (better - known_better).detach().mean()}
        return Loss(dpo(better, worse, known_better, known_worse, self.config.beta).mean(), parts)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """n answers to the prompts in `condition`, or to empty ones."""
        return self.policy.sample(n, condition, options, generator)

    def merged(self) -> tuple[str, dict[str, Tensor]]:
        return "reference", merged(self.policy)
