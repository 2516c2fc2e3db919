"""What is wrong with a document that has not its form, in words for whoever wrote it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

_OWN_WORDS = "Value error, "


def told(error: ValidationError, whole: str = "") -> list[str]:
    """Each mistake as `field: what is wrong`, the first first; fields are named by their path, values are not quoted.

    `whole` is the name of the document, for what is wrong with all of it.
    """
    return [_told(problem, whole) for problem in error.errors(include_url=False, include_input=False)]


def _told(problem: Mapping[str, Any], whole: str) -> str:
    path = ".".join(map(str, problem["loc"])) or whole
    return f"{path}: {_sentence(problem)}" if path else _sentence(problem)


def _sentence(problem: Mapping[str, Any]) -> str:
    bounds = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return "it is missing, and must be there"
        case "extra_forbidden":
            return "there is no such field; look at its spelling"
        case "tuple_type" | "list_type":
            return "expected a list"
        case "dict_type" | "model_type" | "mapping_type":
            return "expected an object"
        case "too_short":
            return f"expected a list of at least {bounds['min_length']}"
        case "too_long":
            return f"expected a list of at most {bounds['max_length']}"
        case "string_too_short" if bounds["min_length"] == 1:
            return "it is empty"
    return str(problem["msg"]).removeprefix(_OWN_WORDS)
