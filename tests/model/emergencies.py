"""What people do when nobody else can be reached, and what others do with keys that they have stolen."""

from hashlib import sha256
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from domain.messages import action_id
from domain.outcome import Done
from domain.world import ENGINE
from tests.model import words
from tests.model.sides import Database
from tests.model.stories import Stories


class Emergencies(Stories):
    """Stories in which one person approves alone, others ratify that or do not, and keys are stolen."""

    def __init__(self, database: Database) -> None:
        self.ratifications: list[UUID] = []
        """Also those that nobody has been asked for, as glass was not broken."""
        super().__init__(database)

    def come_some_way(self, data: st.DataObject, way: str, which: UUID, settling: str) -> None:
        match way:
            case "alone":
                names, kind, person = map(data.draw, (words.SEVERAL_URGENT, words.GLASS_KINDS, words.ALONE))
                said, last, early = map(data.draw, (words.AFTERWARDS, words.LAST, st.booleans()))
                self.emergency(names, kind, person, said, last, "desk-1", early)
            case "spoken over":
                name, kind, person = map(data.draw, (words.URGENT, words.CAREFUL_KINDS, words.SPOKEN_FOR))
                choices, key, early = map(data.draw, (words.SPOKEN_OVER, words.STOLEN, st.booleans()))
                self.speak_over(name, kind, person, choices, key, early)
            case _:
                super().come_some_way(data, way, which, settling)

    @rule(which=words.TARGETS, person=words.ALONE, desk=words.DESKS | words.STOLEN, hold=words.HOLD)
    def break_glass(self, which: UUID, person: str, desk: str, hold: bool) -> None:
        body = {"action_id": str(which), "voter_id": person, "vote": "approve", "break_glass": "nobody answers"}
        token = self.say(desk, "CastVote", body, {}, hold=hold)
        self.ratifications.append(action_id(ENGINE, sha256(token.encode()).hexdigest(), ""))

    @precondition(lambda self: self.ratifications)
    @rule(last=words.LAST, said=words.AFTERWARDS, desk=words.DESKS | words.STOLEN)
    def answer(self, last: int, said: str, desk: str) -> None:
        """Others say whether it was right that somebody approved alone; or nobody does in time, and no sweep notices."""
        self.deliver()
        which = self.ratifications[-1 - last % len(self.ratifications)]
        match said:
            case "ratified":
                self.agree(which, "approve", ["a1", "a2"], desk)
                self.go_on(which, [Done()] * 3)
            case "agreed":
                self.agree(which, "approve", ["a1", "a2"], desk)
            case "refused":
                self.agree(which, "reject", ["a1", "a2"], desk)
            case "overdue":
                self.wait_until_due(which)

    @rule(
        names=words.SEVERAL_URGENT,
        kind=words.GLASS_KINDS,
        person=words.ALONE,
        said=words.AFTERWARDS,
        last=words.LAST,
        desk=words.DESKS,
        early=st.booleans(),
    )
    def emergency(self, names: list[str], kind: str, person: str, said: str, last: int, desk: str, early: bool) -> None:
        """One person breaks glass and has the actions begin, before or after others have said what they think of it."""
        for name in names:
            self.create(name, kind, "DEDUPLICATES", {}, {}, hold=True)
        several = [action_id("sira", name, "") for name in names]
        for which in several:
            self.wait(1)
            self.break_glass(which, person, "desk-1", hold=True)
            self.execute(which, "a1", "desk-1", {}, hold=False)
            if early:
                self.start(which)
        self.answer(last, said, desk)
        for which in reversed(several):
            self.start(which)
            self.agree_again(which)

    @rule(person=words.ALONE)
    def grant_anew(self, person: str) -> None:
        """Somebody loses what they hold, and gets it again."""
        self.sync([name for name in words.ROLES if name != person], 1, {})
        self.wait(1)
        self.sync(list(words.ROLES), 1, {})

    @rule(
        name=words.URGENT,
        kind=words.CAREFUL_KINDS,
        person=words.SPOKEN_FOR,
        choices=words.SPOKEN_OVER,
        key=words.STOLEN,
        early=st.booleans(),
    )
    def speak_over(self, name: str, kind: str, person: str, choices: tuple[str, str], key: str, early: bool) -> None:
        """Somebody votes, and a thief for them with a stolen key; that is noticed early, or when all others have voted."""
        which = action_id("sira", name, "")
        self.create(name, kind, "DEDUPLICATES", {}, {}, hold=True)
        for choice, signer in zip(choices, ["desk-1", key], strict=True):
            self.vote(which, person, choice, signer, None, None, {}, hold=False)
            self.wait(1)
        if early:
            self.revoke(key)
        self.agree(which, "approve", [voter for voter in words.EVERYBODY if voter != person], "desk-1")
        self.execute(which, "a1", "desk-1", {}, hold=False)
        self.revoke(key)
        self.start(which)

    @rule()
    def deliver_backwards(self) -> None:
        """A queue keeps no order."""
        self.held.reverse()
        self.deliver()
