"""GRPO: a language model learns from rewards of what it writes itself (Shao et al. 2024, arXiv:2402.03300).

To each prompt the model writes a group of answers. A reward model judges them; an answer's advantage is how much better
it is than its group (section 4.1.2). The clipped surrogate of PPO moves the model, held by an estimate of the
divergence from the frozen reference (eq. 3 and 4). What differs from the paper: the model may change by LoRA alone;
the surrogate is a mean over all tokens of the batch, not over answers first.

Rewards are learnt from preferences and can be cheated. So `parts` tells beside the reward what it should not cost: the
divergence from the reference, what the reference thinks of the answers (`known`, nats per token), and how many of
their pairs of tokens are distinct.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanJudge,
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
    derive_seed,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadValue
from genloom.models.autoregressive.gpt import GPT
from genloom.models.autoregressive.policy import Policy, Tuning, merged
from genloom.objectives.preference import advantage, clipped, kl_estimate

WRITTEN, BEFORE, GAIN = "written", "before", "gain"  # of a prepared batch: answers, their log p, their advantage


@dataclass(frozen=True)
class GRPOConfig:
    """group: answers to each prompt; replays: updates from one set of answers.
    kl: weight of the divergence from the reference; clip: how far a token's probability may move in one set's updates.
    temperature: at which answers are drawn.
    tuning: which weights may change, and how answers follow prompts.
    optimizer: how the changes are learnt.
    """

    group: int = 4
    replays: int = 2
    kl: float = 0.05
    clip: float = 0.2
    temperature: float = 1.0
    tuning: Tuning = Tuning(apart=False)
    optimizer: Optimizer = Optimizer("adamw", lr=1e-3, betas=(0.9, 0.95), warmup=0.1, decay="linear")


class GRPO(Model, CanSample, CanMerge):
    """A finished gpt that comes to write what a reward model likes."""

    Config = GRPOConfig
    uses = {"reference": GPT, "reward": CanJudge}
    citation = """@article{shao2024deepseekmath,
  title={{DeepSeekMath}: Pushing the Limits of Mathematical Reasoning in Open Language Models},
  author={Shao, Zhihong and Wang, Peiyi and Zhu, Qihao and others},
  journal={arXiv:2402.03300},
  year={2024}
}"""

    def __init__(self, config: GRPOConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        if config.group < 2 or config.replays < 1 or config.temperature <= 0:
            raise BadValue(
                "grpo compares answers of a group: expected config.group of 2 or more, replays of 1 or more and a "
                f"temperature above 0, got {config.group}, {config.replays} and {config.temperature}"
            )
        self.policy = Policy(cast(GPT, given["reference"]), config.tuning, spec, "grpo", asks=True)
        self.listens_to = self.policy.listens_to
        self.reward = given["reward"]
        self._held: tuple[int, Batch] | None = None  # a step's answers, for its further updates

    def players(self) -> tuple[Player, ...]:
        return (Player("adapters", ("policy.adapters.*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("reward", "adapters", repeat=self.config.replays, batch="same"),)

    def prepare(self, batch: Batch, step: Step) -> Batch:
        """Answers to the prompts, their log p and their advantage; a step's later updates get those of its first."""
        if step.repeat and self._held is not None and self._held[0] == step.index:
            return self._held[1]
        made = self._answered(batch[self.policy.prompt], step)
        self._held = (step.index, made)
        return made

    @torch.no_grad()
    def _answered(self, prompt_BP: Tensor, step: Step) -> Batch:
        group, policy = self.config.group, self.policy
        prompt = prompt_BP.repeat_interleave(group, 0)
        first = step.rows[0] * group
        seeds = [derive_seed(step.seed, "answer", first + i) for i in range(len(prompt))]  # by place in the whole batch
        generators = [torch.Generator(prompt.device).manual_seed(seed) for seed in seeds]
        options = Sampling(temperature=self.config.temperature)
        text = policy.answers(policy.questions(prompt), options, generators, policy.length).to(prompt.device)
        reward = cast(CanJudge, self.reward).judge(prompt, text).view(-1, group)
        ids, counts = policy.sequences(text, prompt)
        before = policy.logp(ids, counts)
        width = prompt.shape[1] + text.shape[1]  # rows of one width, whatever the longest answer
        return {
            policy.prompt: prompt_BP,
            WRITTEN: text.view(-1, group, text.shape[1]),
            BEFORE: nn.functional.pad(before, (0, width - before.shape[1])).view(-1, group, width),
            GAIN: advantage(reward),
            "worth": reward,
        }

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The mean over all tokens of the clipped surrogate and the weighted divergence (eq. 3)."""
        if WRITTEN not in batch:  # held-out prompts: the same answers each time
            batch = self._answered(batch[self.policy.prompt], step)
        policy, group = self.policy, self.config.group
        prompt, text = batch[policy.prompt].repeat_interleave(group, 0), batch[WRITTEN].flatten(0, 1)
        ids, counts = policy.sequences(text, prompt)
        logp, known = policy.logp(ids, counts), policy.logp(ids, counts, reference=True)
        before = batch[BEFORE].flatten(0, 1)[:, : ids.shape[1]]
        divergence = kl_estimate(logp, known) * counts
        surrogate = clipped(logp, before, batch[GAIN].flatten()[:, None], self.config.clip) * counts
        tokens = step.gather(counts.sum(1).float().view(-1, group).mean(1)).mean()
        total = (surrogate + self.config.kl * divergence).sum(1).mean() / tokens
        parts = {
            "worth": batch["worth"].mean(),
            "kl": (divergence.sum(1).mean() / tokens).detach(),
            "known": known.sum(1).mean() / tokens,
            "distinct": distinct_pairs(text, counts.sum(1)),
            "tokens": tokens,
        }
        return Loss(total, parts)

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


def distinct_pairs(text_BL: Tensor, tokens_B: Tensor) -> Tensor:
    """The share of neighbouring pairs of tokens, over all texts together, that are different ones."""
    own = torch.arange(text_BL.shape[1] - 1, device=text_BL.device) + 1 < tokens_B[:, None]
    pairs = torch.stack((text_BL[:, :-1], text_BL[:, 1:]), -1)[own]
    return torch.tensor(len(pairs.unique(dim=0)) / max(len(pairs), 1))
