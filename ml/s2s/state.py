"""Streaming state of a batch of rows: what each listens to, says and remembers.

Every call names the rows that take part; the others cost nothing and do not change. Tensors are preallocated with a
row axis first; counters live on the host, where a step needs them to choose its views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ml.codec.streaming import StreamState
from ml.s2s.config import S2SConfig
from ml.s2s.decoder import Caches
from ml.s2s.encoder import Encoder
from ml.s2s.phone_lm import Readings


class S2SStateError(ValueError):
    """A call that a row's state does not allow; the message says what to do first."""


@dataclass(frozen=True, slots=True)
class HeardAgain:
    """The first half of a `WholeQuestion`."""

    frames: int
    vectors: Tensor
    phones: Tensor | None
    """Log-probabilities `[2 T, phones + 1]` by the second reading; None in a model without."""
    path: list[int]
    """Likeliest phone classes by the encoder."""


@dataclass(frozen=True, slots=True)
class WholeQuestion:
    """A question read as if it were over."""

    frames: int
    """Its length, by which what was read is known to be out of date."""
    vectors: Tensor
    """`[T, encoder_width]`, with those of the last, unfinished chunk."""
    readings: Readings
    """Its phones, in several ways; none in a model that does not choose by them."""


@dataclass(slots=True)
class Row:
    """Counters of one row."""

    heard: int = 0
    """Question frames that the encoder has read, a multiple of its chunk."""
    pending: int = 0
    """Frames that wait for the rest of their chunk."""
    answering: bool = False
    ended: bool = False
    at: int = 0
    """Answer frames so far."""
    sights: int = 0
    """Vectors that the decoder looks at."""
    plan: int = -1
    """Answer that the plan head chose; -1 without a plan."""
    score: int = 0
    """Phones of its score; 0 without one."""
    pointer: int = 0
    """Place in the score of the coming frame."""
    dwell: int = 0
    """Frames for which the pointer has been there."""
    patience: int = 32
    """Frames after which it moves on by itself."""
    path: list[int] = field(default_factory=list)
    """Likeliest phone classes of the newest question frames, two per frame, as far as `heard` goes."""
    half: HeardAgain | None = None
    whole: WholeQuestion | None = None
    """What was read ahead of `begin`."""
    memory: list[tuple[bool, bool]] = field(default_factory=list)
    """Remembered turns, newest first: whether there is a question and an answer side."""
    plans: list[int] = field(default_factory=list)
    """Plans of the remembered turns, newest first; -1 where one is not known."""

    @property
    def frames(self) -> int:
        """Question frames so far."""
        return self.heard + self.pending


