"""What a model promises by each capability that it declares. The first line of each docstring is the promise."""

from __future__ import annotations

import torch

from genloom.core import (
    Batch,
    CanContinue,
    CanDecode,
    CanEncode,
    CanSample,
    CanStream,
    HasCodes,
    HasLikelihood,
    Model,
    Sampling,
)
from genloom.engine.preview import resting
from genloom.testing.case import Case, dice, draw
from genloom.testing.continuing import reads_on

SHAKE = 0.2  # deviation of the noise on weights by which a young model shows what it hears
HEARD = 8  # items that are compared then


def check_samples(case: Case) -> None:
    """Samples of n = 0, 1 and 3 fit the specification; the same generator gives the same ones, another does not."""
    model = case.build()
    case.play(case.game(model), 0, 3)
    field = case.dataset.spec[case.item]
    for n in (0, 1, 3):
        drawn = draw(model, n)[case.item]
        assert len(drawn) == n, f"asked for {n} items, got {len(drawn)}"
        if not field.vocabulary:
            assert tuple(drawn.shape[1:]) == field.shape, f"samples are {tuple(drawn.shape[1:])}, data {field.shape}"
            assert drawn.dtype == torch.float32, f"samples are {drawn.dtype}"
            low, high = field.range
            assert n == 0 or (drawn.min() >= low and drawn.max() <= high), "samples leave the range of the data"
        else:
            assert not drawn.is_floating_point(), "token ids are integers"
            assert n == 0 or (drawn.min() >= 0 and drawn.max() < field.vocabulary), "tokens outside the vocabulary"
    once, again, other = draw(model, 3), draw(model, 3), draw(model, 3, seed=2)
    assert torch.equal(once[case.item], again[case.item]), "the same generator gives different samples"
    assert not torch.equal(once[case.item], other[case.item]), "another generator gives the same samples"


def check_listening(case: Case) -> None:
    """Samples depend on the condition fields that the model says it listens to, and on no others."""
    model = case.build()
    case.play(case.game(model), 0, 3)
    assert isinstance(model, CanSample)
    known = [name for name, field in case.dataset.spec.items() if field.role == "condition"]
    for name in model.listens_to:
        assert name in known, f"it says it listens to {name!r}, the data's conditions are {known}"
    # weights that begin at zero, and too few steps to move a word, hide what is heard
    with torch.no_grad():
        noise = dice()
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=noise), alpha=SHAKE)
    for name in known:
        heard, said = _hears(case, model, name), name in model.listens_to
        assert heard == said, f"samples {'depend' if heard else 'do not depend'} on {name!r}; listens_to says otherwise"


def _hears(case: Case, model: Model, name: str) -> bool:
    """Whether samples of the same draws differ between two values that items have of a condition field."""
    values = case.dataset.train.batch(torch.arange(len(case.dataset.train)))[name]
    other = values[(values != values[0]).flatten(1).any(1) if values.ndim > 1 else values != values[0]]
    assert len(other), f"all items have the same {name!r}: nothing tells whether a model listens to it"
    drawn = [_told(model, {name: value[None].expand(HEARD, *value.shape)}) for value in (values[0], other[0])]
    return any(not torch.equal(drawn[0][k].nan_to_num(), drawn[1][k].nan_to_num()) for k in drawn[0] if k != name)


def _told(model: Model, condition: Batch) -> Batch:
    assert isinstance(model, CanSample)
    with resting(model):
        options = Sampling(length=6, steps=2)  # a difference shows after two steps as after a thousand
        return model.sample(HEARD, condition=condition, options=options, generator=dice())


def check_latents(case: Case) -> None:
    """Latents drawn from the prior decode to items, the same latents to the same items."""
    model = case.build()
    assert isinstance(model, CanDecode)
    with resting(model):
        z = model.prior(3, generator=dice())
        first, second = (dict(model.decode(z))[case.item] for _ in range(2))
    assert len(z) == 3, f"asked for 3 latents, got {len(z)}"
    assert tuple(first.shape) == (3, *case.dataset.spec[case.item].shape), f"decoded {tuple(first.shape)}"
    assert torch.equal(first, second), "the same latents give different items"


