"""Verbs that train: one model, or many for one answer."""

from __future__ import annotations

from genloom.cli.table.flags import RUNS, SEED
from genloom.cli.verb import Argument, Flag, Verb

TRAIN = (
    Verb(
        "train",
        "learn a model from data; a run directory appears",
        (Argument("RECIPE", "what to train (see `genloom recipes`), or a recipe file.toml", required=False),),
        (
            Flag(
                "--data",
                "text",
                "a built-in data set's name; a folder of images, array or text file; hf:NAME or torchvision:NAME",
                "the recipe's",
                metavar="NAME|PATH",
            ),
            Flag("--budget", "text", "how long: 5m, 300s, 1h, 2000steps, 1Mitems, 10epochs", "the recipe's"),
            Flag("--size", "text", "the recipe's size dial (see `genloom recipes`)", "the recipe's first"),
            SEED,
            RUNS,
            Flag("--name", "text", "the run's name", "number and recipe", metavar="NAME"),
            Flag("--resume", "text", "go on with a stopped run, exactly; everything is taken from it", metavar="RUN"),
            Flag(
                "--from",
                "text",
                "start from a run's weights; without RECIPE its configuration too",
                metavar="RUN",
                key="start_from",
            ),
            Flag(
                "--replay",
                "text",
                "repeat a run timed by the clock step for step; without RECIPE its configuration too",
                metavar="RUN",
            ),
            Flag(
                "--given",
                "text",
                "a finished run that the model stands on, by role, as autoencoder=3; may be given for each role",
                metavar="ROLE=RUN",
                many=True,
            ),
            Flag(
                "--on-illness",
                "text",
                "what to do where the watch finds something: warn, stop, repair (change one thing at a time), off",
                "warn",
            ),
            Flag("--dry-run", "switch", "print configuration, device, precision, parameters, expected steps; and stop"),
        ),
        (
            "genloom train flow --data fashion-mnist --budget 5m",
            "genloom train vae --data ./my-photos --data.size 64 --config.optimizer.lr 1e-3",
            "genloom train gpt --data book.txt --budget 3m --dry-run",
            "genloom train latent-flow --given autoencoder=runs/0001-kl-autoencoder --data ./my-photos",
            "genloom train --resume runs/0001-flow",
        ),
        "Every field of the recipe can be given as --FIELD VALUE: in full (--train.batch 64), or by its end where that "
        "is unambiguous (--batch 64). `genloom train RECIPE --help` lists them. Ctrl-C ends cleanly with everything "
        "saved.",
        fields=True,
    ),
)

