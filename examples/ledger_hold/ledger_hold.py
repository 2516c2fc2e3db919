"""Places holds in a ledger that is a Postgres database and has no HTTP interface.

The key of the call is the hold's own: however often a call is repeated, it is one hold. So the action type may say
`guarantee: deduplicates`. Run as a program it makes a ledger to try with.
"""

import os

import psycopg
from pydantic import BaseModel, ConfigDict, Field

from domain.outcome import Done, Outcome, Rejected, Retry
from workers.handlers import Call


class HoldParams(BaseModel):
    """The account, and how much of it is held, in the smallest unit of its currency."""

    model_config = ConfigDict(extra="ignore", strict=True)  # producers may add what explains it, such as an alert's id

    account: str = Field(min_length=1)
    amount: int = Field(gt=0)


class LedgerHold:
    """The entry point `ledger_hold`."""

    params = HoldParams

    def call(self, call: Call, params: HoldParams) -> Outcome:
        """Place the hold, once; whatever fails after the connection is there leaves by itself as an unknown outcome."""
        half = call.timeout_seconds / 2  # for the connection, and for the hold: nothing is held after the call's time
        limit = f"-c statement_timeout={max(1, int(half * 1000))}"
        try:
            ledger = psycopg.connect(os.environ["LEDGER_URL"], connect_timeout=max(2, int(half)), options=limit)
        except (KeyError, psycopg.OperationalError) as error:
            return Retry(f"no connection to the ledger: {type(error).__name__}")  # nothing was sent
        with ledger:
            if ledger.execute("select from accounts where id = %s for update", [params.account]).fetchone() is None:
                return Rejected("the ledger has no such account")
            ledger.execute(
                "insert into holds (key, account, amount) values (%s, %s, %s) on conflict (key) do nothing",
                [call.idempotency_key, params.account, params.amount],
            )
        return Done({"account": params.account, "held": params.amount})


def make_ledger() -> None:
    """A ledger with one account, acc-1, in the database that `LEDGER_URL` names."""
    with psycopg.connect(os.environ["LEDGER_URL"]) as ledger:
        ledger.execute("create table if not exists accounts (id text primary key)")
        ledger.execute(
            "create table if not exists holds (key text primary key, account text references accounts, amount bigint)"
        )
        ledger.execute("insert into accounts values ('acc-1') on conflict do nothing")


if __name__ == "__main__":
    make_ledger()
