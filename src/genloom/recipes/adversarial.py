"""Recipes of generative adversarial networks."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.adversarial import cogan as coupled
from genloom.models.adversarial import cyclegan as cycling
from genloom.models.adversarial import dcgan as convolutional
from genloom.models.adversarial import gan as classic
from genloom.models.adversarial import gan_mlp as dense
from genloom.models.adversarial import infogan as informed
from genloom.models.adversarial import lapgan as layered
from genloom.models.adversarial import pix2pix as translating
from genloom.models.adversarial import progressive_gan as growing
from genloom.models.adversarial import r3gan as modern
from genloom.models.adversarial import stylegan as styled
from genloom.models.adversarial import text_gan as spoken
from genloom.recipes.ranges import Choice, Linear, Log, Whole
from genloom.recipes.registry import Recipe, recipe

SMOKE = {"train.budget": "20steps", "train.batch": 32, "data.limit": 512, "train.precision": "fp32"}


RATES = {
    "config.generator.lr": Log(5e-5, 5e-3),
    "config.discriminator.lr": Log(5e-5, 5e-3),
}


@recipe(
    "gan",
    "the image GAN of the literature: seven losses and every common regulariser as options; minutes on a CPU",
    sizes=("small", "base"),
    smoke={**SMOKE, "config.width": 8, "config.features": 16},
    ranges={
        **RATES,
        "train.batch": Choice(32, 64, 128),
        "config.width": Choice(16, 24, 32, 48, 64),
        "config.r1": Log(0.01, 10.0),
        "train.ema": Choice(0.05, 0.1, 0.15),
    },
)
def gan(size: str = "small") -> Recipe:
    """Convolutional, non-saturating, with R1, told the class where there are labels; base: twice as wide."""
    config = classic.GANConfig(r1=1.0)
    if size == "base":
        config = replace(config, width=64, features=256)
    return Recipe("gan", config, DataOptions(), TrainOptions(budget="5m", batch=64))


@recipe(
    "conditional-gan",
    "the conditional GAN of 2014: the class embedded beside the noise and beside the picture; minutes on a CPU",
    smoke={**SMOKE, "config.width": 8, "config.features": 16},
    ranges={**RATES, "train.batch": Choice(32, 64, 128), "config.width": Choice(16, 24, 32, 48, 64)},
)
def conditional_gan() -> Recipe:
    """`gan` in all else, so that the three ways of telling classes can be compared."""
    return _told("input")


@recipe(
    "acgan",
    "AC-GAN: the discriminator must also name the class, and so learns from labels; minutes on a CPU",
    smoke={**SMOKE, "config.width": 8, "config.features": 16},
    ranges={**RATES, "train.batch": Choice(32, 64, 128), "config.width": Choice(16, 24, 32, 48, 64)},
)
def acgan() -> Recipe:
    """`gan` in all else; `--config.supervision projection` is what came after it."""
    return _told("auxiliary")


def _told(supervision: classic.Supervision) -> Recipe:
    base = gan()
    return replace(base, config=replace(base.config, supervision=supervision), data=DataOptions(source="fashion-mnist"))


@recipe(
    "gan-minimax",
    "the GAN of the first paper: fully connected, the minimax game as it stands, nothing that steadies it",
    smoke={**SMOKE, "config.hidden": (64,)},
    ranges={**RATES, "train.batch": Choice(32, 64, 128, 256), "config.latent": Choice(32, 64, 100, 128)},
)
def gan_minimax() -> Recipe:
    """What the later papers repair: watch it fail, or let `--on-illness repair` mend it while it runs."""
    config = classic.GANConfig(
        loss="minimax", network="mlp", latent=100, conditional=False, generator=dense.ADAM, discriminator=dense.ADAM
    )
    return replace(gan_mlp(), model="gan", config=config)


@recipe(
    "dcgan",
    "DCGAN: batch-normalised convolutions, the paper's layers and rates; for walks and arithmetic; minutes on a CPU",
    sizes=("small", "paper"),
    smoke={**SMOKE, "config.width": 8},
    ranges={**RATES, "train.batch": Choice(32, 64, 128), "config.width": Choice(16, 24, 32, 48, 64)},
)
def dcgan(size: str = "small") -> Recipe:
    """Constant rate, no averaging of weights, not told any class; paper: as wide as published, for a GPU."""
    config = convolutional.DCGANConfig(width=128 if size == "paper" else 32)
    train = TrainOptions(budget="5m", batch=128 if size == "paper" else 64, ema=0.0)
    return Recipe("dcgan", config, DataOptions(source="fashion-mnist", labels=False), train)


@recipe(
    "infogan",
    "InfoGAN: codes found without labels: which digit, how it leans, how thick; minutes on a CPU",
    smoke={**SMOKE, "config.width": 8, "config.features": 16, "config.latent": 8},
    ranges={**RATES, "train.batch": Choice(32, 64, 128), "config.width": Choice(16, 24, 32, 48, 64)},
)
def infogan() -> Recipe:
    """A code of ten values, found in real pictures, and two continuous ones. `--config.discovery 0` is the paper's
    game; for heads `--config.categories () --config.continuous 4`."""
    config = informed.InfoGANConfig(latent=16, width=16, discovery=0.35, strokes=1.0)
    return Recipe("infogan", config, DataOptions(labels=False), TrainOptions(budget="15m", batch=128))


@recipe(
    "text-to-image-gan",
    "a GAN told a caption, with a judge that also knows wrong captions: emoji from their names",
    smoke={
        **SMOKE,
        "config.width": 8,
        "config.features": 16,
        "config.embedding": 32,
        "data.source": "mnist",
        "data.size": "16",
    },
    ranges={**RATES, "train.batch": Choice(16, 32, 64), "config.embedding": Choice(32, 64, 128)},
)
def text_to_image_gan() -> Recipe:
    """32 pixels, for minutes on a CPU; parts of captions are left out half of the time, as in `text-to-image`."""
    data = DataOptions(source="emoji", size="32", labels=False, captions=True, drop_parts=0.5)
    return Recipe("text-to-image-gan", spoken.TextGANConfig(), data, TrainOptions(budget="10m", batch=32))


@recipe(
    "gan-mlp",
    "the course's small GAN, exactly: fully connected, binary cross-entropy, plain Adam",
    smoke=SMOKE,
    ranges={
        **RATES,
        "train.batch": Choice(32, 64, 128, 256),
        "config.latent": Choice(32, 64, 100, 128),
        "config.generator_slope": Linear(0.0, 0.3),
    },
)
def gan_mlp() -> Recipe:
    """Constant rate, no clipping, no averaging of weights, fp32, the last partial batch kept; 10 epochs."""
    train = TrainOptions(
        budget="10epochs", batch=64, last_batch="keep", ema=0.0, precision="fp32", channels_last="off", compile="off"
    )
    return Recipe("gan-mlp", dense.MLPGANConfig(), DataOptions(labels=False), train)


@recipe(
    "gan-mlp-bn",
    "the course's larger fully connected GAN: a deep batch-normalised generator",
    smoke={**SMOKE, "config.generator_widths": (64, 128)},
    ranges={**RATES, "train.batch": Choice(32, 64, 128, 256), "config.latent": Choice(32, 64, 100, 128)},
)
def gan_mlp_bn() -> Recipe:
    """G 128-256-512-1024 with BatchNorm (eps 0.8, as the listing sets by position) and LeakyReLU(.2); D 512-256."""
    base = gan_mlp()
    config = dense.MLPGANConfig(
        generator_widths=(128, 256, 512, 1024), discriminator_widths=(512, 256), generator_slope=0.2, batch_norm=True
    )
    return replace(base, config=config)


@recipe(
    "pix2pix",
    "one picture turned into another, learnt from pairs: lines to colours, grey to colour; minutes on a CPU",
    sizes=("small", "base"),
    smoke={**SMOKE, "train.batch": 16, "config.width": 8, "config.judge_width": 8},
    ranges={
        **RATES,
        "train.batch": Choice(8, 16, 32, 64),
        "config.width": Choice(16, 24, 32, 48, 64),
        "config.blocks": Whole(1, 2),
        "config.l1": Log(10.0, 300.0),
    },
)
def pix2pix(size: str = "small") -> Recipe:
    """A U-Net with dropout against a judge of patches, and L1; base: twice as wide. The data says what the pairs are:
    two sub-folders, openmoji's lines and colours, or edges of any pictures."""
    config = translating.Pix2PixConfig()
    if size == "base":
        config = replace(config, width=64, judge_width=64)
    return Recipe("pix2pix", config, DataOptions(pair="auto", labels=False), TrainOptions(budget="5m", batch=16))


