"""What the params of an action type must look like: a JSON Schema (draft 2020-12), held to strictly.

Stricter than the standard where a slip would let more through: a keyword that does not exist is an error, not a comment;
formats are checked; and nothing is fetched. And kept to what takes little time whatever a message holds: patterns are
matched in linear time, and references lead to definitions beside the schema, `#/$defs/NAME`, and never in a circle.
"""

from collections.abc import Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError, ValidationErrorKind

_MOST_PROBLEMS = 5
_MOST_KEYWORDS = 1000
_ELSEWHERE = frozenset(
    {"$schema", "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"}
)
"""Keywords that lead out of the schema, or to another draft's meaning."""
_DEPENDING = frozenset({"if", "then", "else", "dependentSchemas"})
"""Keywords of which it depends on other params what they say."""

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
        _size(document, document.get("$defs", {}), ())
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

    def problems_of_some(self, params: dict[str, Any]) -> list[str]:
        """What is wrong with these params whatever others come beside them: their values, and names that are not taken."""
        found: Iterator[ValidationError] = self._validator.iter_errors(params)
        return [
            _told(problem, "params")
            for problem in found
            if (problem.instance_path or isinstance(problem.kind, ValidationErrorKind.AdditionalProperties))
            and _DEPENDING.isdisjoint(map(str, problem.schema_path))
        ]


def _size(part: Any, definitions: dict[str, Any], within: tuple[str, ...]) -> int:
    """How many keywords there are to look at, every reference followed; raises ValueError for more than a thousand."""
    match part:
        case dict():
            size = len(part)
            for keyword, value in part.items():
                if keyword in _ELSEWHERE and isinstance(value, str):
                    raise ValueError(f"params_schema: {keyword} is not taken here; use $ref and $defs")
                if keyword == "$ref" and isinstance(value, str):
                    size += _size(_definition(value, definitions, within), definitions, (*within, value))
                elif value is not definitions:  # which are looked at where they are referred to
                    size += _size(value, definitions, within)
        case list():
            size = sum(_size(item, definitions, within) for item in part)
        case _:
            size = 0
    if size > _MOST_KEYWORDS:
        raise ValueError(f"params_schema: more than {_MOST_KEYWORDS} keywords to look at, every $ref followed")
    return size


def _definition(reference: str, definitions: dict[str, Any], within: tuple[str, ...]) -> Any:
    name = reference.removeprefix("#/$defs/")
    if reference in within:
        raise ValueError(f"params_schema: {reference} leads in a circle")
    if name == reference or name not in definitions:
        raise ValueError(f"params_schema: $ref {reference} is not taken here; it must be #/$defs/ and a name in $defs")
    return definitions[name]


def _told(problem: ValidationError, root: str = "params_schema") -> str:
    return f"{'.'.join([root, *map(str, problem.instance_path)])}: {problem.message}"
