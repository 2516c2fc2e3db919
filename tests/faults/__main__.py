"""Plays rounds of faults for as long as one likes, and prints what they came to.

    python -m tests.faults [--seed N] [--only WORDS] [--rounds N] [--strikes N]

Without `--rounds` it is the long run: at least 1,000 kills, 200 stops of Postgres, 200 faults of Redis and 100,000 shuffled
messages. Exit code 1 if anything was lost or doubled, or an invariant broke.
"""

import argparse
import random
import statistics
import sys
from collections.abc import Iterable
from contextlib import suppress

from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.round import Result, play

LONG = {
    "kill -9 at random": 15,
    "kill -9 at named points": 20,
    "Postgres stop -m immediate": 8,
    "duplicated, reordered, delayed": 10,
}
ROUNDS = 4
STRIKES = 30
COLUMNS = (
    "fault",
    "count",
    "actions",
    "messages",
    "resent",
    "lost",
    "double",
    "unknown",
    "reconciled",
    "p50 s",
    "p99 s",
    "naive double",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the first round")
    parser.add_argument("--only", default="", help="the faults whose name has these words")
    parser.add_argument("--rounds", type=int, help="rounds of each fault")
    parser.add_argument("--strikes", type=int, default=STRIKES, help="strikes in each round")
    given = parser.parse_args()
    chosen = [fault for fault in FAULTS if given.only in fault.name]
    results: list[Result] = []
    failed = False
    with suppress(KeyboardInterrupt):  # what was played until then is told
        for fault in chosen:
            for number in range(given.rounds or LONG.get(fault.name, ROUNDS)):
                failed |= not _played(fault, given.seed + number, given.strikes, results)
    say(table(results))
    return 1 if failed or not chosen else 0


def _played(fault: type[Fault], seed: int, strikes: int, results: list[Result]) -> bool:
    """Play a round and tell how it went; whether it went well."""
    again = f"make faults ARGS=\"--only '{fault.name}' --seed {seed} --rounds 1 --strikes {strikes}\""
    try:
        (result,) = play([fault], seed, strikes)
    except PermissionError as error:
        say(f"{fault.name}: skipped, {error}")
        return True
    except TimeoutError as error:
        say(f"{fault.name}, seed {seed}: {error}\n  {again}")
        return False
    results.append(result)
    say(f"{fault.name}, seed {seed}: {result.struck} {fault.unit}, {result.verdict.actions} actions, ", end="")
    say("as it should be" if not result.verdict.wrong else "WRONG:")
    for sentence in result.verdict.wrong:
        say(f"  {sentence}")
    if result.verdict.wrong:
        say(f"  {again}")
    return not result.verdict.wrong


def table(results: Iterable[Result]) -> str:
    """The sums of each fault's rounds, in Markdown."""
    of_fault = {fault: [result for result in results if result.fault is fault] for fault in FAULTS}
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(_row(fault, found) for fault, found in of_fault.items() if found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(fault: type[Fault], results: list[Result]) -> list[str]:
    verdicts = [result.verdict for result in results]
    seconds = sorted(second for result in results for second in result.recovery_seconds)
    counts = [
        sum(verdict.actions for verdict in verdicts),
        sum(result.messages for result in results),
        sum(result.resent for result in results),
        sum(max(verdict.lost_votes, verdict.lost_messages) for verdict in verdicts),
        sum(verdict.doubled for verdict in verdicts),
        sum(verdict.unknown for verdict in verdicts),
        sum(verdict.reconciled for verdict in verdicts),
    ]
    times = [statistics.median(seconds), seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]]
    return [
        fault.name,
        f"{sum(result.struck for result in results)} {fault.unit}",
        *map(str, counts),
        *(f"{time:.2f}" for time in times),
        str(sum(verdict.naive_doubled for verdict in verdicts)),
    ]


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


if __name__ == "__main__":
    sys.exit(main())
