"""Does the microphone hear the loudspeaker? How much of what came in is explained by what was played lately.

Network, the browser's buffer and the room decide the delay, and nobody tells it: it is found by cross-correlation over
the whole of what was played. Around it the room is a filter of 120 ms, fitted by least squares (Wiener's filter, by
Levinson's recursion) to the last moments; what it predicts of the microphone is the loudspeaker's, the rest somebody
else's. Correlation alone, without the filter, mistook what a canceller leaves of her voice for a person: a reverberant
echo is like no single delayed copy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, solve_toeplitz

Floats = npt.NDArray[np.float32]

_DECIMATE = 4
"""To 4 kHz, where most of a voice is."""
_TAPS = 480
_BEFORE = 16
"""Taps before the strongest path: a direct sound may be weaker than its echo."""
_SILENT = 1e-7
_RIDGE = 0.01


class EchoGuard:
    """What one session was sent in the last ``history_ms``; how much it explains of the mic's last ``window_ms``."""

    def __init__(self, sample_rate: int = 16_000, history_ms: int = 2_400, window_ms: int = 480) -> None:
        self._played = np.zeros(sample_rate * history_ms // 1000, np.float32)
        self._heard = np.zeros(sample_rate * window_ms // 1000, np.float32)

    def reset(self) -> None:
        """Another session."""
        self._played[:] = 0.0
        self._heard[:] = 0.0

    def played(self, audio: Floats) -> None:
        """Audio (float32 [n], in [-1, 1]) that goes to the loudspeaker."""
        _push(self._played, audio)

    def heard(self, audio: Floats) -> None:
        """Audio from the microphone (float32 [n])."""
        _push(self._heard, audio)

    def explained(self) -> float:
        """Share of the microphone's energy that is what was played: 0 (another sound) to 1 (nothing else)."""
        mic, out = _thin(self._heard), _thin(self._played)
        power = float(np.dot(mic, mic))
        if power < _SILENT or float(np.dot(out, out)) < _SILENT:
            return 0.0
        lags = len(out) - len(mic) + 1
        cross = _correlation(out, mic)[:lags]
        energy = np.concatenate([[0.0], np.cumsum(np.square(out))])
        local = energy[len(mic) :] - energy[:lags]
        strongest = int(np.argmax(np.abs(cross) / np.sqrt(np.maximum(local, 1e-6))))
        # Tap j of the filter takes what was played j samples before `first` reaches the microphone.
        first = min(lags - 1, strongest + _BEFORE)
        taps = min(_TAPS, first + 1)
        source = out[first - taps + 1 : first + len(mic)]
        own = _correlation(source, source)[:taps] * (len(mic) / len(source))
        own[0] = own[0] * (1.0 + _RIDGE) + 1e-6
        try:
            room = solve_toeplitz(own, cross[first - np.arange(taps)])
        except LinAlgError:
            return 0.0
        rest = mic - np.convolve(source, room, "valid")
        return float(np.clip(1.0 - np.dot(rest, rest) / power, 0.0, 1.0))


def _correlation(long: npt.NDArray[np.float64], short: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum of `long[k + i] * short[i]` over i, for every k from 0 on."""
    size = 1 << (len(long) + len(short) - 2).bit_length()
    return np.fft.irfft(np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size)), size)


def _push(ring: Floats, audio: Floats) -> None:
    n = min(len(audio), len(ring))
    ring[: -n or None] = ring[n:]
    if n:
        ring[-n:] = audio[-n:]


def _thin(audio: Floats) -> npt.NDArray[np.float64]:
    return audio.reshape(-1, _DECIMATE).mean(axis=1, dtype=np.float64)
