"""Streaming use of the model: listen, begin, step, remember. `S2SModel` inherits these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from ml.s2s.acts import collapsed
from ml.s2s.batch import UNKNOWN, Conditions
from ml.s2s.reading import questions, read_whole, stream
from ml.s2s.sampling import Sampling, draw, uniforms
from ml.s2s.state import Row, S2SState, S2SStateError

if TYPE_CHECKING:
    from ml.s2s.model import S2SModel

_LINGER = 40
"""Frames on the last phone of a score after which an answer is over."""
_STUCK, _PATIENT = 22, 32
"""Frames on one phone after which the pointer moves on: as long as the longest phone or pause of the voices that it
learned from, and as their longest where they laugh or think."""
_SLOW = ("laugh", "thinking")

Turn = tuple[Tensor, Tensor]
"""Codes int64 [levels, frames] of question and answer; no frames for a side that was silent."""


def _check(model: S2SModel, codes: Tensor, rows: int) -> None:
    config = model.config
    if codes.dtype != torch.int64 or codes.dim() != 3 or codes.shape[:2] != (rows, config.levels):
        raise S2SStateError(
            f"codes are int64 [{rows}, {config.levels}, frames], got {codes.dtype} {tuple(codes.shape)}"
        )
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < config.codebook_size:
        raise S2SStateError(f"codes must lie between 0 and {config.codebook_size - 1}")


@torch.inference_mode()
def listen(model: S2SModel, codes: Tensor, state: S2SState, rows: Sequence[int]) -> None:
    """See `S2SModel.listen`."""
    state.index(rows)
    _check(model, codes, len(rows))
    for row in rows:
        if state.rows[row].answering:
            raise S2SStateError(f"row {row} is answering: rewind, remember or clear it before it listens again")
    chunk, total = model.config.chunk, codes.shape[2]
    taken = [0] * len(rows)
    while any(done < total for done in taken):
        full = []
        for i, row in enumerate(rows):
            counters = state.rows[row]
            n = min(chunk - counters.pending, total - taken[i])
            state.pending[row, :, counters.pending : counters.pending + n] = codes[i, :, taken[i] : taken[i] + n]
            counters.pending += n
            taken[i] += n
            if counters.pending == chunk:
                full.append(row)
        if full:
            _read_chunk(model, state, full)


def _read_chunk(model: S2SModel, state: S2SState, rows: list[int]) -> None:
    """Encode the full chunk of each of `rows` for good."""
    index = state.index(rows)
    picked = state.encoder.gather(index)
    vectors, paths = stream(model, state, rows, picked)
    picked.extend("vectors", vectors)
    state.encoder.scatter(index, picked)
    for row, path in zip(rows, paths, strict=True):
        counters = state.rows[row]
        counters.heard += model.config.chunk
        counters.pending = 0
        counters.path = (counters.path + path)[-2 * model.config.question_frames :]


@torch.inference_mode()
def begin(
    model: S2SModel,
    state: S2SState,
    rows: Sequence[int],
    conditions: Conditions,
    seeds: Sequence[int],
    sampling: Sampling,
    plans: Sequence[int] | None,
) -> None:
    """See `S2SModel.begin`."""
    rows = list(rows)
    index = state.index(rows)
    if conditions.speaker.shape != (len(rows), model.config.n_speakers) or len(seeds) != len(rows):
        raise S2SStateError(
            f"begin of {len(rows)} rows takes speaker weights [{len(rows)}, {model.config.n_speakers}] and as many "
            f"seeds, got {tuple(conditions.speaker.shape)} and {len(seeds)}"
        )
    for row in rows:
        if state.rows[row].answering:
            raise S2SStateError(f"row {row} answers already: rewind, remember or clear it first")
    config = model.config
    read_whole(model, state, rows)
    whole = [question for row in rows if (question := state.rows[row].whole) is not None]
    vectors = pad_sequence([question.vectors for question in whole], batch_first=True)
    lengths = torch.tensor([len(question.vectors) for question in whole], device=state.device)
    there = torch.arange(vectors.shape[1], device=state.device) < lengths[:, None]
    remembered = state.remembered(rows)
    memory = model.memory.marked(state.memory[index])[:, : remembered.shape[1]]
    understood = model.understand(vectors, there, memory, remembered)
    if model.phrases is not None:
        before = [state.rows[row].plans[::-1] for row in rows]
        understood = understood._replace(plan_logits=model.phrases([question.readings for question in whole], before))
    for row, seed in zip(rows, seeds, strict=True):
        state.draws[row] = uniforms(seed, config.max_frames + 1, config.levels + 1).to(state.device)
    plan = index.new_full((len(rows),), config.n_plans)
    if understood.plan_logits is not None:
        plan = draw(understood.plan_logits, state.draws[index, -1, 0], sampling.plan_temperature, 0, 0.9)
        if plans is not None:
            wished = torch.tensor(list(plans), device=state.device)
            plan = torch.where(wished < 0, plan, wished.clamp_max(config.n_plans - 1))
    sights, seen = model.sights(understood, plan, vectors, there, memory, remembered)
    for i, row in enumerate(rows):
        kept = sights[i : i + 1, seen[i]]
        count = kept.shape[1]
        for layer, (keys, values) in enumerate(model.decoder.look_at(kept)):
            state.caches.cross_keys[row, layer, :, :count] = keys[0]
            state.caches.cross_values[row, layer, :, :count] = values[0]
        counters = state.rows[row]
        counters.sights, counters.at, counters.answering, counters.ended = count, 0, True, False
        counters.plan = int(plan[i]) if understood.plan_logits is not None else -1
        counters.pointer = counters.dwell = 0
    if model.score is not None:
        scores, lengths = model.score.read(plan)
        state.score[index, : scores.shape[1]] = scores
        for row, length in zip(rows, lengths.tolist(), strict=True):
            state.rows[row].score = length
    state.summary[index] = understood.summary
    _restyled(model, state, rows, conditions, plan)


def _restyled(model: S2SModel, state: S2SState, rows: Sequence[int], conditions: Conditions, plan: Tensor) -> None:
    """Let rows sound as `conditions` say from their next frame on."""
    state.modulation[state.index(rows)] = _modulation(model, conditions.to(state.device), plan)
    for row, emotion in zip(rows, conditions.emotion.tolist(), strict=True):
        slow = emotion == UNKNOWN or model.config.emotions[emotion] in _SLOW
        state.rows[row].patience = _PATIENT if slow else _STUCK


def _modulation(model: S2SModel, conditions: Conditions, plan: Tensor) -> Tensor:
    modulation = model.style(conditions, plan)
    modulation[:, :, 0::2] += 1.0  # scales, as the blocks multiply by them
    return modulation


@torch.inference_mode()
def restyle(model: S2SModel, state: S2SState, rows: Sequence[int], conditions: Conditions) -> None:
    """See `S2SModel.restyle`."""
    rows = list(rows)
    plan = torch.tensor(
        [state.rows[row].plan if state.rows[row].plan >= 0 else model.config.n_plans for row in rows],
        device=state.device,
    )
    _restyled(model, state, rows, conditions, plan)


@torch.inference_mode()
def step(
    model: S2SModel, state: S2SState, rows: Sequence[int], sampling: Sampling
) -> tuple[Tensor, list[bool]]:  # fmt: skip
    """See `S2SModel.step`."""
    config = model.config
    state.index(rows)
    codes = torch.zeros(len(rows), config.levels, dtype=torch.int64, device=state.device)
    going = []
    for i, row in enumerate(rows):
        counters = state.rows[row]
        if not counters.answering:
            raise S2SStateError(f"row {row} has not begun an answer")
        if counters.at >= config.max_frames:
            counters.ended = True
        if not counters.ended:
            going.append(i)
    if going:
        active = [rows[i] for i in going]
        codes[going] = _frame(model, state, active, sampling)
    return codes, [state.rows[row].ended for row in rows]


def _frame(model: S2SModel, state: S2SState, rows: list[int], sampling: Sampling) -> Tensor:
    """Draw the next frame of rows that are answering; codes `[n, levels]`, zeros where the answer ended."""
    at = [state.rows[row].at for row in rows]
    before = torch.stack([state.said[row, :, max(0, frame - 1)] for row, frame in zip(rows, at, strict=True)])
    x = model.decoder.embed(model.books.features(before[:, :, None]), before[:, :1])[:, 0]
    for i, frame in enumerate(at):
        if frame == 0:
            x[i] = model.decoder.start
    index = state.index(rows)
    counters = [state.rows[row] for row in rows]
    if model.score is not None:
        pointers = torch.tensor([[c.pointer if c.score else UNKNOWN] for c in counters], device=state.device)
        dwells = torch.tensor([[c.dwell] for c in counters], device=state.device)
        x = x + model.score.at(state.score[index], pointers, dwells)[:, 0]
    hidden = model.decoder.step(x, state.modulation[index], state.caches, rows, at, [c.sights for c in counters])
    uniform = state.draws[index, torch.tensor(at, device=state.device)]
    may_end = torch.tensor([_may_end(c, sampling) for c in counters], device=state.device)
    drawn = model.depth.generate(model.books, hidden, uniform[:, :-1], sampling, may_end)
    strides = [0] * len(rows)
    if model.advance is not None:
        strides = draw(model.advance(hidden), uniform[:, -1], sampling.pace_temperature, 0, 1.0).tolist()
    for i, (row, first) in enumerate(zip(rows, drawn[:, 0].tolist(), strict=True)):
        if first == model.config.end_code or _over(counters[i]):
            counters[i].ended = True
            drawn[i] = 0
        else:
            state.said[row, :, counters[i].at] = drawn[i]
            counters[i].at += 1
            _move(counters[i], strides[i])
    return drawn


def _may_end(row: Row, sampling: Sampling) -> bool:
    """An answer with a score ends at its end; any other when it likes."""
    return row.at >= sampling.min_frames and row.pointer >= row.score - 2


def _over(row: Row) -> bool:
    """Whether the end token should have come long ago."""
    return row.score > 0 and row.pointer >= row.score - 1 and row.dwell >= _LINGER


def _move(row: Row, stride: int) -> None:
    """Move the pointer on; it never stays on one phone for longer than the voices do."""
    if row.dwell >= row.patience:
        stride = max(1, stride)
    moved = min(row.pointer + stride, max(0, row.score - 1))
    row.dwell = row.dwell + 1 if moved == row.pointer else 0
    row.pointer = moved


@torch.inference_mode()
def remember(model: S2SModel, state: S2SState, rows: Sequence[int], heard: Sequence[int] | None) -> None:
    """See `S2SModel.remember`."""
    for row, frames in zip(rows, [None] * len(rows) if heard is None else heard, strict=True):
        ended = put_by(model, state, row, frames)
        if ended is not None:
            state.push_memory(row, *sum_up(model, ended))


@dataclass(frozen=True)
class Ended:
    """A turn that is over and has still to be summed up."""

    question: Tensor
    """Summary `[S, C]` of the question."""
    asked: bool
    answer: Tensor
    """Codes int64 `[levels, frames]` of what was heard of the answer."""
    plan: int


Remembered = tuple[Tensor, tuple[bool, bool], int]
"""What `S2SState.push_memory` takes: summaries `[2, S, C]` of question and answer, which there are, and the plan."""


@torch.inference_mode()
def put_by(model: S2SModel, state: S2SState, row: int, heard: int | None) -> Ended | None:
    """Make `row` ready for its next turn at once; what is to be remembered of this one is left to `sum_up`."""
    counters = state.rows[row]
    if not counters.answering:
        vectors, there, _ = questions(model, state, [row])
        state.summary[state.index([row])] = model.reader(vectors, there)
    frames = counters.at if heard is None else max(0, min(counters.at, heard))
    asked = counters.frames > 0
    ended = Ended(state.summary[row].clone(), asked, state.said[row, :, :frames].clone(), counters.plan)
    state.clear([row])
    return ended if asked or frames else None


@torch.inference_mode()
def sum_up(model: S2SModel, ended: Ended) -> Remembered:
    """What is remembered of a turn. Touches no state: any thread may do it."""
    frames = ended.answer.shape[1]
    codes = functional.pad(ended.answer, (0, max(0, 1 - frames)))
    answer = model.summarize(codes[None], torch.tensor([frames], device=codes.device))[0]
    return torch.stack([ended.question, answer]), (ended.asked, frames > 0), ended.plan


@torch.inference_mode()
def recall(model: S2SModel, state: S2SState, row: int, turns: Sequence[Turn]) -> None:
    """See `S2SModel.recall`."""
    state.forget(row)
    for remembered in recollect(model, turns):
        state.push_memory(row, *remembered)


@torch.inference_mode()
def recollect(model: S2SModel, turns: Sequence[Turn]) -> list[Remembered]:
    """What is remembered of turns that are known by their codes, oldest first. Touches no state, as `sum_up`."""
    kept = turns[-model.config.memory_turns :]
    clips = [side for turn in kept for side in turn]
    for clip in clips:
        _check(model, clip[None], 1)
    device = model.books.table.device
    lengths = torch.tensor([clip.shape[1] for clip in clips], device=device)
    if not clips or not int(lengths.max()):
        return []
    padded = pad_sequence([clip.T.to(device) for clip in clips], batch_first=True).transpose(1, 2)
    vectors, phones = model.encoder(model.books, padded, lengths)
    summaries = model.summarize_vectors(vectors, lengths)
    classes = phones.argmax(dim=-1).tolist()
    found: list[Remembered] = []
    for i, (question, answer) in enumerate(kept):
        there = (question.shape[1] > 0, answer.shape[1] > 0)
        if any(there):
            plan = nearest_plan(model, classes[2 * i + 1][: 2 * answer.shape[1]])
            found.append((summaries[2 * i : 2 * i + 2], there, plan))
    return found


def nearest_plan(model: S2SModel, path: Sequence[int]) -> int:
    """The plan whose score is nearest to a CTC best path of its answer; -1 when none is near, or there are none.

    So a turn that is only known by its codes, recorded or from another server, counts as what was said in it.
    """
    if model.score is None:
        return UNKNOWN
    said = collapsed(path, model.config.n_phones, silent=(0,))
    plan, distance = model.score.nearest(said)
    return plan if said and distance <= 0.5 * len(said) else UNKNOWN
