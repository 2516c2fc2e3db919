"""What the params of an action type must look like: a JSON Schema (draft 2020-12), held to strictly.

Stricter than the standard where a slip would let more through: a keyword that does not exist is an error, not a comment;
formats are checked; nothing is fetched; and patterns are matched in linear time, however they are written.
"""

from collections.abc import Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

_MOST_PROBLEMS = 5

# The draft's own description of a schema, closed: the dynamic anchor makes every schema inside a schema meet it too.
_SCHEMA_OF_SCHEMAS = Draft202012Validator(
    {
        "$id": "urn:ops-approval:params-schema",
        "$dynamicAnchor": "meta",
        "$ref": "https://json-schema.org/draft/2020-12/schema",
        "unevaluatedProperties": False,
    },
    offline=True,
)


class ParamsSchema:
    """A JSON Schema, understood; raises ValueError, saying where, for one that is not wholly understood."""

    def __init__(self, document: dict[str, Any]) -> None:
        problems = list(_SCHEMA_OF_SCHEMAS.iter_errors(document))
        if problems:
            # The innermost one names the cause; those around it only say that something inside is wrong.
            raise ValueError(_told(max(problems, key=lambda problem: len(problem.instance_path))))
        try:
            self._validator = Draft202012Validator(
                document,
                offline=True,
                validate_formats=True,
                ignore_unknown_formats=False,
                mask="the value",
                pattern_options=RegexOptions(),
            )
        except ValidationError as error:
            raise ValueError(_told(error)) from None

    def problems(self, params: dict[str, Any]) -> list[str]:
        """What is wrong with these params, each with its path: at most five, and never a value."""
        found: Iterator[ValidationError] = self._validator.iter_errors(params)
        return [_told(problem, "params") for problem, _ in zip(found, range(_MOST_PROBLEMS), strict=False)]


def _told(problem: ValidationError, root: str = "params_schema") -> str:
    return f"{'.'.join([root, *map(str, problem.instance_path)])}: {problem.message}"
