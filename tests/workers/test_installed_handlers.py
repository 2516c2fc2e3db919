"""An action type whose other side is not called by HTTP brings its code along, as the package in examples/ does."""

import runpy
import shutil
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel, model_validator
from structlog.testing import capture_logs

from domain.action_type import ActionType, Guarantee
from domain.messages import CreateAction, ExecuteAction
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from tests.workers.test_http_handler import TOP_UP
from tests.world import Installation, wait_for
from workers import definition_files
from workers.definition_files import DefinitionFileError
from workers.handlers import Call, installed
from workers.handlers.installed import InstalledHandler

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "ledger_hold"
HOLD = replace(TOP_UP, action_type="PLACE_LEDGER_HOLD", params={"account": "acc-1", "amount": 5000})


def install(where: Path, monkeypatch: pytest.MonkeyPatch, points: dict[str, str]) -> None:
    """What pip leaves behind of a package with these entry points."""
    metadata = where / "some_handlers-1.0.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: some-handlers\nVersion: 1.0.0\n")
    lines = [f"[{installed.GROUP}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(where))


@pytest.fixture
def ledger(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The example is installed, and its ledger is there."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(tmp_path, monkeypatch, project["entry-points"][installed.GROUP])
    shutil.copy(EXAMPLE / "ledger_hold.py", tmp_path)  # beside it may lie what installing it has left
    url = installation.settings.database_url
    monkeypatch.setenv("LEDGER_URL", url)
    with psycopg.connect(url, autocommit=True) as conn:
        runpy.run_path(str(EXAMPLE / "ledger_hold.py"), run_name="__main__")
        yield conn
        conn.execute("drop table holds, accounts")


def holds(ledger: psycopg.Connection) -> list[Any]:
    return ledger.execute("select account, amount from holds").fetchall()


def test_the_example_is_agreed_to_and_executed_once(installation: Installation, ledger: psycopg.Connection) -> None:
    definition_files.apply(installation.owner, definition_files.read(EXAMPLE / "definitions.yaml"), by="tests")
    body = {"origin": "ops_ui", "action_type": "PLACE_LEDGER_HOLD", "created_by": "ops-admin-2", "params": HOLD.params}
    (asked,) = installation.tell("ops-tooling", CreateAction.model_validate(body))
    assert asked.action_id is not None, asked
    for person in ("finance-user-1", "finance-user-2"):
        installation.vote(asked.action_id, person)
    installation.tell("ops-tooling", ExecuteAction(action_id=asked.action_id, executed_by="ops-admin-1"))
    assert installation.executor("http://nowhere").execute(asked.action_id) == "executed"
    assert installation.action(asked.action_id)["result"] == {"account": "acc-1", "held": 5000}
    assert holds(ledger) == [("acc-1", 5000)]


def test_a_call_of_the_example_that_is_repeated_is_one_hold(ledger: psycopg.Connection) -> None:
    handler = InstalledHandler("ledger_hold")
    assert [handler.call(HOLD), handler.call(replace(HOLD, token=2))] == [Done({"account": "acc-1", "held": 5000})] * 2
    assert holds(ledger) == [("acc-1", 5000)]
    assert handler.call(replace(HOLD, params={"account": "none", "amount": 1})) == Rejected(
        "the ledger has no such account"
    )


def test_the_example_gives_up_what_it_waits_for_in_the_time_of_the_call(ledger: psycopg.Connection) -> None:
    with ledger.transaction():
        ledger.execute("select from accounts for update")
        told = InstalledHandler("ledger_hold")
        with pytest.raises(psycopg.errors.QueryCanceled):
            told._code.call(replace(HOLD, timeout_seconds=0.1), told._params.model_validate(HOLD.params))
    assert holds(ledger) == []


@pytest.mark.usefixtures("ledger")
def test_params_are_checked_when_the_action_is_created_and_again_before_the_call() -> None:
    (_, (_, found)) = definition_files.read(EXAMPLE / "definitions.yaml")
    assert isinstance(found, ActionType)
    assert found.problems_of(HOLD.params) == []
    assert found.problems_of({"account": "acc-1", "amount": "5000"})
    assert isinstance(InstalledHandler("ledger_hold").call(replace(HOLD, params={"account": "acc-1"})), Rejected)


def test_what_is_not_installed_is_told_and_tried_again(installation: Installation) -> None:
    with pytest.raises(DefinitionFileError, match=r"No handlers are installed as 'ledger_hold'.*params_schema"):
        definition_files.read(EXAMPLE / "definitions.yaml")
    text = "action_types: [{name: ADJUST_FLOAT, handler: ledger_hold, guarantee: neither, params_schema: {}}]"
    definition_files.apply(installation.owner, definition_files.parse(text, "here"), by="tests")
    action_id = installation.approved()
    assert installation.executor("http://nowhere").execute(action_id) == "approved"
    (attempt,) = installation.action(action_id)["attempts"]
    assert "install one package that has it" in attempt["reason"]


@pytest.mark.parametrize("value", ["nowhere:Missing", "tests.workers.test_installed_handlers:Missing"])
def test_what_cannot_be_loaded_is_told(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, {"broken": value})
    with pytest.raises(ValueError, match=r"Handler 'broken' \(.*\) cannot be loaded"):
        InstalledHandler("broken")


class Asked:
    """A handler that can be asked, and that breaks over one account."""

    class Params(BaseModel):
        account: str

    params = Params

    def call(self, _call: Call, _params: Params) -> Outcome:
        raise ConnectionResetError

    def ask(self, _call: Call, params: Params) -> Outcome:
        if params.account == "broken":
            raise ValueError(params.account)
        return Done({"account": params.account})


def test_what_a_handler_says_or_that_it_broke_is_the_outcome(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, {"asked": f"{__name__}:Asked"})
    executor = installation.executor("http://nowhere")
    action_type = ActionType(name="HOLD", handler="asked", guarantee=Guarantee.QUERYABLE)
    told = [
        executor._ask(action_type, replace(HOLD, params={"account": account})) for account in ("acc-1", "broken", 7)
    ]
    assert told == [
        Done({"account": "acc-1"}),
        Unknown("The handler failed with ValueError."),
        Unknown("The handler does not take these params: account: Input should be a valid string."),
    ]
    assert executor._call(action_type, replace(HOLD, params={"account": "acc-1"})) == Unknown(
        "The handler failed with ConnectionResetError."
    )


class Whatever(BaseModel):
    """Whatever params there are."""


class Hanging:
    """A handler that waits for what may never come, and notes that it was called."""

    called = threading.Event()
    released = threading.Event()
    params = Whatever

    def call(self, _call: Call, _params: Whatever) -> Outcome:
        self.called.set()
        self.released.wait()
        return Done()

    ask = call


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstalledHandler]:
    install(tmp_path, monkeypatch, {"hanging": f"{__name__}:Hanging"})
    Hanging.called.clear()
    Hanging.released.clear()
    yield InstalledHandler("hanging")
    Hanging.released.set()
    for thread in threading.enumerate():  # what it logs late is no matter of the next test
        if thread.name == f"handler of {HOLD.action_id}":
            thread.join()


@pytest.mark.parametrize("seconds", [0, -60])
def test_a_worker_that_wakes_up_too_late_calls_no_more(hanging: InstalledHandler, seconds: float) -> None:
    """It was stopped after its attempt began; another may be under way, or people have said what became of it."""
    assert hanging.call(replace(HOLD, timeout_seconds=seconds)) == Retry("no time was left for the call")
    assert not Hanging.called.is_set()


class SlowToLoad(Hanging):
    """A handler that takes a minute of the clock until it is there."""

    clock = 0.0

    def __init__(self) -> None:
        type(self).clock += 60


@pytest.mark.usefixtures("hanging")
def test_what_loading_takes_is_not_left_for_the_call(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow").mkdir()
    install(tmp_path / "slow", monkeypatch, {"slow": f"{__name__}:SlowToLoad"})
    monkeypatch.setattr("workers.execution.time", SimpleNamespace(monotonic=lambda: SlowToLoad.clock))
    told = installation.executor("http://nowhere")._call(ActionType(name="HOLD", handler="slow"), HOLD)
    assert told == Retry("no time was left for the call")
    assert not Hanging.called.is_set()


def test_nobody_waits_for_a_handler_that_does_not_return(hanging: InstalledHandler) -> None:
    for told in (hanging.call, hanging.ask):
        assert told(replace(HOLD, timeout_seconds=0.05)) == Unknown("The handler did not return within 0 s.")
    assert Hanging.called.is_set()


def test_how_a_call_ended_that_nobody_waited_for_is_logged(hanging: InstalledHandler) -> None:
    with capture_logs() as logs:
        assert isinstance(hanging.call(replace(HOLD, timeout_seconds=0.05)), Unknown)
        Hanging.released.set()
        (line,) = wait_for(lambda: logs)
    assert (line["event"], line["action_id"], line["outcome"]) == ("handler_late", str(HOLD.action_id), "Done")


class Exiting:
    """A handler that wants to end its process."""

    params = Whatever

    def call(self, _call: Call, _params: Whatever) -> Outcome:
        sys.exit(1)

    ask = call


def test_a_handler_that_exits_is_not_waited_for_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, {"exiting": f"{__name__}:Exiting"})
    told = InstalledHandler("exiting")
    for say in (told.call, told.ask):
        assert say(replace(HOLD, timeout_seconds=20)) == Unknown("The handler ended with SystemExit.")


class ExitingAtOnce(Exiting):
    """A handler that wants to end its process before it is there."""

    def __init__(self) -> None:
        sys.exit(1)


class Impassable(BaseModel):
    """Params whose check wants to end the process."""

    @model_validator(mode="before")
    @classmethod
    def _exits(cls, _params: Any) -> Any:
        sys.exit(1)


class ExitingOverParams:
    """A handler that does not come to its call."""

    params = Impassable

    def call(self, _call: Call, _params: Impassable) -> Outcome:
        return Done()

    ask = call


def test_a_handler_that_exits_before_its_call_ends_nothing_either(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, {"odd": f"{__name__}:ExitingAtOnce", "picky": f"{__name__}:ExitingOverParams"})
    text = "action_types: [{name: ADJUST_FLOAT, handler: odd, guarantee: neither, params_schema: {}}]"
    definition_files.apply(installation.owner, definition_files.parse(text, "here"), by="tests")
    action_id = installation.approved()
    assert installation.executor("http://nowhere").execute(action_id) == "approved", "nothing was called"
    (attempt,) = installation.action(action_id)["attempts"]
    assert "cannot be loaded: SystemExit" in attempt["reason"]
    executor, picky = installation.executor("http://nowhere"), ActionType(name="HOLD", handler="picky")
    for say in (executor._call, executor._ask):
        assert say(picky, HOLD) == Unknown("The handler failed with SystemExit.")


class Odd:
    """A handler that says what it is told to say."""

    says: Any = None
    params = Whatever

    def call(self, _call: Call, _params: Whatever) -> Any:
        return self.says


NOT_KEPT = {"note": "The handler's result was not kept: it is no JSON object that can be, or longer than 64 KiB."}


@pytest.mark.parametrize(
    ("says", "status", "kept"),
    [
        (Done({"at": datetime(2025, 11, 12, tzinfo=UTC)}), "executed", NOT_KEPT),
        (Done({"share": float("nan")}), "executed", NOT_KEPT),
        (Done({"text": "\x00"}), "executed", NOT_KEPT),
        (Done({"text": "\ud800"}), "executed", NOT_KEPT),
        (Done({"balance": 2**60}), "executed", NOT_KEPT),
        (Done({"log": "x" * 70_000}), "executed", NOT_KEPT),
        (Done(None), "executed", NOT_KEPT),  # type: ignore[arg-type]
        (Done({"balance": 5}), "executed", {"balance": 5}),
        (Rejected("no\x00 \ud800" + "x" * 10_000), "failed", "no " + "x" * 197),
        (Retry("busy", "soon"), "approved", "busy"),  # type: ignore[arg-type]
        (Unknown(ValueError("lost")), "outcome_unknown", "lost"),  # type: ignore[arg-type]
        ({"balance": 5}, "outcome_unknown", "The handler returned dict, which is none of the four outcomes."),
        (None, "outcome_unknown", "The handler returned NoneType, which is none of the four outcomes."),
    ],
)
def test_whatever_a_handler_returns_is_written_down(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: Any, status: str, kept: Any
) -> None:
    install(tmp_path, monkeypatch, {"odd": f"{__name__}:Odd"})
    monkeypatch.setattr(Odd, "says", says)
    text = "action_types: [{name: ADJUST_FLOAT, handler: odd, guarantee: neither, params_schema: {}}]"
    definition_files.apply(installation.owner, definition_files.parse(text, "here"), by="tests")
    action_id = installation.approved()
    assert installation.executor("http://nowhere").execute(action_id) == status
    row = installation.action(action_id)
    assert (row["result"] or row["error"]) == kept


def test_who_cannot_be_asked_leaves_it_unknown(ledger: psycopg.Connection) -> None:
    assert InstalledHandler("ledger_hold").ask(HOLD) == Unknown("The handler cannot be asked.")
    assert holds(ledger) == []
