"""The flow: its loss is right where the answer is known, it learns, and it samples what it learnt."""

import pytest
import torch

from genloom.core import Field, Phase, Sampling, Step
from genloom.errors import BadData
from genloom.models.diffusion.flow import Flow, FlowConfig
from genloom.objectives import diffusion as d
from genloom.recipes.diffusion import flow
from genloom.recipes.registry import _entries

LABEL = Field("class", (), classes=("dark", "light"), role="condition")
TINY = FlowConfig(widths=(16, 16), blocks=(1, 1), embedding=16, steps=6)
PHASE = Phase("flow", "flow")


def build(shape=(1, 8, 8), labels: bool = True, range_=(-1.0, 1.0)) -> Flow:
    torch.manual_seed(0)
    spec = {"image": Field("image", shape, range=range_)}
    return Flow(TINY, {**spec, "label": LABEL} if labels else spec)


def trained(steps: int = 150) -> Flow:
    """Class 0 is dark (-0.7), class 1 light (+0.7)."""
    model, g = build(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for i in range(steps):
        label = torch.randint(2, (32,), generator=g)
        image = (label * 1.4 - 0.7)[:, None, None, None].expand(32, 1, 8, 8).contiguous()
        loss = model.loss(PHASE, {"image": image, "label": label}, Step(seed=i, progress=i / steps, rows=(0, 32, 32)))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        model.after_phase(PHASE, loss.memo, Step(seed=0))
    return model.eval()


def test_learns_classes_and_guides() -> None:
    model = trained()
    label = torch.tensor([0, 1] * 8)
    drawn = model.sample(16, condition={"label": label}, generator=torch.Generator().manual_seed(0))
    means = drawn["image"].mean((1, 2, 3))
    assert (means[label == 0] < -0.4).all()
    assert (means[label == 1] > 0.4).all()
    free = model.sample(64, generator=torch.Generator().manual_seed(0))  # classes drawn from the counted shares
    assert 16 < int(free["label"].sum()) < 48
    assert ((free["image"].mean((1, 2, 3)) > 0) == (free["label"] == 1)).all()


def test_untrained_loss_is_the_linear_guess() -> None:
    """With its zero output, the network predicts v = skip x_t; for Gaussian data of std s the loss is E[out^2]."""
    model = build(labels=False).eval()
    s, n = TINY.data_std, 512
    x = s * torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    got = model.loss(PHASE, {"image": x}, Step(seed=0, rows=(0, n, n))).total.detach()
    t = torch.linspace(0, 1, 1001)
    assert float(got) == pytest.approx(float(d.linear_part(t, s)[1].square().mean()), rel=0.03)


@pytest.mark.parametrize("shape", [(3, 9, 14), (4, 8, 8), (2, 5, 31)])
def test_any_shape_and_range(shape: tuple[int, int, int]) -> None:
    model = build(shape, labels=False, range_=(0.0, 1.0)).eval()
    items = model.sample(3, generator=torch.Generator().manual_seed(0))
    assert set(items) == {"image"}
    assert items["image"].shape == (3, *shape)
    assert items["image"].min() >= 0
    assert items["image"].max() <= 1
    assert model.sample(0, generator=torch.Generator())["image"].shape == (0, *shape)


def test_sampling_is_decoding_the_prior() -> None:
    model = build(labels=False)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02)
    model.eval()
    g = torch.Generator().manual_seed(5)
    noise = model.prior(4, generator=g)
    a, b = model.decode(noise)["image"], model.sample(4, generator=torch.Generator().manual_seed(5))["image"]
    assert torch.equal(a, b)


def test_steps_asked_are_calls_made() -> None:
    model, calls, told = build().eval(), [], []
    model.net.register_forward_hook(lambda m, i, o: calls.append(len(o)))
    for options, rows in [(Sampling(steps=5), 4), (Sampling(steps=5, guidance=1.0), 2)]:
        calls.clear()
        model.sample(2, options=options, generator=torch.Generator(), callback=told.append)
        assert calls == [rows] * 5
    assert [c["i"] for c in told] == [1, 2, 3, 4, 5] * 2
    assert all(c["of"] == 5 and c["x"].shape == (2, 1, 8, 8) for c in told)


def test_too_small_images_are_refused() -> None:
    with pytest.raises(BadData, match="at least 4x4"):
        build((1, 3, 8))


def test_conversions_agree() -> None:
    g = torch.Generator().manual_seed(0)
    x, e, t = (
        torch.randn(5, 1, 3, 3, generator=g),
        torch.randn(5, 1, 3, 3, generator=g),
        torch.rand(5, generator=g) + 0.01,
    )
    t = t / 1.02
    x_t, v = d.interpolate(x, e, t), d.velocity_target(x, e)
    assert torch.allclose(d.data_from_velocity(x_t, v, t), x, atol=1e-5)
    assert torch.allclose(d.noise_from_velocity(x_t, v, t), e, atol=1e-5)
    assert torch.allclose(d.velocity_from_data(x_t, x, t), v, atol=1e-2)
    assert torch.allclose(d.time_from_sigma(d.sigma_from_time(t)), t)


def test_times_follow_the_curriculum_and_processes_agree() -> None:
    u = d.stratify(torch.rand(1000, generator=torch.Generator().manual_seed(0)), (0, 1000, 1000))
    assert ((u * 1000).long() == torch.arange(1000)).all()
    early = d.training_times(u, 0.1, mean=0.0, std=1.0, switch=0.75)
    assert float(early.std()) == pytest.approx(0.208, abs=0.01)  # logit-normal(0, 1)
    assert torch.equal(d.training_times(u, 0.9, mean=0.0, std=1.0, switch=0.75), u)
    part = torch.rand(1000, generator=torch.Generator().manual_seed(0))[500:]
    assert torch.equal(d.stratify(part, (500, 1000, 1000)), u[500:])


def test_recipe_and_sizes() -> None:
    entry = _entries["flow"]
    assert flow() == flow(size=entry.sizes[0])
    spec = {"image": Field("image", (3, 32, 32)), "label": LABEL}
    counts = [sum(p.numel() for p in Flow(flow(size=s).config, spec).parameters()) for s in entry.sizes]
    assert counts == sorted(counts)
    assert counts[0] < 2e6
