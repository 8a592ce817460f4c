"""What the codec's page is made of: curves read on from, codebooks counted, pictures drawn from the cards."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ml.audio.io import AudioError, write_audio
from ml.cli import app
from ml.codec import WEIGHTS_DIR, CodecConfig, TeluCodec
from ml.evaluate.codebooks import measure_codebooks
from ml.evaluate.figures import FigureError, draw_rates, draw_spectrograms, measured_of_cards, spectrogram_rows
from ml.evaluate.metrics import snr_db
from ml.evaluate.rate import RateError, rate_curve, unquantized_snr_db

run = CliRunner().invoke


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def codecs() -> list[TeluCodec]:
    torch.manual_seed(0)
    return [TeluCodec(CodecConfig.named(name)).fold() for name in ("tiny", "tiny-dialogue")]


def test_a_curve_that_ends_is_found_to_end() -> None:
    curve = rate_curve([(rate, 14.0 - 12.0 * 2.0 ** (-rate / 4)) for rate in (2.0, 4.0, 8.0, 12.0, 16.0)])
    assert curve.ceiling_db == pytest.approx(14.0, abs=0.02)
    assert curve.halving_kbps == pytest.approx(4.0, abs=0.02)
    assert curve.fit_error_db < 0.01
    assert [gained for _, _, gained in curve.steps] == sorted((gained for _, _, gained in curve.steps), reverse=True)


def test_a_straight_line_is_read_on_as_one() -> None:
    curve = rate_curve([(rate, 3.0 * np.log2(rate)) for rate in (1.0, 2.0, 4.0, 8.0)])
    assert curve.db_per_doubling == pytest.approx(3.0)
    assert curve.last_db_per_doubling == pytest.approx(3.0)
    assert curve.kbps_by_doubling(12.0, 3.0) == pytest.approx(16.0)
    assert curve.kbps_by_bits(9.0 + 6.0206) == pytest.approx(8.0 + 16.0)  # a bit a sample at 16 kHz is 16 kbit/s


def test_three_points_are_too_few() -> None:
    with pytest.raises(RateError, match="at least four"):
        rate_curve([(2.0, 5.0), (4.0, 8.0), (8.0, 11.0)])


def test_without_codebooks_is_in_step(codecs: list[TeluCodec], tmp_path: Path) -> None:
    """Of a length that is no whole number of hops; a shift by one sample would ruin the figure."""
    write_audio(tmp_path / "a.wav", noise(16_123))
    for codec in codecs:
        measured = unquantized_snr_db(codec, [tmp_path / "a.wav"])
        delay = codec.config.delay_samples
        audio = torch.from_numpy(np.pad(noise(16_123), (0, 5 * 640 - 123)))[None]  # any silence behind does
        with torch.inference_mode():
            made = codec(audio, False).audio[0, delay : delay + 16_123].numpy()
        assert measured == pytest.approx(snr_db(noise(16_123), made), abs=0.01)


def test_codebooks_are_counted_by_folder_and_together(codecs: list[TeluCodec], tmp_path: Path) -> None:
    for name, seeds in (("a", (1, 2)), ("b", (3,))):
        (tmp_path / name).mkdir()
        for seed in seeds:
            write_audio(tmp_path / name / f"{seed}.wav", noise(16_000, seed))
    (tmp_path / "b" / "letter.wav").write_text("no audio")
    one, two, both = measure_codebooks(codecs[0], {n: sorted((tmp_path / n).iterdir()) for n in ("a", "b")})
    assert [(row["name"], row["files"], row["left_out"]) for row in (one, two, both)] == [
        ("a", 2, 0),
        ("b", 1, 1),
        ("all", 3, 1),
    ]
    assert both["frames"] == one["frames"] + two["frames"]
    for level in range(8):
        assert max(one["usage"][level], two["usage"][level]) <= both["usage"][level]
        assert both["usage"][level] <= one["usage"][level] + two["usage"][level] + 1e-3
    with pytest.raises(AudioError, match="can be read"):
        measure_codebooks(codecs[0], {"b": [tmp_path / "b" / "letter.wav"]})


def test_the_curve_of_the_shipped_card_is_printed() -> None:
    result = run(app, ["evaluate", "rate"])
    assert result.exit_code == 0, result.output
    assert "12 to 14 kbit/s" in result.stdout
    assert "20 dB: by the fit never" in result.stdout


def test_cards_give_what_is_drawn() -> None:
    results = measured_of_cards(WEIGHTS_DIR, "common_voice_te")
    card = json.loads((WEIGHTS_DIR / "codec-hifi.json").read_text())
    assert [result["preset"] for result in results] == ["dialogue", "hifi"]
    assert results[1]["codec"] == card["metrics"]["common_voice_te"]["codec"]
    with pytest.raises(FigureError, match="was measured on elsewhere"):
        measured_of_cards(WEIGHTS_DIR, "elsewhere")


def test_pictures_are_drawn_and_small(codecs: list[TeluCodec], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw_rates(measured_of_cards(WEIGHTS_DIR, "common_voice_te"), tmp_path / "codec" / "rate.png")
    draw_spectrograms(noise(8_000), codecs[:1], tmp_path / "codec" / "spectrograms.png")
    for name in ("rate.png", "spectrograms.png"):
        picture = (tmp_path / "codec" / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 200_000


def test_a_difference_is_of_what_is_shown(codecs: list[TeluCodec]) -> None:
    """Below the shown range all is silence: what a codec does there must not fill the picture."""
    audio = noise(16_000)
    audio[8_000:] = 0.0
    rows = spectrogram_rows(audio, codecs)
    assert [title for title, _, _ in rows] == [
        "original",
        "tiny, 16 kbit/s",
        "tiny-dialogue, 2 kbit/s",
        "tiny less original",
        "tiny-dialogue less original",
    ]
    original, made, difference = rows[0][1], rows[1][1], rows[3][1]
    floor = original.max() - 75.0
    loud = (original > floor) & (made > floor)
    np.testing.assert_allclose(difference[loud], (made - original)[loud], atol=1e-4)
    assert (difference[(original < floor) & (made < floor)] == 0).all()
