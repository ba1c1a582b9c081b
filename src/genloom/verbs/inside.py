"""What goes on inside a model, as pictures: walks and maps of its latent space, items as they are made from noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from genloom.engine.load import Loaded

WALKS, POINTS = 6, 10
SIDE = 16  # items along each side of a map
PATHS, MOMENTS = 4, 10
LARGEST = 128  # pixels a side of a square above which walks and maps would make a page too heavy
WIDEST = 1280  # pixels of a row, before it is enlarged


def inside(loaded: Loaded, name: str, seed: int) -> dict[str, Image.Image]:
    """The pictures by their names in ReportRun, as far as the model can do what they show."""
    import torch

    from genloom.core import CanDecode
    from genloom.verbs.sheets import sheet_of, tile_size
    from genloom.verbs.walks import latent_shape, map_of, walks

    found: dict[str, Image.Image] = {}
    field = loaded.spec[name]
    height, width = tile_size(field)
    if height * width > LARGEST**2:
        return found
    path = moments(loaded, name, seed)
    points = max(3, min(POINTS, WIDEST // width))
    if path is not None:
        chosen = torch.linspace(0, path.shape[1] - 1, min(points, path.shape[1])).round().long()
        found["path"] = sheet_of(path[:, chosen].flatten(0, 1), field, len(chosen))
    if isinstance(loaded.model, CanDecode):
        found["walks"] = sheet_of(walks(loaded, name, WALKS, points, seed), field, points)
        if latent_shape(loaded) == (2,):
            found["map"] = sheet_of(map_of(loaded, name, SIDE), field, SIDE)
    return found


def moments(loaded: Loaded, name: str, seed: int) -> Tensor | None:
    """A few samples as they are made: (samples, moments, C, H, W), from the first state to the finished item.

    None where the model does not sample, or makes items in one step.
    """
    import torch

    from genloom.core import CanSample, Sampling
    from genloom.engine.preview import resting

    model = loaded.model
    if not isinstance(model, CanSample):
        return None
    states: list[Tensor] = []

    def watch(told: dict[str, Any]) -> None:
        if told["of"] > 1:
            states.append(told.get("state", told["x"]).detach().float().cpu())

    with resting(model):
        generator = torch.Generator(loaded.device).manual_seed(seed)
        last = model.sample(PATHS, options=Sampling(), generator=generator, callback=watch)[name].float().cpu()
    if not states or states[0].shape != last.shape:
        return None
    chosen = torch.linspace(0, len(states) - 1, min(MOMENTS - 1, len(states))).round().long().tolist()
    return torch.stack([*(states[i] for i in chosen), last], 1)
