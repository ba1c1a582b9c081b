"""Autoencoders with spatial codes, flows on their codes, flows tuned to few steps: what the contract cannot know."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from genloom.cli.main import main
from genloom.core import Optimizer, Sampling, Step
from genloom.engine.journal import Reporter
from genloom.engine.load import load
from genloom.engine.options import TrainOptions
from genloom.engine.train import Settings, create_run, plan, train
from genloom.errors import BadData, BadValue, GenloomError
from genloom.models.autoencoding.copying import CopyOptions
from genloom.models.autoencoding.kl_autoencoder import KLAutoencoder, KLAutoencoderConfig
from genloom.models.autoencoding.vq_vae import VQVAE, VQVAEConfig
from genloom.models.diffusion.flow import Flow, FlowConfig
from genloom.models.diffusion.latent_flow import LatentFlow, LatentFlowConfig
from genloom.models.diffusion.mean_flow import MeanFlow, MeanFlowConfig
from genloom.nets.quantise import Codebook, FiniteScalars
from genloom.nets.spatial import PatchJudge
from genloom.objectives.reconstruction import balance, feature_distance, laplacian_distance
from genloom.runs import Run
from genloom.testing import fake_images
from genloom.testing.check import make_case

EARLY = CopyOptions(judge_width=8, adversarial_start=0.0)
KL = KLAutoencoderConfig(width=8, copy=EARLY)
VQ = VQVAEConfig(width=8, codes=16, copy=EARLY)
FLOW = FlowConfig(widths=(16, 32), blocks=(1, 1), embedding=32, steps=3)
LATENT = LatentFlowConfig(replace(FLOW, stem=1, data_std=1.0))
QUIET = TrainOptions(
    budget="6steps", batch=16, precision="fp32", channels_last="off", compile="off", device="cpu", on_illness="off",
    checkpoint_every="3steps",
)  # fmt: skip
SILENT = Reporter(None)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained(root: Path, model: str, config: Any, data: Any = None, budget: str = "6steps", **given: Run) -> Run:
    data = data or fake_images()
    settings = Settings(model, model, config, data.options, replace(QUIET, budget=budget))
    run = create_run(root, settings, data, given=given)
    train(run, data, reporter=SILENT)
    return run


# -- objectives and networks ------------------------------------------------------------------------------------------


def test_laplacian_distance_sees_what_pixels_do_not() -> None:
    x = torch.zeros(1, 1, 16, 16)
    assert laplacian_distance(x, x) == 0
    flat, edge = x + 0.1, x.clone()
    edge[..., ::2] += 0.2
    assert (x - flat).abs().mean() == pytest.approx(float((x - edge).abs().mean()))
    assert laplacian_distance(x, edge) > 1.5 * laplacian_distance(x, flat)
    assert laplacian_distance(torch.zeros(1, 2, 7, 5), torch.ones(1, 2, 7, 5)) == pytest.approx(1.0, abs=0.2)


def test_features_are_compared_in_units_of_the_real_ones() -> None:
    real = [torch.ones(2, 3, 4, 4), torch.full((2, 3, 2, 2), 8.0)]
    assert feature_distance(real, [1.5 * r for r in real]) == pytest.approx(0.5)


def test_balance_evens_the_gradients_out() -> None:
    w = torch.ones(3, requires_grad=True)
    first, second = (2 * w).sum(), (0.5 * w).sum()
    assert balance(first, second, w) == pytest.approx(4.0, rel=1e-3)


def test_the_judge_sees_patches_and_no_more() -> None:
    judge = PatchJudge(1, 8)
    x = torch.zeros(1, 1, 64, 64)
    far = x.clone()
    far[..., 60:, 60:] = 1.0
    before, after = judge(x)[0], judge(far)[0]
    assert before.shape == (1, 1, 16, 16)
    assert torch.equal(before[..., :8, :8], after[..., :8, :8])
    assert not torch.equal(before, after)


def test_a_codebook_follows_its_latents_and_revives_its_dead() -> None:
    centres = torch.tensor([[4.0, 0], [-4, 0], [0, 4], [0, -4]])
    book = Codebook(12, 2, decay=0.9, alive=0.1)
    book.vectors[:] = 50.0  # nothing is near: all but one are dead, and have to be put where latents lie
    for seed in range(60):
        which = torch.randint(4, (64,), generator=generator(seed))
        latent = (centres[which] + 0.1 * torch.randn(64, 2, generator=generator(seed + 99))).view(4, 4, 4, 2)
        latent = latent.permute(0, 3, 1, 2)
        book.follow(latent, book.nearest(latent), generator(seed))
    assert torch.cdist(centres, book.vectors).min(1).values.max() < 0.3
    codes = book.nearest(latent)
    assert len(codes.unique()) > 8
    assert torch.equal(book.nearest(book.look_up(codes)), codes)
    book.vectors[0] = 100.0
    assert book.settle([latent])[0] == 0


def test_finite_scalars_know_every_code() -> None:
    fsq = FiniteScalars((3, 4, 2))
    codes = torch.arange(fsq.size).view(1, 4, 6)
    values = fsq.look_up(codes)
    assert values.min() == -1
    assert values.max() == 1
    assert torch.equal(fsq.nearest(torch.atanh(values.clamp(-0.999, 0.999))), codes)
    latent = torch.randn(2, 3, 4, 4, generator=generator(), requires_grad=True)
    rounded = fsq.rounded(latent)
    assert torch.allclose(rounded, fsq.look_up(fsq.nearest(latent)), atol=1e-6)
    rounded.sum().backward()
    assert latent.grad is not None
    assert latent.grad.abs().min() > 0
    with pytest.raises(BadValue, match="levels"):
        FiniteScalars((1, 4))


# -- autoencoders -----------------------------------------------------------------------------------------------------


def test_the_judge_joins_after_its_share_of_the_run_and_is_silent_in_validation() -> None:
    data = fake_images()
    model = KLAutoencoder(replace(KL, copy=replace(EARLY, adversarial_start=0.5)), data.spec)
    batch, phase = data.train.batch(torch.arange(8)), model.phases()[0]
    early, late = (model.loss(phase, batch, Step(seed=0, progress=p, rows=(0, 8, 8))) for p in (0.4, 0.6))
    assert "fooled" not in early.parts
    assert "fooled" in late.parts
    assert model.phases()[1].window == (0.5, 1.0)
    model.eval()
    with torch.no_grad():
        assert "fooled" not in model.loss(phase, batch, Step(seed=0, progress=0.6, rows=(0, 8, 8))).parts
    alone = KLAutoencoder(replace(KL, copy=CopyOptions(adversarial=0.0)), data.spec)
    assert len(alone.phases()) == len(alone.players()) == 1


@pytest.mark.parametrize("config", [KL, VQ, replace(VQ, quantiser="fsq", levels=(4, 4))])
def test_codes_are_measured_at_the_end(config: Any, tmp_path: Path) -> None:
    name = "kl-autoencoder" if config is KL else "vq-vae"
    data = fake_images()
    model = load(trained(tmp_path, name, config)).model
    assert isinstance(model, KLAutoencoder | VQVAE)
    with torch.no_grad():
        codes = torch.cat([model.compress(data.train.batch(i)) for i in torch.arange(len(data.train)).split(16)])
    mean, deviation = model.latent_scale()
    assert torch.allclose(mean, codes.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(deviation, codes.transpose(0, 1).flatten(1).std(1, correction=0), atol=1e-4)
    if isinstance(model, VQVAE):
        found = model.code_use()
        assert 0 < found["used"] <= 1
        assert found["perplexity"] <= model.quantiser.size
        tokens = model.codes(data.train.batch(torch.arange(3)))
        assert tokens.shape == (3, 4, 4)
        assert tokens.dtype == torch.int64
        batch = data.train.batch(torch.arange(3))
        assert torch.allclose(
            model.decode_codes(tokens)["image"], model.decode(model.encode(batch))["image"], atol=1e-5
        )
        with pytest.raises(BadValue, match="expected codes from 0 to 15"):
            model.decode_codes(tokens + 16)


@pytest.mark.parametrize("shape", [(3, 20, 14), (2, 17, 9)])
@pytest.mark.parametrize("config", [KL, VQ])
def test_any_size_and_any_channels(shape: tuple[int, int, int], config: Any) -> None:
    data = fake_images(24, shape)
    model = (KLAutoencoder if config is KL else VQVAE)(config, data.spec).eval()
    batch = data.train.batch(torch.arange(2))
    with torch.no_grad():
        code = model.encode(batch)
        assert code.shape == (2, *model.latent_shape) == (2, code.shape[1], -(-shape[1] // 4), -(-shape[2] // 4))
        assert model.decode(code)["image"].shape == (2, *shape)


def test_what_an_autoencoder_cannot_do_it_says_in_one_line() -> None:
    spec = fake_images().spec
    with pytest.raises(BadValue, match="power of two"):
        KLAutoencoder(replace(KL, factor=3), spec)
    with pytest.raises(BadData, match="at factor 16 needs images of more than 16x16"):
        VQVAE(replace(VQ, factor=16), spec)
    with pytest.raises(BadData, match="stopped before its end"):
        KLAutoencoder(KL, spec).latent_scale()
    with pytest.raises(BadData, match="at the end of a run"):
        VQVAE(VQ, spec).code_use()


# -- latent flow ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kl-autoencoder", "vq-vae"])
def test_a_flow_on_codes_from_training_to_samples(name: str, tmp_path: Path) -> None:
    data = fake_images(shape=(3, 16, 12))
    source = trained(tmp_path, name, KL if name == "kl-autoencoder" else VQ, data)
    run = trained(tmp_path, "latent-flow", LATENT, data, autoencoder=source)
    source.remove()
    model = load(run).model
    assert isinstance(model, LatentFlow)
    seen: list[dict[str, Any]] = []
    drawn = model.sample(3, generator=generator(), callback=seen.append)
    assert drawn["image"].shape == (3, 3, 16, 12)
    assert drawn["image"].abs().max() <= 1
    assert [s["i"] for s in seen] == [1, 2, 3]
    assert seen[-1]["x"].shape == seen[-1]["state"].shape == drawn["image"].shape
    latent = model.condense(data.train.batch(torch.arange(len(data.train))))["latent"]
    assert latent.mean((0, 2, 3)).abs().max() < 1e-3
    assert latent.transpose(0, 1).flatten(1).std(1).sub(1).abs().max() < 0.02


def test_codes_computed_once_teach_what_codes_computed_each_time_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genloom.engine import condensed

    source = trained(tmp_path, "kl-autoencoder", KL)
    once = trained(tmp_path, "latent-flow", LATENT, autoencoder=source)
    calls = []
    condense = LatentFlow.condense
    monkeypatch.setattr(LatentFlow, "condense", lambda self, batch: calls.append(1) or condense(self, batch))
    trained(tmp_path, "latent-flow", LATENT, autoencoder=source)
    few = len(calls)
    monkeypatch.setattr(condensed, "MOST_BYTES", 0)
    each = trained(tmp_path, "latent-flow", LATENT, autoencoder=source)
    assert len(calls) - few > few
    a, b = (load(r, raw=True).model.state_dict() for r in (once, each))
    for name in a:
        assert torch.allclose(a[name].float(), b[name].float(), atol=2e-3), name  # Muon rounds to bf16


def test_a_stopped_flow_on_codes_goes_on_exactly(tmp_path: Path) -> None:
    data = fake_images()
    source = trained(tmp_path, "kl-autoencoder", KL)
    whole = trained(tmp_path, "latent-flow", LATENT, autoencoder=source)
    settings = Settings("latent-flow", "latent-flow", LATENT, data.options, QUIET)
    halved = create_run(tmp_path, settings, data, given={"autoencoder": source})

    def stop(facts: Any) -> bool:
        return True

    train(halved, data, reporter=SILENT, watch=stop)
    (halved.path / "status.json").write_text('{"state": "stopped"}') if halved.status.get("state") == "finished" else 0
    train(halved, data, reporter=SILENT)
    a, b = (load(r).model.state_dict() for r in (whole, halved))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_partners_that_do_not_fit_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    small, large = fake_images(), fake_images(shape=(1, 24, 24))
    source = trained(tmp_path, "kl-autoencoder", KL)
    vae = trained(tmp_path, "vae-mlp", None or _mlp(), budget="2steps")
    before = sorted(tmp_path.iterdir())

    def make(data: Any, **given: Run) -> Run:
        return create_run(tmp_path, Settings("latent-flow", "latent-flow", LATENT, data.options, QUIET), data,
                          given=given)  # fmt: skip

    with pytest.raises(
        BadValue, match=r"genloom train kl-autoencoder --data D`, then `genloom train latent-flow --given"
    ):
        make(small)
    with pytest.raises(
        BadData, match=r"made for image of shape \(1, 16, 16\), this data set has image of shape \(1, 24"
    ):
        make(large, autoencoder=source)
    with pytest.raises(BadData, match="autoencoder must be a kl-autoencoder or vq-vae"):
        make(small, autoencoder=vae)
    with pytest.raises(GenloomError, match="unknown partner"):
        make(small, autoencoder=source, teacher=vae)
    settings = Settings("vae-mlp", "vae-mlp", _mlp(), small.options, QUIET)
    with pytest.raises(BadValue, match="stands on no other model"):
        create_run(tmp_path, settings, small, given={"autoencoder": source})
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(BadValue, match="stands on a finished autoencoder"):
        plan(Settings("latent-flow", "latent-flow", LATENT, small.options, QUIET), small)
    told = plan(Settings("latent-flow", "latent-flow", LATENT, small.options, QUIET), small, {"autoencoder": source})
    assert told["parameters"].keys() == {"flow"}


def _mlp() -> Any:
    from genloom.models.autoencoding.vae_mlp import MLPVAEConfig

    return MLPVAEConfig(latent=2, hidden=8)


def test_partners_travel_with_weights_and_replays(tmp_path: Path) -> None:
    data = fake_images()
    first, second = (trained(tmp_path, "kl-autoencoder", KL, budget=b) for b in ("4steps", "6steps"))
    run = trained(tmp_path, "latent-flow", LATENT, autoencoder=first)
    settings = Settings("latent-flow", "latent-flow", LATENT, data.options, QUIET)
    again = create_run(tmp_path, settings, data, like=run)
    train(again, data, replay=run, reporter=SILENT)
    a, b = (load(r).model.state_dict() for r in (run, again))
    assert all(torch.equal(a[k], b[k]) for k in a)
    other = create_run(tmp_path, settings, data, given={"autoencoder": second})
    train(other, data, start_from=run, reporter=SILENT)
    theirs, ours = load(second).model.state_dict(), load(other).model.state_dict()
    assert all(torch.equal(ours[f"autoencoder.{k}"], theirs[k]) for k in theirs)


def test_given_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    smoke = ["--train.precision", "fp32", "--data.limit", "64", "--train.batch", "8", "--budget", "3steps"]
    smoke += ["--train.compile", "off", "--train.channels_last", "off", "--data", "digits"]
    assert main(["train", "kl-autoencoder", *smoke, "--config.width", "8", "--config.factor", "2"]) == 0
    assert "genloom reconstruct" in capsys.readouterr().out
    assert main(["train", "latent-flow", *smoke, "--given", "autoencoder=1", "--flow.widths", "16,16",
                 "--flow.blocks", "1,1", "--flow.steps", "2", "--data.limit", "48"][:-2]) == 0  # fmt: skip
    assert main(["sample", "2", "-n", "2", "--out", "two.png", "--label", "3"]) == 0
    capsys.readouterr()
    assert main(["train", "latent-flow", *smoke]) == 2
    assert "--given autoencoder=RUN" in capsys.readouterr().err
    assert main(["train", "latent-flow", *smoke, "--given", "autoencoder"]) == 2
    assert "expected ROLE=RUN" in capsys.readouterr().err
    assert main(["train", "latent-flow", *smoke[:-2], "--data", "mnist", "--data.size", "8", "--given",
                 "autoencoder=1", "--dry-run"]) == 0  # fmt: skip


# -- few steps --------------------------------------------------------------------------------------------------------


def student(config: MeanFlowConfig = MeanFlowConfig(), **flow: Any) -> MeanFlow:
    case = make_case(MeanFlow, config, given={"teacher": (Flow, replace(FLOW, **flow))})
    model = case.build()
    assert isinstance(model, MeanFlow)
    return model.eval()


def test_the_student_begins_as_its_teacher_whatever_the_span() -> None:
    model = student()
    x, t = torch.randn(4, 1, 16, 16, generator=generator()), torch.rand(4, generator=generator())
    told = {"label": torch.tensor([0, 1, 0, 1])}
    assert isinstance(model.teacher, Flow)
    with torch.no_grad():
        expected = model.teacher.velocity(x, t, told)
        for share in (0.0, 0.5, 1.0):
            assert torch.equal(model.mean_velocity(x, t, share * t, told), expected)


def test_the_teacher_is_followed_with_its_guidance() -> None:
    model = student(MeanFlowConfig(guidance=3.0))
    x, told = torch.randn(4, 1, 16, 16, generator=generator()), {"label": torch.tensor([0, 1, 0, 1])}
    assert isinstance(model.teacher, Flow)
    with torch.no_grad():
        expected = model.teacher.field(4, told, Sampling(guidance=3.0))(x, 0.6)
        found = model._velocity(x, torch.full((4,), 0.6), told, torch.tensor([False, False, False, True]))
        assert torch.allclose(found[:3], expected[:3], atol=1e-5)
        alone = model.teacher.velocity(x, torch.full((4,), 0.6), model.flow.conditioner.null(4, x.device))
        assert torch.allclose(found[3], alone[3], atol=1e-5)
    assert student(guidance=2.5).guidance == 2.5


@pytest.mark.parametrize("path", ["straight", "vp-linear"])
def test_a_stride_of_sampling_is_one_evaluation(path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = student(guidance=1.75, path=path)
    calls: list[tuple[float, float]] = []
    velocity = model.mean_velocity
    monkeypatch.setattr(
        model, "mean_velocity", lambda x, t, r, *a: calls.append((float(t[0]), float(r[0]))) or velocity(x, t, r, *a)
    )
    for steps in (1, 2, 7):
        calls.clear()
        seen: list[Any] = []
        drawn = model.sample(2, options=Sampling(steps=steps), generator=generator(), callback=seen.append)
        assert len(calls) == len(seen) == steps
        assert calls[0][0] == pytest.approx(model.flow.top)
        assert calls[-1][1] == 0
        assert all(a[1] == b[0] for a, b in pairwise(calls))
        assert drawn["image"].shape == (2, 1, 16, 16)
    with pytest.raises(BadValue, match=r"guidance 1\.75"):
        model.sample(2, options=Sampling(guidance=2.0), generator=generator())
    with pytest.raises(BadValue, match="at least 1 step"):
        model.sample(2, options=Sampling(steps=0), generator=generator())


def test_the_loss_is_nothing_for_the_mean_velocity_and_something_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where all items are one point m, v = (x - m) / t is the same all along a path, and so its own mean.
    model, m = student(), 0.25
    batch = {"image": torch.full((8, 1, 16, 16), m), "label": torch.zeros(8, dtype=torch.int64)}
    monkeypatch.setattr(model.teacher, "velocity", lambda x, t, c, d=None: (x - m) / t.view(-1, 1, 1, 1))

    def loss(scale: float) -> float:
        def mean(x: torch.Tensor, t: torch.Tensor, r: torch.Tensor, c: Any, d: Any = None) -> torch.Tensor:
            return (x - m) / t.view(-1, 1, 1, 1) + scale * (t - r).view(-1, 1, 1, 1)

        monkeypatch.setattr(model, "mean_velocity", mean)
        step = Step(seed=0, rows=(0, 8, 8))
        return float(model.loss(model.phases()[0], batch, step).parts["squared_error"])

    assert loss(0.0) < 1e-6
    assert loss(1.0) > 0.1  # u + (t - r) is too large by as much, and by (t - r) du/dt as much again


def test_one_evaluation_comes_nearer_to_the_teachers_many() -> None:
    quick = MeanFlowConfig(optimizer=Optimizer(lr=3e-3, warmup=0.02))
    case = make_case(MeanFlow, quick, steps=80, given={"teacher": (Flow, FLOW)})
    model = case.build()
    assert isinstance(model, MeanFlow)
    assert isinstance(model.teacher, Flow)
    noise = torch.randn(64, 1, 16, 16, generator=generator())
    told = {"label": torch.arange(64) % 2}
    goal = model.teacher.decode(noise, condition=told, options=Sampling(steps=24))["image"]

    def gap() -> float:
        drawn = model.eval()._stride(noise, told, 1, None)
        return float((drawn - goal).square().mean())

    before = gap()
    case.play(case.game(model), 0, 80)
    assert gap() < 0.8 * before


def test_a_student_needs_its_teachers_data() -> None:
    case = make_case(Flow, FLOW)
    with pytest.raises(BadData, match="the teacher was made for other items"):
        MeanFlow(MeanFlowConfig(), fake_images(classes=0).spec, {"teacher": case.build()})
    with pytest.raises(BadValue, match="reach"):
        MeanFlow(MeanFlowConfig(reach=0.0), case.dataset.spec, {"teacher": case.build()})
