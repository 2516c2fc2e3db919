"""Payloads signed by a registered key whose content is not what it should be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from domain.exact_json import parse_json
from domain.messages import BODIES, Outcome
from tests.fuzz.values import NOT_OURS, TEXTS, VALUES, dumped
from workers.envelope import SigningKey

DAY = 86_400
ELSEWHERE = UUID(int=7)
"""An action that never comes."""


@dataclass(frozen=True)
class Honest:
    """A registered key, and the messages that it signs when nothing is wrong; `now` in seconds since the epoch."""

    key: SigningKey
    now: int
    audience: str = "ops-approval"

    def payload(self, type_name: str, body: Any, jti: str) -> dict[str, Any]:
        issuer, now = self.key.issuer, self.now
        said = {"v": 1, "type": type_name, "iss": issuer, "aud": self.audience, "jti": jti}
        return said | {"iat": now - 5, "exp": now + DAY, "body": body}

    def create(self, jti: str = "never sent") -> dict[str, Any]:
        body = {
            "origin": "ops_ui",
            "action_type": "ADJUST_FLOAT",
            "params": {"agent_id": "agent-1", "adjustment": "top_up", "amount": 5},
            "created_by": "ops-admin-1",
        }
        return self.payload("CreateAction", body, jti)

    def vote(self, jti: str) -> dict[str, Any]:
        return self.payload("CastVote", {"action_id": str(ELSEWHERE), "voter_id": "cfo-1", "vote": "approve"}, jti)

    def execute(self, jti: str) -> dict[str, Any]:
        return self.payload("ExecuteAction", {"action_id": str(ELSEWHERE), "executed_by": "ops-admin-1"}, jti)

    def some(self) -> st.SearchStrategy[dict[str, Any]]:
        """A message of any of these types, with a jti that hardly any other has."""
        jtis = st.uuids().map(str)
        return st.one_of(jtis.map(self.create), jtis.map(self.vote), jtis.map(self.execute))


@dataclass(frozen=True)
class Said:
    """A signed payload, what may become of it, and under which (iss, jti) a refusal of it is found."""

    payload: bytes
    outcomes: frozenset[Outcome]
    identity: tuple[str, str] | None = None


QUARANTINED = frozenset({Outcome.QUARANTINED})
REFUSED = frozenset({Outcome.REFUSED})
ANSWERED = frozenset(Outcome) - {Outcome.DEAD}


def _without(payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key != name}


_WRONG: dict[str, list[Any]] = {
    "v": [True, 0, 2, 1.5, "1", None, [1]],
    "type": ["", "x" * 101, 1, None, ["CastVote"], {}],
    "iss": ["", "sira", "OPS-TOOLING", "ops-tooling ", 1, None],
    "aud": ["", 1, None, ["ops-approval"], "x" * 201],
    "jti": ["", 1, None, "x" * 201, {}],
    "iat": [-1, 1.5, "1", None, True, 253_402_300_800, 2**53],
    "exp": [-1, 1e3 + 0.5, "1", None, False, 253_402_300_800, 10**30],
}
WRONG_CLAIMS = [{name: value} for name, values in _WRONG.items() for value in values]
"""Claims that no payload may have."""


def malformed(honest: Honest) -> st.SearchStrategy[Said]:
    """Not exactly the eight claims, or no JSON as we take it: nobody is believed to have said it."""
    payloads = st.one_of(
        st.builds(lambda payload, claim: dumped(payload | claim), honest.some(), st.sampled_from(WRONG_CLAIMS)),
        st.builds(
            lambda payload, name: dumped(_without(payload, name)), honest.some(), st.sampled_from(sorted(_WRONG))
        ),
        st.builds(lambda payload: dumped(_without(payload, "body")), honest.some()),
        st.builds(lambda payload, name: dumped({name: 1} | payload), honest.some(), st.sampled_from(["", "nbf", "V"])),
        st.builds(with_text, honest.some(), st.sampled_from(NOT_OURS)),
        VALUES.map(dumped),
        st.sampled_from(NOT_OURS).map(str.encode),
        st.binary(max_size=40),
    )
    return payloads.map(lambda payload: Said(payload, QUARANTINED))


def with_text(payload: dict[str, Any], text: str) -> bytes:
    """The payload with this text, whatever it is, as a value in its body."""
    return dumped(payload | {"body": "HERE"}).replace(b'"HERE"', f'{{"params": {{"x": {text}}}}}'.encode())


def late_or_misdirected(now: int) -> list[dict[str, Any]]:
    """Claims of a well-formed payload that is refused."""
    return [
        {"aud": "staging"},
        {"aud": "\x1b[2J\u202e"},
        {"exp": 0},
        {"exp": now - 1},
        {"iat": 0},
        {"iat": now + 10 * DAY, "exp": now + 11 * DAY},
        {"exp": now + 8 * DAY},
        {"exp": 253_402_300_799},
        {"iat": 253_402_300_799, "exp": 253_402_300_799},
        {"type": "castvote"},
        {"type": "__class__"},
        {"type": "SyncDirectory", "body": {"snapshot": 2, "people": [{"id": "somebody"}]}},
    ]


_REQUIRED = {
    "CreateAction": ["origin", "action_type", "params", "created_by"],
    "CastVote": ["action_id", "voter_id", "vote"],
    "ExecuteAction": ["action_id", "executed_by"],
}
_MISFITS: list[Any] = [None, 1, True, 0.5, [], [[]], "", "\x1b", ["approve"]]


def unfit(honest: Honest) -> st.SearchStrategy[Said]:
    """Well-formed, and known who said it; but nothing that could be applied."""

    def without_one(payload: dict[str, Any], number: int) -> dict[str, Any]:
        names = _REQUIRED[payload["type"]]
        return payload | {"body": _without(payload["body"], names[number % len(names)])}

    def with_another(payload: dict[str, Any], name: str) -> dict[str, Any]:
        return payload | {"body": payload["body"] | {f"x {name}": 1}}

    def misfit(payload: dict[str, Any], number: int, value: Any) -> dict[str, Any]:
        names = _REQUIRED[payload["type"]]
        return payload | {"body": payload["body"] | {names[number % len(names)]: value}}

    some, numbers = honest.some(), st.integers(0, 3)
    no_objects = VALUES.filter(lambda value: not isinstance(value, dict) and _is_read(value))
    payloads = st.one_of(
        st.builds(lambda payload, changes: payload | changes, some, st.sampled_from(late_or_misdirected(honest.now))),
        st.builds(lambda payload, body: payload | {"body": body}, some, no_objects),
        st.builds(without_one, some, numbers),
        st.builds(with_another, some, TEXTS.filter(_is_read)),
        st.builds(misfit, some, numbers, st.sampled_from(_MISFITS)),
    )
    return payloads.map(lambda payload: Said(dumped(payload), REFUSED, (payload["iss"], payload["jti"])))


def _is_read(value: Any) -> bool:
    """Whether JSON with this value in it is read at all."""
    try:
        parse_json(dumped(value))
    except ValueError:
        return False
    return True


def wild(honest: Honest) -> st.SearchStrategy[Said]:
    """A good message with anything in one or more places: it may even be good."""

    def changed(payload: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        return payload | {"body": payload["body"] | changes}

    def anywhere(payload: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        names = st.sampled_from(sorted(BODIES[payload["type"]].model_fields))
        return st.dictionaries(names, VALUES, min_size=1, max_size=3).map(lambda changes: changed(payload, changes))

    def with_params(payload: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        return changed(payload, {"params": payload["body"]["params"] | params})

    def with_quorum(payload: dict[str, Any], kind: str, value: Any) -> dict[str, Any]:
        return changed(payload, {"required_quorum": {"type": kind, "value": value}})

    creates = st.uuids().map(str).map(honest.create)
    inside = st.dictionaries(TEXTS | st.sampled_from(["amount", "agent_id", "alert_id"]), VALUES, max_size=3)
    kinds = st.sampled_from(["role", "percentage", "all_of", "any_of", "k_of", "specific_users", "none"])
    counts = st.sampled_from([0, -1, 1.5, 2**53, True, None, 50]).map(lambda n: {"role": "cfo", "min_votes": n})
    payloads = st.one_of(
        honest.some().flatmap(anywhere),
        st.builds(with_params, creates, inside),
        st.builds(with_quorum, creates, kinds, VALUES | counts),
        st.builds(lambda payload, body: payload | {"body": body}, honest.some(), VALUES),
    )
    return payloads.map(lambda payload: Said(dumped(payload), ANSWERED, (payload["iss"], payload["jti"])))
