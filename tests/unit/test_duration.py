"""Times are told as people say them, to the second."""

import pytest

from domain import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (1, "1 s"),
        (90, "1 min 30 s"),
        (1800, "30 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (86_399, "23 h 59 min 59 s"),
        (86_400, "1 d"),
        (366 * 86_400, "366 d"),
    ],
)
def test_a_time_is_told_in_its_units(seconds: int, words: str) -> None:
    assert duration.in_words(seconds) == words
