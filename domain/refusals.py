"""Why the engine says no: every stable code with its sentence.

A refusal is a value, not an exception: raising would roll back the record of the message that was refused. Callers may
rely on the codes; the sentences are for people.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

LONGEST_SENTENCE = 1000


class Code(StrEnum):
    """A stable reason for a refusal or a quarantine; its value is what callers see."""

    # What cannot be opened: quarantined, because nothing in it can be believed.
    MALFORMED_ENTRY = "malformed_entry"
    MALFORMED_ENVELOPE = "malformed_envelope"
    UNKNOWN_KEY = "unknown_key"
    KEY_NOT_VALID = "key_not_valid"
    BAD_SIGNATURE = "bad_signature"
    DEAD_LETTER = "dead_letter"
    DROPPED = "dropped"

    # The envelope.
    IDENTITY_CONFLICT = "identity_conflict"
    WRONG_AUDIENCE = "wrong_audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    LIFETIME_TOO_LONG = "lifetime_too_long"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_BODY = "invalid_body"
    OUT_OF_SCOPE = "out_of_scope"
    RATE_LIMITED = "rate_limited"

    # Creating.
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    UNKNOWN_ACTION_TYPE = "unknown_action_type"
    INVALID_PARAMS = "invalid_params"
    TARGET_MISMATCH = "target_mismatch"
    SUBJECT_NOT_IN_STATE = "subject_not_in_state"
    DEFINITION_CHANGED = "definition_changed"
    KEY_CONFLICT = "key_conflict"
    CRITERIA_TYPE_MISMATCH = "criteria_type_mismatch"
    TOO_MANY_WAYS = "too_many_ways"
    CREATOR_NOT_ALLOWED = "creator_not_allowed"
    ALREADY_OPEN = "already_open"
    PROPOSAL_CONFLICT = "proposal_conflict"
    PROPOSAL_MISMATCH = "proposal_mismatch"
    PROPOSAL_CLOSED = "proposal_closed"

    # Voting.
    UNKNOWN_ACTION = "unknown_action"
    TOO_MANY_PARKED = "too_many_parked"
    ACTION_CLOSED = "action_closed"
    SEPARATION_OF_DUTIES = "separation_of_duties"
    ROLE_NOT_HELD = "role_not_held"
    NOT_ELIGIBLE = "not_eligible"
    PERSONAL_KEY_REQUIRED = "personal_key_required"
    CONTENT_HASH_REQUIRED = "content_hash_required"
    CONTENT_HASH_MISMATCH = "content_hash_mismatch"
    CAST_IN_FUTURE = "cast_in_future"
    SUPERSEDED = "superseded"
    BREAK_GLASS_NOT_ALLOWED = "break_glass_not_allowed"
    BREAK_GLASS_USED_UP = "break_glass_used_up"

    # Executing.
    EXECUTOR_NOT_ALLOWED = "executor_not_allowed"
    CANCELLER_NOT_ALLOWED = "canceller_not_allowed"
    NOT_APPROVED = "not_approved"
    ALREADY_STARTED = "already_started"
    STALE_TOKEN = "stale_token"  # noqa: S105 - a fencing token, not a secret
    NOT_DUE = "not_due"

    # The directory.
    STALE_SNAPSHOT = "stale_snapshot"


SENTENCES: dict[Code, str] = {
    Code.MALFORMED_ENTRY: "The queue entry is not a dramatiq message for the actor receive with one token.",
    Code.MALFORMED_ENVELOPE: "The token is not an envelope of this engine: a compact JWS, signed with Ed25519, of the key's issuer.",
    Code.UNKNOWN_KEY: "No key of this id is registered here; have the sender's public key registered and send it again.",
    Code.KEY_NOT_VALID: "The key that signed this is revoked, or outside the time for which it is valid.",
    Code.BAD_SIGNATURE: "The signature does not fit the content and the key.",
    Code.DEAD_LETTER: "This message could not be applied, alone or in a batch; once the cause is mended it can be tried again.",
    Code.DROPPED: "An operator decided that this message is not to be applied; sign it again if it is still wanted.",
    Code.IDENTITY_CONFLICT: "Another message with the same issuer and jti came first; give every message its own jti.",
    Code.WRONG_AUDIENCE: "The message is addressed to another installation.",
    Code.EXPIRED: "The message came after its exp; sign it again if it is still wanted.",
    Code.NOT_YET_VALID: "The message is dated in the future; check the producer's clock.",
    Code.LIFETIME_TOO_LONG: "A message may live for at most 7 days (exp minus iat).",
    Code.UNKNOWN_TYPE: "There is no message of this type.",
    Code.INVALID_BODY: "The body does not have the form of its message type.",
    Code.OUT_OF_SCOPE: "The key is not allowed to send this.",
    Code.RATE_LIMITED: "So many of these were applied for this issuer and person, or its machines, within an hour that this one must wait.",
    Code.IDEMPOTENCY_CONFLICT: "An action with this idempotency key exists and was asked for with another body.",
    Code.UNKNOWN_ACTION_TYPE: "No action type of this name is defined; `ops-approval types list` shows those that are.",
    Code.INVALID_PARAMS: "The params are not what this action type takes.",
    Code.TARGET_MISMATCH: "The target named in the message is not the one that its params name.",
    Code.SUBJECT_NOT_IN_STATE: "The action that this is about is not there, or not in a state in which this can be done.",
    Code.DEFINITION_CHANGED: "The version that this is to replace is not the newest one; look at the difference and ask again.",
    Code.KEY_CONFLICT: "The key cannot be registered beside those that are, or for somebody who is not there.",
    Code.CRITERIA_TYPE_MISMATCH: "A policy compares a value of this action that has another type than it should.",
    Code.TOO_MANY_WAYS: "The policy's quorum and the message's own could be filled together in too many ways; ask for a simpler one.",
    Code.CREATOR_NOT_ALLOWED: "The creator may not ask for this: a role is missing, or the key may not speak for it, or an alert is named from another origin.",
    Code.ALREADY_OPEN: "An action of this type is open for the same already; look at that one, which is the answer to both.",
    Code.PROPOSAL_CONFLICT: "Another alert or recommendation of this id came first; give each its own id, and send it again as it was.",
    Code.PROPOSAL_MISMATCH: "The action is not the one that was recommended: apply it as `ops-approval recommendations show` prints it, or ask for an action of your own.",
    Code.PROPOSAL_CLOSED: "The alert or recommendation is answered, over, or was decided about too often.",
    Code.UNKNOWN_ACTION: "There is no action of this id.",
    Code.TOO_MANY_PARKED: "Too many votes wait for this action already; vote again once it is created.",
    Code.ACTION_CLOSED: "The action can no longer be voted on or cancelled.",
    Code.SEPARATION_OF_DUTIES: "Who created, triggered or is the target of an action, or of what caused it, or may act for one of these, does not vote on it.",
    Code.ROLE_NOT_HELD: "The message claims a role that the directory does not give to this person.",
    Code.NOT_ELIGIBLE: "This person's vote could fill no seat of the action's requirement.",
    Code.PERSONAL_KEY_REQUIRED: "Votes on this action are signed with the voter's own key: enrol one with `ops-approval keys enrol`, and vote with --key.",
    Code.CONTENT_HASH_REQUIRED: "Votes on this action name the content that the voter saw: vote with --review, or with the content_hash that `ops-approval actions show` prints.",
    Code.CONTENT_HASH_MISMATCH: "The vote is for other content than the action has; read the action again.",
    Code.CAST_IN_FUTURE: "A vote cannot be cast after its message was issued.",
    Code.SUPERSEDED: "A later vote of the same person is already counted.",
    Code.BREAK_GLASS_NOT_ALLOWED: "This person may not approve this action alone.",
    Code.BREAK_GLASS_USED_UP: "This person has approved alone as often as the policy allows in this time.",
    Code.EXECUTOR_NOT_ALLOWED: "The executor holds none of the roles that may execute actions, or none for which the key may speak.",
    Code.CANCELLER_NOT_ALLOWED: "Only who created an action, or an ops_admin, may cancel it.",
    Code.NOT_APPROVED: "Only an approved action can be executed.",
    Code.ALREADY_STARTED: "The execution of this action has already been asked for, or has begun.",
    Code.STALE_TOKEN: "A newer attempt has taken over; this one changes nothing.",
    Code.NOT_DUE: "Nothing is due for this action.",
    Code.STALE_SNAPSHOT: "A snapshot of the directory with this or a higher number is already in force.",
}


_FIRST_OF_GROUP = {
    "Quarantined: nobody is known to have sent it": Code.MALFORMED_ENTRY,
    "Dead: it could not be applied by any means; or given up by an operator": Code.DEAD_LETTER,
    "Refused for its envelope": Code.IDENTITY_CONFLICT,
    "Refused creations": Code.IDEMPOTENCY_CONFLICT,
    "Refused votes, and executions and cancellations of an action that is not there": Code.UNKNOWN_ACTION,
    "Refused executions and cancellations": Code.EXECUTOR_NOT_ALLOWED,
    "Refused snapshots of the directory": Code.STALE_SNAPSHOT,
}


def groups() -> dict[str, list[Code]]:
    """Every code under the heading of what it is said about, in the order of `Code`."""
    headings = {first: heading for heading, first in _FIRST_OF_GROUP.items()}
    found: dict[str, list[Code]] = {}
    heading = ""
    for code in Code:
        heading = headings.get(code, heading)
        found.setdefault(heading, []).append(code)
    return found


def printable(text: str) -> str:
    """The text without control characters, which could rewrite what stands on a terminal or in a log."""
    return "".join(character if character.isprintable() else "�" for character in text)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no with its stable code; `detail` adds what this message in particular got wrong.

    `action_id` is the action that stands in the way, where that is another than the message's own.
    """

    code: Code
    detail: str = ""
    action_id: UUID | None = None

    @property
    def sentence(self) -> str:
        """What a person reads: the code's sentence and the detail, which may quote the message; at most 1000 characters."""
        told = printable(f"{SENTENCES[self.code]} {self.detail}".strip())
        return told if len(told) <= LONGEST_SENTENCE else f"{told[: LONGEST_SENTENCE - 1]}…"
