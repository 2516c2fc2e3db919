"""`ops-approval up`: a whole installation in the foreground, until Ctrl-C or SIGTERM."""

import signal
import threading
from types import FrameType
from urllib.parse import urlsplit

from workers import logs
from workers.cli.console import UNAVAILABLE, err, fail, out
from workers.cli.context import Data, settings_for
from workers.stack import StackError
from workers.supervisor import running


def up(*, data: Data = None) -> None:
    """Run everything on this machine: Postgres, Redis, worker and scheduler. Ctrl-C stops it, nothing is lost.

    With DATABASE_URL and REDIS_URL set, those servers are used and none are started.
    """
    logs.configure()
    settings = settings_for(data)
    stopping = threading.Event()
    err.print(f"Starting in {settings.data} …", style="dim")
    try:
        with running(settings) as (stack, supervisor):

            def stop(_signal: int, _frame: FrameType | None) -> None:
                stopping.set()

            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, stop)
            out.print("Ready. Ctrl-C stops it.", style="green")
            out.print(f"  DATABASE_URL={_without_password(stack.urls.database_url)}")
            out.print(f"  REDIS_URL={_without_password(stack.urls.redis_url)}")
            out.print(f"  keys in {stack.keys}")
            supervisor.run(stopping)
            err.print("Stopping …", style="dim")
    except StackError as error:
        fail(str(error), UNAVAILABLE)
    except ValueError as error:
        fail(f"{error}. Move that file away and a new key is made.", UNAVAILABLE)
    except KeyboardInterrupt:
        err.print("Stopped before it was ready.", style="dim")


def _without_password(url: str) -> str:
    """An address that may be shown."""
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@", 1) if parts.password else url
