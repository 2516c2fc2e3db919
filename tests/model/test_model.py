"""Whatever happens in whatever order, the engine on a real database and `engine.step` on a world in memory agree.

Hypothesis invents stories of producers, people, workers and time, and shortens those in which the two sides differ. The
suite tells a few; `make test ARGS="tests/model --hypothesis-profile=long"` tells 2,000 of 50 steps.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from db import keys
from domain.engine import Drop, Due
from domain.exact_json import canonical
from domain.executing import AttemptFinished, AttemptRenewed, AttemptStarted, OutcomeFound
from domain.lifecycle import OPEN, Status
from domain.messages import content_sha256
from domain.outcome import Outcome
from domain.trail import timestamp
from tests.model import words
from tests.model.sides import AUDIENCE, Database, Sides
from tests.world import Installation
from workers import definition_files, invariants

stories = settings(
    max_examples=settings().max_examples // 5,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


class Stories(RuleBasedStateMachine):
    """One run. Each rule is one thing that somebody does; `say` and `happen` apply it to both sides."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.sides = Sides(database)
        self.count = 0
        self.sent: list[str] = []
        self.held: list[str] = []
        self.tokens = [0]
        self.snapshot = 1
        self.tell_directory(list(words.ROLES), words.BEGUN_ACTING, {})

    def teardown(self) -> None:
        self.deliver()
        self.sides.end(lambda conn: [found for _, found in invariants.check(conn) if found is not None])

    def say(
        self, signer: str, type_name: str, body: dict[str, Any], how: dict[str, Any], *, hold: bool = False
    ) -> None:
        """Sign a message, and deliver it with those that were held back, or hold it back for the next batch."""
        key, now = words.SIGNERS[signer], int(self.sides.now.timestamp())
        self.count += not how.get("again", False)
        issued = now + how.get("issued", 0)
        payload = {
            "v": 1,
            "type": type_name,
            "iss": key.issuer,
            "aud": how.get("audience", AUDIENCE),
            "jti": f"j{self.count}",
            "iat": issued,
            "exp": issued + how.get("lifetime", 7200),
            "body": body,
        }
        self.held.append(key.sign_payload(canonical(payload)))
        if not hold:
            self.deliver()

    def tell_directory(self, people: list[str], acting: dict[str, list[str]], bounds: dict[str, str]) -> None:
        """A snapshot of these people; the grants of the first have bounds."""
        told = []
        for person in people:
            grants: list[dict[str, str]] = [{"role": role} for role in words.ROLES[person]]
            grants += [{"acts_for": delegator} for delegator in acting.get(person, ()) if delegator in people]
            told.append({"id": person, "grants": [grant | (bounds if person == people[0] else {}) for grant in grants]})
        self.say("directory", "SyncDirectory", {"snapshot": self.snapshot, "people": told}, {})

    def deliver(self) -> None:
        """Apply what was held back, in one batch."""
        if self.held:
            batch, self.held = self.held, []
            self.sent += batch
            self.sides.apply([self.sides.open(token) for token in batch])

    def happen(self, *inputs: Any) -> list[Any]:
        self.deliver()
        return self.sides.apply(inputs)

    @initialize(kinds=st.tuples(words.KINDS, words.KINDS), types=st.tuples(words.TYPES, words.TYPES))
    def begin(self, kinds: tuple[str, str], types: tuple[str, str]) -> None:
        for name, kind, action_type in zip(words.BEGUN, kinds, types, strict=True):
            self.create(name, kind, action_type, {}, {}, hold=True)
        self.deliver()

    # What producers and people say

    @rule(
        name=st.sampled_from(words.KEY_NAMES),
        kind=words.KINDS,
        action_type=words.TYPES,
        stricter=words.STRICTER,
        how=words.ENVELOPES,
        hold=words.HOLD,
    )
    def create(self, name: str, kind: str, action_type: str, stricter: Any, how: Any, hold: bool) -> None:
        params = {"kind": kind, "agent": "agent-1"}
        body = {"idempotency_key": name, "origin": "sira", "created_by": "sira-system", "action_type": action_type}
        self.say("sira", "CreateAction", body | {"params": params} | stricter, how, hold=hold)

    @rule(person=words.PEOPLE, desk=words.DESKS, kind=words.KINDS, action_type=words.TYPES, hold=words.HOLD)
    def create_as_a_person(self, person: str, desk: str, kind: str, action_type: str, hold: bool) -> None:
        params = {"kind": kind, "agent": "agent-1"}
        body = {"idempotency_key": "k1", "origin": "ops_ui", "created_by": person, "action_type": action_type}
        self.say(desk, "CreateAction", body | {"params": params}, {}, hold=hold)

    @rule(
        which=words.TARGETS,
        person=words.PEOPLE,
        choice=words.CHOICES,
        desk=words.DESKS,
        ago=words.AGO,
        seen=words.SEEN,
        how=words.ENVELOPES,
        hold=words.HOLD,
    )
    def vote(
        self, which: UUID, person: str, choice: str, desk: str, ago: int | None, seen: str | None, how: Any, hold: bool
    ) -> None:
        body: dict[str, Any] = {"action_id": str(which), "voter_id": person, "vote": choice}
        if ago is not None:
            body["cast_at"] = timestamp(self.sides.now - timedelta(seconds=ago))
        if seen is not None:
            action = self.sides.action(which)
            body["content_hash"] = action.content_hash.hex() if action and seen == "right" else "0" * 64
        self.say(desk, "CastVote", body, how, hold=hold)

    @rule(which=words.TARGETS, person=words.PEOPLE, role=st.sampled_from(["finance_ops", "cfo"]), hold=words.HOLD)
    def vote_claiming_a_role(self, which: UUID, person: str, role: str, hold: bool) -> None:
        body = {"action_id": str(which), "voter_id": person, "voter_roles": [role], "vote": "approve"}
        self.say("desk-1", "CastVote", body, {}, hold=hold)

    @rule(which=words.TARGETS, choice=words.CHOICES, people=words.VOTERS)
    def agree(self, which: UUID, choice: str, people: list[str]) -> None:
        """Several vote alike, all in one batch."""
        for person in people:
            body = {"action_id": str(which), "voter_id": person, "vote": choice}
            self.say("desk-1", "CastVote", body, {}, hold=True)
        self.deliver()

    @rule(
        which=words.TARGETS,
        person=st.sampled_from(["a1", "a1", "f2", "viewer"]),
        desk=words.DESKS,
        how=words.ENVELOPES,
        hold=words.HOLD,
    )
    def execute(self, which: UUID, person: str, desk: str, how: Any, hold: bool) -> None:
        self.say(desk, "ExecuteAction", {"action_id": str(which), "executed_by": person}, how, hold=hold)

    @rule(
        people=st.lists(st.sampled_from(list(words.ROLES)), min_size=5, unique=True),
        step=st.integers(-1, 2),
        acting=words.ACTING,
        ends=words.ENDS,
    )
    def sync_directory(self, people: list[str], step: int, acting: dict[str, list[str]], ends: int | None) -> None:
        """A snapshot of these people; the grants of the first end after a while, or begin then."""
        self.snapshot = max(1, self.snapshot + step)
        bounds: dict[str, str] = {}
        if ends is not None:
            name = "ends_at" if ends > 0 else "starts_at"
            bounds[name] = timestamp(self.sides.now + timedelta(seconds=abs(ends)))
        self.tell_directory(people, acting, bounds)

    @rule(which=words.TARGETS, outcomes=st.lists(words.OUTCOMES, min_size=1, max_size=6))
    def go_on(self, which: UUID, outcomes: list[Outcome]) -> None:
        """An action's usual way, some steps of it: without this few stories would come to an execution."""
        for outcome in outcomes:
            action = self.sides.action(which)
            match action.status if action is not None else None:
                case Status.REQUESTED | Status.PENDING_APPROVAL | Status.ESCALATED:
                    self.agree(which, "approve", words.EVERYBODY)
                case Status.APPROVED if action is not None and action.next_attempt_at is None:
                    self.say("desk-1", "ExecuteAction", {"action_id": str(which), "executed_by": "a1"}, {})
                case Status.APPROVED:
                    self.wait_until_due(which)
                    self.start(which)
                case Status.EXECUTING:
                    self.finish(which, outcome, late=False)
                case Status.OUTCOME_UNKNOWN:
                    self.wait_until_due(which)
                    self.find(which, outcome, late=False)

    # What the queue does

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        self.held.append(data.draw(st.sampled_from(self.sent)))
        self.deliver()

    @rule(name=st.sampled_from(words.KEY_NAMES))
    def forge(self, name: str) -> None:
        body = {"idempotency_key": name, "origin": "sira", "created_by": "x", "action_type": "NEITHER", "params": {}}
        self.say("stranger", "CreateAction", body, {}, hold=False)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(self.sent))
        self.happen(Drop(content_sha256(token.encode()), "an operator", "it is in the way"))

    # What workers do

    @rule(which=words.TARGETS)
    def start(self, which: UUID) -> None:
        self.deliver()
        self.tokens.append(self.sides.draw_token())
        self.happen(AttemptStarted(which, self.tokens[-1], "worker"))

    @rule(which=words.TARGETS, outcome=words.OUTCOMES, late=words.LATE)
    def finish(self, which: UUID, outcome: Outcome, late: bool) -> None:
        self.happen(AttemptFinished(which, self.token(which, late=late), outcome))

    @rule(which=words.TARGETS, outcome=words.OUTCOMES, late=words.LATE)
    def find(self, which: UUID, outcome: Outcome, late: bool) -> None:
        self.happen(OutcomeFound(which, self.token(which, late=late), outcome))

    @rule(which=words.TARGETS, late=words.LATE)
    def renew(self, which: UUID, late: bool) -> None:
        self.happen(AttemptRenewed(which, self.token(which, late=late)))

    def token(self, which: UUID, *, late: bool) -> int:
        """The action's own token, or that of a worker that was overtaken."""
        self.deliver()
        action = self.sides.action(which)
        return self.tokens[0] if late or action is None else action.last_token

    # What time and operators do

    @rule(seconds=words.SECONDS)
    def wait(self, seconds: float) -> None:
        self.deliver()
        self.sides.wait(seconds)

    @rule(which=words.TARGETS)
    def wait_until_due(self, which: UUID) -> None:
        self.deliver()
        action = self.sides.action(which)
        if action is not None and action.due_at is not None:
            self.sides.wait(max(0.0, (action.due_at - self.sides.now).total_seconds()))

    @rule(statuses=st.sampled_from([list(Status), list(Status), sorted(OPEN), [Status.EXECUTING]]))
    def sweep(self, statuses: list[Status]) -> None:
        self.deliver()
        self.sides.sweep(statuses)

    @rule()
    def end_parking(self) -> None:
        self.deliver()
        self.sides.end_parking()

    @rule(which=words.TARGETS)
    def touch(self, which: UUID) -> None:
        self.happen(Due(which))

    @rule(kid=st.sampled_from(["desk-2", "desk-3", "person:f1"]))
    def revoke(self, kid: str) -> None:
        self.deliver()
        self.sides.revoke(kid)


@pytest.fixture
def database(installation: Installation) -> Iterator[Database]:
    definitions = Path(__file__).with_name("definitions.yaml")
    definition_files.apply(installation.owner, definition_files.read(definitions), by="tests")
    for kid, (key, scope) in words.DESK_KEYS.items():
        keys.add_key(installation.owner, kid, "desk", key.public_bytes, scope)
    with installation.owner.transaction():  # before anybody is known, as every run begins with an empty directory
        installation.owner.execute("set local session_replication_role = replica")
        keys.enrol_key(installation.owner, "person:f1", "f1", words.SIGNERS["person:f1"].public_bytes)
    database = Database(installation)
    yield database
    database.close()


def test_the_database_and_a_world_in_memory_tell_the_same_story(database: Database) -> None:
    class Told(Stories):
        def __init__(self) -> None:
            super().__init__(database)

    run_state_machine_as_test(Told, settings=stories)
