"""Coverage-guided fuzzing of what opens and judges messages, on a world in memory; `make fuzz` runs every target.

    python -m tests.fuzz.harness TARGET [LIBFUZZER-OPTIONS] [CORPUS | CRASH-FILE]

Targets: `entries` (bytes as they lie in the queue, or a token), `envelopes` (any header and payload, really signed) and
`said` (signed payloads as the Hypothesis tests build them). It needs atheris, which `make fuzz` installs.
"""

import sys
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import atheris
from hypothesis import HealthCheck, given, settings
from joserfc.jwk import OKPKey

with atheris.instrument_imports(include=["domain", "workers.envelope", "workers.queue", "dramatiq.message"]):
    from db.keys import KeyRing
    from domain.engine import step
    from domain.exact_json import canonical
    from domain.keys import VerificationKey
    from domain.messages import Message, Outcome, Receipt, Unopened
    from domain.refusals import groups
    from tests.fuzz import entries, tokens
    from tests.fuzz.payloads import Honest, Said
    from tests.fuzz.values import dumped
    from tests.unit.in_memory import BODY, NOW, ROLES, WHOLE, InMemory, directory
    from workers.envelope import SigningKey, open_envelope
    from workers.queue import token_of

# The key of RFC 8037, appendix A.1: always the same, so that what was found can be run again.
_RFC_KEY: dict[str, str | list[str]] = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
KEY = SigningKey("ops-tooling-1", "ops-tooling", OKPKey.import_key(_RFC_KEY))
RING = KeyRing(
    {KEY.kid: VerificationKey(KEY.kid, KEY.issuer, KEY.public_bytes, WHOLE, NOW - timedelta(days=1), None, None)}, NOW
)
HONEST = Honest(KEY, int(NOW.timestamp()), audience="here")
SEEDS = [canonical(payload) for payload in (HONEST.create("c"), HONEST.vote("v"), HONEST.execute("e"))]
SIGNED = {KEY.sign_payload(seed) for seed in SEEDS}
QUARANTINE_CODES = set(next(iter(groups().values())))


def _begun() -> tuple[InMemory, UUID]:
    engine = InMemory(action_type={"name": "ADJUST_FLOAT"})
    engine.world.directory = directory(ROLES | {"ops-admin-1": ["ops_admin"], "cfo-1": ["cfo"]})
    action_id = engine.created({**BODY, "action_type": "ADJUST_FLOAT"})
    assert engine.vote(action_id, "f1").outcome is Outcome.APPLIED
    return engine, action_id


BEGUN, ACTION_ID = _begun()


def _copied() -> InMemory:
    """The world with one action and one of two votes; what never changes is shared."""
    engine, world = copy(BEGUN), BEGUN.world
    votes = {action_id: dict(votes) for action_id, votes in world.votes.items()}
    changes = replace(world.changes, events=list(world.changes.events), actions=set(), votes=set(), messages={})
    engine.world = replace(
        world,
        actions=dict(world.actions),
        votes=votes,
        records=dict(world.records),
        identities=dict(world.identities),
        parked={},
        parked_counts={},
        changes=changes,
    )
    return engine


def receive(token: str) -> tuple[Message | Unopened, Receipt]:
    """What a token says and its receipt, after checking that it changed nothing unproved and held up nobody."""
    engine = _copied()
    opened = open_envelope(token, RING)
    receipt = step(engine.world, opened)
    changes = engine.world.changes
    if isinstance(opened, Unopened):
        assert receipt.outcome is Outcome.QUARANTINED
        assert receipt.code in QUARANTINE_CODES
        assert (changes.actions, changes.votes, list(changes.messages)) == (set(), set(), [opened.content_sha256])
    assert receipt.sentence.isprintable()
    assert engine.world.records[opened.content_sha256].receipt == receipt
    assert step(engine.world, opened) == receipt
    assert engine.vote(ACTION_ID, "f2").outcome is Outcome.APPLIED
    assert engine.events(ACTION_ID) == ["created", "voted", "voted", "approved"]
    return opened, receipt


def fuzz_entries(data: bytes) -> None:
    """Nothing in the queue is believed but the very tokens that were signed."""
    token = token_of(data[1:]) if data[:1] == b"e" else data[1:].decode(errors="surrogateescape")
    if token is not None:
        opened, _ = receive(token)
        assert isinstance(opened, Unopened) or token in SIGNED


def fuzz_envelopes(data: bytes) -> None:
    """Whatever a registered key signs has an answer, and under another header it is not believed."""
    header, _, payload = data.partition(b"\n")
    opened, receipt = receive(tokens.signed(KEY, header, payload))
    assert receipt.outcome is not Outcome.DEAD
    if isinstance(opened, Message):
        assert tokens.is_header_of(KEY, header)


@settings(database=None, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
@given(told=entries.said(HONEST))
def said(told: Said) -> None:
    """What a registered key says has one of the outcomes that it may have, under its own name."""
    opened, receipt = receive(KEY.sign_payload(told.payload))
    assert receipt.outcome in told.outcomes
    if isinstance(opened, Message):
        assert told.identity in {None, (opened.issuer, opened.jti)}


TARGETS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "entries": (
        fuzz_entries,
        [b"e" + entries.carrying(token) for token in SIGNED] + [b"t" + token.encode() for token in SIGNED],
    ),
    "envelopes": (fuzz_envelopes, [dumped(tokens.header_of(KEY)) + b"\n" + seed for seed in SEEDS]),
    "said": (
        said.hypothesis.fuzz_one_input,  # type: ignore[attr-defined]  # put there by `given`
        [Random(number).randbytes(2000) for number in range(50)],  # noqa: S311 - to begin with, not to keep secret
    ),
}


def main() -> None:
    """Fuzz one target from its seeds and from what earlier runs kept in .fuzz/."""
    target, *options = sys.argv[1:]
    fuzz, seeds = TARGETS[target]
    corpus = Path(".fuzz", target)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    inputs = [option for option in options if not option.startswith("-")] or [str(corpus)]
    options = [option for option in options if option.startswith("-")]
    atheris.Setup([target, f"-artifact_prefix={corpus}-", "-len_control=0", *options, *inputs], fuzz)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
