"""Paths, predictions and weights: every conversion is undone by its inverse, and formulas are those of the papers."""

import math

import pytest
import torch

from genloom.objectives import diffusion as d
from genloom.objectives import paths as p
from genloom.objectives import predictions as q

PATHS = ("straight", "vp-linear", "vp-cosine", "ve")
PREDICTIONS = ("edm", "velocity", "eps", "x0", "v")
T = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)


def items(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(25, 2, 3, 3, generator=g, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_the_straight_one_rescaled(path: p.Path) -> None:
    x, e = items()
    alpha, sigma = p.coefficients(path, T)
    z = d.match(alpha, x) * x + d.match(sigma, x) * e
    x_t, t = p.to_straight(z, alpha, sigma)
    assert torch.allclose(t, T)
    assert torch.allclose(x_t, d.interpolate(x, e, T))
    assert torch.allclose(p.from_straight(x_t, T, path), z)
    if path.startswith("vp"):
        assert torch.allclose(alpha**2 + sigma**2, torch.ones_like(T))


@pytest.mark.parametrize("path", PATHS)
def test_own_times_and_straight_times_undo_each_other(path: p.Path) -> None:
    u = torch.linspace(0, 1, 2345, dtype=torch.float64)
    t = p.straight_time(path, u)
    assert (t.diff() > 0).all()
    assert t[0] == 0
    assert torch.allclose(p.own_time(path, t), u, atol=1e-9)
    single = p.own_time(path, p.straight_time(path, u.float()))
    assert float((single - u).abs().max()) < 2e-3  # in single precision, less than two steps of a thousand


def test_schedules_are_those_of_the_papers() -> None:
    linear = p.betas("vp-linear")
    assert (float(linear[0]), float(linear[-1])) == (pytest.approx(1e-4), pytest.approx(0.02))
    cosine = p.betas("vp-cosine")
    bar = torch.cumprod(1 - cosine, 0)
    f = [math.cos((n / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for n in (0, 500)]
    assert float(bar[499]) == pytest.approx(f[1] / f[0], rel=1e-6)
    assert float(cosine.max()) <= 0.999
    sigma = d.sigma_from_time(p.knots("ve")[1:])
    assert (float(sigma[0]), float(sigma[-1])) == (pytest.approx(0.002), pytest.approx(80))
    assert torch.allclose(sigma[1:] / sigma[:-1], (sigma[1] / sigma[0]).expand(999))
    noisiest = p.ends("vp-linear")[1]
    assert float(d.sigma_from_time(torch.tensor(noisiest))) == pytest.approx(
        float(((1 - torch.prod(1 - linear)) / torch.prod(1 - linear)).sqrt()), rel=1e-3
    )


@pytest.mark.parametrize("old", PREDICTIONS)
@pytest.mark.parametrize("new", PREDICTIONS)
def test_conversions_between_predictions_are_exact_inverses(old: q.Prediction, new: q.Prediction) -> None:
    x, e = items()
    x_t, v = d.interpolate(x, e, T), d.velocity_target(x, e)
    f = q.from_velocity(old, v, x_t, T, 0.6)
    there = q.convert(f, x_t, T, old, new, 0.6)
    assert torch.allclose(there, q.from_velocity(new, v, x_t, T, 0.6))
    assert torch.allclose(q.convert(there, x_t, T, new, old, 0.6), f)
    assert torch.allclose(q.to_velocity(new, there, x_t, T, 0.6), v)


def test_predictions_are_what_their_names_say() -> None:
    x, e = items()
    x_t, v = d.interpolate(x, e, T), d.velocity_target(x, e)
    alpha, sigma = (d.match(k, x) for k in p.coefficients("vp-linear", T))
    assert torch.allclose(q.from_velocity("eps", v, x_t, T), e)
    assert torch.allclose(q.from_velocity("x0", v, x_t, T), x)
    assert torch.allclose(q.from_velocity("velocity", v, x_t, T), e - x)
    assert torch.allclose(q.from_velocity("v", v, x_t, T), alpha * e - sigma * x)
    # EDM, table 1: D = c_skip z + c_out F on the variance-exploding path, F with the other sign.
    s, noise = 0.5, d.match(d.sigma_from_time(T), x)
    z = x + noise * e
    f = -q.from_velocity("edm", v, x_t, T, s)
    c_skip, c_out = s**2 / (noise**2 + s**2), noise * s / (noise**2 + s**2).sqrt()
    assert torch.allclose(c_skip * z + c_out * f, x)


def test_what_the_network_sees_has_about_unit_variance() -> None:
    g = torch.Generator().manual_seed(0)
    x, e = (torch.randn(25, 4000, generator=g, dtype=torch.float64) for _ in range(2))
    for path, std in (("vp-linear", 1.0), ("vp-cosine", 1.0), ("ve", 0.5)):
        shown, time = p.seen(path, d.interpolate(std * x, e, T), T, std)  # type: ignore[arg-type]
        assert torch.allclose(shown.std(1), torch.ones(25, dtype=torch.float64), atol=0.05)
        assert (time.diff() > 0).all()
    told = p.seen("ve", x, T, 0.5)[1]
    assert torch.allclose(told, d.sigma_from_time(T).log() / 4)


def test_weights_against_closed_forms() -> None:
    snr = ((1 - T) / T) ** 2
    on_data = {  # weights of the squared error of x0, which is t^2 times that of the velocity
        "data": torch.ones_like(T),
        "snr": snr,
        "min-snr": snr.clamp_max(5.0),
        "soft-min-snr": snr * 5 / (snr + 5),
        "edm": (d.sigma_from_time(T) ** 2 + 0.25) / (d.sigma_from_time(T) * 0.5) ** 2,
        "prediction": snr,  # of eps
    }
    for name, expected in on_data.items():
        found = q.error_weight(name, T, "eps", 0.5, gamma=5.0)  # type: ignore[arg-type]
        assert found is not None
        assert torch.allclose(found / T**2, expected), name
    assert q.error_weight("velocity", T, "eps") is None
    assert torch.allclose(q.snr(T), snr)


def test_min_snr_limits_the_clean_end() -> None:
    """The error the wrong way round (max instead of min, or the noisy end limited) is a known mistake."""
    clean, noisy = torch.tensor([0.05]), torch.tensor([0.8])
    least, plain = (q.error_weight(w, clean, "eps") / clean**2 for w in ("min-snr", "snr"))  # type: ignore[operator]
    assert float(least) == pytest.approx(5.0)
    assert float(plain) > 300
    least, plain = (q.error_weight(w, noisy, "eps") / noisy**2 for w in ("min-snr", "snr"))  # type: ignore[operator]
    assert float(least) == pytest.approx(float(plain))
    for w in ("min-snr", "soft-min-snr", "snr", "data"):  # no infinities at the ends
        assert q.error_weight(w, torch.tensor([0.0, 1.0]), "eps").isfinite().all()  # type: ignore[union-attr, arg-type]


def test_the_prediction_weight_is_the_error_of_the_output() -> None:
    x, e = items()
    x_t, v = d.interpolate(x, e, T), d.velocity_target(x, e)
    off = v + torch.randn(v.shape, generator=torch.Generator().manual_seed(1), dtype=v.dtype)
    for kind in PREDICTIONS:
        gap = q.from_velocity(kind, off, x_t, T, 0.6) - q.from_velocity(kind, v, x_t, T, 0.6)  # type: ignore[arg-type]
        weight = q.error_weight("prediction", T, kind, 0.6)  # type: ignore[arg-type]
        assert weight is not None
        assert torch.allclose(d.match(weight, v) * (off - v).square(), gap.square()), kind


def test_times_of_training() -> None:
    u = (torch.arange(10_000) + 0.5) / 10_000
    sigma = d.log_normal_sigma(u)
    assert float(sigma.log().mean()) == pytest.approx(-1.2, abs=0.01)
    assert float(sigma.log().std()) == pytest.approx(1.2, abs=0.01)
    assert torch.allclose(d.time_from_sigma(sigma), d.logit_normal(u, -1.2, 1.2), atol=1e-6)
    steps = d.discrete(u) * 1000
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert (int(steps.round().min()), int(steps.round().max())) == (1, 1000)
    assert torch.bincount(steps.round().long())[1:].tolist() == [10] * 1000
    assert d.discrete(torch.tensor([0.0, 1 - 2**-24])).tolist() == pytest.approx([0.001, 1.0])


def test_where_predictions_break_down_is_left_out() -> None:
    assert q.usable("edm", 0.0, 1.0) == (0.0, 1.0)
    assert q.usable("eps", 0.0, 1.0) == (0.0, 0.999)
    assert q.usable("x0", 0.0, 1.0) == (0.001, 1.0)
    assert q.usable("eps", *p.ends("vp-linear")) == p.ends("vp-linear")
