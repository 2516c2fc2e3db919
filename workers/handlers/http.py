"""Executes an action by one POST to a service, and says honestly what that came to.

Whatever the service does, `HttpHandler.call` returns in time and returns an outcome. When it cannot tell whether the
effect happened it says `Unknown`: that costs a look, where a wrong `Retry` or `Rejected` would cost a second effect or
a lost one.
"""

import re
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx
import rfc8785

from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from workers.handlers import Call, answers
from workers.handlers.signing import Signer
from workers.handlers.wire import Wire

_ELSEWHERE = frozenset({httpx.codes.TEMPORARY_REDIRECT, httpx.codes.PERMANENT_REDIRECT})
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def make_client() -> httpx.Client:
    """A client for the calls to all services: no proxy of the environment, and no service's cookies, which another would get."""
    return httpx.Client(trust_env=False, cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())))


class HttpHandler:
    """POSTs an action to `endpoint` and returns what it came to, within the call's timeout and without raising.

    `client` carries credentials and TLS settings, speaks HTTP/1.1, may be shared by threads, and stays the caller's to
    close. `signer` signs what is sent. Raises ValueError when `endpoint` is not a full http or https URL.
    """

    def __init__(self, endpoint: str, client: httpx.Client, signer: Signer | None = None) -> None:
        self._endpoint = _checked_endpoint(endpoint)
        self._client = client
        self._signer = signer

    def call(self, call: Call) -> Outcome:
        """Make the one call and return its outcome; nothing is sent after `call.timeout_seconds`."""
        if not call.timeout_seconds > 0:
            return Retry("no time was left for the call")
        if not _HEADER_VALUE.fullmatch(call.idempotency_key):
            return Rejected("the idempotency key is not printable ASCII and cannot be sent as a header")
        try:
            body = rfc8785.dumps(
                {"action_id": str(call.action_id), "action_type": call.action_type, "params": call.params}
            )
        except (ValueError, RecursionError):
            return Rejected("the params cannot be written as canonical JSON")
        wire = Wire()
        request = self._request(call, body, wire)
        outcome = wire.within(call.timeout_seconds, lambda: self._exchange(request, wire))
        if outcome is not None:
            return outcome
        if wire.cut():
            return Retry("no connection to the service within the time of the call")
        return Unknown("no complete answer within the time of the call")

    def _request(self, call: Call, body: bytes, wire: Wire) -> httpx.Request:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": call.idempotency_key,
            "Attempt-Token": str(call.token),
            "Accept-Encoding": "identity",  # a compressed body could unpack to far more than the limit
            # A kept-alive connection may be closed by the service just as we send, which leaves an unknown outcome
            # for nothing. Actions are rare and a connection is cheap.
            "Connection": "close",
        }
        if self._signer is not None:
            headers |= self._signer.headers(call, body)
        # Waiting for our own pool is our own congestion: it must end, as nothing sent, before the call's time does.
        timeout = httpx.Timeout(call.timeout_seconds, pool=call.timeout_seconds / 2)
        extensions = {"trace": wire.trace}
        return self._client.build_request(
            "POST", self._endpoint, content=body, headers=headers, timeout=timeout, extensions=extensions
        )

    def _exchange(self, request: httpx.Request, wire: Wire) -> Outcome:
        try:
            response = self._client.send(request, stream=True, follow_redirects=False)
            try:
                body, whole = answers.read(response)
            finally:
                response.close()
            return _outcome(response, body, whole=whole)
        except _NOTHING_SENT as exc:
            if not wire.sent:
                return Retry(f"no connection to the service: {answers.printable(str(exc)) or type(exc).__name__}")
            return Unknown(f"the connection failed after the request: {type(exc).__name__}")
        except Exception as exc:  # noqa: BLE001 - whatever an odd answer provokes in the client, the request may be out
            # The message is left out: a protocol error quotes what the service sent.
            return Unknown(f"no complete answer from the service: {type(exc).__name__}")


def _checked_endpoint(endpoint: str) -> str:
    if not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint:
        raise ValueError("The endpoint must be a URL in printable ASCII without spaces.")
    try:
        parts = urlsplit(endpoint)
        port = parts.port
        httpx.URL(endpoint)
    except (ValueError, httpx.InvalidURL) as exc:
        raise ValueError(f"The endpoint is not a URL: {exc}.") from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("The endpoint must be a full http:// or https:// URL with a host.")
    if "@" in parts.netloc:
        # The URL appears in the client's logs.
        raise ValueError("The endpoint must not hold credentials: give them to the client.")
    if parts.fragment:
        raise ValueError("The endpoint must not have a fragment: it would never be sent.")
    return endpoint


def _outcome(response: httpx.Response, body: bytes, *, whole: bool) -> Outcome:
    """Say what the answer means for the effect; "did not happen" only where the service itself refused."""
    status = response.status_code
    said = answers.said(status, body)
    if 200 <= status < 300:  # noqa: PLR2004 - the classes of HTTP statuses are their own names
        # The service took responsibility. (202 too: who may still fail afterwards must not answer before the effect.)
        return Done(answers.result(status, body)) if whole else Unknown(f"HTTP {status} with an answer beyond 64 KiB")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        # 429: refused before any work, and it says when to come back.
        return Retry(said, answers.seconds(response.headers.get("Retry-After")))
    if status == httpx.codes.TOO_EARLY:
        # 425: RFC 8470, refused to process what might be a replay.
        return Retry(said)
    if status in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.CONFLICT}:
        # 408: should mean that the request never arrived in full, but ours goes out at once; gateways use it when they
        #      gave up waiting for the service behind them.
        # 409: "the same key is still in progress" to some (the Idempotency-Key draft), "another body" or a business
        #      conflict to others. In the first case the effect may be happening now.
        return Unknown(said)
    if status in _ELSEWHERE or 400 <= status < 500:  # noqa: PLR2004 - as above
        # 307, 308: the same request shall be made elsewhere, so nobody did anything yet; a moved endpoint is for people to
        #           correct, and we never follow.
        # 4xx: the service looked at the request and refused it.
        return Rejected(said)
    # Other 3xx: many services carry a POST out and then redirect to a page about it, as 303 is meant and 302 is used.
    # 5xx: failed somewhere in the middle, perhaps after the effect. 503 is no exception, with or without Retry-After:
    #      proxies answer it when the service broke the connection after it had got the request, or when a retry of their
    #      own was shed after a first try went through. Where the service deduplicates, trying again is safe anyway.
    # 1xx, 6xx and beyond: not an answer.
    return Unknown(said)
