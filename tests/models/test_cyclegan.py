"""What is cyclegan's own: the pool, the way back, both tasks, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from genloom.core import Field, Step
from genloom.errors import BadData, BadValue
from genloom.models.adversarial.cyclegan import CycleGAN, CycleGANConfig
from genloom.nets.pool import Pool
from genloom.testing import fake_images, fake_pairs

SMALL = {"width": 8, "judge_width": 8}


def test_a_pool_keeps_the_newest_and_forgets_the_oldest() -> None:
    pool = Pool(5, (1, 1, 1))
    assert len(pool) == 0
    pool.put(torch.arange(3.0).view(3, 1, 1, 1))
    assert pool.newest(torch.arange(3), 3).flatten().tolist() == [0, 1, 2]
    assert pool.at(torch.tensor([0.0, 0.99])).flatten().tolist() == [0, 2]
    pool.put(torch.arange(3.0, 7.0).view(4, 1, 1, 1))
    assert sorted(pool.pictures.flatten().tolist()) == [2, 3, 4, 5, 6]
    assert pool.newest(torch.arange(1, 4), 4).flatten().tolist() == [4, 5, 6]
    pool.put(torch.arange(10.0, 22.0).view(12, 1, 1, 1))
    assert sorted(pool.pictures.flatten().tolist()) == [17, 18, 19, 20, 21]


def test_judges_see_what_was_just_made_and_what_was_made_before() -> None:
    data = fake_pairs(pairing="hidden")
    model = CycleGAN(CycleGANConfig(**SMALL, pool=6), data.spec)
    makers, judges = model.phases()
    batch = data.train.batch(torch.arange(4))
    step = Step(seed=0, rows=(0, 4, 4))
    found = model.loss(makers, batch, step)
    model.after_phase(makers, {k: v.detach() for k, v in found.memo.items()}, step)
    assert torch.equal(model.made[1].newest(torch.arange(4), 4), found.memo["made_1"].detach())
    before = model.loss(judges, batch, Step(seed=1, rows=(0, 4, 4))).total
    model.made[1].pictures.zero_()
    assert not torch.equal(before, model.loss(judges, batch, Step(seed=1, rows=(0, 4, 4))).total)


def test_each_task_makes_the_other_domain() -> None:
    data = fake_pairs(pairing="hidden")
    model = CycleGAN(CycleGANConfig(**SMALL), data.spec).eval()
    assert model.tasks == ("shape-to-colour", "colour-to-shape")
    batch = data.test.batch(torch.arange(2))
    for task, source, target in ((model.tasks[0], "shape", "colour"), (model.tasks[1], "colour", "shape")):
        made = model.translate(batch[source], task=task, generator=torch.Generator())
        assert set(made) == {target}
        assert made[target].shape == batch[target].shape
        drawn = model.sample(2, condition={source: batch[source]}, generator=torch.Generator())
        assert torch.equal(drawn[target], made[target])


def test_the_way_back_is_learnt() -> None:
    data = fake_pairs(pairing="hidden")
    torch.manual_seed(0)
    model = CycleGAN(CycleGANConfig(**SMALL), data.spec)
    optimizer = torch.optim.Adam(model.makers.parameters(), 2e-3)
    batch, losses = data.train.batch(torch.arange(16)), []
    for i in range(30):
        found = model.loss(model.phases()[0], batch, Step(seed=i, rows=(0, 16, 16)))
        optimizer.zero_grad()
        found.total.backward()
        optimizer.step()
        losses.append(float(found.parts["cycle_shape"] + found.parts["cycle_colour"]))
    assert losses[-1] < 0.7 * losses[0]


def test_what_does_not_fit_is_said() -> None:
    spec = fake_pairs(pairing="hidden").spec
    with pytest.raises(BadValue, match=r"the domains have 1 and 3 channels"):
        CycleGAN(CycleGANConfig(identity=5.0), spec)
    with pytest.raises(BadData, match=r"--data.pairing hidden"):
        CycleGAN(CycleGANConfig(), fake_pairs().spec)
    with pytest.raises(BadData, match=r"two sub-folders"):
        CycleGAN(CycleGANConfig(), fake_images().spec)
    odd = {"a": Field("image", (1, 16, 16), domain="a"), "b": Field("image", (1, 16, 12), domain="b")}
    with pytest.raises(BadData, match=r"one size: give --data.size"):
        CycleGAN(CycleGANConfig(), odd)
