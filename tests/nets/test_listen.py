"""Networks listen to captions: padding says nothing, words do, and without text no weight is added."""

from __future__ import annotations

import pytest
import torch

from genloom.core import Field
from genloom.errors import BadData, BadValue
from genloom.models.diffusion.flow import Flow, FlowConfig
from genloom.nets.backbones import backbone
from genloom.nets.condition import Cond, Conditioner, plane_count, token_width
from genloom.nets.listen import CrossAttention, TextEncoder

IMAGE = Field("image", (3, 8, 8))
CAPTION = Field("text", (5,), vocabulary=20, role="condition")
LABEL = Field("class", (), classes=("a", "b", "c"), role="condition")
SMALL = Field("image", (1, 4, 4), role="condition")
VECTOR = Field("vector", (6,), role="condition")
CHOICES = {
    "widths": (32, 32),
    "blocks": (1, 1),
    "attention": (),
    "stem": 2,
    "width": 32,
    "depth": 2,
    "patch": 4,
    "embedding": 16,
}


def test_padding_says_nothing_and_order_matters() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(20, 6, 32).eval()
    vector, tokens, mask = encoder(torch.tensor([[3, 4, 0, 0, 0, 0], [4, 3, 0, 0, 0, 0], [0] * 6]))
    short = encoder(torch.tensor([[3, 4]]))
    assert torch.allclose(vector[:1], short[0], atol=1e-5)
    assert torch.allclose(tokens[:1, :3], short[1], atol=1e-5)
    assert mask.sum(1).tolist() == [3, 3, 1]
    assert (vector[0] - vector[1]).abs().max() > 1e-3
    assert vector.isfinite().all()


def test_attention_starts_at_zero_and_ignores_what_is_masked() -> None:
    torch.manual_seed(0)
    layer, x, tokens = CrossAttention(32, 16), torch.randn(2, 9, 32), torch.randn(2, 4, 16)
    mask = torch.tensor([[True, True, False, False]] * 2)
    assert torch.equal(layer(x, tokens, mask), x)
    torch.nn.init.normal_(layer.out.weight)
    other = tokens.clone()
    other[:, 2:] += 1
    assert torch.equal(layer(x, tokens, mask), layer(x, other, mask))
    assert (layer(x, tokens, mask) - layer(x, other + 1, mask)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_backbones_attend_to_tokens(kind: str) -> None:
    torch.manual_seed(0)
    plain, net = backbone(kind, (3, 8, 8), **CHOICES), backbone(kind, (3, 8, 8), **CHOICES, tokens=16)
    assert set(plain.state_dict()) == {k for k in net.state_dict() if not k.startswith("listen.")}
    assert len(net.state_dict()) > len(plain.state_dict())
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape) * 0.05)
    x, t, mask = torch.randn(2, 3, 8, 8), torch.rand(2), torch.ones(2, 4, dtype=torch.bool)
    one, other = (net(x, t, Cond(tokens=torch.randn(2, 4, 16), mask=mask)) for _ in range(2))
    assert (one - other).abs().max() > 1e-4
    one.square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_classes_alone_are_as_they_were() -> None:
    spec = {"image": IMAGE, "label": LABEL}
    torch.manual_seed(0)
    conditioner = Conditioner(spec, 8)
    assert set(conditioner.state_dict()) == {"tables.label.weight", "count_label"}
    torch.manual_seed(0)
    table = torch.nn.Embedding(4, 8)
    label = torch.tensor([2, 0])
    assert torch.equal(conditioner({"label": label}).vector, table(label))
    assert (token_width(spec, 8), plane_count(spec)) == (0, 0)


