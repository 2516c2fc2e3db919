"""Handlers with code of their own, for services that are not called by HTTP: entry points of installed packages.

A package names a class, which is made without arguments, as an entry point of the group `ops_approval.handlers`; action
types name it as `handler`. See `docs/execution.md`.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from domain import mistakes
from domain.outcome import Outcome, Rejected, Unknown
from workers.handlers import Call

GROUP = "ops_approval.handlers"


class Code(Protocol):
    """What an entry point names: `params` is the model of the params that its calls get.

    One whose action type is `queryable` has `ask` too, with the same arguments as `call`.
    """

    params: type[BaseModel]

    def call(self, call: Call, params: Any) -> Outcome: ...


class InstalledHandler:
    """The handler that is installed under a name; raises ValueError, saying what to do, where there is none or several."""

    def __init__(self, name: str) -> None:
        found = list(entry_points(group=GROUP, name=name))
        if len(found) != 1:
            raise ValueError(
                f"{len(found) or 'No'} handlers are installed as {name!r} (entry point {GROUP}): install one package that has it."
            )
        try:
            self._code: Code = found[0].load()()
            self._params: type[BaseModel] = self._code.params
        except Exception as error:
            raise ValueError(
                f"Handler {name!r} ({found[0].value}) cannot be loaded: {type(error).__name__}."
            ) from error

    def params_schema(self) -> dict[str, Any]:
        """The JSON Schema of its params, for the definition that people agree to."""
        return self._params.model_json_schema()

    def call(self, call: Call) -> Outcome:
        """Make the call; params that its model does not take are rejected, and nothing is done."""
        try:
            params = self._params.model_validate(call.params)
        except ValidationError as error:
            return Rejected(_not_taken(error))
        return self._code.call(call, params)

    def ask(self, call: Call) -> Outcome:
        """What became of a call, as the handler finds out."""
        ask: Callable[[Call, BaseModel], Outcome] | None = getattr(self._code, "ask", None)
        if ask is None:
            return Unknown("The handler cannot be asked.")
        try:
            params = self._params.model_validate(call.params)
        except ValidationError as error:
            return Unknown(_not_taken(error))
        return ask(call, params)


def _not_taken(error: ValidationError) -> str:
    return f"The handler does not take these params: {mistakes.told(error, 'params')[0]}."
