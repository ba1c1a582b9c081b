"""The contract's small parts: fields, steps, configurations as JSON, errors in one line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
import torch

from genloom.core import (
    Field,
    Optimizer,
    Step,
    batch_size,
    config_from_json,
    config_to_json,
    derive_seed,
    spec_from_json,
    spec_to_json,
    the_class,
    the_item,
)
from genloom.errors import BadData, Damaged, unknown

SPEC = {"image": Field("image", (3, 8, 6)), "label": Field("class", (), classes=("a", "b"), role="condition")}


def test_a_specification_survives_json() -> None:
    assert spec_from_json(spec_to_json(SPEC)) == SPEC


def test_items_and_classes_are_found_or_refused_in_one_line() -> None:
    assert the_item(SPEC, "image", "x")[0] == "image"
    found = the_class(SPEC)
    assert found is not None
    assert found[1].classes == ("a", "b")
    assert the_class({"image": SPEC["image"]}) is None
    with pytest.raises(BadData, match=r"flow generates one text, music or table field; .* image 'image'"):
        the_item(SPEC, ("text", "music", "table"), "flow")
    with pytest.raises(BadData, match=r"gpt generates one text field; this data set holds image 'image'"):
        the_item(SPEC, "text", "gpt")


def test_draws_are_the_rows_of_the_global_draw() -> None:
    whole = Step(seed=3, rows=(0, 10, 10)).randn(10, 2)
    parts = [Step(seed=3, rows=rows).randn(rows[1] - rows[0], 2) for rows in ((0, 4, 10), (4, 10, 10))]
    assert torch.equal(whole, torch.cat(parts))
    assert torch.equal(Step(seed=3, rows=(0, 10, 10)).rand(10)[4:], Step(seed=3, rows=(4, 10, 10)).rand(6))
    high = Step(seed=1, rows=(0, 99, 99)).randint(7, 99)
    assert (high.min(), high.max()) == (0, 6)


def test_a_draw_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="this process's 4 rows"):
        Step(seed=0, rows=(0, 4, 8)).randn(8)


def test_draws_of_one_step_differ_from_each_other_and_repeat_with_the_seed() -> None:
    a, b = (Step(seed=5, rows=(0, 3, 3)) for _ in range(2))
    assert torch.equal(a.randn(3), b.randn(3))
    assert not torch.equal(a.randn(3), Step(seed=5, rows=(0, 3, 3)).randn(3))


def test_seeds_depend_on_every_part_and_on_nothing_else() -> None:
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    assert len({derive_seed(s, p, i) for s in range(3) for p in "ab" for i in range(3)}) == 18
    assert derive_seed(1, 23) != derive_seed(12, 3)
    assert 0 <= derive_seed("x") < 2**63
    assert derive_seed(0, "order", "vae", 0) == 2431479300538463034  # pinned: stored runs must go on as they began


@dataclass(frozen=True)
class Inner:
    """rate."""

    rate: float = 0.1
    pair: tuple[float, float] | None = None


@dataclass(frozen=True)
class Renamed:
    """generator."""

    generator: int = field(default=1, metadata={"was": "makers"})


@dataclass(frozen=True)
class Outer:
    """inner, widths, kind."""

    inner: Inner = Inner()
    widths: tuple[int, ...] = (1, 2)
    kind: Literal["a", "b"] = "a"
    limit: int | None = None


def test_configurations_survive_json() -> None:
    for config in (Outer(), Outer(Inner(0.5, (1.0, 2.0)), (3,), "b", 7)):
        assert config_from_json(Outer, config_to_json(config)) == config
    assert config_from_json(Optimizer, config_to_json(Optimizer(betas_end=(0.0, 0.99)))).betas_end == (0.0, 0.99)


def test_fields_are_found_under_what_they_were_called() -> None:
    for name in ("makers", "generator"):
        assert config_from_json(Renamed, {name: 3}) == Renamed(3)
    with pytest.raises(Damaged, match="no field 'judges'"):
        config_from_json(Renamed, {"judges": 3})


def test_unknown_fields_say_that_another_version_wrote_them() -> None:
    with pytest.raises(Damaged, match=r"Inner has no field 'speed'.*another version"):
        config_from_json(Outer, {"inner": {"speed": 1}})


def test_unknown_names_offer_the_nearest() -> None:
    assert "did you mean 'flow'?" in str(unknown("recipe", "flw", ["flow", "vae"]))
    assert "expected one of flow, vae" in str(unknown("recipe", "zzz", ["vae", "flow"]))
    assert "\n" not in str(unknown("recipe", "x", map(str, range(50)), see="genloom recipes"))


def test_batch_size() -> None:
    assert batch_size({"a": torch.zeros(3, 2)}) == 3
    assert batch_size({}) == 0
