from dataclasses import replace
from pathlib import Path

import pytest
import torch

from genloom.cli.main import main
from genloom.core import Optimizer, Sampling, Step
from genloom.errors import BadData, BadValue
from genloom.modalities.ended import lengths
from genloom.models.autoregressive.seq2seq import Seq2Seq, Seq2SeqConfig
from genloom.testing import fake_answers, fake_text

SMALL = Seq2SeqConfig(width=32, heads=2, encoder=2, decoder=2, dropout=0.0, optimizer=Optimizer(lr=3e-3))
DATA = fake_answers()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model() -> Seq2Seq:
    """With weights that are zero at the start made random."""
    torch.manual_seed(0)
    model = Seq2Seq(SMALL, DATA.spec).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(1)))
    return model


def batch(n: int) -> dict[str, torch.Tensor]:
    return dict(DATA.train.batch(torch.arange(n)))


def test_padding_changes_nothing(model: Seq2Seq) -> None:
    """An answer's likelihood is the same alone, among longer ones, and behind more padding."""
    some = batch(5)
    some["text"][0, 2:] = model.end
    some["prompt"][0, 1:] = model.end
    together = model.nll(some, generator=generator())
    alone = torch.cat([model.nll({k: v[i : i + 1] for k, v in some.items()}, generator=generator()) for i in range(5)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-5)


def test_likelihoods_of_all_answers_add_up(model: Seq2Seq) -> None:
    """Of all texts of up to one token: the end alone, a token and an end, and those that go on."""
    ends = torch.full((model.vocabulary, model.length), model.end)
    ends[:, 0] = torch.arange(model.vocabulary)
    prompt = batch(1)["prompt"].expand(model.vocabulary, -1)
    nll = model.nll({"prompt": prompt, "text": ends}, generator=generator())
    assert (-nll).exp().sum() < 1
    going = ends.clone()
    going[:, 1] = 0
    first = model.nll({"prompt": prompt, "text": going}, generator=generator())
    assert not torch.allclose(first, nll)
    state = model.network(model.network.read(prompt[:1], lengths(prompt[:1], model.end)), torch.tensor([[model.start]]))
    probability = model.network.head(state[0, 0]).softmax(0)
    torch.testing.assert_close(probability[model.end], (-nll[model.end]).exp(), atol=1e-6, rtol=1e-4)


def test_greedy_answers_are_the_likeliest_next_tokens(model: Seq2Seq) -> None:
    """With the cache, batched, equals without, one by one."""
    prompt = batch(4)["prompt"]
    made = model.sample(4, condition={"prompt": prompt}, options=Sampling(temperature=0), generator=generator())["text"]
    assert made.shape == (4, model.length)
    for i in range(4):
        reading = model.network.read(prompt[i : i + 1], lengths(prompt[i : i + 1], model.end))
        before = [model.start]
        for token in made[i].tolist():
            logits = model.network.head(model.network(reading, torch.tensor([before])))[0, -1]
            assert logits[token] >= logits.max() - 1e-4
            before.append(token)
            if token == model.end:
                break


def test_nothing_follows_an_end(model: Seq2Seq) -> None:
    made = model.sample(40, generator=generator(2))["text"]
    for row in made.tolist():
        if model.end in row:
            assert set(row[row.index(model.end) :]) == {model.end}
    assert model.sample(0, generator=generator())["text"].shape == (0, model.length)


def test_it_learns_to_answer() -> None:
    torch.manual_seed(0)
    data = fake_answers(360)
    model = Seq2Seq(replace(SMALL, encoder=1, decoder=1, smoothing=0.0), data.spec)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for i in range(250):
        some = data.train.batch(torch.randint(len(data.train), (32,), generator=generator(i)))
        loss = model.loss(model.phases()[0], some, Step(seed=i, rows=(0, 32, 32))).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    held = data.test.batch(torch.arange(len(data.test)))
    made = model.sample(
        len(data.test), condition={"prompt": held["prompt"]}, options=Sampling(temperature=0), generator=generator()
    )["text"]
    assert (made == held["text"]).all(1).float().mean() > 0.9  # words it has not seen


def test_errors(model: Seq2Seq) -> None:
    with pytest.raises(BadData, match="seq2seq answers prompts, and this data set holds none"):
        Seq2Seq(SMALL, fake_text().spec)
    with pytest.raises(BadValue, match=r"multiple of config\.heads"):
        Seq2Seq(replace(SMALL, heads=3), DATA.spec)
    with pytest.raises(BadValue, match="one for each answer"):
        model.sample(2, condition={"prompt": batch(3)["prompt"]}, generator=generator())


def test_from_a_file_to_an_answer_and_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, runs = tmp_path / "a.tsv", str(tmp_path / "runs")
    file.write_text("".join(f"{a}{b}\t{b}{a}\n" for a in "abcdefgh" for b in "abcdefgh"), encoding="utf-8")
    train = [
        "train",
        "seq2seq",
        "--data",
        str(file),
        "--data.read",
        "answers",
        "--data.tokenizer",
        "char",
        "--runs",
        runs,
    ]
    small = ["--name", "s", "--budget", "40steps", "--batch", "16", "--width", "32", "--heads", "2", "--encoder", "1"]
    assert not main([*train, *small, "--decoder", "1", "--precision", "fp32"])
    assert "==" in next((tmp_path / "runs" / "s" / "samples").glob("*.txt")).read_text()
    capsys.readouterr()
    assert not main(["translate", "s", "--text", "ab", "--runs", runs])
    told = capsys.readouterr().out.strip()
    assert not main(["sample", "s", "--prompt", "ab", "--temperature", "0", "--runs", runs])
    assert capsys.readouterr().out.strip() == told
    assert main(["sample", "s", "--runs", runs]) == 2
    assert "this model answers prompts: give one with --prompt" in capsys.readouterr().err
    assert main(["sample", "s", "--prompt", "abcabc", "--runs", runs]) == 2
    assert "the prompt has 6 tokens, and this model reads 2" in capsys.readouterr().err
    assert not main(["evaluate", "s", "-n", "8", "--runs", runs])
    out = capsys.readouterr().out
    for figure in ("BLEU", "chrF", "ROUGE-L", "nats per token"):
        assert figure in out
