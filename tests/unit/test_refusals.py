"""The codes that callers rely on, and the page that tells them."""

from pathlib import Path

from domain.refusals import SENTENCES, Code, Refusal, groups
from tools import generate

ROOT = Path(__file__).parents[2]


def test_a_refusal_quotes_no_more_of_a_message_than_a_person_would_read() -> None:
    long = Refusal(Code.INVALID_BODY, "x" * 20_000).sentence
    assert (len(long), long[-1]) == (1000, "…")
    assert Refusal(Code.EXPIRED).sentence.endswith(".")


def test_every_code_has_its_sentence_and_stands_under_one_heading() -> None:
    assert set(SENTENCES) == set(Code)
    assert [code for codes in groups().values() for code in codes] == list(Code)
    assert "" not in groups()
    assert all(sentence.endswith((".", "`.")) for sentence in SENTENCES.values())


def test_the_page_of_refusals_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "refusals.md").read_text() == generate.refusals_page()
