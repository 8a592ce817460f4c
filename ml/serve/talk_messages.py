"""Messages of a conversation (mode ``talk``), and of changing models while the server runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Codes: TypeAlias = npt.NDArray[np.uint16]
TurnTaking: TypeAlias = Literal["stream", "turn", "push"]
KeyEvent: TypeAlias = Literal["press", "release", "commit", "cancel", "reply"]
Answered: TypeAlias = Literal["now", "later", "asked"]
"""When a turn is answered: at once; once the answer that it did not stop is over; when a ``reply`` is wanted."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How answers sound: weights of the voices by slug, an emotion with its intensity (0..1), and the dials.

    ``pitch_semitones`` and ``energy_db`` shift, ``rate`` multiplies, ``accent`` is 0..1.
    """

    speakers: Mapping[str, float] = field(default_factory=dict)
    emotion: str = "neutral"
    intensity: float = 1.0
    pitch_semitones: float = 0.0
    energy_db: float = 0.0
    rate: float = 1.0
    accent: float = 0.0


@dataclass(frozen=True, slots=True)
class Key:
    """Push-to-talk: the key went down or up. ``commit`` has even the shortest turn answered, ``cancel`` drops it.

    ``reply`` wants an answer now: to what is being said, else to the turn that waits for one, else to nothing at all.
    """

    type: ClassVar[str] = "key"
    event: KeyEvent


@dataclass(frozen=True, slots=True)
class Listen:
    """What counts as speech from now on: its probability (``threshold``), and how much from before it is heard.

    None is the server's own; what a change of turn-taking does not touch. ``answers``: turns are answered unasked;
    ``interruptible``: speech stops the answer, else it is the next turn.
    """

    type: ClassVar[str] = "listen"
    threshold: float | None = None
    preroll_ms: int | None = None
    answers: bool = True
    interruptible: bool = True


@dataclass(frozen=True, slots=True)
class Forget:
    """The model forgets this conversation."""

    type: ClassVar[str] = "forget"


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """A turn of an earlier connection, for the model to remember: codes uint16 [levels, frames] of both sides.

    ``plan`` is that of its `Answer`, where it is known and of this very model: the codes of an answer that was cut
    short do not tell it, since what was heard of it resembles no whole answer.
    """

    question: Codes
    answer: Codes
    plan: int | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        same = np.array_equal(self.question, other.question) and np.array_equal(self.answer, other.answer)
        return same and self.plan == other.plan

    def __hash__(self) -> int:
        return hash((self.question.tobytes(), self.answer.tobytes(), self.plan))


@dataclass(frozen=True, slots=True)
class Load:
    """Bring another model beside the running one (administration; needs no session).

    ``kind`` codec or s2s; ``file`` is a path that the server can read, its card beside it; ``sha256`` of the file.
    """

    type: ClassVar[str] = "load"
    kind: Literal["codec", "s2s"]
    preset: str
    file: str
    sha256: str


# --------------------------------------------------------------------------------------------- server -> client


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the person said is over, and will be answered as ``answered`` says: turn number ``turn`` of this connection.

    Times are media time of the input; ``reason`` silence, released or too_long. Its codes follow as `TurnCodes`.
    """

    type: ClassVar[str] = "endpoint"
    turn: int
    start_ms: int
    end_ms: int
    decided_ms: int
    reason: str
    finished: float
    answered: Answered = "now"


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens to the answer of ``turn``.

    ``started`` comes before its first audio, with ``latency`` in ms by stage and ``plan``, which of the answers that
    the model knows it took (None: it does not tell); ``ended`` after its last (``reason`` end or limit);
    ``interrupted`` when the person spoke over it (``reason`` barge_in, pressed, client, continued or changed);
    ``resumed`` when that was none: audio goes on from ``at_ms`` within the answer, in the generation of then.
    """

    type: ClassVar[str] = "answer"
    turn: int
    event: Literal["started", "ended", "interrupted", "resumed"]
    at_ms: int = 0
    reason: str = ""
    latency: Mapping[str, float] = field(default_factory=dict)
    plan: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TurnCodes:
    """The dialogue codec's codes of what the person said in ``turn``: uint16 [levels, frames], 25 a second."""

    turn: int
    codes: Codes

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TurnCodes):
            return NotImplemented
        return self.turn == other.turn and np.array_equal(self.codes, other.codes)

    def __hash__(self) -> int:
        return hash((self.turn, self.codes.tobytes()))


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is in place: sessions that begin from now on have it."""

    type: ClassVar[str] = "loaded"
    kind: str
    models: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The model cannot be used; whatever ran goes on."""

    type: ClassVar[str] = "load_failed"
    code: str
    message: str
