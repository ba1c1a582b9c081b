"""`genloom revise`: drafts, criticises and revises by principles, and writes preferences and answers to learn from.

The loop of Constitutional AI's first half (Bai et al. 2022, arXiv:2212.08073, section 3). What differs: principles are
checks that a machine can make, beside questions to the model itself; and a revision is drawn anew under them, or
written on from where the draft was still good, unless the model is asked for it in words. Small models cannot criticise
themselves in words; checks work with any.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue
from genloom.verbs.opened import AnyRun, open_run, sampling
from genloom.verbs.places import check_count, check_writable
from genloom.verbs.principles import Check, Constitution, Offence, check_of, cost, filled, read_constitution
from genloom.verbs.prompts import caption_field, gathered
from genloom.verbs.results import Table
from genloom.verbs.writer import Writer, greedy

if TYPE_CHECKING:
    from genloom.engine.load import Loaded

LENGTH = 60  # tokens of a draft where nobody says otherwise
REPLY = 12  # tokens of what the model replies to a question about a text
PREFERENCES, ANSWERS, CRITIQUES, SUMMARY = "preferences.jsonl", "answers.jsonl", "critiques.jsonl", "revision.json"
KEYS = ("prompt", "instruction", "question", "source", "input")


@dataclass
class Case:
    """A prompt, the draft after it, and the best there is so far; `tried` revisions were written."""

    prompt: str
    draft: str
    broken: list[Offence]
    text: str = ""
    left: list[Offence] = field(default_factory=list)
    tried: int = 0

    def row(self) -> dict[str, Any]:
        """What happened, as critiques.jsonl holds it."""

        def told(offences: Sequence[Offence]) -> list[dict[str, Any]]:
            return [{"principle": o.principle, "said": o.said} for o in offences]

        return {
            "prompt": self.prompt,
            "draft": self.draft,
            "broken": told(self.broken),
            "revision": self.text if self.text != self.draft else None,
            "left": told(self.left),
            "tries": self.tried,
        }


def revise(
    run: AnyRun,
    prompts: str | Path | Sequence[str],
    principles: str | Path,
    n: int = 1,
    tries: int = 4,
    *,
    length: int = LENGTH,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    seed: int = 0,
    raw: bool = False,
    out: str | Path = "revised",
    runs: str | Path = "runs",
) -> Table:
    """n drafts of each prompt, criticised by the principles, revised up to `tries` times where one is broken.

    prompts: a file with one a line, or a .jsonl with a "prompt" in each; or a sequence of them. principles: a .toml or
    .json file, see `genloom.verbs.principles`. out: the folder to make, with preferences.jsonl (the revision is chosen,
    the draft rejected, where the revision breaks less), answers.jsonl (texts that break nothing), critiques.jsonl (all
    that happened) and revision.json. It is made at the end, whole; stopped before, nothing stays.
    Raises BadValue, BadData, NotFound, Storage before any work.
    """
    place = Path(out).expanduser()
    if place.exists():
        raise BadValue(f"--out {place} exists: choose another folder, or move it away")
    check_writable(place, "--out")
    count, tries = check_count(n), check_count(tries, "--tries")
    law = read_constitution(principles)
    asked = gather(prompts)
    options = sampling(temperature=temperature, top_p=top_p, top_k=top_k, length=check_count(length, "--length"))
    loaded = open_run(run, runs, raw)
    writer = Writer(loaded, options)
    checks = _checks(law, writer, runs)
    cases = _drafted(writer, [p for p in asked for _ in range(count)], seed, checks)
    for attempt in range(1, tries + 1):
        _revised(writer, cases, law, checks, seed, attempt)
    facts = {"run": str(loaded.run.path), "step": loaded.step, "prompts": len(asked), "n": count, "tries": tries,
             "seed": seed, "length": length, "temperature": options.temperature, "top_p": options.top_p,
             "top_k": options.top_k, "revise": law.revise,
             "principles": [vars(p) for p in law.principles]}  # fmt: skip
    return _written(place, cases, law, facts)


def gather(prompts: str | Path | Sequence[str]) -> list[str]:
    """The prompts of a file, or those given, in order. Raises BadData for a file that holds none."""
    if not isinstance(prompts, str | Path):
        found = [p for p in prompts if p.strip()]
        if not found:
            raise BadValue("there are no prompts: give at least one")
        return found
    lines = gathered(None, prompts)
    if Path(prompts).suffix.lower() != ".jsonl":
        return lines
    return [_prompt_of(line, f"--prompts {prompts}, prompt {i}") for i, line in enumerate(lines, 1)]


def _prompt_of(line: str, where: str) -> str:
    try:
        held = json.loads(line)
    except ValueError:
        held = None
    found = next((held[k] for k in KEYS if k in held), None) if isinstance(held, dict) else held
    if not isinstance(found, str) or not found.strip():
        raise BadData(f'{where}: expected a text or {{"prompt": ...}} in JSON, got {line[:40]!r}: mend it')
    return found


def _checks(law: Constitution, writer: Writer, runs: str | Path) -> list[Check]:
    """The checks in the principles' order. Raises BadValue and NotFound for judges that are none."""
    judges = {p.value: open_run(p.value, runs) for p in law.principles if p.check == "judge"}
    for name, judge in judges.items():
        _check_judge(name, judge)
    short = greedy(writer, REPLY)
    return [
        check_of(
            p,
            lambda name, prompt, answer: _worth(judges[name], prompt, answer),
            lambda question: short([question], [0])[0],
        )
        for p in law.principles
    ]


