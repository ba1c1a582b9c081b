"""Every field by dotted name: listed, explained, parsed, overridden; recipes by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from genloom.errors import BadValue, NotFound
from genloom.recipes import fields, registry


@dataclass(frozen=True)
class Inner:
    """An inner part.

    lr: the rate; steps, warmup: counts of
    things, told over two lines.
    name: "a" or "b"; betas: two numbers.
    """

    lr: float = 1e-3
    steps: int = 5
    warmup: int = 2
    name: Literal["a", "b"] = "a"
    betas: tuple[float, float] = (0.9, 0.99)


@dataclass(frozen=True)
class Outer:
    """widths: channels; depth: of the net. limit: at most so many; None is all."""

    widths: tuple[int, ...] = (32, 64)
    depth: int = 3
    limit: int | None = None
    flip: bool = False
    source: str = "x"
    first: Inner = Inner()
    second: Inner = Inner(lr=1.0)

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ValueError("depth is at least 1")


def change(name: str, value: Any) -> Any:
    after = {i.path: i.value for i in fields.leaves(fields.override(Outer(), {name: value}))}
    before = {i.path: i.value for i in fields.leaves(Outer())}
    return {k: v for k, v in after.items() if v != before[k]}


def test_docstrings_explain_fields() -> None:
    assert fields.documented(Inner) == {
        "lr": "the rate",
        "steps": "counts of things, told over two lines",
        "warmup": "counts of things, told over two lines",
        "name": '"a" or "b"',
        "betas": "two numbers",
    }
    assert fields.documented(Outer)["limit"] == "at most so many; None is all"


@pytest.mark.parametrize(
    ("name", "value", "path", "result"),
    [
        ("depth", "1e1", "depth", 10),
        ("depth", 4, "depth", 4),
        ("depth", 4.0, "depth", 4),
        ("limit", "7", "limit", 7),
        ("widths", "8,16,32", "widths", (8, 16, 32)),
        ("widths", "(8,)", "widths", (8,)),
        ("widths", "[8, 16]", "widths", (8, 16)),
        ("widths", "8", "widths", (8,)),
        ("widths", [8], "widths", (8,)),
        ("flip", None, "flip", True),
        ("flip", "yes", "flip", True),
        ("first.lr", "1e-4", "first.lr", 1e-4),
        ("first.betas", "0,0.5", "first.betas", (0.0, 0.5)),
        ("second.name", "b", "second.name", "b"),
        ("source", 32, "source", "32"),
    ],
)
def test_values_are_parsed_by_annotation(name: str, value: Any, path: str, result: Any) -> None:
    changed = change(name, value)
    assert changed == {path: result}
    assert type(changed[path]) is type(result)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("depth", "1.5", "--depth: expected a whole number, got '1.5'"),
        ("depth", "many", "expected a whole number"),
        ("depth", None, "expected a whole number, got no value"),
        ("depth", True, "expected a whole number"),
        ("depth", "inf", "expected a whole number"),
        ("first.lr", "fast", "--first.lr: expected a number, got 'fast'"),
        ("first.lr", "nan", "expected a number"),
        ("flip", "maybe", "--flip: expected true or false, got 'maybe'"),
        ("second.name", "c", "--second.name: expected one of a, b, got 'c'"),
        ("first.betas", "0.9", "FLOAT,FLOAT"),
        ("widths", "8,x", "--widths: expected a value like INT,..."),
        ("limit", "all", "--limit: expected a whole number or none"),
        ("depth", "0", "--depth: depth is at least 1"),
        ("lr", "1", "--lr could mean --first.lr or --second.lr"),
    ],
)
def test_wrong_values_say_what_was_expected(name: str, value: Any, said: str) -> None:
    with pytest.raises(BadValue) as caught:
        fields.override(Outer(), {name: value})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "near"), [("dpeth", "--depth"), ("first.rl", "--first.lr"), ("widht", "--widths"), ("first.bata", "betas")]
)
def test_a_wrong_name_answers_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(NotFound, match="did you mean") as caught:
        fields.override(Outer(), {name: "1"})
    assert near in str(caught.value)


def test_the_same_field_under_two_names_must_agree() -> None:
    both = {"second.lr": 3.0, "first.lr": 2.0, "first.steps": 1}
    assert fields.override(Outer(), both).second.lr == 3.0
    with pytest.raises(BadValue, match="given twice"):
        fields.override(registry.get("vae-mlp"), {"train.batch": 3, "batch": 4})


def entries() -> list[registry.Entry]:
    return registry.entries()


@pytest.mark.parametrize("entry", entries(), ids=lambda e: e.name)
def test_every_field_of_every_recipe_takes_its_own_value_as_text(entry: registry.Entry) -> None:
    for size in entry.sizes or (None,):
        recipe = registry.get(entry.name, size)
        for info in fields.leaves(recipe):
            if info.path != "model":
                assert registry.override(recipe, {info.path: fields.shown(info.value)}) == recipe, info.path


@pytest.mark.parametrize("entry", entries(), ids=lambda e: e.name)
def test_every_field_of_every_recipe_is_explained(entry: registry.Entry) -> None:
    assert [i.path for i in fields.leaves(registry.get(entry.name)) if not i.help] == []


@pytest.mark.parametrize("entry", entries(), ids=lambda e: e.name)
def test_smoke_overrides_are_fields(entry: registry.Entry) -> None:
    assert registry.smoke(entry) != registry.get(entry.name)


def test_recipes_and_sizes_by_name() -> None:
    assert registry.get("flow").model == "flow"
    assert registry.get("flow", "small") != registry.get("flow")
    with pytest.raises(NotFound, match="did you mean 'flow'"):
        registry.get("fliw")
    with pytest.raises(BadValue, match="nano, small"):
        registry.get("flow", "huge")
    with pytest.raises(BadValue, match="one size"):
        registry.get("vae-mlp", "small")
    with pytest.raises(BadValue, match="another recipe"):
        registry.override(registry.get("vae"), {"model": "gpt"})


def test_a_name_is_registered_once() -> None:
    with pytest.raises(BadValue, match="already registered"):
        registry.recipe("flow", "another")(lambda: registry.Recipe("flow", None))


def test_a_broken_plugin_takes_no_other_recipe_down(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name, value = "bad-plugin", "nowhere:recipe"

        def load(self) -> None:
            raise ImportError("no module\nnamed nowhere")

    monkeypatch.setattr(registry, "entry_points", lambda group: [Broken()])
    monkeypatch.setattr(registry, "broken", {})
    assert "vae" in [e.name for e in registry.entries()]
    with pytest.raises(BadValue, match="no module named nowhere"):
        registry.get("bad-plugin")
    registry._loaded.discard("bad-plugin = nowhere:recipe")
