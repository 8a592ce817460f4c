"""Does the microphone hear the loudspeaker? Likeness of what came in with what was played lately.

Measured by normalised cross-correlation over every delay within the window: network, the browser's buffer and the room
decide it, and nobody tells it. (Whitened spectra, as for finding the delay itself, tell the two cases apart less well:
the room's tail spoils the phases.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_DECIMATE = 2


class EchoGuard:
    """What one session was sent in the last ``history_ms``, and how like it the last ``window_ms`` from the mic are."""

    def __init__(self, sample_rate: int = 16_000, history_ms: int = 2_400, window_ms: int = 320) -> None:
        self._window = sample_rate * window_ms // 1000
        self._played = np.zeros(sample_rate * history_ms // 1000, np.float32)
        self._heard = np.zeros(self._window, np.float32)
        length = (len(self._played) + self._window) // _DECIMATE
        self._size = 1 << (length - 1).bit_length()

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

    def likeness(self) -> float:
        """0 (another sound) to 1 (the very sound that was played, at some delay)."""
        mic, out = _thin(self._heard), _thin(self._played)
        mic_power = float(np.dot(mic, mic))
        if mic_power < 1e-7 or float(np.dot(out, out)) < 1e-7:
            return 0.0
        cross = np.fft.irfft(np.fft.rfft(out, self._size) * np.conj(np.fft.rfft(mic, self._size)), self._size)
        lags = len(out) - len(mic) + 1
        energy = np.concatenate([[0.0], np.cumsum(np.square(out, dtype=np.float64))])
        local = energy[len(mic) :] - energy[:lags]
        norm = np.sqrt(np.maximum(local, 1e-6) * mic_power)
        return float(min(1.0, np.max(np.abs(cross[:lags]) / norm)))


def _push(ring: Floats, audio: Floats) -> None:
    n = min(len(audio), len(ring))
    ring[: -n or None] = ring[n:]
    if n:
        ring[-n:] = audio[-n:]


def _thin(audio: Floats) -> Floats:
    return audio.reshape(-1, _DECIMATE).mean(axis=1)