class S2SState:
    """State of `rows` rows; made by `S2SModel.streaming_state`."""

    def __init__(self, config: S2SConfig, encoder: Encoder, rows: int) -> None:
        like = encoder.enter.weight
        self.config = config
        self.device = like.device
        self.rows = [Row() for _ in range(rows)]
        self.encoder = StreamState(rows)
        encoder.allocate(self.encoder)
        self.encoder.allocate("vectors", config.question_frames, config.encoder_width, like)
        self.pending = self._codes(rows, config.chunk)
        self.said = self._codes(rows, config.max_frames)
        heads, dim = config.decoder_heads, config.decoder_width // config.decoder_heads
        slots = config.summary_slots
        sights = 1 + slots + config.memory_turns * 2 * slots + config.question_frames

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(rows, *shape, dtype=like.dtype, device=like.device)

        layers = config.decoder_layers
        self.caches = Caches(
            zeros(layers, heads, config.window, dim),
            zeros(layers, heads, config.window, dim),
            zeros(layers, heads, sights, dim),
            zeros(layers, heads, sights, dim),
        )
        self.modulation = zeros(layers, 4, config.decoder_width)
        self.summary = zeros(slots, config.encoder_width)
        self.memory = zeros(config.memory_turns, 2, slots, config.encoder_width)
        self.score = zeros(max(1, config.score_length), config.score_width)
        self.draws = torch.zeros(rows, config.max_frames + 1, config.levels + 1, device=like.device)

    def _codes(self, rows: int, frames: int) -> Tensor:
        return torch.zeros(rows, self.config.levels, frames, dtype=torch.int64, device=self.device)

    def index(self, rows: Sequence[int]) -> Tensor:
        """Row numbers as a tensor; each must exist and appear once."""
        if len(set(rows)) != len(rows) or not all(0 <= row < len(self.rows) for row in rows):
            raise S2SStateError(f"rows must be different numbers from 0 to {len(self.rows) - 1}, got {list(rows)}")
        return torch.tensor(list(rows), dtype=torch.int64, device=self.device)

    # -- one turn ----------------------------------------------------------------------------------------

    def rewind(self, rows: Sequence[int]) -> None:
        """Undo `begin` and every step since: the rows listen on as if they had never begun."""
        for row in rows:
            counters = self.rows[row]
            counters.answering, counters.ended = False, False
            counters.at = counters.sights = counters.score = counters.pointer = counters.dwell = 0
            counters.plan = -1

    def clear(self, rows: Sequence[int]) -> None:
        """Drop the present turn, question and answer; the memory stays."""
        self.rewind(rows)
        index = self.index(rows)
        for buffer in self.encoder.buffers.values():
            buffer.index_fill_(0, index, 0.0)
        for row in rows:
            self.rows[row].heard = self.rows[row].pending = 0
            self.rows[row].half = self.rows[row].whole = None
            self.rows[row].path.clear()

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Forget everything about `rows` (all when None), as at the start of a session."""
        rows = range(len(self.rows)) if rows is None else rows
        self.clear(rows)
        for row in rows:
            self.forget(row)

    # -- memory ------------------------------------------------------------------------------------------

    def forget(self, row: int) -> None:
        """Drop the memory of a row."""
        self.rows[row].memory.clear()
        self.rows[row].plans.clear()

    def push_memory(self, row: int, sides: Tensor, there: tuple[bool, bool], plan: int) -> None:
        """Remember a turn: summaries `[2, S, C]` of question and answer, which of them there are, and the plan."""
        memory = self.memory[row]
        memory.copy_(torch.cat([sides[None].to(memory.dtype), memory[:-1]]))
        turns = self.rows[row].memory
        turns.insert(0, there)
        del turns[self.config.memory_turns :]
        self.rows[row].plans.insert(0, plan)
        del self.rows[row].plans[self.config.memory_turns :]

    def remembered(self, rows: Sequence[int]) -> Tensor:
        """Which memory vectors of `rows` there are: bool `[n, turns * 2 * S]`, as far as the longest memory goes."""
        turns = max(len(self.rows[row].memory) for row in rows)
        there = torch.zeros(len(rows), turns, 2, self.config.summary_slots, dtype=torch.bool)
        for i, row in enumerate(rows):
            for age, (question, answer) in enumerate(self.rows[row].memory):
                there[i, age, 0], there[i, age, 1] = question, answer
        return there.flatten(1).to(self.device)

    def export_memory(self, row: int) -> dict[str, Tensor]:
        """The memory of a row, newest first: `vectors` `[turns, 2, S, C]`, `there` bool `[turns, 2]`, `plans`."""
        turns = self.rows[row].memory
        there = torch.tensor(turns, dtype=torch.bool).reshape(len(turns), 2)
        plans = torch.tensor(self.rows[row].plans, dtype=torch.int64)
        return {"vectors": self.memory[row, : len(turns)].to("cpu", copy=True), "there": there, "plans": plans}

    def import_memory(self, row: int, memory: dict[str, Tensor]) -> None:
        """Take over what `export_memory` of a state of the same weights gave. Raises S2SStateError."""
        vectors, there = memory["vectors"], memory["there"]
        turns = vectors.shape[0]
        if vectors.shape[1:] != self.memory.shape[2:] or there.shape != (turns, 2) or turns > self.memory.shape[1]:
            raise S2SStateError(
                f"memory {tuple(vectors.shape)} does not fit {tuple(self.memory.shape[1:])}; rebuild it with recall()"
            )
        self.memory[row, :turns] = vectors.to(self.memory)
        self.rows[row].plans = [int(plan) for plan in memory["plans"]]
        self.rows[row].memory = [(bool(question), bool(answer)) for question, answer in there.tolist()]
