from dataclasses import replace

import pytest
import torch

from genloom.core import Field, Optimizer, Sampling, Step
from genloom.errors import BadData, BadValue
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.nets.reading import visible
from genloom.nets.transformer import norm

V, L = 11, 12
SPEC = {"text": Field("text", (L,), vocabulary=V)}
SMALL = GPTConfig(width=16, depth=3, heads=2, values=2, pairs=50)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ids(*shape: int) -> torch.Tensor:
    return torch.randint(V, shape, generator=generator(5))


@pytest.fixture(params=[50, 144, 0])
def model(request: pytest.FixtureRequest) -> GPT:
    """With a hashed, a complete and no pair table; weights that are zero at the start made random."""
    torch.manual_seed(0)
    model = GPT(replace(SMALL, pairs=request.param), SPEC).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(1)))
    return model


def test_cached_equals_uncached(model: GPT) -> None:
    x = ids(3, L)
    whole = model.network(x)
    for cuts in ([1] * L, [5, 1, 1, 3, 2], [L - 1, 1]):
        cache = model.network.cache(3)
        parts = [model.network(part, cache) for part in x.split(cuts, 1)]
        torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-4)


def test_nothing_sees_the_future(model: GPT) -> None:
    x = ids(2, L)
    y = x.clone()
    y[:, 7:] = (y[:, 7:] + 1) % V
    a, b = model.network(x), model.network(y)
    torch.testing.assert_close(a[:, :7], b[:, :7])
    assert not torch.allclose(a[:, 7:], b[:, 7:])


def test_every_earlier_token_matters(model: GPT) -> None:
    x = ids(1, L)
    last = model.network(x)[0, -1]
    for t in range(L):
        y = x.clone()
        y[0, t] = (y[0, t] + 1) % V
        assert not torch.allclose(model.network(y)[0, -1], last)


def test_norm_has_unit_variance() -> None:
    assert norm(torch.randn(5, 64, generator=generator())).square().mean(-1).allclose(torch.ones(5), atol=1e-3)


def test_likelihood_is_exact() -> None:
    """The probabilities of all texts of two tokens add up to one: nothing is left out, the first token neither."""
    model = GPT(SMALL, {"text": Field("text", (2,), vocabulary=V)}).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(2)))
    everything = torch.cartesian_prod(torch.arange(V), torch.arange(V))
    nll = model.nll({"text": everything}, generator=generator())
    assert nll.shape == (V * V,)
    torch.testing.assert_close((-nll).exp().sum(), torch.tensor(1.0))
    assert nll.std() > 0.1


def test_loss_is_the_mean_likelihood(model: GPT) -> None:
    batch = {"text": ids(4, L)}
    loss = model.loss(model.phases()[0], batch, Step(seed=0, rows=(0, 4, 4))).total
    torch.testing.assert_close(loss, model.nll(batch, generator=generator()).mean() / L)
    assert model.nll({"text": ids(0, L)}, generator=generator()).shape == (0,)


def test_blanked_tokens_tell_nothing_and_are_predicted(model: GPT) -> None:
    text = ids(4, L)
    blank = torch.zeros(4, L, dtype=torch.bool)
    blank[:, 3] = True
    changed = text.clone()
    changed[:, 3] = (text[:, 3] + 1) % V
    one, other = (model.surprise(t, blank_BL=blank) for t in (text, changed))
    behind = torch.arange(L) != 3
    torch.testing.assert_close(one[:, behind], other[:, behind])  # what follows does not know which token it was
    assert not torch.allclose(one[:, 3], other[:, 3])  # itself it counts
    assert not torch.allclose(one[:, 4:], model.surprise(text)[:, 4:])


