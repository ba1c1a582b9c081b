"""What the card of the data does not say yet."""

from __future__ import annotations

from pathlib import Path

from genloom.data.card import ASKED, FIELDS, read_fields
from genloom.data.inspect.finding import Check, Finding, Level, Outcome


def licence(card_file: Path | None, personal: bool) -> Outcome:
    """Empty lines of the card at `card_file`; None for sets with a name, which bring theirs.

    personal: whether something of people was found, so that consent is missed most.
    """
    if card_file is None:
        return Outcome(Check("licence, source, consent", "the card that comes with this set"))
    check = Check("licence, source, consent", str(card_file))
    fields = read_fields(card_file)
    missing = [name for name in ASKED if not (fields or {}).get(name)]
    if not missing:
        return Outcome(check)
    lines = "\n".join(f'{name} = ""  # {FIELDS[name]}' for name in missing)
    if fields is None:
        seen = "there is no card: nothing says where the data come from, on what terms, or whether people agreed"
        advice = f"write {card_file} with these lines, filled in:"
    else:
        seen = f"empty in the card: {', '.join(missing)}"
        advice = f"fill in {card_file}:"
    level: Level = "serious" if personal and "consent" in missing else "warning"
    return Outcome(check, (Finding("card", level, seen, advice, tuple(missing), len(missing), paste=lines),))
