"""Another skin tone, the same emoji: attribute change in a latent space, with and without an identity network.

    python benchmarks/edit_tone.py [--budget 5m] [--n 100] [--run RUN]

2,500 emoji of people and hands in five tones, 32 pixels, are a folder of classes on which `genloom train r3gan` learns
pictures by tone. Emoji that it never saw in any tone are then found in its latent space and told another tone
(genloom.verbs.edit). The true picture in that tone exists, so every answer has a score: PSNR against it, for the edit,
for the change carried over to the picture, and for doing nothing. Two judges that took no part in the search look at
the answers: one names the tone; one, trained to match tones of one emoji, must pick the true emoji among all held-out
ones. A third network, trained like the second from another seed, is the identity term. Writes results/edit_tone.json
and docs/pictures/edit-tone.png.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import genloom
from _result import publish, save_small
from genloom.data.sets.common import folder_of
from genloom.data.sets.emoji import ENTRIES, TONES, captions, on_white
from genloom.engine.load import load as load_run
from genloom.metrics.similarity import psnr
from genloom.modalities import image
from genloom.nets.critic import ConvFeatures
from genloom.objectives.contrastive import contrastive
from genloom.verbs.edit import drawn, project
from genloom.verbs.opened import find_run

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "edit-tone.png"
SIDE, STEPS, BATCH, LEARNT, WEIGHT = 32, 200, 64, 400, 0.3
NAMES = TONES[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--run", default=None)
    a = parser.parse_args()
    folder = folder_of(ENTRIES["emoji"])
    rows = [r for r in captions(folder) if len(r["tone"]) == 1]

    def read(row: dict[str, Any]) -> np.ndarray:
        pixels = Image.fromarray(on_white((folder / row["file"]).read_bytes()))
        return np.asarray(pixels.resize((SIDE, SIDE), Image.Resampling.BOX))

    pixels = np.stack([read(r) for r in rows])
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    tone = torch.tensor([NAMES.index(r["tone"][0]) for r in rows])
    who = [(r["base"], r["style"]) for r in rows]
    seen = torch.tensor([r["split"] == "train" for r in rows])
    with tempfile.TemporaryDirectory() as root:
        if a.run is None:
            for i in torch.nonzero(seen).flatten().tolist():
                place = Path(root, "tones", NAMES[int(tone[i])], f"{who[i][1]}-{i}.png")
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels[i]).save(place)
            trained = genloom.train("r3gan", data=Path(root, "tones"), budget=a.budget, runs=Path(root, "runs"))
            run = find_run(trained)
        else:
            run = find_run(a.run)
        loaded = load_run(run)
        cost, status = run.status.get("cost"), run.status
    classes = next(f.classes for f in loaded.spec.values() if f.modality == "class")
    order = torch.tensor([classes.index(n) for n in NAMES])  # folders come in the order of the alphabet
    one, other = (identity_network(x[seen], [w for w, s in zip(who, seen, strict=True) if s], s) for s in (0, 1))
    namer = tone_network(x[seen], tone[seen])

    held = [i for i in range(len(rows)) if not seen[i]]
    groups: dict[tuple[str, str], dict[int, int]] = {}
    for i in held:
        groups.setdefault(who[i], {})[int(tone[i])] = i
    whole = sorted(k for k, v in groups.items() if len(v) == len(NAMES) and distinct(x[list(v.values())]))
    pick = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[: a.n].tolist()
    draws = torch.randint(5, (len(pick), 2), generator=torch.Generator().manual_seed(1))
    start, goal = draws[:, 0], (draws[:, 0] + 1 + draws[:, 1] % 4) % 5
    given = torch.stack([x[groups[whole[k]][int(s)]] for k, s in zip(pick, start, strict=True)])
    true = torch.stack([x[groups[whole[k]][int(g)]] for k, g in zip(pick, goal, strict=True)])
    label = next(k for k, f in loaded.spec.items() if f.modality == "class")
    name = next(k for k, f in loaded.spec.items() if f.role == "item")

    def identity(p: Tensor, q: Tensor) -> Tensor:
        return (one(p) - one(q)).square().sum(1)

    def judged(made: Tensor) -> dict[str, float]:
        with torch.no_grad():
            gallery = {k: torch.stack([x[v[int(g)]] for v in (groups[w] for w in whole)]) for k, g in enumerate(goal)}
            found = [int((other(made[k : k + 1]) @ other(gallery[k]).T).argmax()) == pick[k] for k in range(len(made))]
            named = (namer(made).argmax(1) == goal).float().mean()
        return {
            "psnr": round(float(psnr(made, true, 2.0).mean()), 2),
            "right emoji": round(sum(found) / len(found), 3),
            "right tone": round(float(named), 3),
        }

    scores = {"the picture as it was": judged(given), "the true picture": judged(true)}
    del scores["the true picture"]["psnr"]  # of a picture to itself: infinite
    shown = {"given": given}
    for kind, term in (("no identity term", None), ("identity term", identity)):
        found = project(loaded, name, given, told={label: order[start]}, steps=STEPS, identity=term, weight=WEIGHT,
                        perceptual=False)  # fmt: skip
        edited = drawn(loaded, name, found.latent, {label: order[goal]})
        carried = (given + edited - found.items).clamp(-1, 1)
        scores[f"edited, {kind}"] = judged(edited)
        scores[f"carried over, {kind}"] = judged(carried)
        scores[f"projection, {kind}"] = {
            "psnr to the given picture": round(float(psnr(found.items, given, 2.0).mean()), 2)
        }
        shown |= {f"projection, {kind}": found.items, f"told another tone, {kind}": edited}
        if term is not None:
            shown["the change carried over to the given picture"] = carried
    shown["the true picture in that tone"] = true
    columns = min(14, len(given))
    save_small(image.labelled({k: v[:columns] for k, v in shown.items()}, columns, scale=1), PICTURE)
    figures = {
        "budget": a.budget,
        "items": status.get("items"),
        "cost": cost,
        "shared_machine": True,
        "n": len(given),
        "emoji to choose from": len(whole),
        "training pictures": int(seen.sum()),
        "search": {"steps": STEPS, "identity_weight": WEIGHT, "distance": "mean squared differences at three sizes"},
        "scores": scores,
    }
    publish("edit_tone", figures, "python benchmarks/edit_tone.py")


def distinct(pictures: Tensor) -> bool:
    """Whether no two are alike: some emoji show no skin, and have nothing to change."""
    return len(pictures.flatten(1).unique(dim=0)) == len(pictures)


def identity_network(x: Tensor, who: list[tuple[str, str]], seed: int) -> nn.Module:
    """Pictures to unit vectors: tones of one emoji near, other emoji far (contrastive, 400 steps)."""
    torch.manual_seed(seed)
    body = ConvFeatures((3, SIDE, SIDE), 64, width=16, count=3)
    net = nn.Sequential(body, nn.Linear(64, 32), Unit())
    index: dict[tuple[str, str], list[int]] = {}
    for i, w in enumerate(who):
        index.setdefault(w, []).append(i)
    several = [v for v in index.values() if len(v) > 1]
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(LEARNT):
        chosen = torch.randperm(len(several), generator=generator)[:BATCH].tolist()
        pairs = [[several[k][int(j)] for j in torch.randperm(len(several[k]), generator=generator)[:2]] for k in chosen]
        a, b = (x[[p[side] for p in pairs]] for side in (0, 1))
        loss = contrastive(net(a), net(b), torch.tensor(10.0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


def tone_network(x: Tensor, tone: Tensor) -> nn.Module:
    """Pictures to logits of the five tones (400 steps)."""
    torch.manual_seed(2)
    net = nn.Sequential(ConvFeatures((3, SIDE, SIDE), 64, width=16, count=3), nn.Linear(64, len(NAMES)))
    generator = torch.Generator().manual_seed(2)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(LEARNT):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        loss = F.cross_entropy(net(x[rows]), tone[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


class Unit(nn.Module):
    """Vectors of length 1."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1)


if __name__ == "__main__":
    main()
