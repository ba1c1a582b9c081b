"""Models that stand on a finished language model: LoRA and full tuning, reward models, DPO, GRPO."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from genloom.cli.main import main
from genloom.core import Model, Step
from genloom.engine.load import load
from genloom.errors import BadData, BadValue
from genloom.models.autoregressive.dpo import DPO, DPOConfig
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.models.autoregressive.grpo import GRPO, GRPOConfig, distinct_pairs
from genloom.models.autoregressive.policy import Policy, Tuning, joined, merged
from genloom.models.autoregressive.reward import Reward, RewardConfig
from genloom.models.autoregressive.tuned import Tuned, TunedConfig
from genloom.nets.portable import LLAMA
from genloom.objectives.preference import advantage, bradley_terry, clipped, dpo, kl_estimate
from genloom.runs import find
from genloom.testing import Case, checks_of, fake_answers, fake_flowing

DATA = fake_answers(preferences=True)
TEXT = fake_flowing(DATA)
BASE = Case(GPT, GPTConfig(width=32, depth=2, heads=2, pairs=64), TEXT)
PORTABLE = GPTConfig(width=32, depth=2, heads=2, network="portable", portable=replace(LLAMA, key_heads=1))
REWARD = Case(Reward, RewardConfig(), DATA, given={"base": BASE})
CASES = {
    "lora": Case(Tuned, TunedConfig(), DATA, given={"base": BASE}),
    "lora on texts": Case(Tuned, TunedConfig(), TEXT, given={"base": BASE}),
    "full": Case(Tuned, TunedConfig(Tuning(rank=0, apart=False)), DATA, given={"base": BASE}),
    "reward": REWARD,
    "dpo": Case(DPO, DPOConfig(), DATA, given={"reference": BASE}),
    "grpo": Case(GRPO, GRPOConfig(), DATA, given={"reference": BASE, "reward": REWARD}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_contract(name: str) -> None:
    case = CASES[name]
    for check, hold in checks_of(case):
        if name in ("lora on texts", "full") and check not in ("players", "gradients", "samples", "likelihood"):
            continue  # the same class with other options
        hold(case)


def shaken(model: Model) -> Model:
    """Adapters that change something."""
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            if p.requires_grad:
                p.add_(0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(i)))
    return model.eval()


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("config", [BASE.config, PORTABLE], ids=["speedrun", "llama"])
def test_merged_equals_unmerged(rank: int, config: Any) -> None:
    case = Case(Tuned, TunedConfig(Tuning(rank, layers=("*",))), DATA, given={"base": replace(BASE, config=config)})
    model = shaken(case.build())
    assert isinstance(model, Tuned)
    batch = DATA.test.batch(torch.arange(8))
    policy = model.policy
    ids, counts = policy.sequences(batch["text"], batch["prompt"])
    own, before = policy.logp(ids, counts), policy.logp(ids, counts, reference=True)
    assert (own - before).abs().max() > 0.1
    alone = GPT(config, TEXT.spec).eval()
    role, weights = model.merged()
    alone.load_state_dict(weights)
    assert role == "base"
    torch.testing.assert_close(-alone.surprise(ids) * counts, own, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(policy.logp(ids, counts, reference=True), before)  # the base is as it was
    assert merged(policy).keys() == alone.state_dict().keys()


def test_only_adapters_learn() -> None:
    case = CASES["lora"]
    model = case.build()
    case.play(case.game(model), 0, 3)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, dict(case.build().named_parameters())[n])}
    assert moved
    assert all(n.startswith("policy.adapters.") for n in moved)
    assert sum(p.numel() for n, p in model.named_parameters() if "adapters" in n) == 2 * 2 * 8 * (32 + 32)


def test_answers_follow_prompts() -> None:
    prompt, text = torch.tensor([[1, 2, 9, 9], [9, 9, 9, 9]]), torch.tensor([[3, 9, 9], [4, 5, 6]])
    ids, counts = joined(prompt, text, 9, apart=True)
    assert ids.tolist() == [[1, 2, 9, 3, 9], [9, 4, 5, 6, 9]]
    assert counts.int().tolist() == [[0, 0, 0, 1, 1], [0, 1, 1, 1, 0]]
    ids, counts = joined(prompt, text, 9, apart=False)
    assert ids.tolist() == [[1, 2, 3, 9], [4, 5, 6, 9]]
    assert counts.int().tolist() == [[0, 0, 1, 1], [1, 1, 1, 0]]


def test_objectives() -> None:
    a, b, zero = torch.tensor([1.0]), torch.tensor([-1.0]), torch.zeros(1)
    torch.testing.assert_close(bradley_terry(a, b), torch.tensor([0.126928]))
    torch.testing.assert_close(dpo(a, b, zero, zero, 0.5), bradley_terry(0.5 * a, 0.5 * b))
    torch.testing.assert_close(dpo(a, b, a, b, 0.5), torch.tensor([2.0]).log())
    torch.testing.assert_close(advantage(torch.tensor([[1.0, 3.0], [2.0, 2.0]])), torch.tensor([[-1.0, 1], [0, 0]]))
    assert (kl_estimate(torch.randn(50), torch.randn(50)) >= 0).all()
    assert kl_estimate(a, a).item() == 0
    twice = torch.tensor([2.0]).log()  # a token became twice as likely: no more is gained beyond the clip
    assert clipped(twice, zero, a, 0.2).item() == pytest.approx(-1.2)
    assert clipped(twice, zero, b, 0.2).item() == pytest.approx(2.0)
    assert distinct_pairs(torch.tensor([[1, 2, 1, 2]]), torch.tensor([4])).item() == pytest.approx(2 / 3)


def test_replays_see_the_same_answers() -> None:
    case = CASES["grpo"]
    model = case.build()
    assert isinstance(model, GRPO)
    batch = DATA.train.batch(torch.arange(4))
    first = model.prepare(batch, Step(seed=1, index=3, rows=(0, 4, 4)))
    again = model.prepare(batch, Step(seed=2, index=3, repeat=1, rows=(0, 4, 4)))
    fresh = model.prepare(batch, Step(seed=2, index=4, rows=(0, 4, 4)))
    assert torch.equal(first["written"], again["written"])
    assert not torch.equal(first["written"], fresh["written"])
    half = model.prepare({k: v[2:] for k, v in batch.items()}, Step(seed=1, index=3, rows=(2, 4, 4)))
    assert torch.equal(first["written"][2:], half["written"])  # as a second process would draw them
    assert first["gain"].sum(1).abs().max() < 1e-5


def test_errors() -> None:
    base = BASE.build()
    with pytest.raises(BadValue, match=r"LoRA on '\*\.querry': there is no such layer, there are .*\*\.query"):
        Tuned(TunedConfig(Tuning(layers=("*.querry",))), DATA.spec, {"base": base})
    with pytest.raises(BadValue, match="or 0 to change all weights freely, got -1"):
        Tuned(TunedConfig(Tuning(rank=-1)), DATA.spec, {"base": base})
    with pytest.raises(BadData, match="dpo learns from preferences, and this data set holds none"):
        DPO(DPOConfig(), fake_answers().spec, {"reference": base})
    with pytest.raises(BadValue, match=r"config\.beta must be above 0"):
        DPO(DPOConfig(beta=0.0), DATA.spec, {"reference": base})
    with pytest.raises(BadValue, match="compares answers of a group"):
        GRPO(GRPOConfig(group=1), DATA.spec, {"reference": base, "reward": base})
    longer = {k: replace(f, shape=(f.shape[0] + 9,)) for k, f in DATA.spec.items()}
    with pytest.raises(BadData, match=r"lower --data\.context to 5"):
        Policy(base, Tuning(), longer, "lora", asks=True)  # type: ignore[arg-type]
    other = {k: replace(f, vocabulary=f.vocabulary + 1) for k, f in DATA.spec.items()}
    with pytest.raises(BadData, match="read it with that run's tokenizer"):
        Policy(base, Tuning(), other, "lora", asks=True)  # type: ignore[arg-type]


def test_from_preferences_to_a_merged_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through the command line: a gpt, a reward model, GRPO and DPO on it, merged and written with."""
    (tmp_path / "t.txt").write_text("ab AB\nba BA\n" * 200, encoding="utf-8")
    rows = [
        {"prompt": f"{a}{b}", "chosen": (a + b).upper(), "rejected": b + a}
        for a in "ab"
        for b in "ab"
        for _ in "123456"
    ]
    rows += [{"prompt": p, "chosen": p.upper(), "rejected": "b"} for p in ("aab", "aba", "abb", "baa", "bab", "bba")]
    pairs = tmp_path / "p.jsonl"
    pairs.write_text("".join(f"{json.dumps(r)}\n" for r in rows), encoding="utf-8")
    runs = ["--runs", str(tmp_path / "runs")]
    quick = ["--budget", "4steps", "--batch", "4", "--precision", "fp32", *runs]
    small = ["--width", "16", "--depth", "1", "--heads", "2", "--data.context", "16", "--data", str(tmp_path / "t.txt")]
    assert not main(["train", "gpt", "--name", "base", *small, *quick])
    told = ["--data", str(pairs), "--data.context", "8", *quick]
    assert not main(["train", "reward", "--name", "r", "--given", "base=base", *told])
    assert not main(["train", "grpo", "--name", "g", "--given", "reference=base", "--given", "reward=r", *told])
    assert not main(["train", "dpo", "--name", "d", "--given", "reference=base", *told])
    assert find("d", tmp_path / "runs").config["data"]["tokenizer"].endswith("base")
    capsys.readouterr()
    assert not main(["merge", "d", "--name", "m", *runs])
    assert not main(["sample", "m", "--prompt", "ab", "--length", "4", *runs])
    merged_model, tuned = load(find("m", tmp_path / "runs")), load(find("d", tmp_path / "runs"))
    assert isinstance(tuned.model, DPO)
    assert torch.equal(merged_model.model.state_dict()["network.head.weight"],
                       tuned.model.policy.base.network.head.weight)  # type: ignore[union-attr,arg-type]  # fmt: skip
    assert main(["merge", "base", *runs]) == 2
    assert "holds no changes to another model's weights" in capsys.readouterr().err
    assert not main(["sample", "g", "--prompt", "ab", *runs])
    assert not main(["evaluate", "d", "-n", "4", *runs])
