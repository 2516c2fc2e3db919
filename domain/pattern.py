"""Regular expressions that take linear time, whoever wrote the pattern and whatever the text is.

They are Rust's, by way of the JSON Schema validator that checks params: it has no look-around and no back-references, which
is what makes others take exponential time. What a pattern compiles to is bounded too, since the time grows with it. What the
engine would take, but in another sense than MongoDB's, is refused.
"""

import re

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

MOST_CHARACTERS = 200
_MOST_BYTES = 10_000
"""Of a compiled pattern, and of what its matching may remember: either bounds how long a text of some length takes."""

_ESCAPE_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_GROUP_WITH_MEANING = re.compile(r"\(\?(?!:)")
_POSSESSIVE = re.compile(r"[*+?}]\+")


class Pattern:
    """A pattern, understood; raises ValueError, saying why, for one that is not."""

    def __init__(self, text: str, *, ignores_case: bool = False) -> None:
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"the pattern is longer than {MOST_CHARACTERS} characters")
        _check_sense(text)
        try:
            self._validator = Draft202012Validator(
                {"pattern": f"(?i){text}" if ignores_case else text},
                offline=True,
                pattern_options=RegexOptions(size_limit=_MOST_BYTES, dfa_size_limit=_MOST_BYTES),
            )
        except ValidationError:
            raise ValueError(
                f"{text!r} is no pattern that is taken here: it has an error, a back-reference, "
                "or repeats too much (x{1,100} counts a hundred times)"
            ) from None

    def is_found_in(self, text: str) -> bool:
        """Whether some part of a text fits the pattern."""
        return self._validator.is_valid(text)


def _check_sense(text: str) -> None:
    bare = _ESCAPE_OR_CLASS.sub("x", text)
    if _GROUP_WITH_MEANING.search(bare):
        raise ValueError(
            "of the groups that begin with (? only (?:…) is taken here; no look-around, no flags, no names"
        )
    if _POSSESSIVE.search(bare) or "[[:" in text or {r"\<", r"\>"} & set(_ESCAPE_OR_CLASS.findall(text)):
        raise ValueError(r"possessive repetition (a++), classes such as [[:alpha:]], \< and \> are not taken here")