def test_all_kinds_together_and_nothing_told() -> None:
    torch.manual_seed(0)
    spec = {"image": IMAGE, "label": LABEL, "caption": CAPTION, "small": SMALL, "vector": VECTOR}
    conditioner = Conditioner(spec, 16)
    batch = {
        "label": torch.tensor([0, 1]),
        "caption": torch.randint(1, 20, (2, 5)),
        "small": torch.randn(2, 1, 4, 4),
        "vector": torch.randn(2, 6),
    }
    told = conditioner(batch)
    assert told.tokens.shape == (2, 6, 16)
    assert told.planes.shape == (2, plane_count(spec), 8, 8)
    nothing, dropped = (
        conditioner(conditioner.null(2, torch.device("cpu"))),
        conditioner(batch, torch.tensor([True, True])),
    )
    for name in ("vector", "tokens", "planes"):
        assert torch.equal(getattr(nothing, name), getattr(dropped, name))
    assert nothing.planes.abs().max() == 0
    assert (told.vector - nothing.vector).abs().min(1).values.max() > 0


def test_a_picture_of_which_a_part_is_known() -> None:
    spec = {"image": IMAGE, "seen": Field("image", (3, 8, 8), role="condition")}
    seen = torch.full((1, 3, 8, 8), 0.5)
    seen[:, :, :, 4:] = float("nan")
    planes = Conditioner(spec, 16)({"seen": seen}).planes
    assert torch.equal(planes[0, 3], torch.tensor([1.0] * 4 + [0.0] * 4).expand(8, 8))
    assert planes[0, :3, :, :4].unique().item() == 0.5


def test_captions_of_training_items_are_drawn() -> None:
    conditioner, g = Conditioner({"image": IMAGE, "caption": CAPTION}, 16), torch.Generator().manual_seed(0)
    assert conditioner.draw(3, None, g)["caption"].abs().sum() == 0  # nothing seen yet, nothing told
    for i in range(1, 700):
        conditioner.count({"caption": torch.full((2, 5), i % 19 + 1)})
    drawn = conditioner.draw(500, None, g)["caption"]
    assert set(drawn[:, 0].tolist()) == set(range(1, 20))
    given = conditioner.draw(2, {"caption": torch.tensor([[3], [4]])}, g)["caption"]
    assert given.tolist() == [[3, 0, 0, 0, 0], [4, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    "given", [torch.full((2, 5), 20), torch.zeros(1, 5, dtype=torch.int64), torch.zeros(2, 5), torch.ones(2, 6).long()]
)
def test_what_is_no_caption_is_refused(given: torch.Tensor) -> None:
    conditioner = Conditioner({"image": IMAGE, "caption": CAPTION}, 16)
    with pytest.raises(BadValue, match="expected 2 captions 'caption' of up to 5 word ids from 0 to 19"):
        conditioner.draw(2, {"caption": given}, torch.Generator())


def test_sound_cannot_stand_beside_pictures() -> None:
    with pytest.raises(BadData, match="cannot stand beside"):
        Conditioner({"image": IMAGE, "noise": Field("audio", (1, 50), role="condition")}, 16)


def test_guidance_leads_away_from_what_is_named() -> None:
    from genloom.core import Sampling

    torch.manual_seed(0)
    config = FlowConfig(widths=(32, 32), blocks=(1, 1), embedding=16, steps=3, guidance=3.0)
    model = Flow(config, {"image": IMAGE, "caption": CAPTION}).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape) * 0.05)
    told = {"caption": torch.tensor([[3, 4, 0, 0, 0]]).expand(2, -1)}

    def drawn(**choices: object) -> torch.Tensor:
        options = Sampling(**choices)  # type: ignore[arg-type]
        with torch.no_grad():
            return model.sample(2, condition=told, options=options, generator=torch.Generator().manual_seed(0))["image"]

    plain = drawn()
    assert torch.equal(drawn(negative={"caption": torch.zeros(1, 5, dtype=torch.int64)}), plain)
    assert not torch.equal(drawn(negative={"caption": torch.tensor([[7]])}), plain)
    # to lead away from what is asked for leaves what was asked for alone
    same = drawn(negative={"caption": told["caption"][:1]})
    assert torch.allclose(same, drawn(guidance=1.0), atol=1e-4)
