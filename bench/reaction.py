"""How long after its deadline an action is escalated or expired, for everybody to see, on a system that does nothing else.

The engine runs as `ops-approval up` runs it, servers included. Each action has two deadlines: it escalates, and it expires.
All times are of the database's clock; the end is the moment at which another connection sees the event.
"""

import argparse
import random
import statistics
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from bench.installation import installation
from db import connect
from domain.messages import CreateAction
from workers import definition_files, logs
from workers.producer import Producer

STEP_SECONDS = 2
LOOK_SECONDS = 0.005
POLICY = f"""
policies:
  - name: Nobody answers
    criteria: {{action_type: FREEZE_MERCHANT}}
    policy:
      required_quorum: {{type: role, value: {{role: pay_admin, min_votes: 2}}}}
      timeout_seconds: {STEP_SECONDS}
      escalation: [{{role: cfo, timeout_seconds: {STEP_SECONDS}}}]
    priority: 1000
"""
SEEN = """
    select e.id,
           extract(epoch from clock_timestamp() - a.created_at) - case e.event when 'escalated' then %(step)s else 2 * %(step)s end
               as seconds
      from events e join actions a on a.id = e.action_id
     where e.event in ('escalated', 'expired') and not e.id = any(%(seen)s)
"""


@dataclass
class Bench:
    """A running installation, and what was seen of it."""

    producer: Producer
    conn: connect.Connection

    def round(self, deadlines: int) -> list[float]:
        """Create actions at odd moments and wait for both deadlines of each; the seconds from each to its event."""
        found: list[float] = []
        seen = [row["id"] for row in self._new([])]
        waiting, next_one = deadlines // 2, time.monotonic()
        while len(found) < deadlines:
            if waiting and time.monotonic() >= next_one:
                self._create()
                waiting, next_one = waiting - 1, time.monotonic() + random.uniform(0.6, 1.8)
            for row in self._new(seen):
                seen.append(row["id"])
                found.append(float(row["seconds"]))
            time.sleep(LOOK_SECONDS)
        return found

    def _new(self, seen: list[int]) -> list[dict[str, Any]]:
        return self.conn.execute(SEEN, {"step": STEP_SECONDS, "seen": seen}).fetchall()

    def _create(self) -> None:
        body = {"origin": "alert", "action_type": "FREEZE_MERCHANT", "created_by": "alerts"}
        merchant = f"m-{uuid4()}"  # one freeze at a time is open for a merchant
        self.producer.send(CreateAction.model_validate(body | {"params": {"merchant_id": merchant, "reason": "late"}}))


def told(name: str, seconds: list[float]) -> str:
    """A line of the table."""
    ordered = sorted(seconds)
    late = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"| {name} | {len(ordered)} | {statistics.median(ordered):.3f} | {late:.3f} | {ordered[-1]:.3f} |"


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--deadlines", type=int, default=20, help="in each round; an even number")
    given = parser.parse_args()
    logs.configure()
    with installation() as installed:
        definition_files.apply(installed.conn, definition_files.parse(POLICY, "bench"), by="bench")
        bench = Bench(installed.producer("alerts"), installed.conn)
        every: list[float] = []
        print("| round | deadlines | median s | p99 s | max s |\n| --- | --- | --- | --- | --- |", flush=True)
        for number in range(given.rounds):
            found = bench.round(given.deadlines)
            every += found
            print(told(str(number + 1), found), flush=True)
        print(told("all", every))


if __name__ == "__main__":
    main()
