"""Plays, names, articles, captions, summaries and conversations, as text; Python's own source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from genloom.data.answers import Said, answer_dataset, shared_prompt, whole
from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Entry, File, Pip
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, github, one
from genloom.data.sets.functions import load_functions
from genloom.data.sets.passages import PASSAGES, load_passages
from genloom.data.sets.stdlib import CHARACTERS, load_stdlib
from genloom.data.splits import shuffled
from genloom.data.texts import Texts, by_position, text_dataset
from genloom.errors import BadValue

Loader = Callable[[DataOptions, Card], Dataset]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


def parted(items: list[str], seed: str, joint: str = "\n") -> Texts:
    """Items in a fixed mixed order, 80 + 10 + 10 %, each followed by `joint`. Copies go where the first one went."""
    distinct = list(dict.fromkeys(items))
    mixed = [distinct[i] for i in shuffled(len(distinct), seed).tolist()]
    tenth = len(mixed) // 10
    parts = (mixed[2 * tenth :], mixed[:tenth], mixed[tenth : 2 * tenth])
    train, validation, test = ("".join(item + joint for item in part) for part in parts)
    return Texts(train, validation, test)


def load_shakespeare(options: DataOptions, card: Card) -> Dataset:
    """Tiny Shakespeare: the first 90 % train, as in char-rnn and nanoGPT; the last 10 % validate and test alike."""
    folder = folder_of(ENTRIES["tinyshakespeare"])
    cut = by_position((folder / "tinyshakespeare.txt").read_bytes().decode(), 0.9, 0.0)
    notes = ["the last 10 % are both validation and test text, as in published results"]
    return text_dataset("tinyshakespeare", options, Texts(cut.train, cut.test, cut.test), card, notes)


def load_names(options: DataOptions, card: Card) -> Dataset:
    """One name a line, in a fixed mixed order: the file is sorted by how common they are."""
    names = _read(folder_of(ENTRIES["names"]) / "names.txt").split()
    return text_dataset("names", options, parted(names, "names"), card, ["one name a line, mixed; split by name"])


def load_wikitext(options: DataOptions, card: Card) -> Dataset:
    """The published validation part trains (its first 90 %) and validates; the published test part tests."""
    folder = folder_of(ENTRIES["wikitext2"])
    cut = by_position(_read(folder / "valid.txt"), 0.9, 0.1)
    notes = ["WikiText-2's own training part is not included: figures do not compare with published ones"]
    texts = Texts(cut.train, cut.validation + cut.test, _read(folder / "test.txt"))
    return text_dataset("wikitext2", options, texts, card, notes)


def parted_answers(
    name: str, rows: list[tuple[str, ...]], options: DataOptions, notes: list[str]
) -> tuple[Said, Said, Said]:
    """Rows of prompts and answers in the order in which `parted` mixes texts, 80 + 10 + 10 %."""
    kept = list(dict.fromkeys(whole(rows, name, options, notes)))
    mixed = [kept[i] for i in shuffled(len(kept), name).tolist()]
    tenth = len(mixed) // 10
    return Said.of(mixed[2 * tenth :]), Said.of(mixed[:tenth]), Said.of(mixed[tenth : 2 * tenth])


LANGUAGES = ("de", "en", "fr")


def load_directed(options: DataOptions, card: Card) -> Dataset:
    """Multi30k's captions in one language as prompts, in another as answers; its own parts."""
    first, dash, second = (options.direction or "de-en").partition("-")
    if not dash or first == second or not {first, second} <= set(LANGUAGES):
        raise BadValue(f"--data.direction: expected two of {', '.join(LANGUAGES)}, as de-en, got {options.direction!r}")
    folder = folder_of(ENTRIES["multi30k"])
    parts = []
    notes: list[str] = [f"from {first} to {second}; --data.direction takes others"]
    for part in ("train", "val", "test_2016_flickr"):
        sides = (_read(folder / f"{part}.{language}").splitlines() for language in (first, second))
        parts.append(Said.of(whole(list(zip(*sides, strict=True)), f"multi30k {part}", options, notes)))
    return answer_dataset(f"multi30k-{first}-{second}", options, (parts[0], parts[1], parts[2]), card, notes)


def load_multi30k(options: DataOptions, card: Card) -> Dataset:
    """The English captions, one a line; the other languages lie beside them, line by line. As answers: translations."""
    if options.read == "answers":
        return load_directed(options, card)
    folder = folder_of(ENTRIES["multi30k"])
    notes = [f"the English captions; the same lines in German and French: {folder}"]
    texts = Texts(*(_read(folder / f"{part}.en") for part in ("train", "val", "test_2016_flickr")))
    return text_dataset("multi30k", options, texts, card, notes)


