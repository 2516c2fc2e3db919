"""What is wrong with a document that has not its form, in words for whoever wrote it."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_OWN_WORDS = "Value error, "


def told(error: ValidationError) -> list[str]:
    """Each mistake as `field: what is wrong`, the first first; fields are named by their path, values are not quoted."""
    return [_told(problem) for problem in error.errors(include_url=False, include_input=False)]


def _told(problem: "ErrorDetails") -> str:
    path = ".".join(map(str, problem["loc"]))
    return f"{path}: {_sentence(problem)}" if path else _sentence(problem)


def _sentence(problem: "ErrorDetails") -> str:
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
    return problem["msg"].removeprefix(_OWN_WORDS)
