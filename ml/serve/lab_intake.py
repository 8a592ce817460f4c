"""One connection's recording for the lab or a caption: parts come in, answers go out. Lives on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import numpy as np

from ml.serve import wire
from ml.serve.lab import Lab, LabJob, Reply


class LabIntake:
    """Collects what was announced and hands it to the lab. ``send`` is called on the event loop."""

    def __init__(
        self,
        request: wire.Lab | wire.Caption,
        lab: Lab,
        send: Callable[[wire.Message], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.done = False
        self._request = request
        self._lab = lab
        self._send = send
        self._loop = loop
        self._parts = bytearray()
        self._job: LabJob | None = None

    def add(self, part: wire.LabUp) -> bool:
        """Take a part; with the last one the work begins. False: too many wait. Raises WireError for too much."""
        wanted = 2 * self._request.samples
        if self._job is not None or len(self._parts) + len(part.pcm) > wanted:
            raise wire.WireError("frame_size", f"the recording was announced with {self._request.samples} samples")
        self._parts += part.pcm
        if len(self._parts) < wanted:
            return True
        pcm = np.frombuffer(self._parts, dtype="<i2").astype(np.int16)
        self._job = LabJob(self._request, pcm, self._said)
        return self._lab.submit(self._job)

    def forget(self) -> None:
        """Nobody waits for the result any more."""
        if self._job is not None:
            self._job.gone = True

    def _said(self, reply: Reply) -> None:
        # on the lab's thread
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._deliver, reply)

    def _deliver(self, reply: Reply) -> None:
        if self._job is None or self._job.gone:
            return
        self.done = not isinstance(reply, wire.LabPiece)
        self._send(reply)
