"""A whole turn from audio to audio, at the pace of streaming: what `python -m ml talk` and tests run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ml.audio.io import SAMPLE_RATE, AudioError, Samples
from ml.codec.checkpoint import CheckpointError
from ml.codec.model import TeluCodec
from ml.s2s.batch import Conditions
from ml.s2s.model import S2SModel
from ml.s2s.sampling import Sampling


@dataclass(frozen=True)
class Spoken:
    """An answer and what it cost."""

    audio: Samples
    """float32 [T] at 16 kHz."""
    codes: Tensor
    """int64 [levels, frames]."""
    plan: int
    """Answer that the plan head chose, -1 without one."""
    ended: bool
    """False when the hard limit cut the answer."""
    first_audio_ms: float
    """Computing time from the last question frame to the first samples of the answer."""
    listen_rtf: float
    """Computing time over duration while the question came in (codec and encoder)."""
    rtf: float
    """Computing time over duration of the answer (model and codec)."""

    @property
    def duration_s(self) -> float:
        """Length of the answer in seconds."""
        return len(self.audio) / SAMPLE_RATE


def check_pair(codec: TeluCodec, model: S2SModel) -> None:
    """Raises CheckpointError unless the model speaks the codec's codes."""
    if not model.speaks(codec.quantizer.codebooks):
        raise CheckpointError(
            "the S2S model was trained with another codec than this one: their codebooks differ; use the pair that "
            "was shipped together"
        )


def _frames(codec: TeluCodec, audio: Samples) -> Tensor:
    """Audio float32 [T] in whole hops, `[1, n * hop]`; the last is padded."""
    if not np.isfinite(audio).all():
        raise AudioError("the recording holds NaN or infinite samples; repair or cut them first")
    return torch.from_numpy(np.pad(audio.astype(np.float32), (0, -len(audio) % codec.config.hop)))[None]


@torch.inference_mode()
def hear(codec: TeluCodec, audio: Samples) -> Tensor:
    """Codes int64 `[levels, frames]` of a recording, as the live path would have heard it."""
    frames = _frames(codec, audio)
    if not frames.shape[1]:
        return torch.zeros(codec.config.n_quantizers, 0, dtype=torch.int64)
    return codec.encode_stream(frames, codec.streaming_state(1))[0]


@torch.inference_mode()
def talk(
    codec: TeluCodec,
    model: S2SModel,
    question: Samples,
    conditions: Conditions,
    *,
    seed: int = 0,
    sampling: Sampling | None = None,
    context: Sequence[Samples] = (),
) -> Spoken:
    """Answer a question, audio float32 [T] at 16 kHz, frame by frame as a live session would.

    `context` are the recordings of earlier turns, oldest first: question, answer, question, answer, and so on.
    """
    check_pair(codec, model)
    sampling = sampling or Sampling()
    state = model.streaming_state(1)
    clips = [hear(codec, clip) for clip in context]
    if len(clips) % 2:
        clips.append(torch.zeros(codec.config.n_quantizers, 0, dtype=torch.int64))
    model.recall(state, 0, list(zip(clips[0::2], clips[1::2], strict=True)))
    _warm_up(codec, model, conditions)
    ears, mouth = codec.streaming_state(1), codec.streaming_state(1)
    hop = codec.config.hop
    frames = torch.split(_frames(codec, question), hop, dim=1) if len(question) else ()
    began = last = time.perf_counter()
    for frame in frames:
        last = time.perf_counter()
        model.listen(codec.encode_stream(frame, ears), state, [0])
    heard = time.perf_counter()
    model.begin(state, [0], conditions, [seed], sampling)
    codes: list[Tensor] = []
    audio: list[Tensor] = []
    first = 0.0
    while True:
        drawn, ended = model.step(state, [0], sampling)
        if ended[0]:
            break
        codes.append(drawn[0])
        audio.append(codec.decode_stream(drawn[:, :, None], mouth)[0])
        first = first or time.perf_counter()
    if audio:  # what the decoder still holds back
        flush = codes[-1][None, :, None].repeat(1, 1, -(-codec.config.delay_samples // hop))
        audio.append(codec.decode_stream(flush, mouth)[0])
    done = time.perf_counter()
    samples = torch.cat(audio)[codec.config.delay_samples :] if audio else torch.zeros(0)
    spoken = samples[: len(codes) * hop].clamp(-1.0, 1.0).numpy().astype(np.float32)
    return Spoken(
        audio=spoken,
        codes=torch.stack(codes, dim=1) if codes else torch.zeros(model.config.levels, 0, dtype=torch.int64),
        plan=state.rows[0].plan,
        ended=len(codes) < model.config.max_frames,
        first_audio_ms=1000.0 * ((first or done) - last),
        listen_rtf=(heard - began) * SAMPLE_RATE / max(1, len(question)),
        rtf=(done - heard) * SAMPLE_RATE / max(1, len(spoken)),
    )


def _warm_up(codec: TeluCodec, model: S2SModel, conditions: Conditions) -> None:
    """Two frames of everything: the first call of a shape chooses kernels."""
    state, ears = model.streaming_state(1), codec.streaming_state(1)
    silence = torch.zeros(1, codec.config.hop * model.config.chunk)
    for _ in range(2):
        model.listen(codec.encode_stream(silence, ears), state, [0])
        model.begin(state, [0], conditions, [0])
        codes, _ = model.step(state, [0], Sampling.greedy())
        codec.decode_stream(codes[:, :, None], ears)
        state.reset([0])
