"""Tokens that prove nobody: torn, respelled, forged, or signed under a header that is not the one header."""

import base64
import hmac
import json
from typing import Any

from hypothesis import strategies as st

from domain.exact_json import canonical
from tests.fuzz.payloads import Honest
from tests.fuzz.values import NOT_OURS, TEXTS, VALUES, dumped
from workers.envelope import TYP, SigningKey

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(key: SigningKey, header: bytes, payload: bytes) -> str:
    """A token with a good signature over whatever header and payload."""
    content = f"{b64(header)}.{b64(payload)}"
    private: Any = key._jwk.private_key
    return f"{content}.{b64(private.sign(content.encode()))}"


def header_of(key: SigningKey) -> dict[str, Any]:
    return {"alg": "Ed25519", "kid": key.kid, "typ": TYP}


def is_header_of(key: SigningKey, header: bytes) -> bool:
    """Whether these bytes say exactly what this key's header says, in any spelling of JSON."""
    return list(json.loads(header, object_pairs_hook=sorted)) == sorted(header_of(key).items())


def torn(honest: Honest) -> st.SearchStrategy[str]:
    """An honest token that lost something on the way, or gained it."""
    token = honest.key.sign_payload(canonical(honest.create()))
    places = st.integers(0, len(token) - 1)
    letters = st.sampled_from([*_ALPHABET, "=", "+", "/", ".", " ", "\n", "\x00", "é", "\uff21"])

    def put(place: int, letter: str) -> str:
        return f"{token[:place]}{letter}{token[place:]}"

    def replace(place: int, letter: str) -> str:
        other = letter if letter != token[place] else "~"
        return f"{token[:place]}{other}{token[place + 1 :]}"

    head, content, signature = token.split(".")
    parts = st.lists(st.sampled_from(["", head, content, signature, "e30"]), max_size=4)
    return st.one_of(
        places.map(lambda place: token[:place]),
        places.map(lambda place: token[place + 1 :]),
        st.builds(put, places, letters),
        st.builds(replace, places, letters),
        parts.map(".".join).filter(lambda text: text != token),
        st.sampled_from(respelled(honest)),
        st.sampled_from([token * 2, f"{token}.", f"{token}\n", f" {token}", token.lower(), token[::-1]]),
    )


def respelled(honest: Honest) -> list[str]:
    """An honest token as lenient readers of base64 would take it too."""
    token = honest.key.sign_payload(canonical(honest.create()))
    head, content, signature = token.split(".")
    spellings = [
        f"{_with_spare_bits(head)}.{content}.{signature}",
        f"{head}.{_with_spare_bits(content)}.{signature}",
        f"{head}.{content}.{_with_spare_bits(signature)}",
        f"{head}=.{content}.{signature}",
        f"{head}.{content}.{signature}==",
        f"{head}.{content}.\n{signature}",
    ]
    return [spelling for spelling in spellings if spelling != token]


def _with_spare_bits(part: str) -> str:
    """The same bytes in another spelling, where base64 has one: in the bits that its last character does not use."""
    return part if len(part) % 4 == 0 else part[:-1] + _ALPHABET[_ALPHABET.index(part[-1]) + 1]


def misheaded(honest: Honest) -> st.SearchStrategy[str]:
    """The holder of a key signed it, but under a header that is not exactly alg, kid and typ."""
    known, payload = header_of(honest.key), canonical(honest.create())
    names = st.sampled_from(sorted(known))
    more = st.dictionaries(
        st.sampled_from(["crit", "jwk", "b64", "zip", "jku", "x5c", "cty", "Kid"]), VALUES, min_size=1
    )
    text = json.dumps(known)
    headers = st.one_of(
        VALUES.filter(lambda value: value != known).map(dumped),
        names.map(lambda name: dumped({key: value for key, value in known.items() if key != name})),
        more.map(lambda extra: dumped(known | extra)),
        names.map(lambda name: f'{{"{name}": {json.dumps(known[name])}, {text[1:]}'.encode()),
        st.builds(lambda name, value: dumped(known | {name: value}), names, VALUES).filter(
            lambda header: header != dumped(known)
        ),
        st.sampled_from(NOT_OURS).map(lambda odd: f'{text[:-1]}, "x": {odd}}}'.encode()),
        st.sampled_from(["none", "None", "HS256", "EdDSA", "ES256", "Ed448", ""]).map(
            lambda alg: dumped(known | {"alg": alg})
        ),
        st.binary(max_size=20),
    )
    return headers.map(lambda header: signed(honest.key, header, payload))


def forged(honest: Honest) -> st.SearchStrategy[str]:
    """Somebody else made it, with what everybody may know: the kid, the public key, an honest signature."""
    known, payload = header_of(honest.key), canonical(honest.create())
    stranger = SigningKey.generate(honest.key.kid, honest.key.issuer)
    token = signed(honest.key, dumped(known), payload)
    honest_signature = token.rsplit(".", 1)[1]

    def mac(alg: str) -> str:
        content = f"{b64(dumped(known | {'alg': alg}))}.{b64(payload)}"
        return f"{content}.{b64(hmac.digest(honest.key.public_bytes, content.encode(), 'sha256'))}"

    other_payloads = st.builds(
        lambda jti: canonical(honest.create() | {"jti": jti}), st.text("abc", min_size=1, max_size=5)
    )
    kids = TEXTS.filter(lambda kid: kid != honest.key.kid)
    return st.one_of(
        other_payloads.map(lambda other: signed(stranger, dumped(known), other)),
        other_payloads.map(lambda other: f"{b64(dumped(known))}.{b64(other)}.{honest_signature}"),
        st.binary(max_size=70).map(lambda made_up: f"{b64(dumped(known))}.{b64(payload)}.{b64(made_up)}"),
        st.sampled_from(["Ed25519", "HS256", "EdDSA"]).map(mac),
        kids.map(lambda kid: signed(stranger, dumped(known | {"kid": kid}), payload)),
    )


def made_up() -> st.SearchStrategy[str]:
    """Text that was never a token."""
    segments = st.binary(max_size=30).map(b64) | TEXTS
    return st.one_of(
        TEXTS,
        st.lists(segments, min_size=2, max_size=6).map(".".join),
        st.sampled_from(["..", ". . .", "a" * 100_000, "a" * (1024 * 1024 + 1), "." * 50_000, "e30.e30.e30"]),
    )