def check_encoding(case: Case) -> None:
    """Items are encoded without randomness into latents that `decode` takes back."""
    model = case.build()
    assert isinstance(model, CanEncode)
    assert isinstance(model, CanDecode)
    batch = case.dataset.validation.batch(torch.arange(3))
    with resting(model):
        first, second = model.encode(batch), model.encode(batch)
        decoded = model.decode(first)[case.item]
    assert torch.equal(first, second), "encode is random"
    assert decoded.shape == batch[case.item].shape, (
        f"{tuple(batch[case.item].shape)} came back as {tuple(decoded.shape)}"
    )


def check_codes(case: Case) -> None:
    """Codes are read off items without randomness, each within its values; setting one changes items, and undoes."""
    model = case.build()
    case.play(case.game(model), 0, 3)
    assert isinstance(model, HasCodes)
    assert isinstance(model, CanDecode)
    assert model.codes, "there is no code"
    batch = case.dataset.validation.batch(torch.arange(3))
    with resting(model):
        first, second = model.infer(batch), model.infer(batch)
        z = model.prior(3, generator=dice())
        plain = model.decode(z)[case.item]
        assert set(first) == {c.name for c in model.codes}, f"{sorted(first)} were read, not all codes"
        for code in model.codes:
            value = first[code.name]
            assert torch.equal(value, second[code.name]), f"reading {code.name!r} is random"
            if code.values:
                assert 0 <= value.min() <= value.max() < code.values, f"{code.name!r} leaves its values"
            ends = [torch.tensor(v).repeat(3) for v in ((0, code.values - 1) if code.values else (-1.0, 1.0))]
            low, high = (model.with_code(z, code.name, v) for v in ends)
            assert torch.equal(model.with_code(high, code.name, ends[0]), low), f"{code.name!r} is not set but added"
            apart = (model.decode(low)[case.item] - model.decode(high)[case.item]).abs().max()
            assert apart > 0, f"{code.name!r} changes no item"
    assert plain.shape[0] == 3


def check_likelihood(case: Case) -> None:
    """Likelihoods are one finite number an item, the same for the same generator, and better after training."""
    model = case.build()
    assert isinstance(model, HasLikelihood)
    assert model.kind in ("exact", "bound", "estimate")
    batch = case.dataset.validation.batch(torch.arange(4))
    with resting(model):
        before = model.nll(batch, generator=dice())
        again = model.nll(batch, generator=dice())
    case.train(model)
    with resting(model):
        after = model.nll(batch, generator=dice())
    assert before.shape == (4,), f"expected shape (4,), got {tuple(before.shape)}"
    assert torch.isfinite(after).all(), "a likelihood is not finite"
    assert torch.equal(before, again), "the same generator gives different likelihoods"
    assert after.mean() < before.mean(), "training does not raise the likelihood"


def check_streaming(case: Case) -> None:
    """A stream gives as many tokens as asked for, from the vocabulary, the same for the same generator."""
    model = case.build()
    assert isinstance(model, CanStream)
    prompt = case.dataset.train.batch(torch.arange(1))[case.item][0, :4]
    with resting(model):
        runs = [[int(t) for t in model.stream(prompt, options=Sampling(length=5), generator=dice())] for _ in range(2)]
    assert len(runs[0]) == 5, f"asked for 5 tokens, got {len(runs[0])}"
    assert runs[0] == runs[1], "the same generator gives different tokens"


def check_continuing(case: Case) -> None:
    """Reading token by token, several at a time, rows selected, tokens taken back: the same logits as reading at once;
    and greedy texts of a ragged batch are those of each prompt alone."""
    model = case.build()
    assert isinstance(model, CanContinue)
    case.play(case.game(model), 0, case.steps)
    with resting(model):
        reads_on(model, case.dataset.train.batch(torch.arange(3))[case.item])
