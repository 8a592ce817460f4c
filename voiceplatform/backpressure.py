"""Back-pressure for Daphne's WebSockets: who does not read is not read from.

Daphne writes to a socket's transport without asking whether the peer takes it. The credit window bounds that for honest
clients; one that reports audio as played which it never read made the process grow by 25 MB in 45 s (measured). Here a
full transport pauses reading from that peer, so that its reports cease, the window shuts, and it is closed as too slow.
"""

from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

CLOSE_HANDSHAKE_S = 3.0
"""How long a peer may take to read its close code; Autobahn's second is short for a phone on a bad line."""

SIMPLE_PATH = b"/ws"
SIMPLE_MESSAGE_BYTES = 1024 * 1024
"""The simple protocol's messages hold whole sentences; everywhere else the server's own, small limit stays."""
REALTIME_PATH = b"/v1/realtime"
REALTIME_MESSAGE_BYTES = 16 * 1024 * 1024
"""The OpenAI protocol allows 15 MiB of base64 in one event."""
STANDARD_CLOSES = frozenset({1001, 1008, 1011, 1012, 1013})
"""What clients of that protocol act upon; Autobahn keeps an application to 1000 and 3000 upwards."""


@implementer(IPushProducer)
class _Throttle:
    """Told by the transport when its write buffer (64 kB) is full and when it has emptied."""

    def __init__(self, transport) -> None:  # type: ignore[no-untyped-def]
        self._transport = transport

    def pauseProducing(self) -> None:
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is gone: nothing to stop."""


class ThrottledWebSocket(WebSocketProtocol):
    """Daphne's protocol on a transport that throttles its peer."""

    def onOpen(self) -> None:
        self.transport.unregisterProducer()  # the HTTP channel's, which has handed the connection over
        self.transport.registerProducer(_Throttle(self.transport), True)
        self.closeHandshakeTimeout = CLOSE_HANDSHAKE_S
        if self.path == SIMPLE_PATH:
            self.maxMessagePayloadSize = self.maxFramePayloadSize = SIMPLE_MESSAGE_BYTES
        elif self.path == REALTIME_PATH:
            self.maxMessagePayloadSize = self.maxFramePayloadSize = REALTIME_MESSAGE_BYTES
        super().onOpen()

    def serverClose(self, code: int | None = None) -> None:
        if code in STANDARD_CLOSES and self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code)
        else:
            super().serverClose(code)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.transport.unregisterProducer()
        super().onClose(wasClean, code, reason)


def install() -> None:
    """Have every Daphne server of this process made from now on use it."""
    WebSocketFactory.protocol = ThrottledWebSocket
