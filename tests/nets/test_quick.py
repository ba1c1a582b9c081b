"""The passes for decoding, compiled and in NumPy, are the network, whatever its options."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from genloom.core import Field, Sampling
from genloom.errors import BadValue
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.nets.portable import Portable, PortableShape, PortableTransformer
from genloom.nets.quick import Quick, quick, serves
from genloom.nets.reading import WindowReading
from genloom.nets.transformer import Shape, Transformer
from genloom.samplers import decoding

V, L = 20, 24


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shaken(net: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator(len(p))))
    return net.eval().requires_grad_(False)


def portable(positions: str, norm: str, mlp: str) -> PortableTransformer:
    style = Portable(
        positions, norm, mlp=mlp, biases=mlp != "swiglu", tied=mlp != "relu", key_heads=2 if mlp == "gelu" else 0
    )  # type: ignore[arg-type]
    return PortableTransformer(PortableShape(V + 1, V, L, 32, 2, 4, style=style))


NETS = {
    "pairs hashed": lambda: Transformer(Shape(V + 1, V, L, 32, 2, 4, values=1, pairs=50)),
    "pairs complete": lambda: Transformer(Shape(V + 1, V, L, 32, 2, 4, values=2, pairs=1000)),
    "plain": lambda: Transformer(Shape(V + 1, V, L, 32, 2, 4, values=0, pairs=0, cap=0)),
} | {
    " ".join(choice): (lambda choice=choice: portable(*choice))
    for choice in itertools.product(
        ("learned", "sinusoidal", "rotary", "alibi"), ("layer", "rms"), ("gelu", "relu", "swiglu")
    )
}


@pytest.fixture(params=["compiled", "numpy"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr("genloom.nets.quick.COMPILES", request.param == "compiled")
    return bool(request.param == "compiled")


@pytest.mark.parametrize("name", NETS)
def test_it_is_the_network(name: str, compiled: bool) -> None:
    net = shaken(NETS[name]())
    assert isinstance(net, Transformer | PortableTransformer)
    ids = torch.randint(V + 1, (3, L), generator=generator())
    whole, swift = net(ids), Quick(net)
    assert whole.std() > 0.1
    cache, ours = net.cache(3), swift.cache(3)
    said = [swift(part, ours) for part in ids[:, :16].split([9, 1, 6], 1)]
    net(ids[:, :10], cache)
    net(ids[:, 10:16], cache)
    torch.testing.assert_close(ours.vectors, cache.vectors, atol=1e-4, rtol=0)
    swift(ids[:, :4], ours)
    ours.forget(4, ids[:, 15:16])
    said.append(swift(ids[:, 16:18], ours))
    torch.testing.assert_close(torch.cat(said, 1), whole[:, :18], atol=1e-4, rtol=0)
    rows = torch.tensor([2, 0, 2, 1])
    ours.select(rows)
    torch.testing.assert_close(swift(ids[rows, 18:], ours), whole[rows, 18:], atol=1e-4, rtol=0)


@pytest.mark.parametrize("network", ["speedrun", "portable"])
def test_readings_agree_over_several_windows(network: str, compiled: bool) -> None:
    config = GPTConfig(width=32, depth=2, heads=2, pairs=50, network=network)  # type: ignore[arg-type]
    gpt = shaken(GPT(config, {"text": Field("text", (12,), vocabulary=V)}))
    assert isinstance(gpt, GPT)
    assert serves(gpt.network)
    prompt = torch.randint(V, (2, 5), generator=generator())
    more = torch.randint(V, (2, 60), generator=generator(1))
    ours, first = gpt.begin(prompt)
    plain = WindowReading(gpt.network, gpt.start, gpt.context, prompt)
    torch.testing.assert_close(first, plain.said_BV, atol=1e-4, rtol=0)
    for part in more.split([1, 1, 20, 1, 7, 30], 1):
        torch.testing.assert_close(ours.read(part), plain.read(part), atol=1e-4, rtol=0)
        ours.forget(1)
        plain.forget(1)


def wide() -> PortableTransformer:
    """Wide enough for what is done with many rows."""
    torch.manual_seed(0)
    net = PortableTransformer(PortableShape(V + 1, V, L, 128, 2, 4, style=Portable())).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if "norm" in name:
            p.add_(0.3 * torch.randn_like(p))
    return net


@pytest.mark.parametrize("batch", [1, 2, 3, 32])
def test_as_many_texts_as_there_are(batch: int, compiled: bool) -> None:
    """Products of one row, a few and many are computed in different ways."""
    net = wide()
    ids = torch.randint(V + 1, (batch, L), generator=generator())
    whole, swift = net(ids), Quick(net)
    cache = swift.cache(batch)
    said = torch.cat([swift(part, cache) for part in ids.split(1, 1)], 1)
    torch.testing.assert_close(said, whole, atol=1e-4, rtol=0)
    torch.testing.assert_close(swift(ids, swift.cache(batch)), whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("batch", [3, 32])
def test_bytes_say_the_same_of_a_text_alone_and_beside_others(batch: int) -> None:
    pytest.importorskip("numba")
    net = wide()
    swift = Quick(net, "int8", compiled=True)
    ids = torch.randint(V + 1, (batch, L), generator=generator())
    cache, own = swift.cache(batch), swift.cache(1)
    beside = torch.cat([swift(part, cache) for part in ids.split(1, 1)], 1)
    alone = torch.cat([swift(part, own) for part in ids[1:2].split(1, 1)], 1)
    torch.testing.assert_close(beside[1:2], alone, atol=1e-4, rtol=0)
    torch.testing.assert_close(swift(ids, swift.cache(batch)), beside, atol=1e-4, rtol=0)
    whole = net(ids)
    assert not torch.equal(beside, whole)
    assert (beside.argmax(-1) == whole.argmax(-1)).float().mean() >= 0.99


def test_bytes_without_fast_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors that PyTorch multiplies no bytes on take another way, to much the same."""
    net = wide()
    ids = torch.randint(V + 1, (4, L), generator=generator())
    said = []
    for fast in (True, False):
        monkeypatch.setattr("genloom.nets.quick.plain.WHOLE", fast)
        swift = Quick(net, "int8", compiled=False)
        said.append(swift(ids, swift.cache(4)))
    assert not torch.equal(*said)
    torch.testing.assert_close(*said, atol=0.03, rtol=0)


