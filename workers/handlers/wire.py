"""One request to a service and its answer within a time: whatever the service does, the caller goes on."""

import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")


class CutError(Exception):
    """Stops an exchange that its caller has given up, before it sends anything."""


class Wire:
    """Knows from the transport's own events whether the request went out, and can cut the connection."""

    def __init__(self) -> None:
        self.sent = False
        self._connecting = False
        self._cut = False
        self._socket: socket.socket | None = None
        self._lock = Lock()

    def within(self, seconds: float, exchange: Callable[[], T]) -> T | None:
        """What `exchange`, which must not raise, comes to; None if it takes longer, and then its connection is cut.

        httpx bounds each read, not the exchange: a service that trickles bytes would hold us for hours. So the exchange has
        a thread of its own, and this one waits for it no longer than it may.
        """
        answer: Future[T] = Future()
        Thread(target=lambda: answer.set_result(exchange()), daemon=True).start()
        try:
            return answer.result(timeout=seconds)
        except TimeoutError:
            return None
        finally:
            self.cut()  # also when this thread is interrupted: an abandoned exchange must not send later

    def trace(self, event: str, info: dict[str, Any]) -> None:
        with self._lock:
            self._connecting = True
            if event.endswith((".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")):
                self._socket = info["return_value"].get_extra_info("socket")
            # A CONNECT only asks a proxy for a tunnel; the service has seen nothing yet.
            elif event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
                if self._cut:
                    raise CutError
                self.sent = True

    def cut(self) -> bool:
        """End the exchange for good; true when the request certainly never went out and now never will.

        A transport that reports no events is taken to have sent it.
        """
        with self._lock:
            self._cut = True
            if self._socket is not None:
                with suppress(OSError):  # closed already
                    # The plain method: SSLSocket's own would drop its TLS state under the thread that is reading.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            return self._connecting and not self.sent
