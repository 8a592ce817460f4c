"""S2SModel: question codes in, answer codes out, in a chosen voice and emotion, with a memory of earlier turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.s2s import live, reading
from ml.s2s.acts import ActReader
from ml.s2s.batch import UNKNOWN, Conditions, Past, S2SBatch, S2SOutput
from ml.s2s.codebooks import Codebooks, codebooks_sha256
from ml.s2s.config import S2SConfig, S2SConfigError
from ml.s2s.decoder import Decoder, DecoderBlock
from ml.s2s.depth import DepthHead
from ml.s2s.encoder import Encoder
from ml.s2s.memory import Memory, Reader
from ml.s2s.phone_lm import Readings, readings, sure
from ml.s2s.sampling import Sampling
from ml.s2s.score import STRIDES, Score, dwell_of
from ml.s2s.second import SecondReading
from ml.s2s.state import S2SState
from ml.s2s.style import Style


class Understood(NamedTuple):
    """What the model made of B questions and of what it remembers."""

    summary: Tensor  # [B, S, C], the question alone
    fused: Tensor  # [B, S, C], having seen the memory
    plan_logits: Tensor | None  # [B, n_plans]


_UNSPOKEN_FRAMES = 50
"""A question as long as this, 2 s, holds a phone per second at the least; people say about ten."""


def _is_speech(said: Readings, frames: int) -> bool:
    """Whether so many frames of speech can be so few phones: of music one "aa" is heard, which would be a yes."""
    phones = max(said, key=lambda reading: reading[1])[0] if said else []
    return frames < _UNSPOKEN_FRAMES or 25 * len(phones) >= frames


class S2SModel(nn.Module):
    """Speech-to-speech model of one `S2SConfig`."""

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.config = config
        self.codec_sha256 = ""  # of the weights file of the codec that it was trained with, for the card
        self.codebooks_sha256 = ""  # identity of the codes that it speaks, see `speaks`
        self.books = Codebooks(config)
        self.encoder = Encoder(config)
        self.reader = Reader(config)
        self.memory = Memory(config)
        self.style = Style(config)
        self.score = Score(config) if config.score_length else None
        self.advance = nn.Linear(config.decoder_width, STRIDES) if config.score_length else None
        self.plan_slot = nn.Linear(config.condition_width, width)
        self.decoder = Decoder(config)
        self.depth = DepthHead(config)
        slots = config.summary_slots * width
        self.plan_head = (
            nn.Sequential(nn.Linear(slots, width), nn.SiLU(), nn.Linear(width, config.n_plans))
            if config.n_plans
            else None
        )
        self.second = SecondReading(config) if config.second_layers else None
        self.phrases = ActReader(config) if config.phrase_buckets else None
        self.intent_head = nn.Linear(slots, config.n_intents) if config.n_intents else None
        self.phone_head = nn.Linear(config.decoder_width, config.n_phones)

    def use_codebooks(self, codebooks: Tensor, sha256: str = "") -> None:
        """Bind the model to a codec: its codebooks `[levels, size, code_dim]` and the sha256 of its weights file."""
        self.books.fill(codebooks)
        self.codebooks_sha256 = codebooks_sha256(codebooks)
        self.codec_sha256 = sha256

    def set_scores(self, scores: Sequence[Sequence[int]]) -> None:
        """Give every plan its score, class ids of phones (`ml.s2s.alignment.score_of`). Raises S2SConfigError."""
        if self.score is None:
            raise S2SConfigError("this model has no scores; set score_length")
        self.score.fill(scores)

    def speaks(self, codebooks: Tensor) -> bool:
        """Whether codes of a codec with these codebooks are the model's own."""
        return codebooks_sha256(codebooks) == self.codebooks_sha256

    def checkpoint_activations(self, on: bool = True) -> None:
        """Recompute the blocks' activations in the backward pass: less memory for a third more time."""
        self.encoder.checkpointing = self.decoder.checkpointing = on

    def compile_blocks(self) -> None:
        """torch.compile the blocks, for training and for streaming; needs a C++ compiler on a CPU.

        Each number of rows compiles on its first use, which takes seconds: warm up before serving.
        """
        for block in self.encoder.blocks:
            block.compile(dynamic=True)
        for block in self.decoder.blocks:
            assert isinstance(block, DecoderBlock)
            block.compile(dynamic=True)
            block.split = torch.compile(block.split, dynamic=True)  # type: ignore[method-assign]
            block.finish = torch.compile(block.finish, dynamic=True)  # type: ignore[method-assign]

    # -- training ----------------------------------------------------------------------------------------

    def forward(self, batch: S2SBatch) -> S2SOutput:
        """Teacher-forced logits of a padded batch; see `S2SOutput` for shapes."""
        config = self.config
        conditions = batch.conditions
        if batch.unconditional is not None:
            conditions = conditions.hide(batch.unconditional)
        vectors, ctc = self.encoder(
            self.books,
            batch.question,
            batch.question_frames,
            levels=batch.question_levels,
            keep=batch.question_keep,
            noise=batch.question_noise,
        )
        newest = torch.arange(batch.question.shape[2], device=vectors.device) - batch.question_frames[:, None]
        there = (newest < 0) & (newest >= -config.question_frames)
        memory, remembered = self._recall(batch.rows, batch.past, vectors)
        understood = self.understand(vectors, there, memory, remembered)
        plan = batch.plan if batch.plan is not None else batch.question_frames.new_full((batch.rows,), -1)
        plan = torch.where(plan < 0, config.n_plans, plan)
        hidden = self.decoder(
            self.books,
            batch.answer,
            self.style(conditions, plan),
            *self.sights(understood, plan, vectors, there, memory, remembered),
            keep=batch.answer_keep,
            told=self._told(batch, plan),
        )
        frames = hidden[:, :-1].reshape(-1, hidden.shape[2])
        codes = batch.answer.transpose(1, 2).reshape(-1, config.levels)
        if batch.depth_frames is not None:
            frames, codes = frames[batch.depth_frames], codes[batch.depth_frames]
        return S2SOutput(
            first=self.depth.first_logits(hidden),
            deeper=self.depth.deeper_logits(self.books, frames, codes),
            ctc=ctc,
            phones=self.phone_head(hidden),
            intent=None if self.intent_head is None else self.intent_head(understood.summary.flatten(1)),
            plan=understood.plan_logits,
            advance=None if self.advance is None else self.advance(hidden),
        )

    def understand(self, vectors: Tensor, there: Tensor, memory: Tensor, remembered: Tensor) -> Understood:
        """Summary of questions `[B, T, C]` (where `there`), fused with the memory `[B, N, C]` (where `remembered`)."""
        summary = self.reader(vectors, there)
        fused = self.memory(summary, memory, remembered)
        return Understood(summary, fused, None if self.plan_head is None else self.plan_head(fused.flatten(1)))

    def heard_again(self, vectors: Tensor, there: Tensor) -> list[Readings]:
        """Phones of questions `[B, T, C]` (where `there`) by the second reading and what people are likely to say, in
        up to eight ways; [] in a model without.
        """
        if (each := self.phones_again(vectors, there)) is None:
            return []
        return [self.words(phones) for phones in each]

    def phones_again(self, vectors: Tensor, there: Tensor) -> list[Tensor] | None:
        """The first half of `heard_again`: log-probabilities `[2 T, phones + 1]` of each question; None without."""
        if self.second is None or self.phrases is None:
            return None
        counts = (2 * there.sum(dim=1)).tolist()
        if not vectors.shape[1]:  # nothing was said
            return [vectors.new_zeros(0, self.config.n_phones + 1).cpu() for _ in counts]
        logits = self.second(vectors, there)[-1].float().log_softmax(-1).cpu()
        return [row[:count] for row, count in zip(logits, counts, strict=True)]

    def words(self, phones: Tensor) -> Readings:
        """The second half, of one question."""
        assert self.phrases is not None
        if not len(phones):
            return sure([])
        said = readings(phones, self.phrases.language())
        return said if _is_speech(said, len(phones) // 2) else sure([])

    def sights(
        self, understood: Understood, plan: Tensor, vectors: Tensor, there: Tensor, memory: Tensor, remembered: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Everything that the decoder looks at, `[B, 1 + S + N + T, C]`, and which of it there is (bool)."""
        told = self.plan_slot(self.style.plans(plan))[:, None]
        always = there.new_ones(there.shape[0], 1 + understood.fused.shape[1])
        return (
            torch.cat([told.to(vectors.dtype), understood.fused, memory, vectors], dim=1),
            torch.cat([always, remembered, there], dim=1),
        )

    def summarize(self, codes: Tensor, frames: Tensor) -> Tensor:
        """Summary `[N, S, C]` of whole clips, codes int64 `[N, levels, T]` with `frames` [N] each."""
        vectors, _ = self.encoder(self.books, codes, frames)
        return self.summarize_vectors(vectors, frames)

    def summarize_vectors(self, vectors: Tensor, frames: Tensor) -> Tensor:
        """The same of what the encoder made of the clips, `[N, T, C]`."""
        newest = torch.arange(vectors.shape[1], device=vectors.device) - frames[:, None]
        return self.reader(vectors, (newest < 0) & (newest >= -self.config.question_frames))

    # -- streaming ---------------------------------------------------------------------------------------

    def streaming_state(self, rows: int) -> S2SState:
        """A fresh state for `rows` rows, on the device of the weights."""
        return S2SState(self.config, self.encoder, rows)

    def listen(self, codes: Tensor, state: S2SState, rows: Sequence[int]) -> None:
        """Question frames as they come: codes int64 `[n, levels, k]`, k >= 0, of the n rows named."""
        live.listen(self, codes, state, rows)

    def read_whole(self, state: S2SState, rows: Sequence[int]) -> None:
        """Read the questions of rows as if they were over: the first half of `begin`'s work, for who does not want to
        do all of it at once. What is heard after it makes it void.
        """
        reading.read_whole(self, state, rows)

    def read_next(self, state: S2SState, row: int) -> None:
        """The next of the two halves of `read_whole`, its second reading or its words; nothing once both are done."""
        reading.read_next(self, state, row)

    def has_read(self, state: S2SState, row: int) -> bool:
        """Whether `begin` finds all of that done."""
        return reading.has_read(state, row)

    def begin(
        self,
        state: S2SState,
        rows: Sequence[int],
        conditions: Conditions,
        seeds: Sequence[int],
        sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
        plans: Sequence[int] | None = None,
    ) -> None:
        """The question is over, or might be: choose the answer (`conditions` of n rows, a seed each).

        `plans` prescribes answers, -1 for the model's own choice. Speculative: `state.rewind(rows)` undoes it and the
        rows listen on.
        """
        live.begin(self, state, rows, conditions, seeds, sampling, plans)

    def restyle(self, state: S2SState, rows: Sequence[int], conditions: Conditions) -> None:
        """Change voice, emotion or dials of rows that are answering, from their next frame on."""
        live.restyle(self, state, rows, conditions)

    def step(
        self,
        state: S2SState,
        rows: Sequence[int],
        sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
    ) -> tuple[Tensor, list[bool]]:
        """One answer frame of each of n rows: codes int64 `[n, levels]`, and which rows had ended before it.

        A row that ended has no frame (its codes are 0). It does at `config.max_frames` at the latest.
        """
        return live.step(self, state, rows, sampling)

    def remember(self, state: S2SState, rows: Sequence[int], heard: Sequence[int] | None = None) -> None:
        """Fold question and answer of n rows into their memory and make them ready to listen to the next turn.

        `heard` gives the answer frames that the user really heard (after a barge-in); all that were drawn when None.
        """
        live.remember(self, state, rows, heard)

    def recall(self, state: S2SState, row: int, turns: Sequence[live.Turn]) -> None:
        """Make a row remember `turns`, oldest first, from their codes: a resumed session, or other weights."""
        live.recall(self, state, row, turns)

    # -- helpers -----------------------------------------------------------------------------------------

    def _told(self, batch: S2SBatch, plan: Tensor) -> Tensor | None:
        """What the score says at each position of the decoder, `[B, Ta + 1, C]`; None without scores."""
        if self.score is None:
            return None
        at = batch.answer_at
        if at is None:
            at = batch.question_frames.new_full((batch.rows, batch.answer.shape[2]), UNKNOWN)
        vectors, lengths = self.score.read(plan)
        at = torch.where(lengths[:, None] > 0, at, UNKNOWN).minimum(lengths[:, None] - 1)
        # The position of the end token is where the last frame is; padding stays there too.
        time = torch.arange(at.shape[1] + 1, device=at.device)
        pointer = at.gather(1, time.minimum((batch.answer_frames - 1).clamp_min(0)[:, None]))
        return self.score.at(vectors, pointer, dwell_of(pointer))

    def _recall(self, rows: int, past: Past | None, like: Tensor) -> tuple[Tensor, Tensor]:
        """Memory vectors `[B, N, C]` and which of them there are; N is 0 when no row remembers anything."""
        config = self.config
        if past is None or not len(past.row):
            return like.new_zeros(rows, 0, like.shape[2]), torch.zeros(rows, 0, dtype=torch.bool, device=like.device)
        longest = max(past.question.shape[2], past.answer.shape[2])
        clips = torch.cat([functional.pad(c, (0, longest - c.shape[2])) for c in (past.question, past.answer)])
        frames = torch.cat([past.question_frames, past.answer_frames])
        summaries = self.summarize(clips, frames)
        row, turn = past.row.repeat(2), past.age.repeat(2) - 1
        side = torch.arange(2, device=row.device).repeat_interleave(len(past.row))
        turns = int(past.age.max())
        shape = (rows, config.memory_turns, 2, config.summary_slots, config.encoder_width)
        memory = summaries.new_zeros(shape).index_put((row, turn, side), summaries)
        there = torch.zeros(shape[:4], dtype=torch.bool, device=row.device)
        there = there.index_put((row, turn, side), (frames > 0)[:, None].expand(-1, config.summary_slots))
        size = turns * 2 * config.summary_slots
        return self.memory.marked(memory)[:, :size], there.flatten(1)[:, :size]
