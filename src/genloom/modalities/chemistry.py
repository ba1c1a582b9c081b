"""What rdkit knows of a SMILES: whether it is a molecule, its one canonical form, its properties, its drawing."""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from genloom.errors import BadValue, unknown

PROPERTIES = ("logp", "qed", "weight", "sa", "rings")
COMPARED = ("logp", "qed", "weight", "sa")  # whose distances to held-out molecules are given (MOSES)
NAMES = {
    "logp": "logP (Crippen)",
    "qed": "QED",
    "weight": "molecular weight",
    "sa": "synthetic accessibility",
    "rings": "rings",
}
"""What each is called: the logarithm of the octanol-water partition coefficient (Wildman and Crippen 1999), the
quantitative estimate of drug-likeness (Bickerton et al. 2012), Daltons, 1 (easy to make) to 10 (Ertl and
Schuffenhauer 2009), and how many rings there are (the smallest set of them)."""


def there() -> bool:
    """Whether rdkit is installed."""
    try:
        importlib.import_module("rdkit.Chem")
    except ImportError:
        return False
    return True


def _rdkit(part: str = "Chem") -> Any:
    try:
        module = importlib.import_module(f"rdkit.{part}")
        importlib.import_module("rdkit.RDLogger").DisableLog("rdApp.*")  # it writes a line for every invalid string
    except ImportError:
        raise BadValue("molecules need rdkit: pip install 'genloom[molecules]'") from None
    return module


def check() -> None:
    """Raises BadValue where rdkit is not installed."""
    _rdkit()


def molecule(smiles: str) -> Any | None:
    """rdkit's molecule, or None where the string is none."""
    return _rdkit().MolFromSmiles(smiles) if smiles else None


def canonical(smiles: str) -> str | None:
    """The one form in which rdkit writes this molecule; None where the string is none."""
    found = molecule(smiles)
    return None if found is None else _rdkit().MolToSmiles(found)


def randomised(smiles: str, seed: int) -> str:
    """Another SMILES of the same molecule: its atoms in another order."""
    found = molecule(smiles)
    if found is None:
        return smiles
    return str(_rdkit().MolToRandomSmilesVect(found, 1, randomSeed=seed % (2**31))[0])


def property_of(found: Any, name: str) -> float:
    """A property of rdkit's molecule. Raises NotFound for an unknown one."""
    if name == "logp":
        return float(_rdkit("Chem.Crippen").MolLogP(found))
    if name == "weight":
        return float(_rdkit("Chem.Descriptors").MolWt(found))
    if name == "qed":
        return float(_rdkit("Chem.QED").qed(found))
    if name == "sa":
        return float(_rdkit("Contrib.SA_Score.sascorer").calculateScore(found))
    if name == "rings":
        return float(_rdkit("Chem.rdMolDescriptors").CalcNumRings(found))
    raise unknown("property", name, PROPERTIES)


def properties(smiles: Sequence[str], name: str) -> np.ndarray:
    """A property of each string (n,), nan where it is no molecule."""
    found = (molecule(s) for s in smiles)
    return np.array([math.nan if m is None else property_of(m, name) for m in found], np.float64)


def fingerprints(smiles: Sequence[str], bits: int = 1024, radius: int = 2) -> np.ndarray:
    """Morgan fingerprints (n, bits) of 0 and 1, float32. All must be molecules."""
    make = _rdkit("Chem.rdFingerprintGenerator").GetMorganGenerator(radius=radius, fpSize=bits)
    return np.stack([make.GetFingerprintAsNumPy(molecule(s)) for s in smiles]).astype(np.float32)


def drawing(smiles: str, size: int = 160) -> Image.Image | None:
    """A molecule as it is drawn on paper; None where the string is none."""
    found = molecule(smiles)
    if found is None:
        return None
    canvas = _rdkit("Chem.Draw.rdMolDraw2D").MolDraw2DCairo(size, size)
    canvas.drawOptions().bondLineWidth = 1
    _rdkit("Chem.Draw.rdMolDraw2D").PrepareAndDrawMolecule(canvas, found)
    canvas.FinishDrawing()
    return Image.open(io.BytesIO(canvas.GetDrawingText())).convert("RGB")


def svg(smiles: str, size: int = 160) -> str | None:
    """The same as SVG."""
    found = molecule(smiles)
    if found is None:
        return None
    canvas = _rdkit("Chem.Draw.rdMolDraw2D").MolDraw2DSVG(size, size)
    _rdkit("Chem.Draw.rdMolDraw2D").PrepareAndDrawMolecule(canvas, found)
    canvas.FinishDrawing()
    return str(canvas.GetDrawingText())
