"""`python -m ml codec reconstruct` as a person uses it."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from ml.cli import app, main
from ml.codec import WEIGHTS_DIR, CodecConfig, TeluCodec, export_codec
from ml.codec.files import reconstruct_file

run = CliRunner().invoke


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    export_codec(TeluCodec(CodecConfig.named("tiny")), folder / "codec-tiny.safetensors", {"version": "1"})
    return folder


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "in.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(44_100), 44_100)
    return path


def test_json_figures_and_output_file(weights: Path, wav: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.flac"
    args = ["codec", "reconstruct", str(wav), str(out), "--preset", "tiny", "--weights", str(weights), "--json"]
    result = run(app, [*args, "--quantizers", "3"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert {"snr_db", "kbps", "rtf"} <= set(figures)
    assert figures["kbps"] == 6.0
    assert soundfile.info(str(out)).frames == pytest.approx(16_000, abs=32)


@pytest.mark.parametrize("preset", ["tiny", "tiny-dialogue"])
def test_blocks_do_not_show(preset: str, tmp_path: Path) -> None:
    """A file longer than a block comes out as from one pass, also where the delay is no whole number of hops."""
    torch.manual_seed(0)
    codec = TeluCodec(CodecConfig.named(preset)).fold()
    audio = (0.1 * np.random.default_rng(1).standard_normal(16_000 * 21 + 17)).astype(np.float32)
    path = tmp_path / "long.wav"
    soundfile.write(path, audio, 16_000, subtype="FLOAT")
    reconstruct_file(codec, path, tmp_path / "out.wav")
    with torch.inference_mode():
        whole = codec.reconstruct(torch.from_numpy(audio)[None])[0].numpy()
    got, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert got.shape == audio.shape
    assert np.abs(got - np.clip(whole, -1, 1)).max() < 1e-4


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is not a file"), (b"", "empty.wav"), (b"no audio at all", "empty.wav")],
)
def test_bad_input_is_one_line(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
    words: str,
) -> None:
    source = tmp_path / "empty.wav"
    if content is not None:
        source.write_bytes(content)
    argv = ["ml", "codec", "reconstruct", str(source), str(tmp_path / "o.wav"), "--preset", "tiny"]
    monkeypatch.setattr("sys.argv", [*argv, "--weights", str(weights)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "o.wav").exists()


def test_an_unknown_preset_names_those_there_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wav: Path, tmp_path: Path, weights: Path
) -> None:
    argv = ["ml", "codec", "reconstruct", str(wav), str(tmp_path / "o.wav"), "--preset", "lofi"]
    monkeypatch.setattr("sys.argv", [*argv, "--weights", str(weights)])
    with pytest.raises(SystemExit):
        main()
    assert "there are: ['tiny']" in capsys.readouterr().err


@pytest.mark.shared_data
def test_shipped_weights_keep_held_out_telugu_speech(shared_data: Path, tmp_path: Path) -> None:
    """STOI of real Telugu speech that no training saw, and 20 ms streaming giving the same samples."""
    from pystoi import stoi

    from ml.audio.io import read_audio
    from ml.codec import load_codec

    codec = load_codec(WEIGHTS_DIR / "codec-hifi.safetensors")
    clips = sorted((shared_data / "common_voice_te" / "clips").glob("*.mp3"))[40:43]
    scores = []
    for clip in clips:
        audio = torch.from_numpy(read_audio(clip))[None]
        audio = audio[:, : min(64_000, audio.shape[1] // 320 * 320)]
        with torch.inference_mode():
            whole = codec.reconstruct(audio)
            state = codec.streaming_state(1)
            padded = torch.nn.functional.pad(audio, (0, codec.config.delay_samples))
            parts = [codec.decode_stream(codec.encode_stream(p, state), state) for p in padded.split(320, dim=1)]
        streamed = torch.cat(parts, 1)[:, codec.config.delay_samples :]
        assert torch.allclose(streamed, whole, atol=1e-4)
        scores.append(float(stoi(audio[0].numpy(), whole[0].numpy(), 16_000)))
    assert np.mean(scores) >= 0.85
