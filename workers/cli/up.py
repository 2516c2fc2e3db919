"""`ops-approval up`: a whole installation in the foreground, until Ctrl-C or SIGTERM."""

import signal
import threading
from types import FrameType
from typing import Annotated
from urllib.parse import urlsplit

import typer

from db import connect
from domain.action_type import ActionType
from workers import definition_files, logs
from workers.checks import gather
from workers.checks.finding import Level
from workers.cli.console import UNAVAILABLE, err, fail, out
from workers.cli.context import Data, settings_for
from workers.cli.doctor import print_findings
from workers.sandbox import Sandbox
from workers.settings import Settings
from workers.stack import StackError
from workers.supervisor import running

SERVICES = sorted(
    {item.service for _, item in definition_files.shipped() if isinstance(item, ActionType) and item.service}
)
"""The services that the shipped action types are executed at."""

WithSandbox = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Execute the shipped action types at a sandbox on this machine, to try things out; "
        "others where OPS_APPROVAL_SERVICES says.",
    ),
]


def up(*, sandbox: WithSandbox = False, data: Data = None) -> None:
    """Run everything on this machine: Postgres, Redis, worker and scheduler. Ctrl-C stops it, nothing is lost.

    With DATABASE_URL and REDIS_URL set, those servers are used and none are started.
    """
    logs.configure()
    settings = settings_for(data)
    if not sandbox:
        _run(settings)
        return
    with Sandbox() as services:
        _run(at_sandbox(settings, services.url), sandbox_url=services.url)


def at_sandbox(settings: Settings, url: str) -> Settings:
    """The same settings with a sandbox in the place of the shipped action types' services; others stay where they are."""
    return settings.model_copy(update={"services": settings.services | dict.fromkeys(SERVICES, url)})


def _run(settings: Settings, sandbox_url: str | None = None) -> None:
    stopping = threading.Event()
    err.print(f"Starting in {settings.data} …", style="dim")
    try:
        with running(settings) as (stack, supervisor):

            def stop(_signal: int, _frame: FrameType | None) -> None:
                stopping.set()

            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, stop)
            out.print("Ready. Ctrl-C stops it.", style="green")
            out.print(f"  DATABASE_URL='{_without_password(stack.urls.database_url)}'")
            out.print(f"  REDIS_URL='{_without_password(stack.urls.redis_url)}'")
            out.print(f"  keys in {stack.keys}")
            if sandbox_url is not None:
                out.print(f"  sandbox at {sandbox_url}; what was done there: {sandbox_url}/ledger")
            missing = sorted(set(SERVICES) - set(settings.services))
            if missing:
                out.print(
                    f"  no address for {', '.join(missing)}: set OPS_APPROVAL_SERVICES, or try --sandbox",
                    style="yellow",
                )
            with connect.connect(stack.urls.database_url, "ops-approval up") as conn:
                findings = gather.at_start(conn, settings)
            if troubles := [finding for finding in findings if finding.level is not Level.OK]:
                print_findings(troubles)
            out.print("Next: ops-approval directory sync FILE, with the same --data", style="dim")
            supervisor.run(stopping)
            err.print("Stopping …", style="dim")
    except StackError as error:
        fail(str(error), UNAVAILABLE)
    except KeyboardInterrupt:
        err.print("Stopped before it was ready.", style="dim")


def _without_password(url: str) -> str:
    """An address that may be shown."""
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@", 1) if parts.password else url
