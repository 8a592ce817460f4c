"""The packaged model on real and synthetic audio."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from ml import vad as vad_package
from ml.vad import SegmenterConfig, SileroVad, VadBank, VadError, segment

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="session")
def vad() -> SileroVad:
    return SileroVad()


@pytest.fixture(scope="session")
def speech(telugu_speech: npt.NDArray[np.int16]) -> Floats:
    return telugu_speech.astype(np.float32) / 32768


def silence(seconds: float) -> Floats:
    return (np.random.default_rng(1).standard_normal(round(16_000 * seconds)) * 1e-3).astype(np.float32)


def test_telugu_speech_between_silences_is_found(vad: SileroVad, speech: Floats) -> None:
    found = segment(vad, np.concatenate([silence(1.0), speech, silence(1.0), speech, silence(1.0)]))
    length = len(speech) / 16
    starts = [1000, 2000 + length]
    # Between the two there is a pause of a second: no segment may reach across it.
    for expected in starts:
        inside = [s for s in found if expected - 100 <= s[0] and s[1] <= expected + length + 250]
        assert inside
        assert abs(inside[0][0] - expected) < 200
        assert abs(inside[-1][1] - (expected + length)) < 250
        assert sum(stop - begin for begin, stop in inside) > 0.8 * length
    assert sum(stop - begin for begin, stop in found) < 2 * length + 500


def test_silence_and_white_noise_are_no_speech(vad: SileroVad) -> None:
    assert segment(vad, silence(5.0)) == []
    assert segment(vad, silence(5.0) * 100) == []
    assert segment(vad, np.zeros(80_000, np.float32)) == []


@pytest.mark.shared_data
def test_noises_of_the_house_are_no_speech(vad: SileroVad, shared_data: Path) -> None:
    """ESC-10 alone: steady noise never is speech, short sounds hardly ever (0.2 % of their time when measured).

    Crying babies and sneezing people are human voices; what the model makes of them is not held against it.
    """
    steady = ("rain", "sea_waves", "helicopter", "fire_crackling")
    voices = ("baby_cry", "person_sneeze")
    files = sorted((shared_data / "noise_esc10").rglob("*.flac"))
    assert len(files) == 120
    heard_ms: dict[str, int] = {}
    for path in files:
        kind = path.name.split("__")[0]
        audio, rate = soundfile.read(path, dtype="float32")
        assert rate == vad_package.SAMPLE_RATE
        heard_ms[kind] = heard_ms.get(kind, 0) + sum(stop - start for start, stop in segment(vad, audio))
    assert {kind: heard_ms[kind] for kind in steady} == dict.fromkeys(steady, 0)
    others = [ms for kind, ms in heard_ms.items() if kind not in voices]
    assert sum(others) < 0.005 * len(others) * 60_000


def test_rows_of_a_batch_equal_rows_alone(vad: SileroVad, speech: Floats) -> None:
    """Rows join, leave, and are reset at random; each equals the same audio alone."""
    rng = np.random.default_rng(3)
    rows = 4
    state = vad.state(rows)
    streams = [np.roll(speech, -4000 * row)[: len(speech) // 512 * 512].reshape(-1, 512)[:60] for row in range(rows)]
    alone = [vad.state(1) for _ in range(rows)]
    position = [0] * rows
    for step in range(120):
        if step == 40:
            state.reset([2])
            alone[2].reset()
        at = [row for row in range(rows) if rng.random() < 0.5 and position[row] < 60]
        if not at:
            continue
        together = vad.step(np.stack([streams[row][position[row]] for row in at]), state, at)
        for row, probability in zip(at, together, strict=True):
            solo = vad.step(streams[row][position[row]][None], alone[row])
            assert abs(float(solo[0]) - float(probability)) < 1e-4
            position[row] += 1
    assert sum(position) > 150


def test_frames_of_20_ms_give_the_same_events_as_the_whole(vad: SileroVad, speech: Floats) -> None:
    audio = np.concatenate([silence(0.7), speech, silence(0.7)])
    audio = audio[: len(audio) // 320 * 320]
    config = SegmenterConfig()
    bank = VadBank(vad, rows=3, config=config)
    events = {0: [], 2: []}  # type: ignore[var-annotated]
    for n, frame in enumerate(audio.reshape(-1, 320)):
        # Row 2 runs at half speed, and in another place of the batch.
        at = [2, 0] if n % 2 == 0 else [0]
        frames = np.stack([audio[n // 2 * 320 : n // 2 * 320 + 320] if row == 2 else frame for row in at])
        for row, event in bank.push(at, frames, [n // 2 * 20 if row == 2 else n * 20 for row in at]):
            events[row].append((event.event, event.at_ms))
    whole = [event for start, stop in segment(vad, audio, config) for event in (("started", start), ("stopped", stop))]
    assert events[0] == whole
    assert events[2] == [event for event in whole if event in events[2]]
    assert events[2]
    bank.reset(0)
    assert bank.push([0], audio[None, :320], [0]) == []


def test_a_lost_frame_shifts_no_event(vad: SileroVad, speech: Floats) -> None:
    audio = np.concatenate([silence(1.0), speech])[: 320 * 100].reshape(-1, 320)
    bank = VadBank(vad, rows=1)
    events = [
        event
        for n, frame in enumerate(audio)
        if not 5 <= n < 25  # 400 ms of the silence never arrive
        for _, event in bank.push([0], frame[None], [n * 20])
    ]
    assert abs(events[0].at_ms - 1000) < 200


def test_a_wrong_shape_is_refused(vad: SileroVad) -> None:
    with pytest.raises(ValueError, match=r"\[2, 512\]"):
        vad.step(np.zeros((2, 320), np.float32), vad.state(2))
    with pytest.raises(ValueError, match="frame_samples"):
        VadBank(vad, 1, frame_samples=1024)


def test_a_broken_model_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "vad.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(VadError, match="reinstall silero-vad"):
        SileroVad(path)