def _records(path: Path) -> Iterable[Any]:
    with open(path, encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


def load_summaries(options: DataOptions, card: Card) -> Dataset:
    """Each prompt with its summary, an empty line between records."""
    rows = _records(folder_of(ENTRIES["summaries"]) / "summaries.jsonl")
    if options.read == "answers":
        told: list[tuple[str, ...]] = [(row["prompt"], row["completion"].removesuffix("<|endoftext|>")) for row in rows]
        notes = ["articles are answered by their summaries; split by record"]
        return answer_dataset("summaries", options, parted_answers("summaries", told, options, notes), card, notes)
    items = [f"{row['prompt'].strip()}\n{row['completion'].removesuffix('<|endoftext|>').strip()}\n" for row in rows]
    notes = ["each prompt is followed by its summary; split by record"]
    return text_dataset("summaries", options, parted(items, "summaries"), card, notes)


def load_preferences(options: DataOptions, card: Card) -> Dataset:
    """The dialogues that people preferred."""
    rows = _records(folder_of(ENTRIES["preferences"]) / "preferences.jsonl")
    if options.read == "preferences":
        told: list[tuple[str, ...]] = [shared_prompt(row["chosen"], row["rejected"]) for row in rows]
        notes = ["split by dialogue", "people tried to provoke: some of it offends"]
        return answer_dataset("preferences", options, parted_answers("preferences", told, options, notes), card, notes)
    notes = ["the preferred dialogues only; split by dialogue", "people tried to provoke: some of it offends"]
    items = [row["chosen"].strip() + "\n" for row in rows]
    return text_dataset("preferences", options, parted(items, "preferences"), card, notes)


def load_chitchat(options: DataOptions, card: Card) -> Dataset:
    """Conversations, a message a line; A is who began."""
    path = folder_of(ENTRIES["chitchat"]) / "chitchat.json"
    if options.read == "answers":
        talks = json.loads(path.read_text(encoding="utf-8")).values()
        told = [pair for talk in talks for pair in _turns(_conversation(talk))]
        notes = ["each message is answered by the next speaker's"]
        return answer_dataset("chitchat", options, parted_answers("chitchat", told, options, notes), card, notes)
    items = [said for said in map(_conversation, json.loads(path.read_text(encoding="utf-8")).values()) if said]
    notes = [f"{len(items):,} conversations, a message a line, A begins; split by conversation"]
    return text_dataset("chitchat", options, parted(items, "chitchat"), card, notes)


def _conversation(found: dict[str, Any]) -> str:
    names: dict[str, str] = {}
    lines = []
    for message in (message for turn in found["messages"] for message in turn):
        text = " ".join(str(message["text"]).split())
        if text:
            name = names.setdefault(message["sender"], chr(ord("A") + min(len(names), 25)))
            lines.append(f"{name}: {text}\n")
    return "".join(lines)


def _turns(conversation: str) -> list[tuple[str, ...]]:
    """What one speaker says in a row, and what the next one answers."""
    turns: list[list[str]] = []
    for line in conversation.splitlines():
        who, _, said = line.partition(": ")
        if turns and turns[-1][0] == who:
            turns[-1][1] += f" {said}"
        else:
            turns.append([who, said])
    return [(a[1], b[1]) for a, b in pairwise(turns)]


def _text(name: str, title: str, source: str, licence: str, citation: str, items: str, files: tuple[File, ...],
          load: Loader, restricted: str = "") -> Entry:  # fmt: skip
    return Entry(name, Card(title, source, licence, citation, items, "text"), files, restricted, load)


_EXAMPLES = "77f55b912142e11fcfdf5b530231fb9c52f181e8"
_WIKITEXT = {
    "valid.txt": ("f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8", 1121681),
    "test.txt": ("d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0", 1256449),
}
_MULTI30K = {
    "train.en": ("460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6", 1801238),
    "train.de": ("2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72", 2110398),
    "train.fr": ("5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d", 2111303),
    "val.en": ("1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227", 63297),
    "val.de": ("660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660", 75981),
    "val.fr": ("5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc", 73924),
    "test_2016_flickr.en": ("399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182", 62076),
    "test_2016_flickr.de": ("4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16", 70649),
    "test_2016_flickr.fr": ("cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6", 72261),
}

ENTRIES = {
    entry.name: entry
    for entry in (
        _text(
            "python-stdlib",
            "The source of Python's standard library",
            "the running interpreter's own .py files, without tests",
            "PSF-2.0",
            citations.PYTHON,
            f"up to {CHARACTERS:,} characters, about 90 + 5 + 5 %, split by file",
            (),
            load_stdlib,
        ),
        _text(
            "python-functions",
            "Small Python functions asked for in a sentence",
            "made by rule, with genloom",
            "CC0-1.0",
            citations.FUNCTIONS,
            "4,399 combinations, each said in 3 ways, about 80 + 10 + 10 %, whole combinations held out",
            (),
            load_functions,
        ),
        _text(
            "passages",
            "Short passages with questions, some of which they do not answer",
            "made by rule, with genloom",
            "CC0-1.0",
            citations.FUNCTIONS,
            f"{PASSAGES:,} passages with 5 questions each, 2 of which have no answer; about 80 + 10 + 10 %, by passage",
            (),
            load_passages,
        ),
        _text(
            "tinyshakespeare",
            "Tiny Shakespeare",
            "https://github.com/karpathy/char-rnn",
            "public domain",
            citations.SHAKESPEARE,
            "1,115,394 characters, 90 + 10 %",
            (
                one(
                    "tinyshakespeare.txt",
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                    1115394,
                    "text/tinyshakespeare.txt",
                    github(
                        "karpathy/char-rnn",
                        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e",
                        "data/tinyshakespeare/input.txt",
                    ),
                ),
            ),
            load_shakespeare,
        ),
        _text(
            "names",
            "First names",
            "https://github.com/karpathy/makemore",
            "MIT",
            citations.NAMES,
            "32,033 lines, of which 29,494 differ; 80 + 10 + 10 %, split by name",
            (
                one(
                    "names.txt",
                    "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
                    228145,
                    "text/names.txt",
                    github("karpathy/makemore", "988aa59e4d8fefa526d06f3b453ad116258398d4", "names.txt"),
                ),
            ),
            load_names,
        ),
        _text(
            "wikitext2",
            "WikiText-2, its validation and test parts",
            "https://github.com/pytorch/examples",
            "CC BY-SA",
            citations.WIKITEXT,
            "213,886 + 241,211 words of Wikipedia's good articles",
            tuple(
                one(
                    name,
                    sha256,
                    size,
                    f"text/wikitext-2.{name}",
                    github("pytorch/examples", _EXAMPLES, f"word_language_model/data/wikitext-2/{name}"),
                )
                for name, (sha256, size) in _WIKITEXT.items()
            ),
            load_wikitext,
        ),
        _text(
            "multi30k",
            "Multi30k: image captions in English, German and French",
            "https://github.com/multi30k/dataset",
            "non-commercial research and education (Flickr30K's terms)",
            citations.MULTI30K,
            "29,000 + 1,014 + 1,000 lines that say the same in three languages",
            tuple(
                one(
                    name,
                    sha256,
                    size,
                    f"text/multi30k.{name}",
                    github("multi30k/dataset", "a3d2e0d26b56f3846f66a952536ffed4e401d05a", f"data/task1/raw/{name}.gz"),
                    gzip=True,
                )
                for name, (sha256, size) in _MULTI30K.items()
            ),
            load_multi30k,
            "for non-commercial research and education only (Flickr30K's terms)",
        ),
        _text(
            "summaries",
            "Articles, chats and sentences with their summaries (XSum, CNN/Daily Mail, SAMSum, Gigaword)",
            "https://github.com/yizhongw/self-instruct",
            "Apache-2.0 as packed; each source's own terms",
            citations.SUMMARIES,
            "7,000 prompts with summaries; 80 + 10 + 10 %, split by record",
            (
                one(
                    "summaries.jsonl",
                    "f5fc598c2c1d027939a29bfcb117b0e743f517f89ba20f53e1cc42a707e6c9c2",
                    9254366,
                    "text/t0-summaries.jsonl",
                    gzip=True,
                ),
            ),
            load_summaries,
        ),
        _text(
            "preferences",
            "Dialogues of which people preferred one (HH-RLHF, harmless, test part)",
            "https://github.com/anthropics/hh-rlhf",
            "MIT",
            citations.PREFERENCES,
            "2,312 pairs of dialogues, chosen and rejected; some of it offends",
            (
                one(
                    "preferences.jsonl",
                    "14d765196c9f18d84f9bb3a78bac608c8f2915110ebcbd74ec95db7b7198b008",
                    3280164,
                    "text/hh-rlhf-harmless-test.jsonl",
                    github(
                        "anthropics/hh-rlhf",
                        "354e5c3cb8960630860dd5774a6ac2a58313bf4d",
                        "harmless-base/test.jsonl.gz",
                    ),
                    gzip=True,
                ),
            ),
            load_preferences,
        ),
        _text(
            "chitchat",
            "The chit-chat challenge: conversations between students",
            "https://github.com/BYU-PCCL/chitchat-dataset",
            "MIT",
            citations.CHITCHAT,
            "7,168 conversations; 80 + 10 + 10 %, split by conversation",
            (
                one(
                    "chitchat.json",
                    "d2a5d0bf6acf354fef51f3af39cbece2220d3b8f6086b658c3d335105798312a",
                    40303934,
                    "text/chitchat.json",
                    Pip("chitchat-dataset", "0.9.0", "chitchat_dataset/dataset.json"),
                ),
            ),
            load_chitchat,
        ),
    )
}