MANY = (
    Verb(
        "compare",
        "several recipes under the same conditions: a leaderboard, a report, samples to judge blind",
        (
            Argument(
                "RECIPE",
                "a recipe, one of its sizes as NAME:SIZE, or a recipe file.toml",
                required=False,
                many=True,
            ),
        ),
        (
            Flag(
                "--data",
                "text",
                "a built-in data set's name, a folder or a file",
                "the first recipe's",
                metavar="NAME|PATH",
            ),
            Flag("--budget", "text", "of each run: a time, steps, items or epochs", "60s"),
            Flag("--seeds", "int", "how many runs of each recipe, each with a seed of its own", "3"),
            Flag("--first-seed", "int", "the first of the seeds; the others follow", "0"),
            Flag("--n", "int", "samples measured of each run; of texts, held-out windows", "5000", short="-n"),
            Flag(
                "--out",
                "text",
                "the folder of the comparison",
                "comparisons/DATA-BUDGET-HASH",
                metavar="DIR",
            ),
            Flag("--curve", "int", "points of quality against time, the end among them; 0 for none", "4"),
            Flag("--engine", "text", "local trains one run after another; ray over a cluster", "local"),
            Flag("--workers", "int", "runs at the same time with --engine ray", "one a machine"),
            Flag(
                "--score",
                "text",
                "say what votes amount to that the page of blind trials saved; may be repeated",
                metavar="FILE.json",
                many=True,
            ),
        ),
        (
            "genloom compare vae r3gan flow gan-mlp --data mnist --budget 60s --seeds 3",
            "genloom compare flow flow:small tuned-flow.toml --data ./my-photos --budget 10m --data.size 32",
            "genloom compare --score votes.json",
        ),
        "All have the same data, split, budget, seeds, feature extractor and number of samples; fields of data and "
        "train given as --FIELD VALUE hold for all. Runs take turns, so that none slows another down. Stopped, the "
        "same command goes on; finished, it prints the board again.",
        fields=True,
    ),
    Verb(
        "tune",
        "search a recipe's ranges for better values; a recipe file appears",
        (Argument("RECIPE", "what to tune (see `genloom recipes`), or a recipe file.toml"),),
        (
            Flag(
                "--data", "text", "a built-in data set's name, a folder or a file", "the recipe's", metavar="NAME|PATH"
            ),
            Flag("--trials", "int", "how many combinations to try; the first is the recipe as it is", "20"),
            Flag("--budget", "text", "time for everything together", "30m"),
            Flag(
                "--trial-budget", "text", "of each trial: a time, steps, items or epochs", "an even share of --budget"
            ),
            Flag("--confirm", "int", "other seeds with which the best and the recipe as it is are trained again", "2"),
            Flag(
                "--range",
                "text",
                "what to try of a field: FIELD=LOW:HIGH, LOW:HIGH:log or VALUE,VALUE; may be repeated",
                "the recipe's (see `genloom recipes RECIPE`)",
                metavar="FIELD=RANGE",
                key="ranges",
                many=True,
            ),
            Flag("--size", "text", "the recipe's size dial", "the recipe's first"),
            SEED,
            Flag("--out", "text", "the recipe file to write", "tuned-RECIPE.toml", metavar="FILE.toml"),
            Flag("--runs", "text", "the folder in which the search gets a folder of its own", "runs", metavar="DIR"),
        ),
        (
            "genloom tune vae --data mnist --trials 20 --budget 30m",
            "genloom tune flow --data ./my-photos --range config.optimizer.lr=1e-4:1e-2:log --train.batch 64",
        ),
        "All trials have the same budget and are compared by the run's monitor; hopeless ones are stopped early. "
        "Fields given as --FIELD VALUE keep that value. The same command goes on where it was stopped. Needs optuna: "
        'pip install "genloom[tune]".',
        fields=True,
    ),
    Verb(
        "experiment collapse",
        "train models on the samples of models, generation after generation, and see what is lost",
        (Argument("RECIPE", "what to train (see `genloom recipes`), or a recipe file.toml"),),
        (
            Flag(
                "--data", "text", "a built-in data set's name, a folder or a file", "the recipe's", metavar="NAME|PATH"
            ),
            Flag("--generations", "int", "how many, the first of them on real data alone", "5"),
            Flag("--fresh", "text", "shares of fresh real items, by comma: each a chain of its own", "0,0.1,0.5"),
            Flag("--budget", "text", "of each run: a time, steps, items or epochs", "30s"),
            Flag("--seeds", "int", "chains of each share, each with a seed of its own", "1"),
            Flag("--first-seed", "int", "the first of the seeds; the others follow", "0"),
            Flag("--n", "int", "samples in each of the four measured sets", "1000", short="-n"),
            Flag("--items", "int", "items a generation learns from", "the training items, at most 5000"),
            Flag("--size", "text", "the recipe's size dial", "the recipe's first"),
            Flag(
                "--out", "text", "the folder of the experiment", "experiments/collapse-RECIPE-DATA-HASH", metavar="DIR"
            ),
        ),
        (
            "genloom experiment collapse vae --data digits --fresh 0,0.1,0.5",
            "genloom experiment collapse flow --data ./my-photos --generations 6 --budget 2m --data.size 32",
        ),
        "Generation 0 learns from real data, every other one from samples of the one before it and a share of fresh "
        "real items. The page shows distance, diversity and tails over generations, samples, and which share of real "
        "data stops the collapse, if any does. Stopped, the same command goes on.",
        fields=True,
    ),
)
