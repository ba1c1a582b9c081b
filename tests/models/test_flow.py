"""The flow: its loss is right where the answer is known, it learns, and it samples what it learnt."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch

from genloom.core import Field, Phase, Sampling, Step
from genloom.errors import BadData, BadValue
from genloom.models.diffusion.flow import Flow, FlowConfig
from genloom.objectives import diffusion as d
from genloom.objectives.paths import knots
from genloom.objectives.predictions import from_velocity
from genloom.recipes import denoising
from genloom.recipes.diffusion import flow
from genloom.recipes.registry import _entries
from genloom.samplers.guidance import clipped
from genloom.testing import fake_images, make_case
from genloom.testing.check import ALWAYS, BY_CAPABILITY, TRAINED

LABEL = Field("class", (), classes=("dark", "light"), role="condition")
TINY = FlowConfig(widths=(16, 16), blocks=(1, 1), embedding=16, steps=6)
PHASE = Phase("flow", "flow")
SPEC = {"image": Field("image", (1, 8, 8))}


def build(shape=(1, 8, 8), labels: bool = True, range_=(-1.0, 1.0)) -> Flow:
    torch.manual_seed(0)
    spec = {"image": Field("image", shape, range=range_)}
    return Flow(TINY, {**spec, "label": LABEL} if labels else spec)


@cache
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
    for options, rows in [(Sampling(steps=5, guidance=1.5), 4), (Sampling(steps=5), 2)]:
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


PAPERS = {
    "ddpm": denoising.ddpm().config,
    "cosine": replace(denoising.ddim().config, path="vp-cosine", prediction="v", weight="min-snr", solver="unipc"),
    "edm": denoising.edm().config,
    "rectified-flow": denoising.rectified_flow().config,
    "x0": replace(flow().config, prediction="x0", times="uniform", weight="soft-min-snr", solver="dpmpp"),
}

SETS = fake_images(shape=(1, 8, 8), classes=2)


CHECKS = ("documented", "gradients", "learns", "samples", "latents", "encoding")
EVERY = [(n, c) for n in PAPERS for c in CHECKS] + [(n, "likelihood") for n in ("ddpm", "edm")]


@pytest.mark.parametrize(("name", "check"), EVERY)
def test_every_path_and_prediction_keeps_the_contract(name: str, check: str) -> None:
    config = replace(PAPERS[name], widths=(16, 16), blocks=(1, 1), embedding=16, steps=4)
    everything = {**ALWAYS, **TRAINED} | {k: c for cs in BY_CAPABILITY.values() for k, c in cs.items()}
    everything[check](make_case(Flow, config, SETS))


class Known(torch.nn.Module):
    """A network that puts out what is right for data that are all one picture, told the straight point and time."""

    def __init__(self, config: FlowConfig, picture: torch.Tensor) -> None:
        super().__init__()
        self.config, self.picture = config, picture
        self.somewhere = torch.nn.Parameter(torch.zeros(()))
        self.x_t = self.t_B = torch.zeros(0)

    def forward(self, shown: torch.Tensor, time_B: torch.Tensor, told: object) -> torch.Tensor:
        v = (self.x_t - self.picture) / d.match(self.t_B, self.x_t)
        return from_velocity(self.config.prediction, v, self.x_t, self.t_B, self.config.data_std)


@pytest.mark.parametrize("name", PAPERS)
def test_a_perfect_network_samples_its_picture_and_has_no_loss(name: str) -> None:
    """Whatever the path and prediction: the pieces fit together."""
    model = Flow(replace(PAPERS[name], widths=(16, 16), blocks=(1, 1), embedding=16, steps=20), SPEC).eval()
    picture = torch.linspace(-0.9, 0.9, 64).reshape(1, 1, 8, 8)
    model.net = known = Known(model.config, picture)
    ask = model.velocity

    def velocity(x, t_B, condition, drop_B=None):
        known.x_t, known.t_B = x, model._trained(t_B)
        return ask(x, t_B, condition, drop_B)

    model.velocity = velocity  # type: ignore[method-assign]
    drawn = model.sample(3, generator=torch.Generator().manual_seed(0))["image"]
    assert float((drawn - picture).abs().max()) < 0.02
    batch = {"image": picture.expand(8, 1, 8, 8)}
    for mode in (True, False):
        loss = model.train(mode).loss(PHASE, batch, Step(seed=1, rows=(0, 8, 8)))
        assert float(loss.total.detach()) < 1e-6


def test_the_ddpm_recipe_learns_the_error_of_eps_at_one_of_1000_steps() -> None:
    model = Flow(replace(PAPERS["ddpm"], widths=(16, 16), blocks=(1, 1), embedding=16), SPEC)
    seen: list[torch.Tensor] = []
    model.net.register_forward_hook(lambda m, i, o: seen.append(i[1]))
    n = 64
    batch = {"image": torch.zeros(n, 1, 8, 8)}
    loss = model.loss(PHASE, batch, Step(seed=1, rows=(0, n, n)))
    assert torch.allclose(seen[0] * 1000, (seen[0] * 1000).round(), atol=0.02)
    # its output is zero before training, so the error of eps is that of noise of variance 1
    assert float(loss.total.detach()) == pytest.approx(1.0, abs=0.05)
    assert model.top == pytest.approx(float(knots("vp-linear")[-1]))


def test_encoding_and_decoding_return_to_the_item() -> None:
    model = trained()
    label = torch.tensor([0, 1, 1])
    x = model.sample(3, condition={"label": label}, generator=torch.Generator().manual_seed(0))["image"]
    noise = model.encode({"image": x, "label": label})
    back = model.decode(noise, condition={"label": label}, options=Sampling(steps=50))["image"]
    assert float((back - x).square().mean().sqrt()) < 0.01
    untold = model.encode({"image": x})
    assert not torch.allclose(untold, noise, atol=1e-3)
    back = model.decode(untold, options=Sampling(steps=50))["image"]
    assert float((back - x).square().mean().sqrt()) < 0.02
    assert model.encode({"image": x[:0]}).shape == (0, 1, 8, 8)


def test_likelihood_of_a_gaussian() -> None:
    """With its zero output the model is the best Gaussian, whose density is known."""
    spec = {"vector": Field("vector", (32,), range=(-4.0, 4.0))}
    config = FlowConfig(widths=(16, 16), blocks=(1, 1), embedding=16, width=16, depth=1)
    model, n = Flow(config, spec).eval(), 64
    s = config.data_std
    x = 4 * s * torch.randn(n, 32, generator=torch.Generator().manual_seed(0))
    got = model.nll({"vector": x}, generator=torch.Generator().manual_seed(1))
    exact = -torch.distributions.Normal(0, 4 * s).log_prob(x).sum(1)
    assert float((got - exact).mean().abs()) < 0.25  # nats of 32 dimensions
    assert float((got - exact).abs().max()) < 0.6


def test_likelihood_of_pixels_counts_their_256_values() -> None:
    model = build(labels=False).eval()
    s = model.config.data_std
    x = (s * torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    x = ((x + 1) * 127.5).round() / 127.5 - 1
    got = model.nll({"image": x}, generator=torch.Generator().manual_seed(1)).mean() / 64
    inside = -torch.distributions.Normal(0, s).log_prob(x).mean() - math.log(1 / 128)
    assert float(got) == pytest.approx(float(inside), abs=0.02)


def test_ways_of_guiding() -> None:
    model = trained()
    n, x, t = 4, torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), 0.6
    told = {"label": torch.tensor([0, 1, 0, 1])}
    zero, one = {"label": torch.zeros(n, dtype=torch.int64)}, {"label": torch.ones(n, dtype=torch.int64)}

    def v(condition=told, **choices) -> torch.Tensor:
        with torch.no_grad():
            return model.field(n, condition, Sampling(**choices))(x, t)

    plain, null = v(guidance=1.0), v(model.conditioner.null(n, x.device), guidance=1.0)
    assert torch.allclose(v(guidance=3.0), null + 3 * (plain - null), atol=1e-4)
    away = v(zero, guidance=3.0, negative={"label": torch.tensor([1])})
    assert torch.allclose(away, v(one, guidance=1.0) + 3 * (v(zero, guidance=1.0) - v(one, guidance=1.0)), atol=1e-4)
    assert torch.equal(v(guidance=3.0, interval=(0.5, 0.7)), v(guidance=3.0))
    assert torch.allclose(v(guidance=3.0, interval=(0.0, 0.5)), plain, atol=1e-6)
    one_row = {"label": torch.tensor([1])}
    worse = build().eval()
    with torch.no_grad():
        weak = worse.field(n, told, Sampling(guidance=1.0))(x, t)
    assert torch.allclose(v(guidance=2.0, partner=worse), 2 * plain - weak, atol=1e-4)
    assert torch.equal(v(partner=worse), v(guidance=2.0, partner=worse))  # what to lead away from is asked for enough
    assert torch.equal(v(zero, negative={"label": torch.tensor([1])}), v(zero, guidance=2.0, negative=one_row))
    with pytest.raises(BadValue, match="same kind, trained on the same data"):
        v(partner=build((1, 9, 9)))
    with pytest.raises(BadValue, match="told conditions"):
        build(labels=False).field(n, {}, Sampling(negative=zero))


def test_clipping_keeps_estimates_of_the_data_in_their_range() -> None:
    def wild(x: torch.Tensor, t: float) -> torch.Tensor:
        return x - 5.0  # whose estimate of the data is x - t (x - 5)

    x = torch.full((2, 3), 0.5)
    for t in (0.9, 0.01):
        assert torch.allclose(x - t * clipped(wild)(x, t), (x - t * wild(x, t)).clamp(-1, 1), atol=1e-6)
    assert torch.equal(clipped(wild)(x, 0.0), wild(x, 0.0))
    assert PAPERS["ddpm"].clip


def test_noise_of_stochastic_sampling_comes_from_the_generator() -> None:
    model = build().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02)

    def drawn(seed: int, steps: int = 4) -> torch.Tensor:
        options = Sampling(solver="ddpm", steps=steps)
        return model.sample(2, options=options, generator=torch.Generator().manual_seed(seed))["image"]

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    near, far = (float((drawn(1, 60) - x).square().mean()) for x in (drawn(1, 30), drawn(2, 30)))
    assert near < far / 4
    latent = model.prior(2, generator=torch.Generator().manual_seed(0))
    model.config = replace(model.config, solver="ddpm")
    assert torch.equal(model.decode(latent)["image"], model.decode(latent)["image"])


def test_conditions_that_are_lacking_are_not_told() -> None:
    voice = Field("class", (), classes=("deep", "high"), role="condition")
    digit = Field("class", (), classes=("one", "two", "three"), role="condition")
    model = Flow(TINY, {**SPEC, "digit": digit, "voice": voice}).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.1)
    z, one = model.prior(2, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 2])
    nothing = torch.full((2,), len(voice.classes))
    partly = model.decode(z, condition={"digit": one})["image"]
    assert torch.equal(partly, model.decode(z, condition={"digit": one, "voice": nothing})["image"])
    assert not torch.equal(partly, model.decode(z)["image"])
    x = {"image": torch.rand(2, 1, 8, 8) - 0.5, "digit": one}
    assert torch.equal(model.encode(x), model.encode({**x, "voice": nothing}))
    assert not torch.equal(model.encode(x), model.encode({"image": x["image"]}))
