"""Regular expressions that take linear time, whoever wrote the pattern and whatever the text is.

They are Rust's, by way of the JSON Schema validator that checks params: it has no look-around and no back-references, which
is what makes others take exponential time. What a pattern compiles to is bounded too, since the time grows with it: for each
character of the text, the engine may have to try every place of the pattern. Only where a match begins with the text and
ends soon, is the text left after a few characters, and the pattern may have more places. What the engine would take, but in
another sense than MongoDB's, is refused.
"""

import re
from itertools import count

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

MOST_CHARACTERS = 200
_MOST_BYTES = 20_000
"""Of a compiled pattern, whatever it is."""
_MOST_BYTES_OF_PLACES = 3_000
"""Of a compiled pattern that may be busy all along a text, if each of its classes were a small one."""
_MEMORY_BYTES = 1_000_000
"""For what matching may remember: with less, patterns that are harmless become slow."""

_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\.", re.DOTALL)
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_ESCAPES_WITH_ANOTHER_SENSE = {r"\<", r"\>", r"\p", r"\P"}
_GROUP_WITH_MEANING = re.compile(r"\(\?(?!:)")
_POSSESSIVE = re.compile(r"[*+?}]\+")
_ENDLESS = re.compile(r"[*+]|,\}")
_INNERMOST_GROUP = re.compile(r"\([^()]*\)")
_BEGINS_WITH_THE_TEXT = re.compile(r"\^(?![*+?{])[^|]*")


class Pattern:
    """A pattern, understood; raises ValueError, saying why, for one that is not."""

    def __init__(self, text: str, *, ignores_case: bool = False) -> None:
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"the pattern is longer than {MOST_CHARACTERS} characters")
        outline = _outline(text)
        _check_sense(text, outline)
        try:
            self._validator = _compile(f"(?i){text}" if ignores_case else text, _MOST_BYTES)
            if not _ends_soon(outline):
                _compile(outline, _MOST_BYTES_OF_PLACES)
        except ValidationError:
            raise ValueError(
                f"{text!r} is no pattern that is taken here: it has an error, a back-reference, "
                "or repeats too much (x{1,100} counts a hundred times; more is taken where it begins with ^ "
                "and has no *, + or {2,})"
            ) from None

    def is_found_in(self, text: str) -> bool:
        """Whether some part of a text fits the pattern."""
        return self._validator.is_valid(text)


def _compile(pattern: str, most_bytes: int) -> Draft202012Validator:
    options = RegexOptions(size_limit=most_bytes, dfa_size_limit=_MEMORY_BYTES)
    return Draft202012Validator({"pattern": pattern}, offline=True, pattern_options=options)


def _outline(text: str) -> str:
    """Return the pattern with a small class, each another one, for every escape, class and dot: equal ones would be counted once."""
    numbers = count()

    def small(_: re.Match[str]) -> str:
        more, first = divmod(next(numbers), 100)
        return rf"[\x{first:02x}-\x{0x7E + more:02x}]"

    return _CLASS.sub(small, text)


def _ends_soon(outline: str) -> bool:
    """Whether a match begins where the text does, and is no longer than some characters."""
    if _ENDLESS.search(outline):
        return False
    groups = 1
    while groups:
        outline, groups = _INNERMOST_GROUP.subn("x", outline)
    return _BEGINS_WITH_THE_TEXT.fullmatch(outline) is not None


def _check_sense(text: str, outline: str) -> None:
    if _GROUP_WITH_MEANING.search(outline):
        raise ValueError(
            "of the groups that begin with (? only (?:…) is taken here; no look-around, no flags, no names"
        )
    if _POSSESSIVE.search(outline) or "[[:" in text or _ESCAPES_WITH_ANOTHER_SENSE & set(_ESCAPE.findall(text)):
        raise ValueError(
            r"possessive repetition (a++), classes such as [[:alpha:]] and \p{L}, \< and \> are not taken here"
        )
