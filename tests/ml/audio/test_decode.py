"""Strangers' files to PCM: every kind that a browser makes, and nothing that is not what it says."""

import io
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile

from ml.audio.decode import FORMATS, UndecodableError, decode

RATE = 48_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


def encoded(container: str, codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE, layout="stereo")
        fifo = av.AudioFifo()
        frame = av.AudioFrame.from_ndarray(np.stack([TONE, TONE]), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        fifo.write(frame)
        while part := fifo.read(stream.codec_context.frame_size or 1024, partial=True):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


def flac() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, TONE, RATE, format="FLAC")
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "container", "codec"),
    [("mp3", "mp3", "libmp3lame"), ("m4a", "ipod", "aac"), ("webm", "webm", "libopus"), ("ogg", "ogg", "libopus")],
)
def test_what_browsers_record_and_people_have(kind: str, container: str, codec: str) -> None:
    pcm = np.frombuffer(decode(encoded(container, codec), kind, 20), "<i2") / 32_768
    assert 15_000 < len(pcm) < 18_500
    spectrum = np.abs(np.fft.rfft(pcm[2000:14_800] * np.hanning(12_800)))
    assert abs(np.argmax(spectrum) * 16_000 / 12_800 - 440) < 3
    assert 0.3 < np.abs(pcm[4000:12_000]).max() < 0.6


def test_only_so_much_is_taken() -> None:
    assert len(decode(flac(), "flac", 0.25)) == 2 * (4000 + 1)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_something_else_is_refused(kind: str) -> None:
    playlist = b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/secret\n"
    with pytest.raises(UndecodableError, match=r"send|record"):
        decode(playlist, kind, 20)


def test_as_a_process() -> None:
    command = [sys.executable, "-m", "ml.audio.decode", "flac", "20"]
    done = subprocess.run(command, input=flac(), capture_output=True, check=True)
    assert len(done.stdout) == 2 * 16_000
    broken = subprocess.run(command, input=b"fLaC" + bytes(99), capture_output=True, check=False)
    assert broken.returncode == 2
    assert b"send it as WAV" in broken.stderr
    assert not broken.stdout
