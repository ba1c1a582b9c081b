"""What is cogan's own: what is shared, one noise for two pictures, and classes of a domain without labels."""

from __future__ import annotations

import pytest
import torch

from genloom.core import Step
from genloom.data import DataOptions, load
from genloom.errors import BadData, BadValue
from genloom.metrics.domains import accuracy_results, agreement_results, evaluate_domains
from genloom.models.adversarial.cogan import CoGAN, CoGANConfig
from genloom.testing import fake_pairs

SMALL = {"width": 8, "latent": 8, "features": 16}


@pytest.fixture(scope="module")
def digits():
    return load(DataOptions("digits", pair="negative", pairing="hidden"))


def test_all_but_the_outer_stages_are_shared() -> None:
    model = CoGAN(CoGANConfig(**SMALL), fake_pairs(pairing="hidden").spec)
    z = torch.randn(3, 8)
    first, second = model.generators(z)
    assert first.shape == (3, 1, 16, 16)
    assert second.shape == (3, 3, 16, 16)
    torch.nn.init.zeros_(model.generators.into.weight)
    again, other = model.generators(z)
    assert not torch.equal(first, again)  # one weight moves both
    assert not torch.equal(second, other)
    own = sum(p.numel() for p in model.generators.own.parameters())
    assert own < sum(p.numel() for p in model.generators.parameters())


def test_classes_are_learnt_where_labels_are_and_asked_where_none_are(digits) -> None:
    torch.manual_seed(0)
    model = CoGAN(CoGANConfig(**SMALL), digits.spec)
    assert model.labelled is not None
    assert model.labelled[1].domain == "image"
    optimizer = torch.optim.Adam([p for n, p in model.named_parameters() if not n.startswith("generators")], 5e-3)
    told = []
    for i in range(60):
        batch = digits.train.batch(torch.randint(len(digits.train), (32,), generator=torch.Generator().manual_seed(i)))
        found = model.loss(model.phases()[0], batch, Step(seed=i, rows=(0, 32, 32)))
        optimizer.zero_grad()
        found.total.backward()
        optimizer.step()
        told.append(float(found.parts["classes"]))
    assert told[-1] < 0.5 * told[0]
    results = {r.key: r for r in accuracy_results(model, digits)}
    assert results["accuracy:image"].value > 0.6
    assert "never saw" in results["accuracy:negative"].name
    assert "never saw" not in results["accuracy:image"].name


def test_agreement_is_whole_for_true_pairs_and_less_for_mixed_ones(digits) -> None:
    model = CoGAN(CoGANConfig(**SMALL), digits.spec).eval()
    pictures = digits.test.raw(torch.arange(180))

    class True_(CoGAN):
        def sample(self, n, **_):
            index = torch.arange(n) % 180
            return {k: pictures[k][index].float() / 127.5 - 1 for k in ("image", "negative")}

    model.__class__ = True_
    found = {r.key: r.value for r in agreement_results(model, digits, torch.Generator())}
    assert found["agreement"] == 1.0
    assert 0.3 < found["agreement_mixed"] < 0.95


def test_both_collections_are_measured(digits) -> None:
    torch.manual_seed(0)
    model = CoGAN(CoGANConfig(**SMALL), digits.spec)
    found = evaluate_domains(model, digits, 40, torch.Generator().manual_seed(0), copies=False)
    keys = {r.key for r in found.results}
    assert {"negative:fd", "image:fd", "agreement", "agreement_mixed", "accuracy:negative", "accuracy:image"} <= keys
    assert found["negative:fd"].name.endswith(" of negative")


def test_without_labels_it_tells_no_classes() -> None:
    model = CoGAN(CoGANConfig(**SMALL), fake_pairs(pairing="hidden").spec)
    assert model.labelled is None
    assert not any(n.startswith("classes") for n, _ in model.named_parameters())
    with pytest.raises(BadData, match=r"tells no classes"):
        model.classify("shape", torch.zeros(1, 1, 16, 16))
    with pytest.raises(BadValue, match=r"one must be shared"):
        CoGAN(CoGANConfig(**SMALL, own=2), fake_pairs(pairing="hidden").spec)
    with pytest.raises(BadData, match=r"--data.pairing hidden"):
        CoGAN(CoGANConfig(**SMALL), fake_pairs().spec)
