"""Handlers with code of their own, for services that are not called by HTTP: entry points of installed packages.

A package names a class, which is made without arguments, as an entry point of the group `ops_approval.handlers`; action
types name it as `handler`. See `docs/execution.md`.
"""

import json
from collections.abc import Callable
from concurrent.futures import Future, wait
from importlib.metadata import entry_points
from threading import Thread
from typing import Any, Protocol

import structlog
from pydantic import BaseModel, ValidationError

from domain import mistakes
from domain.exact_json import parse_json
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from workers.handlers import Call, answers

_log = structlog.get_logger(__name__)

GROUP = "ops_approval.handlers"

_LONGEST_RESULT_BYTES = 64 * 1024


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
        except BaseException as error:  # one that exits too: nothing was called, and the attempt must be told of
            raise ValueError(
                f"Handler {name!r} ({found[0].value}) cannot be loaded: {type(error).__name__}."
            ) from error

    def params_schema(self) -> dict[str, Any]:
        """The JSON Schema of its params, for the definition that people agree to."""
        return self._params.model_json_schema()

    def call(self, call: Call) -> Outcome:
        """Make the call, unless its time is over; params that its model does not take are rejected, and nothing is done."""
        if call.timeout_seconds <= 0:  # the worker was stopped: by now another attempt may be under way
            return Retry("no time was left for the call")
        try:
            params = self._params.model_validate(call.params)
        except ValidationError as error:
            return Rejected(_not_taken(error))
        return _within(call, lambda: self._code.call(call, params))

    def ask(self, call: Call) -> Outcome:
        """What became of a call, as the handler finds out."""
        ask: Callable[[Call, BaseModel], Outcome] | None = getattr(self._code, "ask", None)
        if ask is None:
            return Unknown("The handler cannot be asked.")
        try:
            params = self._params.model_validate(call.params)
        except ValidationError as error:
            return Unknown(_not_taken(error))
        return _within(call, lambda: ask(call, params))


def _within(call: Call, handling: Callable[[], Any]) -> Outcome:
    """What a handler says, if it does in the call's time; raises what it raises. What it says later is logged, no more.

    It has a thread of its own, which nobody can end, so that one that hangs does not take a worker's with it.
    """
    answer: Future[Any] = Future()

    def handle() -> None:
        try:
            answer.set_result(handling())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            answer.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - there it would end a worker's thread, here it ends this one
            answer.set_result(Unknown(f"The handler ended with {type(error).__name__}."))

    Thread(target=handle, name=f"handler of {call.action_id}", daemon=True).start()
    if not wait([answer], timeout=call.timeout_seconds).done:
        answer.add_done_callback(lambda told: _log_late(call, told))
        return Unknown(f"The handler did not return within {call.timeout_seconds:.0f} s.")
    return _as_told(answer.result())


def _log_late(call: Call, told: Future[Any]) -> None:
    """For who is to find out what became of a call: whether it ended after all, and how; not what it said, which may be params."""
    ended = told.exception() or told.result()
    _log.warning("handler_late", action_id=str(call.action_id), token=call.token, outcome=type(ended).__name__)


def _as_told(outcome: Any) -> Outcome:
    """An outcome that can be written down, whatever a handler puts into it."""
    match outcome:
        case Done(result):
            return Done(_kept(result))
        case Rejected(reason):
            return Rejected(answers.printable(str(reason)))
        case Retry(reason, after_seconds):
            pause = after_seconds if isinstance(after_seconds, int | float) else None
            return Retry(answers.printable(str(reason)), pause)
        case Unknown(reason):
            return Unknown(answers.printable(str(reason)))
        case _:
            return Unknown(f"The handler returned {type(outcome).__name__}, which is none of the four outcomes.")


def _kept(result: Any) -> dict[str, Any]:
    """A result that the database can hold. The effect happened, so one that it cannot hold is left out, and that is all."""
    try:
        kept = parse_json(json.dumps(result, allow_nan=False).encode(), _LONGEST_RESULT_BYTES)
    except (TypeError, ValueError, RecursionError):
        kept = None
    if isinstance(kept, dict):
        return kept
    return {"note": "The handler's result was not kept: it is no JSON object that can be, or longer than 64 KiB."}


def _not_taken(error: ValidationError) -> str:
    return f"The handler does not take these params: {mistakes.told(error, 'params')[0]}."
