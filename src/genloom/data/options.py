"""What a recipe says about its data. No torch here, so that the command line may read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DataOptions:
    """Which items, and how they are brought to one shape.

    source: the name of a built-in data set (`genloom data list`) or a path: a folder of images, an array or text file.
    size: height and width of images in pixels, HxW as "48x64"; None keeps what all share (in folders: up to 256), or
        else takes 64.
    resize: how other sizes get there: "crop" (scale to cover, cut the middle), "pad" or "stretch".
    channels: "auto" (grey if every picture is), "grey" or "rgb".
    labels: whether classes (sub-folders, label arrays) are given to the model as a condition.
    flip: mirror half of the training images; never for digits, letters or scenes with a left and a right.
    tokenizer: "char", "byte" or "bpe", or a run's folder, whose tokenizer is then used as it is (with --from and
        --given that is done by itself); vocabulary: tokens a BPE learns; context: tokens a text item holds, or a
        prompt and its answer each, or rows of a drawing at most.
    limit: use only the first N training items; None uses all.
    validation: "own" keeps a share of the training items aside; "test" trains on those too and watches the test items.
    read: what files are: of a .csv or .tsv "table" (a row an item) or "text"; of a folder with several kinds "image",
        "audio", "video", "music" or "text"; of an array "image" or "video"; of lines with two or three texts "answers"
        (a prompt and its answer) or "preferences" (a prompt, the better answer, the worse one); "auto" goes by what
        there is.
    aligned: a text file whose lines answer those of `source`, line by line.
    abstain: the answer that says that the text does not tell; where some held-out answers are this one, evaluation
        tells how often, and how rightly, the model abstains.
    direction: of multi30k's answers, the language of the prompt and that of the answer, as "de-en".
    target: a table's column of classes that is told to the model as a condition instead of being generated.
    captions: whether captions are given to the model as a condition; of a folder they stand in a captions.jsonl or .csv
        (a file and a text in each row) or in a .txt file beside each picture.
    drop_parts: how likely each part of a training caption behind its first comma is left out, each time anew.
    hold_out: words that no training caption may hold together, such as "green heart; blue circle"; such items test.
    without: classes that are not to be learnt, by name or number, several by semicolon; all their items test. A model
        that has never seen them can be asked how it meets them (`genloom anomaly`).
    seconds: how long sounds are, cut or followed by silence; None takes what nine of ten recordings need, up to 2.
    rate: samples a second of sounds; None takes what most recordings have, up to 16000.
    audio: what a model of sound makes: "mel", log-mel spectrograms that are then turned into sound, or "waveform".
    voices: of music on a grid of sixteenths; 0 keeps notes as events; None: four of chorales, of one's own scores 0.
    transpose: training windows of music are moved by up to so many semitones, within the range of training pitches.
    property: of molecules, what is told of each as a number: "logp", "qed", "weight" or "sa"; None tells nothing.
    randomise: training molecules are written in another order of their atoms each time.
    frames: how many frames clips have; None keeps what all share (up to 32), or else takes 16.
    strict: refuse a data set with unreadable files instead of skipping them by name.
    split: a split file (`genloom data split`) that says which items train, validate and test; None takes the data's
        own, if it has one.
    fold: which fold validates, from 1, where the split file makes folds.
    pair: another form of every picture that a translator is given: edges, negative, grey or coarse, made from it; black
        of openmoji; twitter or google of emoji; one of a folder's two sub-folders, whose files are named alike. "auto"
        takes what the data have of themselves, or else edges.
    pairing: "paired" gives both forms of an item together; "hidden" gives training two collections of different items
        and keeps the pairs for scoring; "unpaired" knows of none: two sub-folders may hold whatever they hold.
    """

    source: str = "mnist"
    size: str | None = None
    resize: Literal["crop", "pad", "stretch"] = "crop"
    channels: Literal["auto", "grey", "rgb"] = "auto"
    labels: bool = True
    flip: bool = False
    tokenizer: str = "char"
    vocabulary: int = 2048
    context: int = 256
    limit: int | None = None
    validation: Literal["own", "test"] = "own"
    read: Literal["auto", "image", "audio", "video", "music", "table", "text", "answers", "preferences"] = "auto"
    aligned: str | None = None
    abstain: str = "The text does not say."
    direction: str = ""
    target: str | None = None
    captions: bool = False
    drop_parts: float = 0.0
    hold_out: str = ""
    without: str = ""
    seconds: float | None = None
    rate: int | None = None
    audio: Literal["mel", "waveform"] = "mel"
    voices: int | None = None
    transpose: int = 0
    property: str | None = None
    randomise: bool = False
    frames: int | None = None
    strict: bool = False
    split: str | None = None
    fold: int | None = None
    pair: str | None = None
    pairing: Literal["paired", "hidden", "unpaired"] = "paired"
