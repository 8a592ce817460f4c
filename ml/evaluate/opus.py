"""Opus (RFC 6716, libopus through PyAV) as the yardstick: encode and decode at a bit rate, aligned with the input."""

from __future__ import annotations

import io

import av
import numpy as np
from scipy.signal import correlate

from ml.audio.io import SAMPLE_RATE, Samples


def opus_round_trip(audio: Samples, kbps: float) -> tuple[Samples, float]:
    """`audio` through Opus; returns (decoded, same length and aligned; bit rate really used in kbps)."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono", options={"application": "voip"})
        stream.bit_rate = round(kbps * 1000)
        pcm = np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        payload = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            payload += packet.size
            container.mux(packet)
    buffer.seek(0)
    with av.open(buffer) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        parts = [
            out.to_ndarray().reshape(-1)
            for decoded in [*container.decode(audio=0), None]
            for out in resampler.resample(decoded)
        ]
    return align(audio, np.concatenate(parts).astype(np.float32)), payload * 8 / (len(audio) / SAMPLE_RATE) / 1000


def align(reference: Samples, estimate: Samples, limit: int = 1_600) -> Samples:
    """`estimate` shifted by its best lag within `limit` samples and cut or padded to the reference's length."""
    lags = correlate(estimate, reference, mode="full", method="fft")
    centre = len(reference) - 1
    low = max(0, centre - limit)
    shift = int(np.argmax(lags[low : centre + limit + 1])) + low - centre
    moved = estimate[shift:] if shift >= 0 else np.concatenate([np.zeros(-shift, np.float32), estimate])
    return np.ascontiguousarray(np.pad(moved, (0, max(0, len(reference) - len(moved))))[: len(reference)], np.float32)
