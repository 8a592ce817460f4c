"""The figures of a second."""

from __future__ import annotations

import numpy as np

from apps.voice.inference_client import AudioDown
from apps.voice.meter import LATE_MS, Meter


def down(encode_us: int) -> AudioDown:
    return AudioDown(0, 0, 0, 100, encode_us, 300, np.zeros((8, 4), np.uint16), bytes(640))


def test_fifty_frames_a_second_are_sixteen_kilobits_at_eight_levels() -> None:
    meter = Meter()
    for encode_us in range(1000, 51_000, 1000):
        meter.coded(down(encode_us))
        meter.sent(5.0)
    stats = meter.second(1.0, quantizers=8, ahead_ms=80.04)
    assert (stats.bitrate_bps, stats.encode_ms, stats.queue_ms, stats.decode_ms) == (16_000, 25.5, 0.1, 0.3)
    assert (stats.server_ms, stats.ahead_ms, stats.late) == (5.0, 80.0, 0)


def test_levels_and_time_scale_the_bit_rate_and_counters_outlive_the_second() -> None:
    meter = Meter()
    meter.dropped, meter.lost = 2, 3
    meter.sent(LATE_MS + 1)
    for _ in range(50):
        meter.coded(down(1))
    assert meter.second(2.0, quantizers=3, ahead_ms=0).bitrate_bps == 3_000
    empty = meter.second(1.0, quantizers=3, ahead_ms=0)
    assert (empty.bitrate_bps, empty.server_ms, empty.encode_ms) == (0, 0.0, 0.0)
    assert (empty.dropped, empty.lost, empty.late) == (2, 3, 1)
