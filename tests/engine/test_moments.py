"""Weights kept on the way: at the shares that were asked for, the same after a stop, dropped when a run goes back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from genloom.cli.main import main
from genloom.engine import moments
from genloom.engine.load import load
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan
from genloom.engine.train import check, train
from genloom.errors import BadValue
from genloom.runs import Run


def test_moments_are_kept_at_their_shares_and_change_nothing(shop, silent) -> None:  # type: ignore[no-untyped-def]
    plain, kept = shop.make(name="plain"), shop.make(name="kept", moments=(0.25, 0.5))
    for run in (plain, kept):
        train(run, shop.dataset, reporter=silent)
    assert moments.kept(plain) == []
    assert [(m.share, m.step) for m in moments.kept(kept)] == [(0.25, 5), (0.5, 10)]
    assert [m.seconds for m in moments.kept(kept)] == sorted(m.seconds for m in moments.kept(kept))
    ends = [load_file(r.checkpoint(20) / "ema.safetensors") for r in (plain, kept)]
    assert all(torch.equal(t, ends[1][k]) for k, t in ends[0].items())
    early, last = load(kept, moment=moments.kept(kept)[0]), load(kept)
    assert early.step == 5
    assert any(not torch.equal(a, b) for a, b in zip(early.model.parameters(), last.model.parameters(), strict=True))


def test_a_resumed_run_keeps_the_same_moments(shop, silent) -> None:  # type: ignore[no-untyped-def]
    options = {"moments": (0.3, 0.6), "keep": 9}
    whole, back = shop.make(name="whole", **options), shop.make(name="back", **options)
    for run in (whole, back):
        train(run, shop.dataset, reporter=silent)
    # as if it had been killed after the moment at step 12, when the newest checkpoint was that of step 10
    for step in back.checkpoints():
        if step > 10:
            (back.checkpoint(step) / "state.json").unlink()
    assert back.checkpoints()[-1] == 10
    back.set_status(state="running")
    (whole_12,) = (m for m in moments.kept(whole) if m.share == 0.6)
    assert whole_12.step == 12
    train(back, shop.dataset, reporter=silent)
    for a, b in zip(moments.kept(whole), moments.kept(back), strict=True):
        assert (a.share, a.step) == (b.share, b.step)
        ours, theirs = moments.weights(a), moments.weights(b)
        assert all(torch.equal(t, theirs[k]) for k, t in ours.items())


def test_going_back_drops_what_came_after(shop, tmp_path) -> None:  # type: ignore[no-untyped-def]
    run = shop.make(name="r")
    for share, step in ((0.1, 3), (0.5, 9)):
        moments.keep(run, share, step, 1.0, {"w": torch.ones(2)})
    (run.path / "moments" / "0.7.safetensors").write_bytes(b"cut short")
    moments.drop_after(run, 5)
    assert [m.step for m in moments.kept(run)] == [3]


def test_finish_fits_a_moment_as_it_fits_the_end(shop, silent) -> None:  # type: ignore[no-untyped-def]
    run = shop.make("vae-mlp", name="r", moments=(0.5,))
    train(run, shop.dataset, reporter=silent)
    loaded = load(run, moment=moments.kept(run)[0])
    seen = []
    loaded.model.finish = lambda batches, step: seen.append((sum(len(b["image"]) for b in batches), step.index))  # type: ignore[method-assign]
    moments.finish(loaded.model, shop.dataset, Plan(), loaded.device, seed=0, step=loaded.step, items=0)
    assert seen == [(shop.dataset.train.items, 10)]


@pytest.mark.parametrize("shares", [(0.0,), (1.0,), (0.5, 1.5)])
def test_shares_lie_between_the_ends(shares: tuple[float, ...]) -> None:
    with pytest.raises(BadValue, match="between 0 and 1"):
        check(replace(TrainOptions(), moments=shares))


def test_a_budget_too_short_for_one_step_says_what_would_do(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    words = ["train", "vae-mlp", "--data", "digits", "--budget", "0.001s", "--train.precision", "fp32"]
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "ends before the first step" in said
    assert "give at least" in said
    assert not list((tmp_path / "runs").glob("*")), "nothing was learnt, so nothing stays"
    assert Run(tmp_path / "runs" / "0001-vae-mlp").checkpoints() == []
