"""What in a text may belong to a person: addresses, numbers, names. Every find is masked before it leaves here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from genloom.data.inspect.finding import Finding, Level, plural

_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w@-])")
_PHONE = re.compile(r"(?<![\w.,:/=#+-])(?:\+|\(|0|[2-9])[\d ()./\u2011-]{6,20}\d(?![\w-]|[.,:]\d)")
_IBAN = re.compile(r"(?<!\w)([A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?!\w)")
_CARD = re.compile(r"(?<![\w.-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{1,7}|3[47]\d{2}([ -]?)\d{6}\2\d{5})(?![\w-]|\.\d)")
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}(?![\w:])")
_TITLE = (
    r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Herr|Frau|Monsieur|Madame|Mme|Mlle|Se\u00f1or|Se\u00f1ora|Signor|Signora)"
)
_WORD = r"[A-Z\u00c0-\u00de][a-z\u00df-\u00ff]{2,}"
_TITLED = re.compile(rf"\b{_TITLE}\.? (?:[A-Z]\. )?{_WORD}(?:[ -]{_WORD})?")
_SAID = re.compile(
    rf"(?i:\b(?:my name is|signed by|author|written by|kind regards|ich hei\u00dfe|je m'appelle))[:,]?\s+"
    rf"({_WORD} (?:[A-Z]\. )?{_WORD})"
)
# How long an IBAN of a country is; with the check digits a chance find is one in a thousand numbers of that shape.
_IBAN_LENGTHS = (
    "AD24 AT20 BE16 BG22 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GR27 HR21 HU28 IE22 IS26 IT27 LI21 LT20 "
    "LU20 LV21 MC27 MT31 NL18 NO15 PL28 PT25 RO24 SE24 SI19 SK24 TR26"
)
_IBANS = {entry[:2]: int(entry[2:]) for entry in _IBAN_LENGTHS.split(" ")}
_REGIONS = ("US", "GB", "DE", "FR")  # whose ways of writing national numbers are known
_MOST_PHONES = 50_000  # candidates that are looked at closely


@dataclass
class Finds:
    """Counts and a few masked examples of each kind, gathered piece by piece."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    phones_looked_at: int = 0

    def add(self, kind: str, text: str, where: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        shown = self.examples.setdefault(kind, [])
        masked = f"{masking(text)} ({where})" if where else masking(text)
        if len(shown) < 3 and masked not in shown:
            shown.append(masked)


def masking(text: str) -> str:
    """The first and last letter or digit of each word, the rest as dots: "j...e@e.....e.org" and "+4. .. ......1"."""

    def hide(match: re.Match[str]) -> str:
        word = match[0]
        return (
            word[0] + "\u00b7" * (len(word) - 2) + word[-1] if len(word) > 3 else word[0] + "\u00b7" * (len(word) - 1)
        )

    return re.sub(r"\w+", hide, text)


def search(text: str, where: str, finds: Finds) -> None:
    """Adds what a piece of text holds to `finds`. where: the document's name, for the examples."""
    for kind, found in _all(text, finds):
        finds.add(kind, found, where)


def _all(text: str, finds: Finds) -> Iterator[tuple[str, str]]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if not match[0].lower().endswith((".png", ".jpg", ".py", ".js")) and ".." not in match[0]:
                yield "e-mail addresses", match[0]
    for match in _IBAN.finditer(text):
        if is_iban(match[1]):
            yield "bank accounts (IBAN)", match[1]
    for match in _CARD.finditer(text):
        if is_card(match[0]):
            yield "payment cards", match[0]
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            if sum(c.isalnum() for c in match[0]) >= 7 and _is_public(match[0]):  # 7.1.4.12 is a section
                yield "IP addresses", match[0]
    for match in _TITLED.finditer(text):
        yield "what looks like a name", match[0]
    for match in _SAID.finditer(text):
        yield "what looks like a name", match[1]
    for match in _PHONE.finditer(text):
        digits = sum(c.isdigit() for c in match[0])
        if (
            8 <= digits <= 15
            and "  " not in match[0]
            and finds.phones_looked_at < _MOST_PHONES
            and not is_card(match[0])
        ):
            finds.phones_looked_at += 1
            if is_phone(match[0]):
                yield "phone numbers", match[0]


def is_iban(text: str) -> bool:
    """Length and check digits of ISO 13616."""
    plain = text.replace(" ", "")
    if _IBANS.get(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def is_card(text: str) -> bool:
    """A payment card's prefix, length and check digit (Luhn)."""
    digits = [int(c) for c in text if c.isdigit()]
    head = "".join(map(str, digits[:4]))
    known = {
        16: head[:1] == "4"
        or "51" <= head[:2] <= "55"
        or "2221" <= head <= "2720"
        or head[:2] in ("65", "62", "35")
        or head == "6011",
        15: head[:2] in ("34", "37"),
        19: head[:2] == "62",
    }.get(len(digits), False)
    if not known or len(set(digits)) < 4:
        return False
    doubled = [d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def is_phone(text: str) -> bool:
    """Whether a country's numbering plan knows it: with a country code anywhere, else as the US, Britain, Germany and
    France write numbers of their own."""
    import phonenumbers

    if text.startswith("+"):
        try:
            return phonenumbers.is_valid_number(phonenumbers.parse(text, None))
        except phonenumbers.NumberParseException:
            return False
    if not re.search(r"[ ()/-]", text) or re.fullmatch(r"\d{4}[-/. ]\d{2}[-/. ]\d{2,4}.*", text):  # bare numbers, dates
        return False
    strict = phonenumbers.Leniency.STRICT_GROUPING
    return any(phonenumbers.PhoneNumberMatcher(text, region, strict, 1).has_next() for region in _REGIONS)


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


_LEVELS: dict[str, tuple[Level, str]] = {
    "bank accounts (IBAN)": ("serious", "remove them; a model repeats what it has seen, above all what is rare"),
    "payment cards": ("serious", "remove them; a model repeats what it has seen, above all what is rare"),
    "e-mail addresses": ("warning", "replace them by a word such as <email>, or make sure that they are public"),
    "phone numbers": ("warning", "replace them by a word such as <phone>, or make sure that they are public"),
    "IP addresses": ("warning", "replace them, unless they are public servers'"),
    "what looks like a name": (
        "note",
        "a title or a phrase was followed by capitalised words; who is meant is yours to judge",
    ),
}


def findings(finds: Finds) -> tuple[Finding, ...]:
    """A finding of each kind that was met; examples are masked."""
    out = []
    for kind, (level, advice) in _LEVELS.items():
        count = finds.counts.get(kind, 0)
        if count:
            seen = f"{kind}: {plural(count, 'place')} in the text"
            out.append(Finding(kind, level, seen, advice, tuple(finds.examples[kind]), count))
    return tuple(out)
