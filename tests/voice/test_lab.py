"""The codec lab's address: what it takes, what it refuses, what it says when nobody has time."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
import soundfile
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from apps.voice import lab
from apps.voice.api import lab as api
from ml.serve.wire import LabDone
from voiceplatform.bodies import LAB_BYTES, limit_of

pytestmark = pytest.mark.django_db


def wav(seconds: float = 0.5) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.linspace(-0.5, 0.5, round(seconds * 16_000)), 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def sound(audio: Any, rate: int = 16_000) -> bytes:
    """A WAV of floats, which can hold what 16 bits cannot."""
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def ask(data: bytes, **wish: Any) -> Any:
    upload = SimpleUploadedFile("clip.bin", data)
    return APIClient().post("/api/v1/lab", {"file": upload, **wish}, format="multipart")


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """In place of an inference server, which other tests have: everything half as loud."""
    asked: list[tuple[str, int]] = []

    async def half(*, pcm: bytes, preset: str, quantizers: int) -> lab.LabResult:
        asked.append((preset, quantizers))
        quiet = (np.frombuffer(pcm, "<i2") // 2).astype("<i2").tobytes()
        done = LabDone(80, 2.0 * quantizers, 6.0, 20.0, 1.0, 30.0, 20.0, {"preset": preset})
        return lab.LabResult(quiet, np.zeros((8, 4), np.uint16), done)

    monkeypatch.setattr(api, "lab_reconstruct", half)
    return asked


def test_both_sides_and_the_figures_come_back(mirror: list[tuple[str, int]]) -> None:
    answer = ask(wav(), preset="dialogue", quantizers=3).json()
    assert mirror == [("dialogue", 3)]
    original, rate = soundfile.read(io.BytesIO(base64.b64decode(answer["original"])), dtype="int16")
    assert rate == 16_000
    np.testing.assert_allclose(original / 32_768, np.linspace(-0.5, 0.5, 8000), atol=1e-4)
    back, _ = soundfile.read(io.BytesIO(base64.b64decode(answer["reconstruction"])), dtype="int16")
    np.testing.assert_array_equal(back, original // 2)
    assert answer["real_time_factor"] == pytest.approx(0.05 / 0.5)
    assert (answer["kbps"], answer["snr_db"], answer["seconds"], answer["cut"]) == (6.0, 6.0, 0.5, False)
    assert answer["codes"] == [[0] * 4] * 8


def test_of_a_long_one_the_beginning_is_taken(mirror: list[tuple[str, int]]) -> None:
    answer = ask(wav(20.5)).json()
    assert (answer["seconds"], answer["cut"]) == (20.0, True)
    assert mirror == [("hifi", 8)]


@pytest.mark.parametrize(
    ("data", "samples"),
    [
        pytest.param(sound(np.zeros(8_000)), 8_000, id="silence"),
        pytest.param(sound(np.full((24_000, 2), 4.0), 48_000), 8_000, id="clipping stereo at 48 kHz"),
        pytest.param(sound(np.full(4_000, 0.1), 8_000), 8_000, id="8 kHz"),
        pytest.param(sound(np.full(1, 0.1)), 1, id="1 sample"),
    ],
)
def test_unusual_sound_is_answered(mirror: list[tuple[str, int]], data: bytes, samples: int) -> None:
    answer = ask(data)
    assert answer.status_code == 200, answer.json()
    original, rate = soundfile.read(io.BytesIO(base64.b64decode(answer.json()["original"])), dtype="int16")
    assert (rate, len(original)) == (16_000, samples)


@pytest.mark.parametrize(
    ("data", "wish", "status", "code"),
    [
        (b"%PDF-1.7" + bytes(600), {}, 400, "not_audio"),
        (b"PK\x03\x04" + bytes(600), {}, 400, "not_audio"),
        (b"RIFF\0\0\0\0WAVEjunk" + bytes(600), {}, 400, "not_audio"),
        (wav()[:44], {}, 400, "not_audio"),
        (sound(np.full(8_000, np.nan)), {}, 400, "not_audio"),
        (b"RIFF\0\0\0\0WAVE" + bytes(lab.MAX_BYTES), {}, 413, "too_big"),
        (wav(), {"quantizers": 9}, 400, "invalid"),
        (wav(), {"preset": "opus"}, 400, "invalid"),
    ],
)
def test_refusals(mirror: Any, data: bytes, wish: dict[str, Any], status: int, code: str) -> None:
    answer = ask(data, **wish)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["hint"]
    assert mirror == []


def test_without_a_server_it_says_when_to_come_back(settings: Any) -> None:
    settings.INFERENCE_URLS = ["unix:///nowhere.sock"]
    answer = ask(wav())
    assert (answer.status_code, answer.json()["code"]) == (503, "lab_busy")
    assert int(answer["Retry-After"]) >= 1


def test_guests_only_where_guests_may_talk(settings: Any, mirror: Any) -> None:
    settings.VOICE_ALLOW_GUESTS = False
    assert ask(wav()).status_code == 401
    settings.VOICE_ALLOW_GUESTS = True
    assert ask(wav()).status_code == 200


def test_it_has_a_budget_of_its_own(settings: Any, mirror: Any) -> None:
    cache.clear()
    settings.API_THROTTLE_RATES = {**settings.API_THROTTLE_RATES, "lab": 1}
    assert ask(wav()).status_code == 200
    answer = ask(wav())
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert APIClient().get("/api/v1/speakers").status_code == 200


def test_the_body_is_bounded_before_it_is_read() -> None:
    assert limit_of(b"/api/v1/lab?x=1") == LAB_BYTES
    assert lab.MAX_BYTES < LAB_BYTES < 12 << 20