def _check_judge(name: str, judge: Loaded) -> None:
    from genloom.core import CanJudge

    if not isinstance(judge.model, CanJudge) or judge.tokenizer is None:
        kind = type(judge.model).__name__
        raise BadValue(f"judge {name}: a model of type {kind} gives no answer a worth: name a run of recipe reward")


def _worth(judge: Loaded, prompt: str, answer: str) -> float:
    """What a reward run thinks of an answer; what is too long for it is cut."""
    import torch

    from genloom.core import CanJudge
    from genloom.engine import preview
    from genloom.engine.preview import item_field
    from genloom.modalities.ended import rows_of

    model, found = judge.model, caption_field(judge)
    assert isinstance(model, CanJudge)
    assert judge.tokenizer is not None
    assert found is not None
    item = judge.spec[item_field(judge.spec)[0]]
    rows = [
        rows_of([judge.tokenizer.encode(text.strip())], f.shape[0], f.end).to(judge.device)
        for text, f in ((prompt, found[1]), (answer, item))
    ]
    with torch.no_grad(), preview.resting(judge.model):
        return float(model.judge(rows[0], rows[1])[0])


def _criticised(checks: Sequence[Check], prompt: str, answer: str) -> list[Offence]:
    return [found for check in checks if (found := check(prompt, answer)) is not None]


def _drafted(writer: Writer, prompts: list[str], seed: int, checks: Sequence[Check]) -> list[Case]:
    from genloom.core import derive_seed

    drafts = writer(prompts, [derive_seed(seed, "draft", i) for i in range(len(prompts))])
    found = []
    for prompt, draft in zip(prompts, drafts, strict=True):
        broken = _criticised(checks, prompt, draft)
        found.append(Case(prompt, draft, broken, draft, broken))
    return found


def _revised(
    writer: Writer, cases: list[Case], law: Constitution, checks: Sequence[Check], seed: int, attempt: int
) -> None:
    """One more revision of each text that still breaks something; kept where it breaks less."""
    from genloom.core import derive_seed

    open_ = [i for i, case in enumerate(cases) if case.left]
    seeds = [derive_seed(seed, "revision", attempt, i) for i in open_]
    if law.revise:
        said = [
            filled(law.revise, prompt=c.prompt, answer=c.text, broken=", ".join(o.principle for o in c.left))
            for c in (cases[i] for i in open_)
        ]
        made = writer(said, seeds)
    else:
        kept = [_good(cases[i]) if writer.continues else "" for i in open_]
        made = writer([cases[i].prompt for i in open_], seeds, kept)
    for i, text in zip(open_, made, strict=True):
        case = cases[i]
        case.tried += 1
        left = _criticised(checks, case.prompt, text)
        if text.strip() and cost(left, law.principles) < cost(case.left, law.principles):
            case.text, case.left = text, left


def _good(case: Case) -> str:
    """What may stay: the whole sentences before the first place that is to blame; nothing where something lacks."""
    places = [o.at for o in case.left]
    if any(at is None for at in places):
        return ""
    before = case.text[: min(at for at in places if at is not None)]
    return before[: max(before.rfind(mark) + 1 for mark in ".!?\n")]


def _written(place: Path, cases: Sequence[Case], law: Constitution, facts: dict[str, Any]) -> Table:
    from genloom.runs.files import storage, write_json, write_text

    pairs = [
        {"prompt": c.prompt, "chosen": c.text, "rejected": c.draft}
        for c in cases
        if c.text.strip() != c.draft.strip() and c.draft.strip()
    ]
    answers = [{"prompt": c.prompt, "answer": c.text} for c in cases if not c.left and c.text.strip()]
    counts = {
        "drafts": len(cases),
        "good_drafts": sum(not c.broken for c in cases),
        "revised": sum(bool(c.broken) and not c.left for c in cases),
        "improved": sum(bool(c.left) and c.text != c.draft for c in cases),
        "given_up": sum(bool(c.left) and c.text == c.draft for c in cases),
        "preferences": len(pairs),
        "answers": len(answers),
    }
    rows = tuple(
        (
            p.name,
            p.check,
            sum(any(o.principle == p.name for o in c.broken) for c in cases),
            sum(any(o.principle == p.name for o in c.left) for c in cases),
        )
        for p in law.principles
    )
    draft = place.with_name(f".{place.name}.part")
    with storage(place):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    try:
        for name, held in ((PREFERENCES, pairs), (ANSWERS, answers), (CRITIQUES, [c.row() for c in cases])):
            if held:
                write_text(draft / name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in held))
        write_json(draft / SUMMARY, {**facts, **counts})
        with storage(place):
            draft.replace(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    notes = [
        f"{counts['drafts']:,} drafts: {counts['good_drafts']:,} broke nothing, {counts['revised']:,} were mended, "
        f"{counts['improved']:,} are better and still break something, {counts['given_up']:,} were given up",
        f"{place / PREFERENCES}: {len(pairs):,} preferences" if pairs else "no draft was made better: no preferences",
        f"{place / ANSWERS}: {len(answers):,} answers that break nothing" if answers else "no text breaks nothing",
    ]
    columns = ("principle", "check", "drafts that break it", "texts that still do")
    return Table("principles", columns, rows, tuple(notes), {"out": str(place), **facts_of(facts), **counts})


def facts_of(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts without the principles, which the table holds."""
    return {k: v for k, v in facts.items() if k != "principles"}
