"""Whole files through the codec in blocks, with bounded memory however long they are."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from ml.audio.io import SAMPLE_RATE, AudioError, Samples, stream_audio, unwritable
from ml.codec.model import TeluCodec


@dataclass(frozen=True)
class Reconstruction:
    """What came of one file."""

    seconds: float
    snr_db: float
    kbps: float
    rtf: float
    quantizers: int


def _blocks(path: Path, hop: int) -> Iterator[tuple[Samples, int]]:
    """Blocks padded to whole hops and how many samples of each are real."""
    for block in stream_audio(path):
        if not np.isfinite(block).all():
            raise AudioError(f"{path} holds NaN or infinite samples; repair or cut them first")
        yield np.pad(block, (0, -len(block) % hop)), len(block)


def reconstruct_file(codec: TeluCodec, source: Path, target: Path, quantizers: int | None = None) -> Reconstruction:
    """Encode and decode `source` (any audio file) into `target` (.wav or .flac, 16 kHz mono, aligned in time).

    Raises AudioError for files that cannot be read, hold no samples or cannot be written.
    """
    config = codec.config
    levels = config.n_quantizers if quantizers is None else quantizers
    if not 1 <= levels <= config.n_quantizers:
        raise AudioError(f"quantizers must be 1 to {config.n_quantizers}, got {levels}")
    state = codec.streaming_state(1)
    total, spent, signal, noise = 0, 0.0, 0.0, 0.0
    skip = config.delay_samples
    pending = np.zeros(0, np.float32)  # input not yet matched with delayed output
    partial = target.with_name(f".partial-{target.name}")  # a failure leaves no half file behind
    try:
        out = soundfile.SoundFile(str(partial), "w", samplerate=SAMPLE_RATE, channels=1, subtype="PCM_16")
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise unwritable(target, error) from None
    try:
        with out, torch.inference_mode():
            # The look-ahead comes out of silence behind the end, in whole hops: the delay need not be a number of them.
            flush = (np.zeros(skip + -skip % config.hop, np.float32), 0)
            for block, real in _with_last(_blocks(source, config.hop), flush):
                began = time.perf_counter()
                codes = codec.encode_stream(torch.from_numpy(block)[None], state)
                audio = codec.decode_stream(codes, state, levels)[0].numpy()
                spent += time.perf_counter() - began
                total += real
                pending = np.concatenate([pending, block[:real]])
                audio, skip = audio[skip:], max(0, skip - len(audio))
                ready = min(len(audio), len(pending))
                out.write(np.clip(audio[:ready], -1.0, 1.0))
                signal += float(np.square(pending[:ready], dtype=np.float64).sum())
                noise += float(np.square(pending[:ready] - audio[:ready], dtype=np.float64).sum())
                pending = pending[ready:]
            if not total:
                raise AudioError(f"{source} holds no samples; record it again")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    seconds = total / SAMPLE_RATE
    snr = 10.0 * math.log10(signal / noise) if signal > 0 and noise > 0 else 0.0
    return Reconstruction(seconds, snr, config.kbps(levels), spent / seconds, levels)


def _with_last(blocks: Iterator[tuple[Samples, int]], last: tuple[Samples, int]) -> Iterator[tuple[Samples, int]]:
    any_block = False
    for block in blocks:
        any_block = True
        yield block
    if any_block:
        yield last
