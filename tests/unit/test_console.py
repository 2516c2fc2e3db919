"""What a terminal shows of words that others wrote."""

from workers.cli.console import coloured


def test_a_status_from_elsewhere_does_nothing_to_the_terminal() -> None:
    assert "\x1b" not in coloured("\x1b[2Jexecuted").plain
