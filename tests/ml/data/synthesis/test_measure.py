"""The report: four people, nine emotions, a page with plots; and training speech as a folder."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from ml.audio.dnsmos import dnsmos
from ml.cli import app
from ml.data.synthesis import EMOTIONS, PHONE_ID, VOICES
from ml.data.synthesis.classify import fit
from ml.data.synthesis.features import analyse_audio, heard
from ml.data.synthesis.measure import measure
from ml.data.synthesis.page import PLOTS, plot, render_page
from ml.data.synthesis.speech_set import make_speech


@pytest.mark.usefixtures("diphones", "formants")
def test_voices_and_emotions_are_told_apart_on_sentences_not_heard_before() -> None:
    sentences = [
        "నేను తెలుగులో కబుర్లు చెప్పే కంప్యూటర్ గొంతునండి.",
        "పండగలు, వంటలు, చదువులు, ఏ కబురైనా సరదాగా మాట్లాడతా.",
        "ఈరోజు వర్షం వస్తుంది, మీరు గొడుగు తెచ్చుకోండి.",
        "మీరు చెప్పింది నాకు బాగా అర్థమైంది, కాస్త ఆలోచిద్దాం.",
        "రేపు ఉదయం మా ఊరికి బస్సులో వెళ్తున్నాం.",
    ]
    report = measure(sentences, rated=0, embed_of=0)
    assert report.sentences == {"train": 3, "test": 2}
    assert report.speaker_accuracy >= 0.9
    assert report.emotion_accuracy >= 0.7  # chance is 0.11; with more sentences to learn from see docs/voices.md
    assert sum(sum(row.values()) for row in report.confusion.values()) == 2 * len(VOICES) * len(EMOTIONS)
    for rows in report.controls.values():
        measured = [row["measured"] for row in rows]
        assert measured == sorted(measured)
    page = render_page(report, "command", "voices")
    for emotion in EMOTIONS:
        assert f"| {emotion} |" in page
    for name in PLOTS:
        drawing = ElementTree.fromstring(plot(report, name))
        assert len(drawing.findall("{http://www.w3.org/2000/svg}circle")) == len(VOICES) * (len(EMOTIONS) + 1)


def test_features_hear_pitch_and_level() -> None:
    seconds = np.arange(24_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * 150 * k * seconds) / k for k in range(1, 12)) * 0.05
    numbers = heard(analyse_audio(np.asarray(buzz, dtype=np.float32)))
    assert numbers.pitch_hz == pytest.approx(150, rel=0.01)
    assert numbers.energy_db == pytest.approx(20 * np.log10(np.sqrt(np.mean(buzz**2))), abs=0.3)
    assert numbers.pause_share == pytest.approx(0, abs=0.02)


def test_the_classifier_finds_what_is_there_and_nothing_in_noise() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=600)
    noise = rng.standard_normal((600, 5))
    told = noise + np.eye(3)[labels] @ np.array([[6, 0, 0, 0, 0], [0, 6, 0, 0, 0], [0, 0, 6, 0, 0]])
    for features, low, high in ((told, 0.99, 1.0), (noise, 0.2, 0.45)):
        guess = fit(features[:400], labels[:400], 3).predict(features[400:])
        assert low <= np.mean(guess == labels[400:]) <= high


def test_dnsmos_prefers_speech_without_noise(telugu_speech: np.ndarray) -> None:
    clean = (telugu_speech / 32768).astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 0.05, len(clean)).astype(np.float32)
    assert dnsmos(clean, windows=1).background > dnsmos(noisy, windows=1).background + 0.3
    with pytest.raises(ValueError, match="empty"):
        dnsmos(np.zeros(0, dtype=np.float32))


@pytest.mark.usefixtures("diphones", "formants")
def test_training_speech_is_the_same_again_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    made = make_speech(whole, minutes=0.4, seed=5)
    make_speech(parts, minutes=0.1, seed=5)
    unfinished = next(parts.glob("*.json"))
    unfinished.unlink()  # as if it was killed between audio and card
    make_speech(parts, minutes=0.4, seed=5)
    names = sorted(path.name for path in whole.iterdir())
    assert names == sorted(path.name for path in parts.iterdir())
    assert len(names) == 2 * made["clips"]
    for name in names:
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    card = json.loads(next(whole.glob("*.json")).read_text())
    assert {symbol for symbol, _, _ in card["phones"]} <= set(PHONE_ID)


@pytest.mark.usefixtures("diphones")
def test_say_writes_a_file_and_tells_what_it_left_out(tmp_path: Path) -> None:
    target = tmp_path / "hello.wav"
    done = CliRunner().invoke(app, ["data", "voices", "say", "నమస్తే 你", "--voice", "ravi", "--out", str(target)])
    assert done.exit_code == 0, done.output
    assert "n a m a s t ee" in done.stdout
    assert "你" in done.output
    audio, rate = soundfile.read(target)
    assert rate == 16_000
    assert len(audio) > 4_000
