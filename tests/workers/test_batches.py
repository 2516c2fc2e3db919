"""A batch means the same as its messages one by one; and the order of votes that come early makes no difference."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.messages import CancelAction, CastVote, ExecuteAction, content_sha256
from tests.world import Installation, one_at_a_time, top_up
from workers import definition_files
from workers.producer import Ticket

PEOPLE = ["finance-user-1", "finance-user-2", "finance-user-3", "pay-admin-1", "sira-system", "nobody"]
CHOICES = ["approve", "approve", "reject", "abstain", "withdraw"]
_numbers = count()

quick = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@dataclass(frozen=True)
class Create:
    key: int
    amount: int
    jti: int | None


@dataclass(frozen=True)
class Vote:
    key: int
    person: str
    choice: str
    seconds_ago: int


@dataclass(frozen=True)
class Execute:
    key: int
    person: str


@dataclass(frozen=True)
class Cancel:
    key: int


@dataclass(frozen=True)
class Again:
    back: int


@dataclass(frozen=True)
class Nonsense:
    text: str


KEYS = st.integers(0, 1)
ASKED = st.one_of(
    st.builds(Create, KEYS, st.sampled_from([1000, 1000, 2000]), st.sampled_from([None, None, 1])),
    st.builds(Vote, KEYS, st.sampled_from(PEOPLE), st.sampled_from(CHOICES), st.integers(0, 3)),
    st.builds(Vote, KEYS, st.sampled_from(PEOPLE[:3]), st.just("approve"), st.just(0)),
    st.builds(Execute, KEYS, st.sampled_from(["ops-admin-1", "pay-admin-1"])),
    st.builds(Cancel, KEYS),
    st.builds(Again, st.integers(1, 5)),
    st.builds(Nonsense, st.sampled_from(["", "a.b.c", "é"])),
)


def tokens_of(installation: Installation, asked: list[Any]) -> tuple[list[str], list[UUID]]:
    """The tokens that ask for this, and the ids of the actions that may come of it; new ones, for one agent, each time."""
    example, now = next(_numbers), datetime.now(UTC)
    bodies = [top_up(f"{example} {key}") for key in (0, 1)]
    ids = [action_id for body in bodies if (action_id := installation.producer("sira").sign(body).action_id)]
    tokens: list[str] = []
    agent = f"agent of {example}"
    ops = installation.producer("ops-tooling")
    for item in asked:
        match item:
            case Create(key, amount, jti):
                body, name = top_up(f"{example} {key}", amount=amount, agent=agent), jti and f"{example} {jti}"
                tokens.append(installation.producer("sira").sign(body, jti=name or None).token)
            case Vote(key, person, choice, ago):
                vote = {"action_id": ids[key], "voter_id": person, "vote": choice}
                moment = now - timedelta(seconds=ago)
                tokens.append(ops.sign(CastVote.model_validate(vote | {"cast_at": moment})).token)
            case Execute(key, person):
                tokens.append(ops.sign(ExecuteAction(action_id=ids[key], executed_by=person)).token)
            case Cancel(key):
                cancel = CancelAction(action_id=ids[key], cancelled_by="sira-system")
                tokens.append(installation.producer("sira").sign(cancel).token)
            case Again(back):
                tokens.append(tokens[-back] if back <= len(tokens) else f"{example}")
            case Nonsense(text):
                tokens.append(f"{example}{text}")
    return tokens, ids


def ended(installation: Installation, tokens: list[str], ids: list[UUID]) -> Any:
    """All that came of it, but for the time at which it did."""
    told = installation.owner.execute(
        "select content_sha256, outcome, code, sentence, action_id, issuer, jti from messages where content_sha256 = any(%s)",
        [[content_sha256(token.encode()) for token in tokens]],
    ).fetchall()
    actions = installation.owner.execute(
        """
        select id, status, params, votes_approve, votes_reject, votes_abstain, quorum_satisfied, executed_by, event_seq,
               content_hash, next_attempt_at is null as not_asked, decided_at is null as undecided
          from actions where id = any(%s) order by id
        """,
        [ids],
    ).fetchall()
    votes = installation.owner.execute(
        "select action_id, person_id, choice, cast_at, jti, roles from votes where action_id = any(%s) order by 1, 2",
        [ids],
    ).fetchall()
    trails = {row["id"]: installation.trail(row["id"]) for row in actions}
    return {row["content_sha256"]: row for row in told}, actions, votes, trails


@quick
@given(asked=st.lists(ASKED, min_size=2, max_size=25), sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_a_batch_means_the_same_as_one_by_one(
    installation: Installation, twin: Installation, asked: list[Any], sizes: list[int]
) -> None:
    compare(installation, twin, asked, sizes)


@quick
@given(asked=st.lists(ASKED, min_size=2, max_size=25), sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_a_batch_means_the_same_as_one_by_one_where_one_action_at_a_time_is_open(
    installation: Installation, twin: Installation, asked: list[Any], sizes: list[int]
) -> None:
    for each in (installation, twin):
        definition_files.apply(each.owner, one_at_a_time(), by="tests")
    compare(installation, twin, asked, sizes)


def compare(installation: Installation, twin: Installation, asked: list[Any], sizes: list[int]) -> None:
    """The same messages in batches to one installation and one by one to the other: answers and ends are equal."""
    tokens, ids = tokens_of(installation, asked)
    one_by_one = [twin.applier.apply_tokens([token]).receipts[0] for token in tokens]

    in_batches, start = [], 0
    for size in [*sizes, len(tokens)]:
        in_batches += installation.applier.apply_tokens(tokens[start : start + size]).receipts
        start += size

    assert in_batches == one_by_one
    assert ended(installation, tokens, ids) == ended(twin, tokens, ids)


def early(installation: Installation, order: list[int], votes: list[dict[str, Any]]) -> tuple[Ticket, list[Ticket]]:
    """An action and votes on it, applied in this order; number 0 is the action."""
    create = installation.producer("sira").sign(top_up(f"early {next(_numbers)}"))
    bodies = [CastVote.model_validate({"action_id": create.action_id} | vote) for vote in votes]
    tickets = [create, *map(installation.producer("ops-tooling").sign, bodies)]
    for number in order:
        installation.apply([tickets[number]])
    return create, tickets[1:]


@quick
@given(order=st.permutations(range(5)))
def test_enough_approvals_approve_in_whatever_order_they_come(installation: Installation, order: list[int]) -> None:
    votes = [{"voter_id": f"finance-user-{number}", "vote": "approve"} for number in (1, 2, 3, 4)]
    create, tickets = early(installation, order, votes)
    assert create.action_id is not None
    assert sorted(installation.answers(*tickets)) == ["action_closed", "action_closed", "applied", "applied"]
    assert installation.trail(create.action_id) == ["created", "voted", "voted", "approved"]


@quick
@given(order=st.permutations(range(5)))
def test_a_persons_last_word_counts_in_whatever_order_it_comes(installation: Installation, order: list[int]) -> None:
    now = datetime.now(UTC)
    votes = [
        {"voter_id": "finance-user-1", "vote": choice, "cast_at": now - timedelta(seconds=ago)}
        for ago, choice in enumerate(("abstain", "approve", "reject", "withdraw"))
    ]
    create, tickets = early(installation, order, votes)
    assert create.action_id is not None
    (vote,) = installation.action(create.action_id)["votes"]
    assert vote["vote"] == "abstain"
    assert set(installation.answers(*tickets)) <= {"applied", "superseded"}
    assert installation.action(create.action_id)["status"] == "pending_approval"


@quick
@given(order=st.permutations(range(5)))
def test_approvals_and_a_rejection_come_to_the_same_number_of_votes(
    installation: Installation, order: list[int]
) -> None:
    """Whichever came first, the end is what some order one after the other gives: decided once, or open with all votes."""
    people = {
        "finance-user-1": "approve",
        "finance-user-2": "reject",
        "finance-user-3": "approve",
        "finance-user-4": "reject",
    }
    create, tickets = early(installation, order, [{"voter_id": who, "vote": vote} for who, vote in people.items()])
    assert create.action_id is not None
    action, answers = installation.action(create.action_id), installation.answers(*tickets)
    assert len(action["votes"]) == answers.count("applied")
    assert answers.count("applied") + answers.count("action_closed") == 4
    counted = [people[vote["voter_id"]] for vote in action["votes"]]
    assert (counted.count("approve"), counted.count("reject")) == (action["votes_approve"], action["votes_reject"])
    if action["status"] == "approved":
        assert action["approval_ratio"] >= action["required_ratio"]
    elif action["status"] == "rejected":
        assert action["approval_ratio"] < 1 - action["required_ratio"]
    else:
        assert (action["status"], len(counted)) == ("pending_approval", 4)
