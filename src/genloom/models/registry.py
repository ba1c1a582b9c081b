"""Models by name. Built-in ones stand in a table; others arrive through the entry-point group `genloom.models`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from genloom.core import Model
from genloom.errors import unknown

BUILT_IN = {
    "vae": "genloom.models.autoencoding.vae:VAE",
    "vae-mlp": "genloom.models.autoencoding.vae_mlp:MLPVAE",
    "sequence-vae": "genloom.models.autoencoding.sequence_vae:SequenceVAE",
    "gan": "genloom.models.adversarial.gan:GAN",
    "autoencoder": "genloom.models.autoencoding.autoencoder:Autoencoder",
    "dcgan": "genloom.models.adversarial.dcgan:DCGAN",
    "infogan": "genloom.models.adversarial.infogan:InfoGAN",
    "text-to-image-gan": "genloom.models.adversarial.text_gan:TextGAN",
    "kl-autoencoder": "genloom.models.autoencoding.kl_autoencoder:KLAutoencoder",
    "vq-vae": "genloom.models.autoencoding.vq_vae:VQVAE",
    "gan-mlp": "genloom.models.adversarial.gan_mlp:MLPGAN",
    "cogan": "genloom.models.adversarial.cogan:CoGAN",
    "cyclegan": "genloom.models.adversarial.cyclegan:CycleGAN",
    "pix2pix": "genloom.models.adversarial.pix2pix:Pix2Pix",
    "r3gan": "genloom.models.adversarial.r3gan:R3GAN",
    "lapgan": "genloom.models.adversarial.lapgan:LAPGAN",
    "progressive-gan": "genloom.models.adversarial.progressive_gan:ProgressiveGAN",
    "stylegan": "genloom.models.adversarial.stylegan:StyleGAN",
    "flow": "genloom.models.diffusion.flow:Flow",
    "palette": "genloom.models.diffusion.palette:Palette",
    "latent-flow": "genloom.models.diffusion.latent_flow:LatentFlow",
    "mean-flow": "genloom.models.diffusion.mean_flow:MeanFlow",
    "ngram": "genloom.models.autoregressive.ngram:Ngram",
    "recurrent": "genloom.models.autoregressive.recurrent:RecurrentLM",
    "vq-gpt": "genloom.models.autoregressive.vq_gpt:VQGPT",
    "stroke-rnn": "genloom.models.autoregressive.stroke_rnn:StrokeRNN",
    "gpt": "genloom.models.autoregressive.gpt:GPT",
    "tuned": "genloom.models.autoregressive.tuned:Tuned",
    "reward": "genloom.models.autoregressive.reward:Reward",
    "dpo": "genloom.models.autoregressive.dpo:DPO",
    "grpo": "genloom.models.autoregressive.grpo:GRPO",
    "seq2seq": "genloom.models.autoregressive.seq2seq:Seq2Seq",
}


def model_names() -> list[str]:
    """All models that can be built, by name."""
    return sorted({*BUILT_IN, *(e.name for e in entry_points(group="genloom.models"))})


def model_class(name: str) -> type[Model]:
    """The class registered under `name`. Raises NotFound with the nearest names."""
    if name in BUILT_IN:
        module, attribute = BUILT_IN[name].split(":")
        return getattr(import_module(module), attribute)
    for entry in entry_points(group="genloom.models"):
        if entry.name == name:
            return entry.load()
    raise unknown("model", name, model_names())
