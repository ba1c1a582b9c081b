"""How many numbers of a code are used: those whose value depends on the item (Burda et al. 2016, section 5.2).

A number is active where the variance over items of its mean given the item, Var_x(E[z|x]), is above a hundredth of its
variance under the standard prior. What a VAE does not use, it leaves at that prior whatever the item.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import TOKENS, CanDecode, CanEncode, Model, Sampling, the_item
from genloom.metrics.base import Result, SplitLike, spread

CITATION = (
    "@inproceedings{burda2016importance, title={Importance Weighted Autoencoders}, author={Burda, Yuri and Grosse, "
    "Roger and Salakhutdinov, Ruslan}, booktitle={ICLR}, year={2016}}"
)
LEAST = 0.01
ITEMS = 2000
BATCH = 250


def active(codes_ND: Tensor, variance_D: Tensor) -> Tensor:
    """Which numbers of codes (N, D) are active, (D,); variance_D: theirs under the prior."""
    return codes_ND.double().var(0) > LEAST * variance_D.double()


@torch.no_grad()
def active_units_result(model: Model, split: SplitLike, seed: int = 0) -> Result | None:
    """How many numbers of a model's codes are active over held-out items; None for fewer than two items."""
    assert isinstance(model, CanEncode)
    assert isinstance(model, CanDecode)
    key = the_item(split.spec, ("image", "table", "vector", *TOKENS), "active units")[0]
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    index = spread(len(split), ITEMS)
    if len(index) < 2:
        return None
    batches = ({k: v.to(device) for k, v in split.batch(rows).items()} for rows in index.split(BATCH))
    codes = torch.cat([model.encode(batch).flatten(1).cpu() for batch in batches])
    generator = torch.Generator(device).manual_seed(seed)
    prior = model.prior(1000, options=Sampling(prior="standard"), generator=generator).flatten(1).double().var(0).cpu()
    found = int(active(codes, prior).sum())
    protocol = {"key": key, "of": codes.shape[1], "above": f"{LEAST:g} of the variance under the standard prior"}
    return Result("active_units", f"active numbers of {codes.shape[1]} in a code", found, None, len(index), protocol,
                  CITATION)  # fmt: skip
