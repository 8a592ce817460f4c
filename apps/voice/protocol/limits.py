"""Sizes and times of native protocol v1."""

from __future__ import annotations

PROTOCOL_VERSION = 1
SAMPLE_RATE = 16_000
FRAME_SAMPLES = 320
FRAME_MS = 20
BYTES_PER_MS = SAMPLE_RATE * 2 // 1000

UP_PAYLOAD_BYTES = FRAME_SAMPLES * 2
DOWN_PAYLOAD_MIN = 160
DOWN_PAYLOAD_MAX = 6400
DOWN_PAYLOAD_STEP = 160
OPUS_MAX_BYTES = 1275
"""The largest frame of RFC 6716; 20 ms of speech take about 80."""
MAX_BINARY_BYTES = 8192
MAX_TEXT_BYTES = 16_384

HELLO_TIMEOUT_S = 5.0
MAX_OFFENCES = 5
"""The connection closes with the code of the offence at the fifth one."""

U32_MAX = 0xFFFF_FFFF
