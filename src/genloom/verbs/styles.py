"""What models whose latents are rows of styles can do beyond others: be drawn closer to the centre, and be mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genloom.errors import BadValue, unknown
from genloom.verbs.walks import decoded

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.engine.load import Loaded

PARTS = ("coarse", "middle", "fine")


def rows_of(loaded: Loaded, part: str) -> slice:
    """The levels that a word of PARTS means. Raises NotFound, or BadValue where the model has none such."""
    from genloom.core import HasStyles

    model = loaded.model
    if part not in PARTS:
        raise unknown("part of styles", part, PARTS)
    if not isinstance(model, HasStyles):
        raise BadValue(f"--mix: the model of {loaded.run.path} has no styles to mix (recipe stylegan has)")
    first = {"coarse": 0, "middle": model.coarse, "fine": model.coarse + model.middle}[part]
    last = {"coarse": model.coarse, "middle": model.coarse + model.middle, "fine": model.levels}[part]
    if first == last:
        raise BadValue(f"--mix {part}: pictures this small have no {part} styles; try --mix coarse")
    return slice(first, last)


def mixed(loaded: Loaded, name: str, n: int, part: str, seed: int) -> Tensor:
    """A table of n + 1 by n + 1 items, row by row: in the corner nothing, in the first row and column samples; each
    other item has the styles of its row's sample, save the levels `part`, which come from its column's."""
    import torch

    from genloom.core import CanDecode

    levels, model = rows_of(loaded, part), loaded.model
    assert isinstance(model, CanDecode)
    with torch.no_grad():
        w = model.prior(2 * n, generator=torch.Generator(loaded.device).manual_seed(seed))
        a, b = w[:n], w[n:]
        table = a[:, None].repeat(1, n, 1, 1)
        table[:, :, levels] = b[None, :, levels]
        above, beside, inside = (decoded(model, x.contiguous(), name, None) for x in (b, a, table.flatten(0, 1)))
    blank = torch.full_like(above[:1], loaded.spec[name].range[1])
    rows = torch.cat([beside[:, None], inside.unflatten(0, (n, n))], 1)
    return torch.cat([blank, above, rows.flatten(0, 1)])
