"""The card beside a person's own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from genloom.data.card import CARD, FIELDS, read_card, read_fields, template
from genloom.errors import BadData, NotFound


def test_a_card_is_read_and_what_is_left_out_is_filled(tmp_path: Path) -> None:
    assert read_card(tmp_path) is None
    (tmp_path / CARD).write_text('license = "CC BY 4.0"\nconsent = "all signed"\n')
    card = read_card(tmp_path)
    assert card is not None
    assert (card.title, card.licence, card.consent, card.contact) == (tmp_path.name, "CC BY 4.0", "all signed", "")


def test_a_single_file_has_its_card_beside_it(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("words")
    (tmp_path / f"book.txt.{CARD}").write_text('title = "A book"')
    card = read_card(book)
    assert card is not None
    assert card.title == "A book"


def test_the_template_is_a_card_with_every_line_empty(tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(template('my "best" data'))
    fields = read_fields(tmp_path / CARD)
    assert fields is not None
    assert set(fields) == set(FIELDS)
    assert fields.pop("title") == 'my "best" data'
    assert not any(fields.values())


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("licence = CC BY", BadData, "is not TOML"),
        ("licence = 4", BadData, 'write licence = "4"'),
        ('licences = "MIT"', NotFound, "licence"),
    ],
)
def test_a_wrong_card_is_refused_in_one_line(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    (tmp_path / CARD).write_text(text)
    with pytest.raises(error, match=says):
        read_card(tmp_path)
