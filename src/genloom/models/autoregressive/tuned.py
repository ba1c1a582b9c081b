"""Fine-tuning: a finished language model goes on learning, by low-rank changes (LoRA) or by changes of all its weights.

On plain texts it learns all tokens; on prompts with answers (instructions, Ouyang et al. 2022) the answers alone, given
their prompts. LoRA is Hu et al. 2021 (arXiv:2106.09685). What differs: the changed weights are computed once a step and
worn, which makes merging exact; all weights can change freely too (rank 0), beside the frozen ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanMerge,
    CanSample,
    DataSpec,
    HasLikelihood,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
)
from genloom.core.capabilities import Callback
from genloom.models.autoregressive.gpt import GPT
from genloom.models.autoregressive.policy import Policy, Tuning, merged


@dataclass(frozen=True)
class TunedConfig:
    """tuning: which weights may change, and how answers follow prompts.
    optimizer: how the changes are learnt.
    """

    tuning: Tuning = Tuning()
    optimizer: Optimizer = Optimizer("adamw", lr=2e-3, betas=(0.9, 0.95), warmup=0.05, decay="cosine")


class Tuned(Model, CanSample, CanMerge, HasLikelihood):
    """A finished gpt with learnt changes."""

    Config = TunedConfig
    uses = {"base": GPT}
    citation = """@inproceedings{hu2022lora,
  title={{LoRA}: Low-Rank Adaptation of Large Language Models},
  author={Hu, Edward J. and Shen, Yelong and Wallis, Phillip and Allen-Zhu, Zeyuan and Li, Yuanzhi and Wang, Shean and
    Wang, Lu and Chen, Weizhu},
  booktitle={International Conference on Learning Representations},
  year={2022},
  eprint={2106.09685}
}"""
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "exact"

    def __init__(self, config: TunedConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.policy = Policy(cast(GPT, given["base"]), config.tuning, spec, "tuned", asks=False)
        self.listens_to = self.policy.listens_to

    def players(self) -> tuple[Player, ...]:
        return (Player("adapters", ("policy.adapters.*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("tune", "adapters"),)

    def _logp(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """log p of each item, (B,), and how many tokens that is of."""
        ids, counts = self.policy.sequences(batch[self.policy.item], batch.get(self.policy.prompt))
        return self.policy.logp(ids, counts).sum(1), counts.sum(1)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The mean of -log p over all learnt tokens, in nats."""
        logp, tokens = self._logp(batch)
        return Loss(-logp.mean() / step.gather(tokens).float().mean())

    @torch.no_grad()
    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """-log p of each text, or of each answer and its end given its prompt, in nats, (B,). Exact."""
        return -self._logp(batch)[0]

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
        """n texts that begin with those in `condition`, or n answers to its prompts, or to empty ones."""
        policy = self.policy
        if policy.prompt:
            return policy.sample(n, condition, options, generator)
        with policy.tuned():
            return policy.base.sample(n, condition=condition, options=options, generator=generator, callback=callback)

    def merged(self) -> tuple[str, dict[str, Tensor]]:
        return "base", merged(self.policy)
