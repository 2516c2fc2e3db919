"""The codes that callers rely on, and the page that tells them."""

from pathlib import Path

from domain.refusals import SENTENCES, Code, groups
from tools import generate

ROOT = Path(__file__).parents[2]


def test_every_code_has_its_sentence_and_stands_under_one_heading() -> None:
    assert set(SENTENCES) == set(Code)
    assert [code for codes in groups().values() for code in codes] == list(Code)
    assert "" not in groups()
    assert all(sentence.endswith((".", "`.")) for sentence in SENTENCES.values())


def test_the_page_of_refusals_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "refusals.md").read_text() == generate.refusals_page()
