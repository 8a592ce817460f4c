"""What the client's configuration means to the core, and whether it is in force there."""

from __future__ import annotations

import asyncio

from apps.voice.native import NativeClient
from apps.voice.openai_realtime.session import SessionConfig
from apps.voice.protocol import SessionConfig as CoreConfig
from ml.serve.wire import Listen

IN_FORCE_S = 3.0
"""A change of the configuration goes through the database; audio waits for it, but not for ever."""

TAKING = ("turn_taking", "endpoint_min_ms", "endpoint_max_ms")


class Tuning:
    """Tells the core the configuration, and of later ones what changed."""

    def __init__(self, core: NativeClient, config: SessionConfig) -> None:
        self._core = core
        self._config = config
        self._said = config.wishes()
        self._listening = Listen()
        self._in_force = asyncio.Event()
        self._in_force.set()

    def greet(self, name: str) -> None:
        """The first message of the session."""
        self._said = self._config.wishes()
        self._core.say(type="hello", protocol=1, mode="talk", client=name[:200], **self._said)

    def begun(self) -> None:
        """The session is there and can be told the rest."""
        self._listen()

    def follow(self) -> None:
        """The configuration may have changed."""
        wishes, before = self._config.wishes(), self._said
        self._said = wishes
        if wishes != before:
            if wishes["turn_taking"] != before["turn_taking"]:
                self._in_force.clear()
            self._core.say(type="config", **wishes)
        self._listen()

    def answered(self, told: CoreConfig | None) -> None:
        """The core tells what is in force; None: it refused something."""
        if told is None or all(getattr(told, name) == self._said.get(name) for name in TAKING if name in self._said):
            self._in_force.set()

    async def in_force(self) -> None:
        """Wait until turns are taken as the client wants."""
        if not self._in_force.is_set():
            try:
                async with asyncio.timeout(IN_FORCE_S):
                    await self._in_force.wait()
            except TimeoutError:
                self._in_force.set()

    def _listen(self) -> None:
        if (wanted := self._config.listening()) != self._listening:
            self._listening = wanted
            self._core.listen(wanted)
