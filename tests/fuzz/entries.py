"""What may lie in the queue that no producer of ours put there, and what may become of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from domain.messages import Outcome
from tests.fuzz import payloads, tokens
from tests.fuzz.payloads import QUARANTINED, Honest, Said
from tests.fuzz.values import NOT_OURS, TEXTS, VALUES, dumped


@dataclass(frozen=True)
class Bad:
    """An entry of the queue (None: an id without one), and the outcomes that it may have.

    `identity` is the (iss, jti) that somebody proved, where one is known.
    """

    entry: bytes | None
    outcomes: frozenset[Outcome] = QUARANTINED
    identity: tuple[str, str] | None = None


def message(**changes: Any) -> dict[str, Any]:
    """An ordinary dramatiq message."""
    known = {"queue_name": "messages", "actor_name": "receive", "args": ["x.y.z"], "kwargs": {}, "options": {}}
    return known | {"message_id": "1", "message_timestamp": 1} | changes


def carrying(token: str) -> bytes:
    """The entry that carries a token."""
    return dumped(message(args=[token]))


def bad_entries(honest: Honest) -> st.SearchStrategy[Bad]:
    """Every kind, each about as often as the others."""
    known = message()
    names = st.sampled_from(sorted(known))
    odd = st.sampled_from([*NOT_OURS, "[" * 900 + "]" * 900, "[" * 990 + "]" * 990])
    fields: st.SearchStrategy[dict[str, Any]] = st.dictionaries(names | TEXTS, VALUES, min_size=1, max_size=3)
    entries = st.one_of(
        st.none(),
        st.binary(max_size=60),
        TEXTS.map(lambda text: text.encode(errors="surrogatepass")),
        VALUES.map(dumped),
        odd.map(str.encode),
        odd.map(lambda text: dumped(message(args="HERE")).replace(b'"HERE"', f"[{text}]".encode())),
        fields.map(lambda changes: dumped(message(**changes))),
        names.map(lambda name: dumped({key: value for key, value in known.items() if key != name})),
        st.lists(VALUES, max_size=3).map(lambda args: dumped(message(args=args))),
    )
    unproved = tokens.made_up() | tokens.torn(honest) | tokens.misheaded(honest) | tokens.forged(honest)
    return st.one_of(
        entries.map(Bad),
        unproved.map(lambda token: Bad(carrying(token))),
        said(honest).map(
            lambda told: Bad(carrying(honest.key.sign_payload(told.payload)), told.outcomes, told.identity)
        ),
    )


def known_bad(honest: Honest) -> list[Bad]:
    """Those that are few and known, for a run to have them all."""
    sign, payload = honest.key.sign_payload, honest.create()
    unread = [sign(payloads.with_text(payload, text)) for text in NOT_OURS]
    malformed = [sign(dumped(payload | wrong)) for wrong in payloads.WRONG_CLAIMS]
    entries = [carrying(token) for token in tokens.respelled(honest) + unread + malformed]
    unfit = [
        Bad(carrying(sign(dumped(honest.create(f"refused {number}") | claims))), payloads.REFUSED)
        for number, claims in enumerate(payloads.late_or_misdirected(honest.now))
    ]
    return [Bad(None), *map(Bad, entries), *(Bad(text.encode()) for text in NOT_OURS), *unfit]


def said(honest: Honest) -> st.SearchStrategy[Said]:
    """What a registered key signed though it should not have."""
    return st.one_of(payloads.malformed(honest), payloads.unfit(honest), payloads.wild(honest))


def bad_calls() -> st.SearchStrategy[tuple[list[Any], Mapping[str, Any]]]:
    """What the stock actor may be called with that is not one token."""
    no_token = st.lists(VALUES, max_size=3).filter(lambda args: not (len(args) == 1 and isinstance(args[0], str)))
    some = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3)
    return st.tuples(no_token, st.just({}) | some) | st.tuples(st.lists(VALUES, max_size=3), some)
