"""Speech as the corpus needs it: labelled, repeatable, clean at its ends, and doing what controls ask."""

import subprocess
import sys

import numpy as np
import pytest

from ml.data.synthesis import (
    EMOTIONS,
    NON_SPEECH,
    VOICES,
    Controls,
    SpokenClip,
    SynthesisError,
    ask,
    phones_of,
    random_talker,
    speak,
)
from ml.data.synthesis import festival as festival_engine
from ml.data.synthesis.accent import accented
from ml.data.synthesis.features import analyse_audio, heard
from ml.data.synthesis.g2p import analyse
from ml.data.synthesis.talkers import Talker

TEXT = "నమస్కారం, మీరు ఎలా ఉన్నారు?"
LONG = "పండగలు, వంటలు, చదువులు, ఏ కబురైనా సరదాగా మాట్లాడతా."

pytestmark = pytest.mark.usefixtures("diphones")


def words(clip: SpokenClip) -> tuple[str, ...]:
    return tuple(phone.symbol for phone in clip.phones if phone.symbol not in NON_SPEECH)


def is_labelled(clip: SpokenClip) -> bool:
    """Phones touch, run from 0 to the clip's end, and none is empty."""
    edges = [phone.start for phone in clip.phones] + [clip.phones[-1].end]
    ends = [phone.end for phone in clip.phones]
    return (
        edges[0] == 0
        and edges[1:] == ends
        and bool(np.all(np.diff(edges) > 0))
        and (abs(ends[-1] - len(clip.audio) / 16_000) < 1e-3)
    )


def loudness(clip: SpokenClip, *symbols: str) -> float:
    """RMS of all phones of ``symbols`` together."""
    pieces = [clip.audio[int(p.start * 16_000) : int(p.end * 16_000)] for p in clip.phones if p.symbol in symbols]
    return float(np.sqrt(np.mean(np.concatenate(pieces) ** 2)))


def talker_of(engine: str) -> Talker:
    return next(t for t in map(random_talker, range(100)) if t.engine == engine and not t.accent)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_every_emotion_is_labelled_and_clean(emotion: str) -> None:
    clip = speak(LONG, voice="priya", emotion=emotion)
    assert is_labelled(clip)
    assert clip.audio.dtype == np.float32
    assert np.abs(clip.audio).max() < 0.95
    assert abs(clip.audio[0]) < 1e-3
    assert abs(clip.audio[-1]) < 1e-3
    assert clip.phones[0].symbol == "sil"
    assert clip.phones[0].end <= 0.04
    assert 0.06 <= clip.phones[-1].end - clip.phones[-1].start <= 0.1
    if emotion not in ("thinking", "telugu_heavy", "telugu_mild"):  # fillers are phones, an accent changes them
        assert words(clip) == phones_of(LONG)


def test_same_arguments_same_samples_and_another_seed_another_rendering() -> None:
    first, again, other = speak(TEXT), speak(TEXT), speak(TEXT, seed=1)
    assert np.array_equal(first.audio, again.audio)
    assert first.phones == again.phones
    assert words(other) == words(first)
    assert len(other.audio) != len(first.audio)


def test_a_new_process_makes_the_same_samples() -> None:
    code = (
        "from ml.data.synthesis import speak; import hashlib;"
        f"print(hashlib.sha256(speak({TEXT!r}, voice='ravi', emotion='laugh').audio.tobytes()).hexdigest())"
    )
    made = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    assert made[0] == made[1]


def test_voices_have_their_own_pitch_in_the_order_of_the_cast() -> None:
    pitch = {voice: heard(analyse_audio(speak(LONG, voice=voice).audio)).pitch_hz for voice in VOICES}
    assert pitch["ravi"] < pitch["arjun"] < pitch["lakshmi"] < pitch["priya"]


@pytest.mark.parametrize("voice", ["arjun", "priya"])
def test_controls_move_what_they_name(voice: str) -> None:
    rest = heard(analyse_audio(speak(LONG, voice=voice).audio))
    higher = heard(analyse_audio(speak(LONG, voice=voice, controls=Controls(pitch_semitones=4)).audio))
    louder = heard(analyse_audio(speak(LONG, voice=voice, controls=Controls(energy_db=5)).audio))
    faster = heard(analyse_audio(speak(LONG, voice=voice, controls=Controls(rate=1.3)).audio))
    assert 12 * np.log2(higher.pitch_hz / rest.pitch_hz) == pytest.approx(4, abs=0.8)
    assert louder.energy_db - rest.energy_db == pytest.approx(5, abs=1)
    assert rest.seconds / faster.seconds == pytest.approx(1.3, abs=0.1)


