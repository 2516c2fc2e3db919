"""How long something takes, as people say it."""

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def in_words(seconds: int) -> str:
    """A time to the second: `1 h 30 min`, `7 d`; `0 s` for none."""
    told = []
    left = seconds
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        if count:
            told.append(f"{count} {unit}")
    return " ".join(told) or "0 s"