def test_new_weights_are_noticed() -> None:
    net = shaken(NETS["plain"]())
    assert isinstance(net, Transformer)
    first = quick(net)
    assert quick(net) is first
    with torch.no_grad():
        net.head.weight.mul_(2)
    ids = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(quick(net)(ids, quick(net).cache(1)), net(ids), atol=1e-4, rtol=0)
    assert not serves(net.train())


def test_weights_of_one_byte_change_little(compiled: bool) -> None:
    torch.manual_seed(0)
    gpt = shaken(GPT(GPTConfig(width=64, depth=2, heads=2), {"text": Field("text", (32,), vocabulary=V)}))
    assert isinstance(gpt, GPT)
    ids = torch.randint(V, (8, 31), generator=generator())
    full, light = (model.begin(ids[:, :1])[0].read(ids[:, 1:]).log_softmax(-1) for model in (gpt, gpt.lightened()))
    assert not torch.equal(full, light)
    assert (full.exp() * (full - light)).sum(-1).mean() < 1e-3  # nats
    assert (full.argmax(-1) == light.argmax(-1)).float().mean() > 0.97
    written = decoding.texts(gpt.lightened(), [ids[0, :3]], Sampling(length=40), generator())[0]
    assert len(written.ids) == 40
    with pytest.raises(BadValue, match="on a CPU"):
        gpt.double().lightened()


def test_where_nothing_can_be_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba refuses to keep code where no folder can be written; it is translated all the same."""
    pytest.importorskip("numba")
    from genloom.nets.quick import kernel

    asked: list[bool] = []

    def njit(cache: bool = False, **_: object) -> Any:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function")
        return lambda function: function

    monkeypatch.setattr(kernel, "njit", njit)
    assert kernel.compiled(len) is len
    assert asked == [True, False]
