"""What producers and people say in a story."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from domain.exact_json import canonical
from domain.internal_types import SUBJECT_STATUS, Internal
from domain.trail import timestamp
from tests.model import words
from tests.model.sides import AUDIENCE, Database, Sides

_ASKED = {status: kind for kind, status in SUBJECT_STATUS.items()}


class People(RuleBasedStateMachine):
    """Who signs messages, and what they say; `say` delivers a message to both sides."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.sides = Sides(database)
        self.count = 0
        self.sent: list[str] = []
        self.held: list[str] = []
        self.snapshot = 0
        self.sync(list(words.ROLES), 1, {})

    def say(self, signer: str, type_name: str, body: dict[str, Any], how: dict[str, Any], *, hold: bool = False) -> str:
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
        token = key.sign_payload(canonical(payload))
        self.held.append(token)
        if not hold:
            self.deliver()
        return token

    def deliver(self) -> None:
        """Apply what was held back, in one batch."""
        if self.held:
            batch, self.held = self.held, []
            self.sent += batch
            self.sides.apply(self.sides.open(batch))

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

    @rule(which=words.TARGETS, choice=words.CHOICES, people=words.VOTERS, desk=words.DESKS)
    def agree(self, which: UUID, choice: str, people: list[str], desk: str) -> None:
        """Several vote alike, all in one batch."""
        for person in people:
            self.vote(which, person, choice, desk, None, None, {}, hold=True)
        self.deliver()

    @rule(which=words.TARGETS, person=st.sampled_from(words.EVERYBODY), votes=words.SEVERAL_VOTES, hold=words.HOLD)
    def change_their_mind(self, which: UUID, person: str, votes: list[tuple[str, int | None]], hold: bool) -> None:
        """One person votes several times, and the messages do not come in the order in which they voted."""
        for choice, ago in votes:
            self.vote(which, person, choice, "desk-1", ago, None, {}, hold=hold)
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
        which=words.TARGETS,
        canceller=words.CANCELLERS,
        how=words.ENVELOPES,
        hold=words.HOLD,
    )
    def cancel(self, which: UUID, canceller: tuple[str, str], how: Any, hold: bool) -> None:
        signer, person = canceller
        self.say(signer, "CancelAction", {"action_id": str(which), "cancelled_by": person}, how, hold=hold)

    @rule(
        name=st.sampled_from(words.SETTLING),
        which=words.TARGETS,
        kind=words.INTERNAL,
        found=words.FOUND,
        desk=words.DESKS,
        hold=words.HOLD,
    )
    def ask_about(self, name: str, which: UUID, kind: str | None, found: str, desk: str, hold: bool) -> None:
        """Ask for something to be done about an action: this, or what its state allows."""
        self.deliver()
        action = self.sides.action(which)
        if kind is None:
            kind = Internal.RETRY if action is None else _ASKED.get(action.status, Internal.RETRY)
        params = {"action_id": str(which), "reason": "looked into"}
        if kind == Internal.RESOLVE_OUTCOME:
            params["outcome"] = found
        body = {"idempotency_key": name, "origin": "ops_ui", "created_by": "f2", "action_type": kind, "params": params}
        self.say(desk, "CreateAction", body, {}, hold=hold)

    @rule(people=words.MOST, step=st.integers(-1, 2), acting=words.ACTING, ends=words.ENDS)
    def sync_directory(self, people: list[str], step: int, acting: words.Acting, ends: int | None) -> None:
        """A snapshot of these people; the grants of the first end after a while, or begin then."""
        self.sync(people, step, {} if ends is None else {people[0]: ends}, acting)

    def sync(
        self, people: list[str], step: int, ends: dict[str, int], acting: words.Acting = words.BEGUN_ACTING
    ) -> None:
        """Tell the directory; `ends` says in how many seconds somebody's grants end, or begin if it is negative."""
        self.snapshot = max(1, self.snapshot + step)
        told = []
        for person in people:
            after = ends.get(person, 0)
            name = "ends_at" if after > 0 else "starts_at"
            bounds = {name: timestamp(self.sides.now + timedelta(seconds=abs(after)))} if after else {}
            grants: list[dict[str, str]] = [{"role": role} for role in words.ROLES[person]]
            grants += [{"acts_for": delegator} for delegator in acting.get(person, ()) if delegator in people]
            told.append({"id": person, "grants": [grant | bounds for grant in grants]})
        self.say("directory", "SyncDirectory", {"snapshot": self.snapshot, "people": told}, {})
