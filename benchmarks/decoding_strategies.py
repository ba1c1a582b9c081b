"""What each way of decoding does to texts of one trained model: likelihood, diversity, repetition.

    GENLOOM_DATA=... python benchmarks/decoding_strategies.py [--budget 3m] [--texts 20] [--length 300]

Recipe `gpt` learns Tiny Shakespeare by character. Every strategy continues the same prompts (lines of the held-out text
that name who speaks), one text each. Measured on what was added:
  nats        per character under another model: modified Kneser-Ney of order 7, counted on the same training text; low
  is
              what is expected, and repetition is expected too
  own         per character under the model itself
  distinct_2  different pairs of words over all pairs; held-out text says what people reach
  self_bleu   how alike ten texts are, 0 to 100
  repeated    share of runs of four words that the same text has said before
`speculative` draws with a drafter of a quarter of the width, trained for a third of the time: `tokens_per_round`, and
its texts follow the same distribution as `temperature 1`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from typing import Any

import torch

import genloom
from _result import publish
from genloom.core import CanContinue, Decoding, HasLikelihood, Sampling, derive_seed
from genloom.data import load as load_data
from genloom.data.parts import TextSplit
from genloom.engine.load import Loaded, load
from genloom.metrics.distinct_n import distinct_n
from genloom.metrics.ngrams import grams, words_of
from genloom.metrics.self_bleu import self_bleu
from genloom.samplers import decoding

WAYS: dict[str, Sampling] = {
    "temperature 1": Sampling(),
    "temperature 0.7": Sampling(temperature=0.7),
    "top-k 10": Sampling(top_k=10),
    "top-p 0.9": Sampling(top_p=0.9),
    "min-p 0.1": Sampling(decoding=Decoding(min_p=0.1)),
    "typical 0.9": Sampling(decoding=Decoding(typical=0.9)),
    "frequency 0.02": Sampling(decoding=Decoding(frequency=0.02)),
    "greedy": Sampling(decoding=Decoding(strategy="greedy")),
    "greedy, repetition 1.2": Sampling(decoding=Decoding(strategy="greedy", repetition=1.2)),
    "beam 4": Sampling(decoding=Decoding(strategy="beam", beams=4)),
    "diverse beam 4, 2 groups": Sampling(decoding=Decoding(strategy="diverse-beam", beams=4, groups=2)),
    "contrastive 0.6, k 5": Sampling(top_k=5, decoding=Decoding(strategy="contrastive", alpha=0.6)),
}


def repeated(words: list[str]) -> float:
    """The share of runs of four words that stood in the text before."""
    runs = grams(words, 4)
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def surprise(model: CanContinue, prompts: list[torch.Tensor], texts: list[torch.Tensor]) -> float:
    """Mean nats of each added token under a model."""
    total, count = 0.0, 0
    for prompt, ids in zip(prompts, texts, strict=True):
        reading, first = model.begin(prompt[None])
        said = torch.cat((first[:, None], reading.read(ids[None, :-1])), 1)[0].log_softmax(-1)
        total -= float(said.gather(1, ids[:, None]).sum())
        count += len(ids)
    return total / count


def figures(texts: list[str]) -> dict[str, float]:
    """Of texts alone."""
    words = [words_of(t, "word") for t in texts]
    return {
        "distinct_2": distinct_n(words, 2),
        "self_bleu": self_bleu(texts),
        "repeated": sum(map(repeated, words)) / len(words),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="3m")
    parser.add_argument("--texts", type=int, default=20)
    parser.add_argument("--length", type=int, default=300)
    given = parser.parse_args()
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as root:

        def trained(recipe: str, budget: str, **fields: Any) -> Loaded:
            with torch.enable_grad():
                return load(genloom.train(recipe, data="tinyshakespeare", budget=budget, runs=root, **fields).run)

        loaded, judge = trained("gpt", given.budget), trained("ngram", "1m")
        third = f"{max(1, int(given.budget[:-1]) * (60 if given.budget.endswith('m') else 1) // 3)}s"
        small = trained("gpt", third if given.budget[-1] in "ms" and given.budget[-2].isdigit() else given.budget,
                        width=32, depth=2, heads=2)  # fmt: skip
        model, tokenizer = loaded.model, loaded.tokenizer
        assert isinstance(model, CanContinue)
        assert isinstance(model, HasLikelihood)
        assert isinstance(judge.model, CanContinue)
        assert isinstance(small.model, CanContinue)
        assert tokenizer is not None
        held_out = load_data(loaded.settings.data).validation
        assert isinstance(held_out, TextSplit)
        whole = tokenizer.decode(held_out.ids.tolist())
        speeches = [s for s in whole.split("\n\n") if ":\n" in s]
        stride = len(speeches) // given.texts
        names = [s.split("\n")[0] + "\n" for s in speeches[::stride]][: given.texts]
        prompts = [torch.tensor(tokenizer.encode(f"\n\n{name}")) for name in names]
        step = (len(whole) - given.length) // given.texts
        real = [whole[i * step : i * step + given.length] for i in range(given.texts)]
        real_ids = [torch.tensor(tokenizer.encode(text)) for text in real]
        nothing = [torch.zeros(0, dtype=torch.int64)] * given.texts
        rows: dict[str, Any] = {
            "held-out text": {
                "nats": surprise(judge.model, nothing, real_ids),
                "own": surprise(model, nothing, real_ids),
                **figures(real),
            }
        }
        for name, options in (*WAYS.items(), ("speculative", Sampling())):
            options = replace(options, length=given.length)
            own = [torch.Generator().manual_seed(derive_seed(0, name, i)) for i in range(given.texts)]
            begun = time.perf_counter()
            helper = small.model if name == "speculative" else None
            found = decoding.texts(model, prompts, options, own, small=helper)
            seconds = time.perf_counter() - begun
            ids = [torch.tensor(t.ids) for t in found]
            texts = [tokenizer.decode(t.ids) for t in found]
            rows[name] = {
                "nats": surprise(judge.model, prompts, ids),
                "own": surprise(model, prompts, ids),
                **figures(texts),
                "tokens_per_second": round(sum(map(len, ids)) / seconds, 1),
                "example": texts[0][:200],
            }
        settings = {"budget": given.budget, "texts": given.texts, "length": given.length, "machine_shared": True}
        command = f"python benchmarks/decoding_strategies.py --budget {given.budget} --texts {given.texts}"
        publish("decoding_strategies", settings | {"rows": rows}, f"{command} --length {given.length}")


if __name__ == "__main__":
    main()
