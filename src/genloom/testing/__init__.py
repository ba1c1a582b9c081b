"""Public conformance suites: a model that passes `check_model` works with every verb."""

from genloom.testing.case import Case
from genloom.testing.check import check_model, checks_of, make_case
from genloom.testing.fakes import (
    fake_answers,
    fake_clips,
    fake_flowing,
    fake_images,
    fake_molecules,
    fake_music,
    fake_pairs,
    fake_rows,
    fake_sounds,
    fake_strokes,
    fake_text,
)

__all__ = [
    "Case",
    "check_model",
    "checks_of",
    "fake_answers",
    "fake_clips",
    "fake_flowing",
    "fake_images",
    "fake_molecules",
    "fake_music",
    "fake_pairs",
    "fake_rows",
    "fake_sounds",
    "fake_strokes",
    "fake_text",
    "make_case",
]
