"""Plays rounds of faults, and prints what they came to.

    python -m tests.faults [--seed N] [--only WORDS] [--rounds N] [--strikes N]

Without `--rounds` it is the long run: rounds of each fault until `GOALS` is reached. Exit code 1 if anything was lost or
doubled, an invariant broke, or a round did not end.
"""

import argparse
import logging
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import structlog

from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.round import Result, play

GOALS = {
    "kill -9 at random": 850,
    "kill -9 at named points": 150,
    "Postgres stop -m immediate": 200,
    "Redis kill -9": 50,
    "Redis kill -9, AOF tail cut": 50,
    "Redis FLUSHALL": 50,
    "Redis full": 50,
    "duplicated, reordered, delayed": 100_000,
}
"""How much of each fault the long run does at least, in the unit of the fault. Of the others it plays one round."""

MOST_ROUNDS = 50
STRIKES = 50
COLUMNS = (
    "fault",
    "count",
    "actions",
    "lost votes",
    "lost messages",
    "double effects",
    "unknown outcomes",
    "reconciled",
    "recovery p50",
    "recovery p99",
    "naive doubles",
    "replayed by",
)


def main() -> int:
    goals = ", ".join(f"{count:,} of {name!r}" for name, count in GOALS.items())
    parser = argparse.ArgumentParser(
        prog="make faults",
        description=(__doc__ or "").partition("\n")[0],
        epilog=f"The long run has at least {goals}, and a round of each other fault.",
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the first round of each fault")
    parser.add_argument("--only", default="", help="the fault of this name, or all whose names have these words")
    parser.add_argument("--rounds", type=int, help="rounds of each fault; without, as many as the long run takes")
    parser.add_argument("--strikes", type=int, default=STRIKES, help=f"strikes in each round, {STRIKES} if not given")
    run = Run(parser.parse_args())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with suppress(KeyboardInterrupt):  # what was played until then is told
        for fault in run.chosen:
            run.play(fault)
    print(run.table())
    return 1 if run.failed or not run.chosen else 0


class Run:
    """Rounds one after the other, and what they came to."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.chosen = [fault for fault in FAULTS if fault.name == given.only]
        self.chosen = self.chosen or [fault for fault in FAULTS if given.only in fault.name]
        self.failed = False
        self._results: dict[type[Fault], list[Result]] = {fault: [] for fault in self.chosen}
        self._begun = time.monotonic()

    def play(self, fault: type[Fault]) -> None:
        """Play the rounds that were asked for, else as many as it takes."""
        for number in range(self.given.rounds or MOST_ROUNDS):
            if self.given.rounds is None and self._struck(fault) >= GOALS.get(fault.name, 1):
                return
            try:
                self._play_round(fault, self.given.seed + number)
            except PermissionError as error:
                self._say(f"{fault.name}: skipped, {error}")
                return
        if self._struck(fault) < GOALS.get(fault.name, 1) and self.given.rounds is None:
            self.failed = True
            self._say(f"{fault.name}: only {self._struck(fault)} {fault.unit} in {MOST_ROUNDS} rounds")

    def _play_round(self, fault: type[Fault], seed: int) -> None:
        """Play a round and tell how it went."""
        begun = time.monotonic()
        wrong, told = [], ""
        try:
            (result,) = play([fault], seed, self.given.strikes)
        except TimeoutError as error:
            wrong = [str(error)]
        else:
            self._results[fault].append(result)
            wrong = result.verdict.wrong
            told = f"{result.struck} {fault.unit}, {result.verdict.actions} actions, "
        told += f"{time.monotonic() - begun:.0f} s, {'WRONG' if wrong else 'as it should be'}"
        again = [f"make faults ARGS=\"--only '{fault.name}' {self._replay(seed, 1)}\""] if wrong else []
        self._say("\n    ".join([f"{fault.name}, seed {seed}: {told}", *wrong, *again]))
        self.failed |= bool(wrong)

    def _struck(self, fault: type[Fault]) -> int:
        return sum(result.struck for result in self._results[fault])

    def _say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._begun), 60)
        print(f"{minutes:3}:{seconds:02} {text}", flush=True)

    def _replay(self, seed: int, rounds: int) -> str:
        return f"--seed {seed} --rounds {rounds} --strikes {self.given.strikes}"

    def table(self) -> str:
        """The sums of each fault's rounds, in Markdown."""
        lines = [COLUMNS, ["---"] * len(COLUMNS), *self._rows()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _rows(self) -> Iterator[list[str]]:
        for fault, results in self._results.items():
            if not results:
                continue
            verdicts = [result.verdict for result in results]
            seconds = sorted(second for result in results for second in result.recovery_seconds)
            seeds = [result.seed for result in results]
            yield [
                fault.name,
                f"{self._struck(fault)} {fault.unit}",
                str(sum(verdict.actions for verdict in verdicts)),
                str(sum(verdict.lost_votes for verdict in verdicts)),
                str(sum(verdict.lost_messages for verdict in verdicts)),
                str(sum(verdict.doubled for verdict in verdicts)),
                str(sum(verdict.unknown for verdict in verdicts)),
                str(sum(verdict.reconciled for verdict in verdicts)),
                f"{statistics.median(seconds):.2f} s",
                f"{seconds[int(len(seconds) * 0.99)]:.2f} s",
                str(sum(verdict.naive_doubled for verdict in verdicts)),
                self._replay(min(seeds), max(seeds) - min(seeds) + 1),
            ]


if __name__ == "__main__":
    sys.exit(main())
