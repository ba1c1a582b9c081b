"""Verbs that let a finished run make something, and measure it."""

from __future__ import annotations

from genloom.cli.table.flags import RAW, RUN, RUNS, SAMPLING, SEED
from genloom.cli.verb import Argument, Flag, Verb

DRAWING = (
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
)
