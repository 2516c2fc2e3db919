"""Logging: one JSON object a line, with ids and codes, and never a param, a token or a key.

The message of an exception may hold anything (Postgres quotes the failing row, pydantic the input), so of an exception
only its class, its SQLSTATE and where it was raised are logged. The same goes for dramatiq's messages: only their ids.
"""

import logging
import sys
import traceback
from collections.abc import Iterator

import dramatiq
import psycopg
import redis
import structlog
from structlog.typing import EventDict


def configure() -> None:
    """Send structlog's and the standard library's logs through one JSON renderer to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        where_it_was_raised,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_ids_of_messages)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for chatty in ("dramatiq", "httpx", "psycopg.pool"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def where_it_was_raised(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace an exception in a log entry by its classes and its frames; a structlog processor."""
    found = event.pop("exc_info", None)
    error = sys.exception() if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = [line for link in _chain(error) for line in _told(link)]
    return event


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _told(error: BaseException) -> Iterator[str]:
    sqlstate = getattr(error, "sqlstate", None)
    yield type(error).__name__ + (f" (SQLSTATE {sqlstate})" if sqlstate else "")
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} {frame.name}"


def _ids_of_messages(record: logging.LogRecord) -> bool:
    """Let dramatiq name a message by its id only: its argument may be a producer's token."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            f"{arg.actor_name} {arg.message_id}" if isinstance(arg, dramatiq.Message | dramatiq.MessageProxy) else arg
            for arg in record.args
        )
    return True


def why_no_connection(error: Exception) -> str | None:
    """What a client says of a server that it cannot reach; None for any other error, whose text may quote data."""
    unreachable = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
    if unreachable or isinstance(error, redis.ConnectionError):
        return str(error).strip().splitlines()[0]
    return None
