"""Messages for work on a recording beside the live sessions: through a codec and back, or to an approximate caption."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ml.serve.talk_messages import Codes

MAX_LAB_SAMPLES = 20 * 16_000
"""What one request to the codec lab may bring: 20 s at 16 kHz."""
MAX_CAPTION_SAMPLES = 40 * 16_000
"""The longest turn, and a little."""
MAX_LAB_PIECE_BYTES = 64 * 1024
"""PCM in one message of a recording on its way up."""


@dataclass(frozen=True, slots=True)
class Lab:
    """Ask for a recording to be encoded and decoded; ``samples`` of PCM16 follow in `LabUp` messages.

    Needs no session and takes no slot. Answered by `LabPiece` messages in order, then `LabDone`; by `Busy` when too
    many wait; by `Error` for a preset that is not here.
    """

    type: ClassVar[str] = "lab"
    preset: str
    quantizers: int
    samples: int


@dataclass(frozen=True, slots=True)
class Caption:
    """Ask what was said in a recording; ``samples`` of PCM16 follow in `LabUp` messages.

    Needs no session. Answered by `Captioned`, by `Busy` when too many wait, by `Error` without a recogniser.
    """

    type: ClassVar[str] = "caption"
    samples: int


@dataclass(frozen=True, slots=True)
class LabUp:
    """The next part of the recording: PCM16LE, 16 kHz, mono."""

    pcm: bytes


@dataclass(frozen=True, slots=True, eq=False)
class LabPiece:
    """The next part of the result: all levels of its codes uint16 [levels, frames], and PCM16LE at 16 kHz.

    The audio of all pieces together is as long as the recording and in step with it: the codec's delay is taken off.
    """

    codes: Codes
    pcm: bytes

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabPiece):
            return NotImplemented
        return self.pcm == other.pcm and np.array_equal(self.codes, other.codes)

    def __hash__(self) -> int:
        return hash((self.pcm, self.codes.tobytes()))


@dataclass(frozen=True, slots=True)
class LabDone:
    """The recording is through. Times in ms: ``waited_ms`` for its turn, the others of computing alone."""

    type: ClassVar[str] = "lab_done"
    hop: int
    kbps: float
    snr_db: float
    delay_ms: float
    waited_ms: float
    encode_ms: float
    decode_ms: float
    model: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Captioned:
    """Telugu text for a recording, approximate; empty where nothing was recognised.

    ``distance`` is the share of phones that differ from the text's own; ``known``: the text is one of the corpus.
    """

    type: ClassVar[str] = "captioned"
    text: str
    distance: float
    known: bool
