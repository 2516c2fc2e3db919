"""A story: what producers and people say, and what workers, the queue, operators and time do meanwhile."""

from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from domain.engine import Drop, Due
from domain.executing import AttemptFinished, AttemptRenewed, AttemptStarted, OutcomeFound, Perform
from domain.internal_types import INTERNAL_TYPES
from domain.lifecycle import OPEN, Status
from domain.messages import action_id, content_sha256
from domain.outcome import Done, Outcome, Unknown
from tests.model import words
from tests.model.people import People
from tests.model.sides import Database
from workers import invariants


class Stories(People):
    """One run. Each rule is one thing that somebody does; `say` and `happen` apply it to both sides."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.tokens = [0]

    def teardown(self) -> None:
        self.deliver()
        self.sides.end(lambda conn: [found for _, found in invariants.check(conn) if found is not None])

    def happen(self, *inputs: Any) -> list[Any]:
        self.deliver()
        return self.sides.apply(inputs)

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Some actions are there and have come some way, so that more stories have a middle and an end."""
        for name in words.BEGUN:
            self.create(name, data.draw(words.KINDS), data.draw(words.TYPES), {}, {}, hold=True)
        self.deliver()
        for name, settling in zip(words.BEGUN, words.SETTLING, strict=False):
            self.come_some_way(data, data.draw(words.WAYS), action_id("sira", name, ""), settling)

    def come_some_way(self, data: st.DataObject, way: str, which: UUID, settling: str) -> None:
        match way:
            case "on its way":
                self.go_on(which, data.draw(words.STEPS))
            case "settled":
                self.go_on(which, data.draw(words.STEPS) + data.draw(words.STEPS))
                self.settle(settling, which, data.draw(words.FOUND))
                self.go_on(which, data.draw(words.STEPS))
            case "unknown":
                self.go_on(which, [Unknown("lost")] * 4)
                self.settle(settling, which, data.draw(words.FOUND))
            case "falls away":
                self.lose_an_approval(which, data.draw(words.VOTERS), "desk-2", data.draw(words.LOSSES))
            case "cancelled":
                self.change_their_mind(which, "f1", data.draw(words.SEVERAL_VOTES), hold=True)
                self.cancel(which, data.draw(words.CANCELLERS), {}, hold=False)

    @rule(which=words.TARGETS, steps=words.STEPS)
    def go_on(self, which: UUID, steps: list[Outcome | None]) -> None:
        """An action's usual way, some steps of it: without this few stories would come to an execution."""
        for outcome in steps:
            action = self.sides.action(which)
            match action.status if action is not None else None:
                case Status.REQUESTED | Status.PENDING_APPROVAL | Status.ESCALATED:
                    self.agree(which, "approve", words.EVERYBODY, "desk-1")
                case Status.APPROVED if action is not None and action.next_attempt_at is None:
                    self.execute(which, "a1", "desk-1", {}, hold=False)
                case Status.APPROVED:
                    self.wait_until_due(which)
                    self.start(which)
                case Status.EXECUTING if outcome is None:
                    self.wait(words.LONG_CALL_SECONDS)
                    self.renew(which, late=False)
                case Status.EXECUTING:
                    self.finish(which, outcome or Done(), late=False)
                case Status.OUTCOME_UNKNOWN:
                    self.wait_until_due(which)
                    self.find(which, outcome or Done(), late=False)

    @rule(name=st.sampled_from(words.SETTLING), which=words.TARGETS, found=words.FOUND)
    def settle(self, name: str, which: UUID, found: str) -> None:
        """People agree on what is to be done about an action that came to its end, and it is done."""
        self.ask_about(name, which, None, found, "desk-1", hold=False)
        self.go_on(words.ABOUT[name], [Done()] * 6)

    @rule(which=words.TARGETS, people=words.VOTERS, desk=words.DESKS, loss=words.LOSSES)
    def lose_an_approval(self, which: UUID, people: list[str], desk: str, loss: str) -> None:
        """Before the first attempt, what an approval stands on falls away."""
        self.agree(which, "approve", people, desk)
        self.execute(which, "a1", "desk-1", {}, hold=False)
        match loss:
            case "the key":
                self.revoke("desk-2" if desk == "desk-1" else desk)
            case "the people":
                self.sync([person for person in words.ROLES if person not in people], 1, {})
            case "the grants":
                self.sync(list(words.ROLES), 1, dict.fromkeys(people, 1))
                self.wait(1)
        self.start(which)
        self.agree_again(which)

    def agree_again(self, which: UUID) -> None:
        """What lost its approval is approved anew, and nobody has asked for its execution since."""
        self.agree(which, "approve", ["f1", "f2"], "desk-1")
        self.start(which)

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
        """A worker says what its call came to; what the engine is to do itself, it does."""
        token, action = self.token(which, late=late), self.sides.action(which)
        performed = action is not None and action.action_type in INTERNAL_TYPES
        self.happen(Perform(which, token) if performed else AttemptFinished(which, token, outcome))

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

    @rule(kid=st.sampled_from(["desk-2", "desk-3", "person:f1", "stolen"]))
    def revoke(self, kid: str) -> None:
        self.deliver()
        self.sides.revoke(kid)