@recipe(
    "cyclegan",
    "two collections of pictures turned into each other, learnt without pairs; ten minutes on a CPU",
    sizes=("small", "base"),
    smoke={**SMOKE, "train.batch": 8, "config.width": 8, "config.judge_width": 8},
    ranges={
        **RATES,
        "train.batch": Choice(4, 8, 16, 32),
        "config.width": Choice(16, 24, 32, 48, 64),
        "config.blocks": Whole(1, 2),
        "config.cycle": Log(1.0, 30.0),
    },
)
def cyclegan(size: str = "small") -> Recipe:
    """A maker and a judge for each collection, and the way there and back; base: twice as wide. Pairs that the data
    has (emoji's two styles) are hidden in training and score afterwards; --data.pairing unpaired needs none."""
    config = cycling.CycleGANConfig()
    if size == "base":
        config = replace(config, width=64, judge_width=64)
    data = DataOptions(pair="auto", pairing="hidden", labels=False)
    return Recipe("cyclegan", config, data, TrainOptions(budget="10m", batch=8))


@recipe(
    "cogan",
    "pictures of two domains made together, learnt from each alone; classes of a domain without labels",
    sizes=("small", "base"),
    smoke={**SMOKE, "config.width": 8, "config.features": 16},
    ranges={
        **RATES,
        "train.batch": Choice(32, 64, 128),
        "config.width": Choice(16, 24, 32, 48, 64),
        "config.r1": Log(0.01, 10.0),
    },
)
def cogan(size: str = "small") -> Recipe:
    """Generators that share their first layers, discriminators that share their last; base: twice as wide."""
    config = coupled.CoGANConfig()
    if size == "base":
        config = replace(config, width=64, features=256)
    return Recipe("cogan", config, DataOptions(pair="auto", pairing="hidden"), TrainOptions(budget="5m", batch=64))


