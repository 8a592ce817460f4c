"""Reading a question as if it were over, in two pieces: what `begin` does that needs no memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ml.codec.streaming import StreamState
from ml.s2s.acts import collapsed
from ml.s2s.phone_lm import Readings, sure
from ml.s2s.state import HeardAgain, S2SState, WholeQuestion

if TYPE_CHECKING:
    from ml.s2s.model import S2SModel

_UNDERSTOOD = 2
"""A question so many times as long as what is kept of it is none: whatever its end sounds like, most of it is gone."""


def stream(
    model: S2SModel, state: S2SState, rows: list[int], picked: StreamState
) -> tuple[Tensor, list[list[int]]]:  # fmt: skip
    """Read what each of `rows` has pending: vectors `[n, chunk, C]` and likeliest phone classes, two per frame."""
    heard = torch.tensor([state.rows[row].heard for row in rows], device=state.device)
    count = torch.tensor([state.rows[row].pending for row in rows], device=state.device)
    vectors, phones = model.encoder.stream(model.books, state.pending[rows], heard, count, picked)
    classes = phones.argmax(dim=-1).tolist()
    return vectors, [path[: 2 * state.rows[row].pending] for row, path in zip(rows, classes, strict=True)]


def questions(model: S2SModel, state: S2SState, rows: list[int]) -> tuple[Tensor, Tensor, list[list[int]]]:
    """Encoder vectors of the rows' questions `[n, T, C]` with the last, unfinished chunk, which there are, and the
    likeliest phone classes.

    The state does not change: what follows a speculative beginning is read as if it had not happened.
    """
    config = model.config
    partial = [row for row in rows if state.rows[row].pending]
    flushed: dict[int, Tensor] = {}
    paths = {row: state.rows[row].path for row in rows}
    if partial:
        vectors, ends = stream(model, state, partial, state.encoder.gather(state.index(partial)))
        flushed = {row: vectors[i, : state.rows[row].pending] for i, row in enumerate(partial)}
        paths |= {row: paths[row] + end for row, end in zip(partial, ends, strict=True)}
    stored = state.encoder.buffers["vectors"]
    parts = []
    for row in rows:
        kept = stored[row, config.question_frames - min(state.rows[row].heard, config.question_frames) :]
        parts.append(torch.cat([kept, flushed[row]])[-config.question_frames :] if row in flushed else kept)
    padded = pad_sequence(parts, batch_first=True)
    lengths = torch.tensor([len(part) for part in parts], device=state.device)
    there = torch.arange(padded.shape[1], device=state.device) < lengths[:, None]
    return padded, there, [paths[row] for row in rows]


def has_read(state: S2SState, row: int) -> bool:
    """See `S2SModel.has_read`."""
    whole = state.rows[row].whole
    return whole is not None and whole.frames == state.rows[row].frames


@torch.inference_mode()
def read_whole(model: S2SModel, state: S2SState, rows: Sequence[int]) -> None:
    """See `S2SModel.read_whole`."""
    state.index(rows)
    missing = [row for row in rows if not has_read(state, row)]
    if new := [row for row in missing if not _is_half_read(state, row)]:
        _hear_again(model, state, new)
    for row in missing:
        _find_words(model, state, row)


@torch.inference_mode()
def read_next(model: S2SModel, state: S2SState, row: int) -> None:
    """See `S2SModel.read_next`."""
    state.index([row])
    if not _is_half_read(state, row):
        _hear_again(model, state, [row])
    elif not has_read(state, row):
        _find_words(model, state, row)


def _is_half_read(state: S2SState, row: int) -> bool:
    half = state.rows[row].half
    return half is not None and half.frames == state.rows[row].frames


def _hear_again(model: S2SModel, state: S2SState, rows: list[int]) -> None:
    vectors, there, paths = questions(model, state, rows)
    phones: Sequence[Tensor | None] = model.phones_again(vectors, there) or [None] * len(rows)
    for i, row in enumerate(rows):
        state.rows[row].half = HeardAgain(state.rows[row].frames, vectors[i, there[i]], phones[i], list(paths[i]))


def _find_words(model: S2SModel, state: S2SState, row: int) -> None:
    half = state.rows[row].half
    assert half is not None
    found: Readings = []
    if model.phrases is not None:
        found = sure(collapsed(half.path, model.config.n_phones)) if half.phones is None else model.words(half.phones)
    if found and half.frames > _UNDERSTOOD * model.config.question_frames:
        found = sure([])
    state.rows[row].whole = WholeQuestion(half.frames, half.vectors, found)
