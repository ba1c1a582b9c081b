"""Flags and arguments that several verbs share, said once."""

from __future__ import annotations

from genloom.cli.verb import Argument, Flag

RUNS = Flag("--runs", "text", "the folder that holds the runs", "runs", metavar="DIR")
SEED = Flag("--seed", "int", "where every random draw begins", "0")
RAW = Flag("--raw", "switch", "use the trained weights instead of their average")
JSON = Flag("--json", "switch", "print one JSON object on stdout and nothing else there")
DEBUG = Flag("--debug", "switch", "show tracebacks (also: GENLOOM_DEBUG=1)")
HELP = Flag("--help", "switch", "show this help", short="-h")
COMMON = (JSON, DEBUG, HELP)

RUN = Argument("RUN", "a run: its folder, its name, or its number (3 for runs/0003-...)")
DATA = Argument("NAME|PATH", "a data set: a name (see `genloom data list`), a folder or a file")
SAMPLING = (
    Flag("--label", "text", "a class by name or number; several by comma take turns", "drawn as in the data"),
    Flag("--steps", "int", "network evaluations of an iterative sampler", "the model's own"),
    Flag("--solver", "text", "adams (iPNDM), ddim, ddpm, dpmpp, euler, heun, unipc or another", "the model's own"),
    Flag("--guidance", "float", "strength of classifier-free guidance; 1 is none", "the model's own"),
    Flag("--temperature", "float", "spread of token or latent draws", "1"),
    Flag("--top-k", "int", "draw among the k likeliest tokens only; 0 is off", "0"),
    Flag("--top-p", "float", "draw among the likeliest tokens of total probability p; 1 is off", "1"),
    Flag("--length", "int", "tokens to write", "500"),
    Flag("--prior", "text", "latent distribution: fitted or standard", "the model's own"),
    Flag("--truncation", "float", "psi of models with styles: 0 draws their centre alone, 1 all there is", "1"),
)