def test_training_blanks_the_share_that_is_asked_for(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[torch.Tensor] = []
    blanking = GPT(replace(model.config, blank=0.3), SPEC).train()
    forward = blanking.network.forward
    monkeypatch.setattr(blanking.network, "forward", lambda x, **more: given.append(x) or forward(x, **more))
    text = ids(400, L)
    loss = blanking.loss(blanking.phases()[0], {"text": text}, Step(seed=0, rows=(0, 400, 400))).total
    assert loss.isfinite()
    blank = given[0][:, 1:] == blanking.start
    assert abs(blank.double().mean().item() - 0.3) < 0.02
    assert torch.equal(given[0][:, 1:][~blank], text[:, :-1][~blank])
    blanking.eval().loss(blanking.phases()[0], {"text": text}, Step(seed=0, rows=(0, 400, 400)))
    assert torch.equal(given[1][:, 1:], text[:, :-1])  # what is validated is the model as it is used


def test_embeddings_are_dropped_in_training_alone() -> None:
    dropping = GPT(replace(SMALL, embedding_dropout=0.5), SPEC)
    seen: list[torch.Tensor] = []
    dropping.network.blocks[0].register_forward_hook(lambda block, given, made: seen.append(given[0]))
    dropping.train().surprise(ids(2, L))
    dropping.eval().surprise(ids(2, L))
    assert abs((seen[0] == 0).double().mean().item() - 0.5) < 0.15
    assert not (seen[1] == 0).any()


def test_a_new_model_finds_all_tokens_alike() -> None:
    nll = GPT(SMALL, SPEC).eval().nll({"text": ids(2, L)}, generator=generator())
    torch.testing.assert_close(nll / L, torch.full((2,), float(V)).log())


def test_training_learns() -> None:
    torch.manual_seed(0)
    model = GPT(replace(SMALL, optimizer=Optimizer()), SPEC)
    text = torch.arange(L).repeat(8, 1).remainder(V)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for i in range(30):
        loss = model.loss(model.phases()[0], {"text": text}, Step(seed=i, rows=(0, 8, 8))).total
        optimizer.zero_grad()
        loss.backward()
        assert i == 0 or all(p.grad is not None for p in model.parameters())
        optimizer.step()
    assert loss < 0.3
    model.eval()
    out = model.sample(2, options=Sampling(temperature=0), generator=generator())["text"]
    assert torch.equal(out, text[:2])


@pytest.mark.parametrize("prompt", [0, 1, L - 1, L, 3 * L])
def test_sampling_follows_the_uncached_distribution(model: GPT, prompt: int) -> None:
    """Greedy decoding with the cache, over several windows, is the argmax of whole windows computed anew."""
    start = ids(2, prompt)
    out = model.sample(
        2, condition={"text": start}, options=Sampling(temperature=0, length=2 * L), generator=generator()
    )["text"]
    assert out.shape == (2, prompt + 2 * L)
    assert torch.equal(out[:, :prompt], start)
    for t in range(prompt, prompt + 2 * L):
        first = visible(t, L)
        assert 0 <= t - first < L
        window = torch.cat((torch.full((2, 1), model.start), out[:, first:t]), 1)
        logits = model.network(window)[:, -1]
        chosen = logits.gather(1, out[:, t : t + 1])[:, 0]
        torch.testing.assert_close(chosen, logits.amax(1), atol=1e-4, rtol=0)


def test_samples_match_the_spec_and_their_generator(model: GPT) -> None:
    state = torch.random.get_rng_state()
    first = model.sample(5, generator=generator(3))["text"]
    assert first.shape == (5, L)
    assert first.dtype == torch.int64
    assert 0 <= first.min() <= first.max() < V
    assert torch.equal(first, model.sample(5, generator=generator(3))["text"])
    assert not torch.equal(first, model.sample(5, generator=generator(4))["text"])
    assert torch.equal(state, torch.random.get_rng_state())
    assert model.sample(0, generator=generator())["text"].shape == (0, L)
    assert model.sample(0, options=Sampling(length=3), generator=generator())["text"].shape == (0, 3)


def test_stream_writes_what_sample_writes(model: GPT) -> None:
    options = Sampling(temperature=0.8, top_k=5, top_p=0.9, length=L + 3)
    prompt = ids(4)
    streamed = list(model.stream(prompt, options=options, generator=generator(6)))
    sampled = model.sample(1, condition={"text": prompt[None]}, options=options, generator=generator(6))["text"]
    assert all(t.ndim == 0 for t in streamed)
    assert [int(t) for t in streamed] == sampled[0, 4:].tolist()


def test_callback_sees_every_token(model: GPT) -> None:
    seen: list[tuple[object, object]] = []
    model.sample(
        1,
        options=Sampling(length=3),
        generator=generator(),
        callback=lambda c: seen.append((c["i"], tuple(c["x"].shape))),  # type: ignore[attr-defined]
    )
    assert seen == [(0, (1, 1)), (1, (1, 2)), (2, (1, 3))]


def test_errors(model: GPT) -> None:
    with pytest.raises(BadValue, match="prompts of shape"):
        model.sample(3, condition={"text": ids(2, 4)}, generator=generator())
    with pytest.raises(BadValue, match="own tokenizer"):
        model.sample(1, condition={"text": torch.tensor([[V]])}, generator=generator())
    with pytest.raises(BadValue, match="length"):
        model.sample(1, options=Sampling(length=0), generator=generator())
    with pytest.raises(BadValue, match=r"multiple of 2 \* config.heads"):
        GPT(replace(SMALL, width=18, heads=4), SPEC)
    with pytest.raises(BadValue, match=r"config.blank is a share"):
        GPT(replace(SMALL, blank=1.0), SPEC)
    with pytest.raises(BadData, match="choose other data"):
        GPT(SMALL, {"image": Field("image", (1, 8, 8))})
    with pytest.raises(BadData, match="at least 2 tokens"):
        GPT(SMALL, {"text": Field("text", (1,), vocabulary=5)})
