"""The command line `ops-approval`.

Exit codes: 0 done, 1 refused, not executed or a problem found, 2 wrong use, 3 a server does not answer.
"""

import inspect

import psycopg
import redis
import typer
from dramatiq.errors import ConnectionClosed
from pydantic import ValidationError
from pydantic_settings import SettingsError

from db.schema import SchemaError
from domain import mistakes
from workers import logs
from workers.cli import (
    action_types,
    administration,
    answers,
    attempts,
    backtesting,
    demo,
    doctor,
    events,
    explaining,
    in_force,
    invariants,
    keys,
    linting,
    messages,
    overview,
    policies,
    proposals,
    reading,
    sending,
    showing,
    up,
)
from workers.cli.console import UNAVAILABLE, WRONG_USE, fail
from workers.cli.context import NO_SCHEMA
from workers.settings import Settings, why_unusable

_WHERE = "Start `ops-approval up`, name its --data, or set DATABASE_URL and REDIS_URL."

app = typer.Typer(
    help="Dangerous operations happen only when the right people agreed, exactly once, with a trail.",
    epilog="Options such as --data and --json come after the command. "
    "Exit codes: 0 done, 1 refused, not executed or a problem found, 2 wrong use, 3 a server does not answer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # its tables cut the names of options short on a terminal of 80 columns
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(sending.create)
app.command()(sending.vote)
app.command()(sending.execute)
app.command()(sending.cancel)
reading.actions.command("show")(showing.show)
reading.actions.command("pending")(overview.pending)
reading.actions.command("history")(overview.action_history)
reading.actions.command("stats")(overview.stats)
reading.actions.command("summary")(overview.summary)
reading.actions.command("who")(answers.who)
reading.actions.command("why-not")(answers.why_not)
app.add_typer(reading.actions, name="actions")
app.add_typer(overview.votes, name="votes")
app.add_typer(attempts.attempts, name="attempts")
app.add_typer(reading.receipts, name="receipts")
app.add_typer(events.events, name="events")
app.add_typer(proposals.alerts, name="alerts")
app.add_typer(proposals.recommendations, name="recommendations")
app.add_typer(messages.messages, name="messages")
policies.policies.command("list")(in_force.list_policies)
policies.policies.command("show")(in_force.show_policy)
policies.policies.command("backtest")(backtesting.backtest_policies)
policies.policies.command("lint")(linting.lint_policies)
policies.policies.command("explain")(explaining.explain)
app.add_typer(policies.policies, name="policies")
app.add_typer(action_types.types, name="types")
app.add_typer(sending.directory, name="directory")
app.add_typer(keys.keys, name="keys")
app.add_typer(administration.database, name="db")
app.add_typer(invariants.invariants, name="invariants")


def _list_in_whole(group: typer.Typer) -> None:
    """Have `--help` list commands with their whole first sentence; what it makes of a docstring itself is cut to one line."""
    for command in group.registered_commands:
        command.short_help = (inspect.getdoc(command.callback) or "").splitlines()[0]
    for member in group.registered_groups:
        if member.typer_instance is not None:
            member.short_help = member.typer_instance.info.help
            _list_in_whole(member.typer_instance)


_list_in_whole(app)


def main() -> None:
    """Run a command; what it cannot reach becomes a sentence and an exit code instead of a traceback."""
    logs.configure()
    try:
        _run()
    except typer.Exit as ended:
        raise SystemExit(ended.exit_code) from None


def _run() -> None:
    try:
        app()
    except NO_SCHEMA:
        fail("The database has no schema yet. Run `ops-approval db init` as its owner.", WRONG_USE)
    except psycopg.errors.InsufficientPrivilege as error:
        fail(
            f"The database does not allow this: {error.diag.message_primary}. Use a DATABASE_URL of the owner.",
            WRONG_USE,
        )
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        fail(f"Postgres does not answer ({reason}). {_WHERE}", UNAVAILABLE)
    except redis.OutOfMemoryError:
        fail("Redis takes no more messages: its memory is full. See `ops-approval doctor`.", UNAVAILABLE)
    except redis.RedisError as error:
        fail(f"Redis does not answer ({error}). {_WHERE}", UNAVAILABLE)
    except ConnectionClosed:
        fail("RabbitMQ does not answer. Look at BROKER_URL.", UNAVAILABLE)
    except SchemaError as error:
        fail(str(error), WRONG_USE)
    except SettingsError as error:
        fail(why_unusable(error), WRONG_USE)
    except ValidationError as error:
        if error.title == Settings.__name__:
            fail(why_unusable(error), WRONG_USE)
        what = f"{error.title}: {mistakes.told(error)[0]}"
        fail(f"Something stored is not understood ({what}). Use the release that wrote it, or newer.", WRONG_USE)