@recipe(
    "r3gan",
    "a modern GAN: relativistic loss, R1 and R2 in every step, no normalisation; a minute (digits) to ten on a CPU",
    sizes=("nano", "small"),
    smoke={**SMOKE, "config.width": 8},
    ranges={
        **RATES,
        "train.batch": Choice(16, 32, 64, 128),
        "config.width": Choice(16, 24, 32, 48, 64),
        "config.blocks": Whole(1, 2),
        "config.gamma": Log(0.1, 10.0),
        "config.gamma_end": Log(0.01, 1.0),
        "train.ema": Choice(0.05, 0.1, 0.15),
    },
)
def r3gan(size: str = "nano") -> Recipe:
    """nano: for minutes on a CPU at 28 pixels; small: twice as wide, for hours or a GPU."""
    config = modern.R3GANConfig()
    if size == "small":
        config = replace(config, width=64, blocks=2)
    return Recipe("r3gan", config, DataOptions(), TrainOptions(budget="10m", batch=32))


@recipe(
    "lapgan",
    "a Laplacian pyramid of GANs: a small picture, then one game for each doubling of its size; minutes on a CPU",
    sizes=("small", "base"),
    smoke={**SMOKE, "config.width": 8, "config.features": 16},
    ranges={
        **RATES,
        "train.batch": Choice(32, 64, 128),
        "config.width": Choice(16, 24, 32, 48),
        "config.r1": Log(0.01, 10.0),
        "config.blur_noise": Linear(0.0, 0.2),
        "train.ema": Choice(0.05, 0.1, 0.15),
    },
)
def lapgan(size: str = "small") -> Recipe:
    """Two doublings, from 8 to 32 pixels; base: twice as wide."""
    config = layered.LAPGANConfig()
    if size == "base":
        config = replace(config, width=64, features=256)
    return Recipe("lapgan", config, DataOptions(), TrainOptions(budget="10m", batch=64))


@recipe(
    "progressive-gan",
    "a GAN that grows from 4 pixels to the size of the data, each size fading in; ten minutes on a CPU",
    sizes=("nano", "small"),
    smoke={**SMOKE, "config.width": 4},
    ranges={
        "config.generator.lr": Log(5e-4, 2e-2),
        "config.discriminator.lr": Log(5e-4, 2e-2),
        "train.batch": Choice(16, 32, 64),
        "config.width": Choice(8, 16, 24, 32),
        "config.grown": Linear(0.3, 0.9),
        "train.ema": Choice(0.05, 0.1, 0.15),
    },
)
def progressive_gan(size: str = "nano") -> Recipe:
    """nano: for minutes on a CPU at 32 pixels; small: twice as wide, for hours or a GPU."""
    config = growing.ProgressiveGANConfig()
    if size == "small":
        config = replace(config, width=32, latent=128)
    return Recipe("progressive-gan", config, DataOptions(), TrainOptions(budget="10m", batch=32))


@recipe(
    "stylegan",
    "StyleGAN2 with adaptive augmentation: styles to mix and truncate, for small data too; ten minutes on a CPU",
    sizes=("nano", "small"),
    smoke={**SMOKE, "config.width": 8},
    ranges={
        "config.generator.lr": Log(1e-3, 2e-2),
        "config.discriminator.lr": Log(1e-3, 2e-2),
        "train.batch": Choice(16, 32, 64),
        "config.width": Choice(16, 24, 32, 48),
        "config.r1": Log(0.01, 10.0),
        "config.path": Log(0.1, 10.0),
        "config.ada_speed": Log(1e4, 1e6),
        "train.ema": Choice(0.05, 0.1, 0.15),
    },
)
def stylegan(size: str = "nano") -> Recipe:
    """nano: for minutes on a CPU at 32 pixels, 10 million multiplications an image for each network; small: twice as
    wide, for hours or a GPU."""
    config = styled.StyleGANConfig()
    if size == "small":
        config = replace(config, width=64, latent=128, style=128)
    return Recipe("stylegan", config, DataOptions(), TrainOptions(budget="10m", batch=32))
