"""Music moved up or down as a whole: what a training window may also have been."""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import Field, Step
from genloom.modalities.notes import END


def transposed(ids_BL: Tensor, field: Field, semitones: int, step: Step) -> Tensor:
    """Every window moved up or down by a number of semitones drawn from -semitones to semitones, and no further than
    the lowest and highest training pitch allow."""
    pitched = (ids_BL > 0) & (ids_BL < END)
    low = ids_BL.masked_fill(~pitched, END).amin(1)
    high = ids_BL.masked_fill(~pitched, 0).amax(1)
    drawn = step.randint(2 * semitones + 1, len(ids_BL)).to(ids_BL.device) - semitones
    least, most = int(field.range[0]) - low, int(field.range[1]) - high
    by = torch.maximum(torch.minimum(drawn, most.clamp_min(0)), least.clamp_max(0))
    return torch.where(pitched, ids_BL + by[:, None], ids_BL)
