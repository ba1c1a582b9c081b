"""Models that are told captions keep the contract too, and learn what the words mean."""

from __future__ import annotations

import torch

from genloom.core import CanSample, Field, Phase, Step
from genloom.models.diffusion.flow import Flow, FlowConfig
from genloom.testing import check_model
from genloom.testing.check import ALWAYS, BY_CAPABILITY, TRAINED, make_case
from genloom.testing.fakes import fake_captioned

TINY = FlowConfig(widths=(32, 32), blocks=(1, 1), attention=(1,), embedding=16, steps=4)
DIT = FlowConfig(backbone="dit", width=32, depth=1, embedding=16, steps=4)


def test_the_contract_holds_with_captions() -> None:
    check_model(Flow, config=TINY, dataset=fake_captioned(drop_parts=0.5))


def test_a_transformer_keeps_it_as_far_as_captions_matter() -> None:
    case = make_case(Flow, DIT, fake_captioned(drop_parts=0.5))
    for check in (ALWAYS["default_builds"], TRAINED["gradients"], TRAINED["resume"]):
        check(case)
    BY_CAPABILITY[CanSample]["samples"](case)


def test_pictures_follow_the_words() -> None:
    """Word 3 is dark, word 4 is light; other words say nothing."""
    torch.manual_seed(0)
    spec = {"image": Field("image", (1, 8, 8)), "caption": Field("text", (3,), vocabulary=8, role="condition")}
    model, g = Flow(FlowConfig(widths=(16, 16), blocks=(1, 1), embedding=16, steps=6), spec), torch.Generator()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    phase = Phase("flow", "flow")
    for i in range(150):
        light = torch.randint(2, (32,), generator=g)
        image = (light * 1.4 - 0.7)[:, None, None, None].expand(32, 1, 8, 8).contiguous()
        caption = torch.stack([torch.randint(5, 8, (32,), generator=g), 3 + light, torch.zeros(32).long()], 1)
        batch = {"image": image, "caption": caption}
        loss = model.loss(phase, batch, Step(seed=i, progress=i / 150, rows=(0, 32, 32)))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        model.after_phase(phase, loss.memo, Step(seed=0))
    asked = torch.tensor([[5, 3, 0], [7, 4, 0]] * 8)
    with torch.no_grad():
        made = model.eval().sample(16, condition={"caption": asked}, generator=torch.Generator().manual_seed(0))
        free = model.sample(64, generator=torch.Generator().manual_seed(0))  # captions of training items
    means = made["image"].mean((1, 2, 3))
    assert (means[0::2] < -0.4).all()
    assert (means[1::2] > 0.4).all()
    assert 16 < int((free["caption"][:, 1] == 4).sum()) < 48
    assert ((free["image"].mean((1, 2, 3)) > 0) == (free["caption"][:, 1] == 4)).all()
