"""Arrays out of pickles and TorchScript archives, by a reader that can make arrays and nothing else.

A pickle names functions that are called while it is read, a TorchScript archive holds code. Here every name that is
not on a short list is refused, and those on it stand for classes of this file: nothing of the pickle's choosing is ever
called. What is read is written on as safetensors (`to_safetensors`), which cannot hold code.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genloom.data.cache import cache_dir
from genloom.errors import Damaged

Arrays = dict[str, NDArray[Any]]
_TYPES = {"f2": "<f2", "f4": "<f4", "f8": "<f8", "i1": "<i1", "i2": "<i2", "i4": "<i4", "i8": "<i8"}
_OBJECTS = ("O", "O8", "O4")
_STORAGES = {"HalfStorage": "<f2", "FloatStorage": "<f4", "DoubleStorage": "<f8", "LongStorage": "<i8"}


class _Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, name: str, *_: Any) -> None:
        if name not in _TYPES:
            raise pickle.UnpicklingError(f"values of the type {str(name)[:20]!r}")
        self.code = _TYPES[name]

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", "|", "="):
            raise pickle.UnpicklingError(f"numbers in the order {state[1]!r}")


class _AnyDtype(_Dtype):
    """Stands for numpy.dtype where an array may hold objects."""

    def __init__(self, name: str, *rest: Any) -> None:
        if name in _OBJECTS:
            self.code = "O"
        else:
            super().__init__(name, *rest)


class _Array:
    """Stands for numpy.ndarray."""

    value: NDArray[Any]
    parts: list[Any] | None = None

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes | str | list[Any]]) -> None:
        _, shape, dtype, fortran, content = state
        if dtype.code == "O":
            if not isinstance(content, list) or shape != (len(content),):
                raise pickle.UnpicklingError("objects that are no list")
            self.parts = content
            return
        if not isinstance(content, bytes | str):
            raise pickle.UnpicklingError("an array without its bytes")
        content = content.encode("latin1") if isinstance(content, str) else content  # written by Python 2
        self.value = np.frombuffer(content, dtype.code).reshape(shape, order="F" if fortran else "C")


class _Object:
    """Stands for a module of a TorchScript archive: its attributes."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, Mapping) else {})


class _NumpyReader(pickle.Unpickler):
    """Dictionaries of numpy arrays of numbers."""

    dtype: type[_Dtype] = _Dtype

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "dtype"):
            return self.dtype
        if (module, name) == ("numpy", "ndarray"):
            return _Array
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return lambda *_: _Array()
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


class _RaggedReader(_NumpyReader):
    """Lists of numpy arrays of different shapes, which numpy keeps as an array of objects."""

    dtype = _AnyDtype


class _ScriptReader(pickle.Unpickler):
    """The data.pkl of a TorchScript archive, whose numbers lie in files of their own."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Object
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name in _STORAGES:
            return name
        if module == "torch.jit._pickle" and name.startswith("build_") and name.endswith("list"):
            return list
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        _, storage, key, _, count = pid
        return np.frombuffer(self.archive.read(f"{self.root}/data/{int(key)}"), _STORAGES[storage], count)

    @staticmethod
    def _tensor(flat: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if min(offset, *strides, 0) < 0 or last >= len(flat):
            raise pickle.UnpicklingError("an array reaches beyond its storage")
        made = np.lib.stride_tricks.as_strided(flat[offset:], shape, [s * flat.itemsize for s in strides])
        return np.array(made)  # a copy: the storage may be shared


def read_numpy(path: Path) -> Arrays:
    """The arrays of a pickled nest of dictionaries, by names joined with dots. Raises Damaged for anything else."""
    with _reading(path), open(path, "rb") as file:
        return _flat(_NumpyReader(file).load())


def read_ragged(path: Path) -> dict[str, list[NDArray[Any]]]:
    """The lists of arrays of different shapes in a .npz file, by name. Raises Damaged for anything else."""
    found = {}
    with _reading(path), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                first = np.lib.format.read_magic(file) == (1, 0)
                header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                if not header(file)[2].hasobject:
                    continue
                made = _RaggedReader(file, encoding="latin1").load()
            parts = made.parts if isinstance(made, _Array) else None
            if parts is None or not all(isinstance(p, _Array) and p.parts is None for p in parts):
                raise Damaged(f"{path}: {name} is no list of arrays of numbers: write it anew")
            found[name.removesuffix(".npy")] = [p.value for p in parts]
    return found


def read_script(path: Path) -> Arrays:
    """The parameters of a TorchScript archive by their names, its code unread. Raises Damaged for anything else."""
    with _reading(path), zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        return _flat(_ScriptReader(archive, root).load())


class _reading:
    """Whatever a broken file makes a reader say, as one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Damaged) or not isinstance(error, Exception):
            return
        why = " ".join(str(error).split())[:150] or type(error).__name__
        fetched = self.path.absolute().is_relative_to(cache_dir().absolute())
        cure = "remove the set and fetch it again" if fetched else "get the file anew where it came from"
        raise Damaged(f"{self.path} is not made of arrays alone ({why}): {cure}") from error


def _flat(node: Any, prefix: str = "") -> Arrays:
    """Arrays below a node, by dotted name; numbers and flags beside them are left out."""
    node = node.__dict__ if isinstance(node, _Object) else node
    if isinstance(node, Mapping):
        found: Arrays = {}
        for name, child in node.items():
            found |= _flat(child, f"{prefix}.{name}" if prefix else str(name))
        return found
    if isinstance(node, _Array):
        return {prefix: node.value}
    return {prefix: node} if isinstance(node, np.ndarray) else {}


def to_safetensors(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Writes arrays as one safetensors file, whole or not at all. Raises Storage."""
    from safetensors.numpy import save_file

    from genloom.runs.files import write_atomic

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomic(path, lambda place: save_file(whole, str(place)))
