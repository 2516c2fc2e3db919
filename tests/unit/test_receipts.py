"""Receipts and records: which action each is about, and whose message it was, whatever the answer."""

from uuid import uuid4

from domain.engine import Due, Undigestible, step
from domain.executing import AttemptFinished, AttemptRenewed, AttemptStarted, OutcomeFound
from domain.internal_types import subject_of
from domain.outcome import Done, Retry, Unknown
from domain.world import Record
from tests.unit.in_memory import BODY, NOW, InMemory, answer, body_of
from tests.unit.test_engine_outcomes import CALL_ENDS, CALL_SECONDS

ASKED_AFTERWARDS = {"guarantee": "queryable", "query_path": "/ask", "timeout_seconds": CALL_SECONDS}


def test_every_receipt_names_its_action_whatever_the_answer() -> None:
    engine = InMemory(action_type=ASKED_AFTERWARDS)
    first, second = engine.created(), engine.created({"idempotency_key": "k2"})
    cancel = body_of("CancelAction", {"action_id": second, "cancelled_by": "admin", "reason": "a mistake"})
    told = [engine.tell(cancel), engine.tell(cancel), step(engine.world, Due(second))]
    assert {receipt.action_id for receipt in told} == {second}
    told = [engine.vote(first, person) for person in ("stranger", "f1", "f2", "f3")]
    told += [engine.ask_to_execute(first), engine.ask_to_execute(first), step(engine.world, Due(first))]
    started, renewed = (AttemptStarted(first, 1, "w"), AttemptRenewed(first, 1))
    told += [step(engine.world, given) for given in (renewed, started, started, renewed, AttemptRenewed(first, 2))]
    told += [step(engine.world, AttemptFinished(first, token, Unknown("timeout"))) for token in (2, 1)]
    told.append(step(engine.world, OutcomeFound(first, 1, Retry("not there"))))
    engine.wait(CALL_ENDS)
    told.append(step(engine.world, AttemptStarted(first, 2, "w")))
    told += [step(engine.world, OutcomeFound(first, 1, outcome)) for outcome in (Unknown("busy"), Done(), Done())]
    assert {receipt.action_id for receipt in told} == {first}
    assert engine.status(first) == "executed"


def test_a_record_keeps_all_that_the_message_came_with_and_whose_share_it_took() -> None:
    engine = InMemory()
    for changes, actor in (({}, "tooling"), ({"action_type": "NONE"}, None)):
        message = engine.message(body_of("CreateAction", BODY | changes))
        receipt = step(engine.world, message)
        assert engine.world.records[message.content_sha256] == Record(
            content_sha256=message.content_sha256,
            token=message.token,
            outcome=receipt.outcome,
            sentence=receipt.sentence,
            code=receipt.code,
            action_id=message.action_id,
            issuer="tooling",
            jti=message.jti,
            kid="tooling-1",
            type="CreateAction",
            issued_at=message.issued_at,
            expires_at=message.expires_at,
            excerpt=None,
            actor=actor,
        )


def test_a_row_says_when_it_last_changed() -> None:
    engine = InMemory()
    action = engine.created()
    engine.wait(60)
    assert engine.action(action).updated_at == NOW
    engine.vote(action, "f1")
    assert (engine.action(action).updated_at, engine.action(action).created_at) == (engine.world.now, NOW)


def test_a_dead_letter_keeps_whose_it_was_unless_another_message_has_that_name() -> None:
    engine = InMemory()
    engine.world.identities["tooling", "taken"] = b"another"
    for jti, whose in (("free", ("tooling", "free")), ("taken", (None, None))):
        message = engine.message(body_of("CreateAction", BODY), jti=jti)
        assert answer(step(engine.world, Undigestible(message, "(DataError)"))) == "dead_letter"
        record = engine.world.records[message.content_sha256]
        assert (record.issuer, record.jti) == whose
        assert (record.token, record.kid, record.type) == (message.token, message.kid, "CreateAction")


def test_only_an_internal_action_on_another_has_a_subject() -> None:
    named = uuid4()
    kinds = ("RETRY", "RESOLVE_OUTCOME", "ROLL_BACK", "RATIFY", "CHANGE_DEFINITION", "TOP_UP")
    found = [subject_of(kind, {"action_id": str(named)}) for kind in kinds]
    assert found == [named, named, named, None, None, None]
    assert subject_of("RETRY", {"action_id": 5}) is subject_of("RETRY", {"action_id": "no"}) is None
