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


def at(progress: float, seed: int = 1) -> Step:
    return Step(seed=seed, rows=(0, N, N), progress=progress)


def test_g_follows_the_groups_once_they_are_found() -> None:
    """Before, the categories are free; after, G loses what the head of the highest `shared` reads off its pictures."""
    model = made(r1=0.0, discovery=0.5, continuous=0)
    free = made(r1=0.0, discovery=0.5, continuous=0, information=0.0)
    batch = {"image": torch.rand(N, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1}
    _, generator, discovery = model.phases()
    assert discovery.window == (0.0, 0.5)
    losses = [[m.loss(generator, batch, at(p)).total.item() for m in (model, free)] for p in (0.4, 0.6)]
    assert losses[0][0] == losses[0][1]
    model.shared[0, 3] = 1.0
    draws = at(0.6)
    z, kind = draws.randn(N, 2), draws.randint(3, N)
    draws.rand(N, 0)
    seen = model.moved(model.forge(torch.cat([z, F.one_hot(kind, 3)], 1)), draws)
    expected = F.cross_entropy(model.groups(seen)[0][3], kind).item()
    gap = model.loss(generator, batch, at(0.6)).total.item() - losses[1][1]
    assert gap == pytest.approx(expected, rel=1e-4)


def test_groups_of_real_pictures_are_found() -> None:
    """Bars that lie and bars that stand, moved a little, unlabelled: the best head tells them apart."""
    torch.manual_seed(0)
    spec: DataSpec = {"image": Field("image", (1, 12, 12))}
    config = InfoGANConfig(
        latent=2, width=8, features=16, hidden=16, categories=(2,), continuous=0, discovery=0.9, attempts=3, jitter=0.3
    )
    model = InfoGAN(config, spec)
    discovery = model.phases()[-1]
    optimizer = torch.optim.Adam(model.groups.parameters(), 5e-3, (0.5, 0.99))
    for i in range(120):
        images, _ = bars(i)
        told = model.loss(discovery, {"image": images}, Step(seed=i, rows=(0, 32, 32)))
        optimizer.zero_grad()
        told.total.backward()
        optimizer.step()
        model.after_phase(discovery, told.memo, Step(seed=i, rows=(0, 32, 32)))
    assert 0 < told.parts["shared"] <= math.log(2) + 1e-4
    assert model.shared.shape == (1, 3)
    assert model.shared.max() > 0.3
    images, lies = bars(1000)
    with torch.no_grad():
        read = model.infer({"image": images})["category 1"]
    right = (read == lies).float().mean().item()
    assert max(right, 1 - right) > 0.9


def bars(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """32 pictures of 12x12 of a bar, and whether it lies."""
    g = torch.Generator().manual_seed(seed)
    images = torch.full((32, 1, 12, 12), -1.0)
    places = torch.randint(4, 8, (32,), generator=g)
    lies = torch.randint(2, (32,), generator=g)
    for image, place, flat in zip(images, places.tolist(), lies.tolist(), strict=True):
        image[0, place : place + 2, 2:10] = 1.0
        if not flat:
            image.copy_(image.transpose(1, 2).clone())
    return images, lies


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
        ({"jitter": -1.0}, "0 or more"),
        ({"discovery": 1.0}, "share of the run"),
        ({"discovery": 0.5, "jitter": 0.0}, "asks for jitter"),
    ],
)
def test_bad_options_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadValue, match=message):
        made(**changes)