def test_intensity_runs_from_neutral_to_the_emotion() -> None:
    pitch = [
        heard(analyse_audio(speak(LONG, emotion="excited", controls=Controls(intensity=share)).audio)).pitch_hz
        for share in (0.0, 0.5, 1.0)
    ]
    neutral = heard(analyse_audio(speak(LONG).audio)).pitch_hz
    assert pitch[0] == pytest.approx(neutral, rel=0.03)
    assert pitch[0] < pitch[1] < pitch[2]


def test_laughter_is_heard_and_labelled_only_where_it_belongs() -> None:
    laughing = speak(LONG, emotion="laugh")
    bursts = [phone for phone in laughing.phones if phone.symbol == "laugh"]
    assert len(bursts) >= 2
    for burst in bursts:
        piece = laughing.audio[int(burst.start * 16_000) : int(burst.end * 16_000)]
        assert np.sqrt(np.mean(piece**2)) > 0.01
    assert not any(phone.symbol == "laugh" for phone in speak(LONG, emotion="happy").phones)
    assert not any(
        phone.symbol == "laugh" for phone in speak(LONG, emotion="laugh", controls=Controls(intensity=0)).phones
    )


def test_a_stronger_accent_changes_all_that_a_weaker_one_does() -> None:
    plain = analyse("నేను నీళ్ళు తాగుతాను గానీ పాలు తాగను, మనం అలా పోదాము")
    changed: list[set[int]] = []
    for strength in (0.3, 0.6, 1.0):
        heavy = accented(plain, strength)
        changed.append({at for at, word in enumerate(heavy.words) if word != plain.words[at]})
    assert changed[0] <= changed[1] <= changed[2]
    assert len(changed[2]) > len(changed[0])
    assert accented(plain, 0.0) == plain


@pytest.mark.usefixtures("formants")
@pytest.mark.parametrize("engine", ["festival", "espeak"])
def test_strangers_ask_with_labels_on_both_engines(engine: str) -> None:
    talker = talker_of(engine)
    clip = ask(TEXT, talker=talker, seed=3)
    assert clip.engine == engine
    assert words(clip) == phones_of(TEXT)
    assert is_labelled(clip)
    assert np.array_equal(clip.audio, ask(TEXT, talker=talker, seed=3).audio)
    vowels = np.concatenate(
        [clip.audio[int(p.start * 16_000) : int(p.end * 16_000)] for p in clip.phones if p.symbol in ("aa", "a", "ii")]
    )
    silence = np.concatenate(
        [clip.audio[int(p.start * 16_000) : int(p.end * 16_000)] for p in clip.phones if p.symbol == "sil"]
    )
    assert np.sqrt(np.mean(vowels**2)) > 5 * np.sqrt(np.mean(silence**2))


def test_strangers_are_many_and_each_stays_who_he_is() -> None:
    crowd = [random_talker(seed) for seed in range(200)]
    assert {talker.engine for talker in crowd} == {"festival", "espeak"}
    assert len({talker.voice for talker in crowd}) == 200
    assert random_talker(7) == crowd[7]
    hertz = [talker.voice.base_hz for talker in crowd]
    assert min(hertz) < 110
    assert max(hertz) > 260


@pytest.mark.parametrize("text", ["", "   ", "…?!", "😀"])
def test_nothing_to_say_is_an_error_that_tells_why(text: str) -> None:
    with pytest.raises(SynthesisError, match="nothing to say"):
        speak(text)
    with pytest.raises(SynthesisError, match="nothing to say"):
        ask(text, talker=talker_of("festival"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"voice": "nobody"}, "arjun, ravi"), ({"emotion": "angry"}, "neutral, happy")],
)
def test_unknown_names_are_refused_with_the_known_ones(arguments: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        speak(TEXT, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [{"rate": 9.0}, {"intensity": -0.1}, {"pitch_semitones": float("nan")}])
def test_controls_outside_their_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be between"):
        Controls(**values)


def test_a_dead_engine_is_told_and_replaced() -> None:
    engine = festival_engine.Festival()
    engine._process.kill()
    engine._process.wait()
    with pytest.raises(SynthesisError, match=r"ended unexpectedly|refused"):
        engine.render([festival_engine.Segment("a", 0.2)])
    engine.close()


def test_a_missing_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(festival_engine.shutil, "which", lambda name: None)
    with pytest.raises(SynthesisError, match=r"apt-get install festival"):
        festival_engine.Festival()
