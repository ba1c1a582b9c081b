"""InfoGAN: the bound on lost information written out, who learns from it, and that a code finds a factor."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from genloom.core import DataSpec, Field, Step
from genloom.errors import BadValue
from genloom.models.adversarial.infogan import InfoGAN, InfoGANConfig

SPEC: DataSpec = {"image": Field("image", (1, 8, 8))}
TINY = InfoGANConfig(latent=2, width=4, features=8, hidden=8, categories=(3,), continuous=2)
N = 6


def made(**changes: object) -> InfoGAN:
    torch.manual_seed(0)
    return InfoGAN(InfoGANConfig(**{**vars(TINY), **changes}), SPEC)  # type: ignore[arg-type]


def step(n: int = N, seed: int = 1) -> Step:
    return Step(seed=seed, rows=(0, n, n))


def test_information_lost_written_out() -> None:
    model, free = made(r1=0.0), made(r1=0.0, information=0.0, information_continuous=0.0)
    batch = {"image": torch.rand(N, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1}
    draws = step()
    z, kind, numbers = draws.randn(N, 2), draws.randint(3, N), 2 * draws.rand(N, 2) - 1
    fake = model.forge(torch.cat([z, F.one_hot(kind, 3), numbers], 1))
    said = model.discriminator(fake)[1]
    gaussian = torch.distributions.Normal(said[:, 3:5], (-1 + torch.tanh(said[:, 5:7])).exp())
    expected = F.cross_entropy(said[:, :3], kind) - 0.2 * gaussian.log_prob(numbers).sum(1).mean()
    for phase in model.phases():
        gap = model.loss(phase, batch, step()).total - free.loss(phase, batch, step()).total
        assert gap.item() == pytest.approx(expected.item(), rel=1e-4), phase.name


def test_categories_are_read_off_moved_pictures() -> None:
    model, still = made(r1=0.0, jitter=0.4), made(r1=0.0)
    batch = {"image": torch.rand(N, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1}
    for phase in model.phases():
        moved, kept = model.loss(phase, batch, step()), still.loss(phase, batch, step())
        assert moved.total.item() != kept.total.item(), phase.name
        for name in ("codes_lost", "real_accuracy", "fake_accuracy"):  # the rest of the game sees them as they are
            if name in kept.parts:
                assert moved.parts[name].item() == pytest.approx(kept.parts[name].item(), abs=1e-5)


def test_agreement_teaches_q_on_real_pictures() -> None:
    model, without = made(r1=0.0, jitter=0.4, agreement=2.0), made(r1=0.0, jitter=0.4)
    for one in (model, without):  # an untrained Q says nearly the same of everything
        one.load_state_dict({k: v * 5 if "discriminator" in k else v for k, v in one.state_dict().items()})
    batch = {"image": torch.tensor([-0.9, 0.9] * 3)[:, None, None, None].expand(N, 1, 8, 8)}
    told, base = (m.loss(m.phases()[0], batch, step()) for m in (model, without))
    shared = told.parts["shared"].item()
    assert 0.01 < shared <= math.log(3)
    assert told.total.item() == pytest.approx(base.total.item() - 2 * shared, rel=1e-4)
    with pytest.raises(BadValue, match="asks for jitter"):
        made(agreement=1.0)
    with pytest.raises(BadValue, match="jitter are 0 or more"):
        made(jitter=-1.0)


def test_codes_are_set_and_read() -> None:
    model = made().eval()
    assert [(c.name, c.values) for c in model.codes] == [("category 1", 3), ("code 1", 0), ("code 2", 0)]
    z = model.prior(4, generator=torch.Generator().manual_seed(0))
    assert z.shape == (4, 7)
    moved = model.with_code(z, "code 2", torch.full((4,), 0.5))
    assert torch.equal(moved[:, :6], z[:, :6])
    assert (moved[:, 6] == 0.5).all()
    kinds = model.with_code(z, "category 1", torch.tensor([2, 0, 1, 1]))
    assert kinds[:, 2:5].argmax(1).tolist() == [2, 0, 1, 1]
    assert set(model.infer({"image": torch.zeros(2, 1, 8, 8)})) == {"category 1", "code 1", "code 2"}
    with pytest.raises(BadValue, match="category 1, code 1, code 2"):
        model.with_code(z, "code 3", torch.zeros(4))


def test_a_category_finds_the_kind_of_picture() -> None:
    """Dark and light pictures, never labelled: after some steps the two values of a code are one each."""
    torch.manual_seed(0)
    config = InfoGANConfig(latent=2, width=8, features=16, hidden=16, categories=(2,), continuous=0, r1=0.1)
    model = InfoGAN(config, SPEC)
    names = {p.name: [v for k, v in model.named_parameters() if k.startswith(p.name)] for p in model.players()}
    optimizers = {k: torch.optim.Adam(v, 2e-3, (0.5, 0.9)) for k, v in names.items()}
    for i in range(150):
        for phase in model.phases():
            light = torch.randint(2, (32, 1, 1, 1), generator=torch.Generator().manual_seed(i))
            batch = {"image": (1.2 * light - 0.6).expand(32, 1, 8, 8)}
            optimizers[phase.player].zero_grad()
            model.loss(phase, batch, step(32, i)).total.backward()
            optimizers[phase.player].step()
    kinds = torch.tensor([-0.6, 0.6])[:, None, None, None].expand(2, 1, 8, 8)
    with torch.no_grad():
        read = model.eval().infer({"image": kinds})["category 1"]
        z = model.prior(20, generator=torch.Generator().manual_seed(0))
        made = [model.decode(model.with_code(z, "category 1", torch.full((20,), k)))["image"].mean() for k in (0, 1)]
    assert read[0] != read[1]
    assert abs(made[0] - made[1]) > 0.6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": (), "continuous": 0}, "a code to find"),
        ({"categories": (1,)}, "2 values"),
        ({"r1": -1.0}, "0 or more"),
    ],
)
def test_bad_options_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadValue, match=message):
        made(**changes)
