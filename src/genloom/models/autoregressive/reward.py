"""A reward model: how good an answer is, learnt from which of two people preferred (Ouyang et al. 2022,
arXiv:2203.02155, section 3.5).

    P(better beats worse) = sigma(r(better) - r(worse))                      (Bradley and Terry 1952)

r is a linear function of the language model's vector at the answer's last token. What differs from the paper: the
language model changes by LoRA alone, and one pair is compared at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from genloom.core import Batch, CanJudge, DataSpec, Loss, Model, Optimizer, Phase, Player, Step
from genloom.errors import BadData
from genloom.models.autoregressive.gpt import GPT
from genloom.models.autoregressive.policy import Policy, Tuning
from genloom.objectives.preference import bradley_terry

WORSE = "rejected"


@dataclass(frozen=True)
class RewardConfig:
    """tuning: which weights may change, and how answers follow prompts.
    optimizer: how changes and head are learnt.
    """

    tuning: Tuning = Tuning(apart=False)
    optimizer: Optimizer = Optimizer("adamw", lr=2e-3, betas=(0.9, 0.95), warmup=0.05, decay="cosine")


def check_preferences(spec: DataSpec, who: str) -> None:
    """Raises BadData where the data holds no worse answers."""
    if WORSE not in spec:
        raise BadData(
            f"{who} learns from preferences, and this data set holds none: choose a .jsonl with prompt, chosen and "
            "rejected in each line, or --data.read preferences"
        )


class Reward(Model, CanJudge):
    """A finished gpt with a number in the place of the next token."""

    Config = RewardConfig
    uses = {"base": GPT}
    citation = """@inproceedings{ouyang2022training,
  title={Training Language Models to Follow Instructions with Human Feedback},
  author={Ouyang, Long and Wu, Jeffrey and Jiang, Xu and others},
  booktitle={Advances in Neural Information Processing Systems},
  year={2022},
  eprint={2203.02155}
}"""

    def __init__(self, config: RewardConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        check_preferences(spec, "reward")
        self.policy = Policy(cast(GPT, given["base"]), config.tuning, spec, "reward", asks=True)
        self.head = nn.Linear(self.policy.base.config.width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def players(self) -> tuple[Player, ...]:
        return (Player("judge", ("policy.adapters.*", "head.weight"), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("prefer", "judge"),)

    def judge(self, prompt: Tensor, text: Tensor) -> Tensor:
        policy = self.policy
        ids, counts = policy.sequences(text, prompt)
        last = (counts * torch.arange(1, ids.shape[1] + 1, device=ids.device)).argmax(1)
        with policy.tuned():  # the vector after the last token: from it the next one would be predicted
            after = policy.states(nn.functional.pad(ids, (0, 1), value=policy.end))
        return self.head(after[torch.arange(len(ids)), last + 1])[:, 0]

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """-log of the probability of the preference; `right`: the share of pairs that are put in their order."""
        prompt = batch[self.policy.prompt]
        better, worse = self.judge(prompt, batch[self.policy.item]), self.judge(prompt, batch[WORSE])
        right = ((better > worse).float() + 0.5 * (better == worse).float()).mean()
        return Loss(bradley_terry(better, worse).mean(), {"right": right.detach()})
