"""What the indexes that only reads use cost where actions are written: rows into a table of 100,000, with and without them.

These are rows alone, made by the same statement. What the engine does for a message beside that is not in it.
"""

import argparse
import statistics
import time

from bench.installation import Installation, installation, wait_for
from domain.messages import CreateAction
from workers import logs

FOR_READS = ("by_status", "pending", "asked", "created_by", "triggered_by", "executed_by")
KEPT = 100_000
COPIES = """
    insert into actions
    select made.* from generate_series(1, %(count)s) as n cross join (select actions as row from actions limit 1) as one
     cross join lateral jsonb_populate_record(one.row, jsonb_build_object(
        'id', gen_random_uuid(), 'idempotency_key', gen_random_uuid(), 'exclusive_key', null,
        'created_by', 'machine-' || n %% 100, 'triggered_by', 'person-' || n %% 1000,
        'created_at', (one.row).created_at + n * interval '1 ms')) as made
"""


def prepare(installed: Installation) -> None:
    """Fill the table with copies of an action that the engine made."""
    params = {"merchant_id": "m-1", "reason": "bench"}
    body = CreateAction(origin="alert", action_type="FREEZE_MERCHANT", params=params, created_by="alerts")
    installed.producer("alerts").send(body)
    wait_for(lambda: installed.conn.execute("select from actions").rowcount)
    installed.conn.execute(COPIES, {"count": KEPT})
    installed.conn.execute("vacuum analyze actions")


def microseconds(installed: Installation, rows: int, dropped: tuple[str, ...] = ()) -> float:
    """How long each row takes to write without these indexes; nothing of it stays."""
    with installed.conn.transaction(force_rollback=True):
        for name in dropped:
            installed.conn.execute(f"drop index actions_{name}".encode())
        began = time.monotonic()
        installed.conn.execute(COPIES, {"count": rows})
        return 1_000_000 * (time.monotonic() - began) / rows


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.indexes", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000, help="written in each round, twice")
    given = parser.parse_args()
    logs.configure()
    ratios = []
    with installation() as installed:
        prepare(installed)
        print("| round | rows | with µs a row | without | ratio |\n| --- | --- | --- | --- | --- |", flush=True)
        for number in range(1, given.rounds + 1):
            with_them, without = microseconds(installed, given.rows), microseconds(installed, given.rows, FOR_READS)
            ratios.append(with_them / without)
            print(f"| {number} | {given.rows} | {with_them:.0f} | {without:.0f} | {ratios[-1]:.2f} |", flush=True)
    print(
        f"With them a row takes {statistics.median(ratios):.2f} times as long ({min(ratios):.2f} to {max(ratios):.2f})."
    )


if __name__ == "__main__":
    main()
