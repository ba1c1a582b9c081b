"""Arrays come out of pickles and TorchScript archives; nothing else does, and nothing is called."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from genloom.data.fetch.unpickled import read_numpy, read_script, to_safetensors
from genloom.data.sets.weights import convert_lpips
from genloom.errors import Damaged


def test_nested_arrays_come_back_with_their_layout(tmp_path: Path) -> None:
    tree = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "c": np.asfortranarray(np.eye(3))}, "d": {}}
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps(tree, protocol=3))
    found = read_numpy(tmp_path / "x.ckpt")
    assert set(found) == {"a.b", "a.c"}
    assert np.array_equal(found["a.b"], tree["a"]["b"])
    assert np.array_equal(found["a.c"], np.eye(3))
    to_safetensors(found, tmp_path / "x.safetensors")
    assert np.array_equal(load_file(tmp_path / "x.safetensors")["a.b"], tree["a"]["b"])


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("what", ["call", "cut", "objects"])
def test_anything_else_is_refused_and_not_run(what: str, tmp_path: Path) -> None:
    content = {
        "call": pickle.dumps({"a": Evil(tmp_path / "ran")}),
        "cut": pickle.dumps({"a": np.ones(9)}, protocol=3)[:-40],
        "objects": pickle.dumps({"a": np.array([{}, {}], dtype=object)}),
    }[what]
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(Damaged, match="arrays alone"):
        read_numpy(tmp_path / "x.ckpt")
    assert not (tmp_path / "ran").exists()


def test_parameters_of_torchscript_by_name(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.Sequential(torch.nn.Linear(3, 4)))
    torch.jit.script(net).save(str(tmp_path / "net.pt"))
    found = read_script(tmp_path / "net.pt")
    assert set(found) == set(net.state_dict())
    for name, value in net.state_dict().items():
        assert np.array_equal(found[name], value.numpy()), name


def test_an_archive_that_asks_for_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(Damaged, match="arrays alone"):
        read_script(tmp_path / "net.pt")
    assert not (tmp_path / "ran").exists()
    (tmp_path / "net.pt").write_bytes(b"no archive")
    with pytest.raises(Damaged, match="get the file anew where it came from"):  # a file of the user's was not fetched
        read_script(tmp_path / "net.pt")
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path))
    with pytest.raises(Damaged, match="remove the set and fetch it again"):
        read_script(tmp_path / "net.pt")


def test_lpips_is_written_in_torchs_order(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 5, 2, 4)).astype(np.float32)
    for net, part in (("vgg16", "VGG16_0"), ("alexnet", "AlexNet_0")):
        tree = {part: {"Conv_0": {"kernel": kernel, "bias": np.ones(4, np.float32)}},
                "NetLinLayer_0": {"Conv_0": {"kernel": np.ones((1, 1, 4, 1), np.float32)}}}  # fmt: skip
        (tmp_path / f"{net}.ckpt").write_bytes(pickle.dumps(tree, protocol=3))
    assert convert_lpips(tmp_path) == ("vgg16.safetensors", "alexnet.safetensors")
    found = load_file(tmp_path / "vgg16.safetensors")
    assert set(found) == {"conv0.weight", "conv0.bias", "head0"}
    assert found["conv0.weight"].shape == (4, 2, 3, 5)
    assert found["conv0.weight"][3, 1, 2, 4] == kernel[2, 4, 1, 3]
    assert found["head0"].shape == (4,)
