"""Whether codes that a model found by itself are factors that somebody knows: labels and numbers it was never told.

A categorical code is matched with a class one to one, on half of the held-out items (the assignment of most agreement),
and its error is measured on the other half. A continuous code is compared with a number by Spearman's rank correlation,
without its sign: a code may well run the other way. MIG (`disentanglement.py`) says whether each number has one code.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr
from torch import Tensor

from genloom.core import HasCodes, Model
from genloom.metrics.base import Result, spread
from genloom.metrics.disentanglement import BINS, CITATIONS, mig
from genloom.metrics.shares import clopper_pearson
from genloom.metrics.store import DatasetLike

MOST = 5000  # held-out items that are read
CITATION = (
    "@inproceedings{chen2016infogan, title={{InfoGAN}: Interpretable Representation Learning by Information "
    "Maximizing Generative Adversarial Nets}, author={Chen, Xi and Duan, Yan and Houthooft, Rein and Schulman, John "
    "and Sutskever, Ilya and Abbeel, Pieter}, booktitle={NeurIPS}, year={2016}}"
)


def matched(code: Tensor, label: Tensor, values: int, classes: int) -> np.ndarray:
    """The class each value of a code stands for, one to one, -1 for values that are left over. code, label: (N,)."""
    table = np.zeros((values, classes), np.int64)
    np.add.at(table, (code.numpy(), label.numpy()), 1)
    found = np.full(values, -1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    found[rows] = columns
    return found


@torch.no_grad()
def code_results(model: Model, dataset: DatasetLike) -> list[Result]:
    """The figures of a model with codes, on data with labels or known numbers; none elsewhere."""
    if not isinstance(model, HasCodes):
        return []
    fields = {k: f for k, f in dataset.spec.items() if f.role == "condition"}
    labels = {k: f for k, f in fields.items() if f.modality == "class" and len(f.classes) > 1}
    numbers = [k for k, f in fields.items() if f.modality == "vector" and f.shape == (1,)]
    if not labels and not numbers:
        return []
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    batches = [dataset.test.batch(i) for i in spread(len(dataset.test), MOST).split(256)]
    read = [model.infer({k: v.to(device) for k, v in b.items()}) for b in batches]
    codes = {c.name: torch.cat([r[c.name] for r in read]).cpu() for c in model.codes}
    known = {k: torch.cat([b[k] for b in batches]) for k in (*labels, *numbers)}
    order = torch.randperm(len(next(iter(codes.values()))), generator=torch.Generator().manual_seed(0))
    half = len(order) // 2
    results = []
    for name, field in labels.items():
        truth = known[name][order]
        best: tuple[int, str] | None = None
        for code in (c for c in model.codes if c.values):
            value = codes[code.name][order]
            stands = torch.from_numpy(matched(value[:half], truth[:half], code.values, len(field.classes)))
            right = int((stands[value[half:]] == truth[half:]).sum())
            best = max(best or (-1, ""), (right, code.name))
        if best is not None:
            n, wrong = len(order) - half, len(order) - half - best[0]
            protocol = {"code": best[1], "field": name, "matched_on": half, "interval": "Clopper-Pearson, 95%"}
            results.append(
                Result(f"code_error:{name}", f"error of {best[1]} as {name}", wrong / n, clopper_pearson(wrong, n), n,
                       protocol, CITATION, "lower")
            )  # fmt: skip
    continuous = {c.name: codes[c.name].double() for c in model.codes if not c.values}
    for name in numbers if continuous else ():
        factor = known[name][:, 0].double().numpy()
        ranks = {c: abs(float(spearmanr(value.numpy(), factor).statistic)) for c, value in continuous.items()}
        best_code = max(ranks, key=lambda c: ranks[c])
        protocol = {"code": best_code, "field": name, "all": ranks}
        title = f"rank correlation of {name} with {best_code}"
        results.append(Result(f"code:{name}", title, ranks[best_code], None, len(factor), protocol, CITATION, "higher"))
    if len(continuous) > 1 and numbers and len(order) >= 10 * BINS:
        factors = {name: known[name][:, 0].double() for name in numbers}
        found = mig(torch.stack(list(continuous.values()), 1), factors)
        protocol = {"factors": dict(found.factors), "bins": BINS}
        results.append(
            Result("mig", "mutual information gap of the codes", found.score, None, len(order), protocol,
                   CITATIONS["mig"], "higher")
        )  # fmt: skip
    return results
