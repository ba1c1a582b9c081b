"""CycleGAN: two collections of pictures turned into each other, learnt without pairs (Zhu, Park, Isola and Efros 2017).

G makes pictures of domain b of those of domain a, F the other way; a judge of each domain compares with real ones. What
keeps a picture's content is the cycle (equations 1 to 3): there and back again must be where it began.

    G, F  minimise  game_b(G(a)) + game_a(F(b)) + cycle (|F(G(a)) - a|_1 + |G(F(b)) - b|_1)
                    + identity (|G(b) - b|_1 + |F(a) - a|_1)                                      (section 5.2)
    D_a, D_b  judge real pictures beside made ones, half of them from the pool of the newest made ones (section 4)

What differs from the paper: both directions are U-Nets, as in `pix2pix`, without dropout; the pool replaces its oldest
pictures instead of random ones; normalisation is over channels; rates are higher and fall; a batch holds several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanSample,
    CanTranslate,
    DataSpec,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_domains,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadData, BadValue
from genloom.nets.pool import Pool
from genloom.nets.scale import inward, outward
from genloom.nets.translator import PatchCritic, Translator
from genloom.objectives.adversarial import DUELS

ADAM = Optimizer("adam", lr=1e-3, betas=(0.5, 0.99), clip=0.0, warmup=0.02, decay="linear", final=0.05)
KEPT = 64  # training pictures of each domain of which samples are made


@dataclass(frozen=True)
class CycleGANConfig:
    """width: channels of both makers at half the picture's size, doubled at every further halving up to four times.
    blocks: residual blocks at each size, on the way down and again on the way up.
    judge_width: channels of both judges at half size.
    loss: of the game: "least-squares" (the paper's) or "non-saturating".
    cycle: weight of the distance to where a picture began.
    identity: weight of the distance between a picture of a domain and what its maker makes of it, which keeps colours;
        half of `cycle` where the paper uses it; only for domains of one number of channels.
    pool: made pictures of each domain that are kept for the judges.
    generator, discriminator: how makers and judges learn.
    """

    width: int = 32
    blocks: int = 1
    judge_width: int = 32
    loss: Literal["least-squares", "non-saturating"] = "least-squares"
    cycle: float = 10.0
    identity: float = 0.0
    pool: int = 50
    generator: Optimizer = field(default=ADAM, metadata={"was": "makers"})
    discriminator: Optimizer = field(default=ADAM, metadata={"was": "judges"})

    def __post_init__(self) -> None:
        if self.cycle < 0 or self.identity < 0 or self.pool < 1:
            raise BadValue("cycle and identity are 0 or more, and pool 1 or more")


class CycleGAN(Model, CanSample, CanTranslate):
    """Two makers and two judges; `makers[i]` makes pictures of domain i of those of the other domain."""

    Config = CycleGANConfig
    one_answer = True
    citation = """@inproceedings{zhu2017unpaired,
  title={Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks},
  author={Zhu, Jun-Yan and Park, Taesung and Isola, Phillip and Efros, Alexei A.},
  booktitle={IEEE International Conference on Computer Vision},
  year={2017},
  eprint={1703.10593}
}"""

    def __init__(self, config: CycleGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.domains = the_domains(spec, "cyclegan")
        fields = [spec[name] for name in self.domains]
        (first, *size), (second, *other) = fields[0].shape, fields[1].shape
        if size != other:
            raise BadData("cyclegan needs both collections at one size: give --data.size")
        if config.identity and first != second:
            raise BadValue(f"--config.identity: the domains have {first} and {second} channels; leave it 0")
        made_of = ((second, first), (first, second))
        self.makers = nn.ModuleList(
            Translator(into, out, tuple(size), width=config.width, blocks=config.blocks, who="cyclegan")
            for into, out in made_of
        )
        self.judges = nn.ModuleList(PatchCritic(f.shape[0], tuple(size), width=config.judge_width) for f in fields)
        self.made = nn.ModuleList(Pool(config.pool, f.shape) for f in fields)
        self.kept = nn.ModuleList(Pool(KEPT, f.shape) for f in fields)

    @property
    def tasks(self) -> tuple[str, ...]:
        a, b = self.domains
        return (f"{a}-to-{b}", f"{b}-to-{a}")

    def players(self) -> tuple[Player, ...]:
        return (
            Player("generators", ("makers.*",), self.config.generator),
            Player("discriminators", ("judges.*",), self.config.discriminator),
        )

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("generators", "generators"), Phase("discriminators", "discriminators", batch="same"))

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn of both makers or of both judges; see the module's first lines."""
        c, duel = self.config, DUELS[self.config.loss]
        real = [inward(batch[name], self.spec[name].range) for name in self.domains]
        total = real[0].new_zeros(())
        parts: dict[str, Tensor] = {}
        if phase.name == "generators":
            made = [self.makers[i](real[1 - i]) for i in (0, 1)]
            for i, name in enumerate(self.domains):
                logits = self.judges[i](made[i])
                game = duel.generator(logits[:0], logits)
                back = (self.makers[i](made[1 - i]) - real[i]).abs().mean()
                total = total + game + c.cycle * back
                parts |= {f"game_{name}": game.detach(), f"cycle_{name}": back.detach()}
                if c.identity:
                    total = total + c.identity * (self.makers[i](real[i]) - real[i]).abs().mean()
            memo = {"made_0": made[0], "made_1": made[1], "kept_0": real[0], "kept_1": real[1]}
            return Loss(total, parts, memo)
        start, stop, everything = step.rows
        rows = torch.arange(start, stop)
        u = step.rand(len(real[0]), 4)
        for i, name in enumerate(self.domains):
            pool: Any = self.made[i]
            newest, older = pool.newest(rows, everything), pool.at(u[:, i])
            shown = torch.where((u[:, 2 + i] < 0.5)[:, None, None, None], newest, older)
            on_real, on_made = self.judges[i](torch.cat([real[i], shown])).chunk(2)
            total = total + duel.discriminator(on_real, on_made)
            for key, value in duel.verdicts(on_real.detach(), on_made.detach()).items():
                parts[f"{key}_{name}"] = value
        return Loss(total, parts)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if phase.name == "generators":
            for key, pools in (("made", self.made), ("kept", self.kept)):
                for i, pool in enumerate(pools):
                    pool.put(memo[f"{key}_{i}"])  # type: ignore[operator]

    # -- afterwards -------------------------------------------------------------------------------------------------

    def make(self, i: int, given: Tensor) -> Tensor:
        """Pictures of domain i, in its range, of pictures of the other domain in [-1, 1]."""
        return outward(self.makers[i](given), self.spec[self.domains[i]].range)

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """Pictures of both domains, each made of given ones of the other; where none are given, of the newest training
        pictures."""
        out = {}
        for i, name in enumerate(self.domains):
            source = self.domains[1 - i]
            if condition is not None and source in condition:
                given = inward(condition[source], self.spec[source].range)
            else:
                kept: Any = self.kept[1 - i]
                given = kept.at(torch.rand(n, generator=generator, device=kept.seen.device))
            out[name] = self.make(i, given)
        if callback is not None:
            callback({"i": 1, "of": 1, "x": out[self.domains[0]]})
        return out

    def translate(
        self,
        given: Tensor,
        *,
        task: str,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
    ) -> Batch:
        i = self.tasks.index(task) ^ 1  # the first task makes the second domain
        return {self.domains[i]: self.make(i, given)}
