"""Audio that tests of the models share."""

import io
import shutil
import subprocess

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from scipy.signal import resample_poly


@pytest.fixture(scope="session")
def telugu_speech() -> npt.NDArray[np.int16]:
    """Two Telugu sentences by espeak-ng, int16 at 16 kHz, without silence around them."""
    return _spoken("నమస్కారం, మీరు ఎలా ఉన్నారు? ఈ రోజు వాతావరణం చాలా బాగుంది.")


@pytest.fixture(scope="session")
def telugu_question() -> npt.NDArray[np.int16]:
    """A short Telugu question without a pause, as `telugu_speech`."""
    return _spoken("మీరు ఎలా ఉన్నారు")


def _spoken(text: str) -> npt.NDArray[np.int16]:
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("espeak-ng is not installed (apt-get install espeak-ng)")
    done = subprocess.run([program, "-v", "te", "--stdout", text], capture_output=True, check=True, timeout=60)
    audio, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    audio = resample_poly(audio, 16_000, rate)
    loud = np.flatnonzero(np.abs(audio) > 0.01)
    return (audio[loud[0] : loud[-1]] * 32767 * 0.9).clip(-32768, 32767).astype(np.int16)


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    """Two threads gain nothing on test sizes and stall when something else runs on the same cores."""
    torch.set_num_threads(1)
