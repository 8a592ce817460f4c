"""Is the voice heard the voice chosen, the emotion heard the one chosen, and do the dials turn what they say?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.audio.dnsmos import dnsmos
from ml.codec.model import TeluCodec
from ml.data.synthesis.classify import Linear, fit
from ml.data.synthesis.features import analyse_audio, heard, prosody_features, timbre_features
from ml.evaluate.answers import Asked, answer_all, to_audio
from ml.s2s.batch import Conditions
from ml.s2s.model import S2SModel
from ml.s2s.sampling import Sampling

if TYPE_CHECKING:
    from ml.data.pairs import Clip
    from ml.evaluate.s2s import Progress
    from ml.s2s.train.data import Dialogues

Audio = NDArray[np.float32]
SHORTEST = 0.5
"""Seconds; what is shorter has neither voice nor emotion and counts as wrong."""
DIALS: dict[str, tuple[float, ...]] = {
    "pitch": (-4.0, -2.0, 0.0, 2.0, 4.0),
    "energy": (-6.0, -3.0, 0.0, 3.0, 6.0),
    "rate": (0.8, 0.9, 1.0, 1.12, 1.25),
}


def _features(audio: Audio) -> NDArray[np.float64]:
    clip = analyse_audio(audio)
    return np.nan_to_num(np.concatenate([timbre_features(clip), prosody_features(clip)]))


class Ears:
    """Classifiers of speaker and emotion, fitted on true answers that went through the codec."""

    def __init__(self, codec: TeluCodec, dialogues: Dialogues, limit: int, seed: int) -> None:
        model = dialogues.model
        self.speakers, self.emotions = model.speakers, model.emotions
        clips = [c for c in dialogues.set.answers if c.speaker in self.speakers and c.emotion in self.emotions]
        order = np.random.default_rng(seed).permutation(len(clips))[:limit]
        # a text is in one half only: words must not tell the emotion
        picked = [clips[i] for i in order]
        features = np.stack([_features(to_audio(codec, clip.codes)) for clip in picked])
        texts = sorted({clip.text for clip in picked})
        held = set(texts[::5])
        train = np.array([clip.text not in held for clip in picked])
        self.speaker = self._fit(features[train], [self.speakers.index(c.speaker) for c in picked], train, 4)
        self.emotion = self._fit(
            features[train], [self.emotions.index(c.emotion) for c in picked], train, len(self.emotions)
        )
        self.own_clips = [c for c, kept in zip(picked, train, strict=True) if not kept]
        """True answers that nothing was fitted on."""
        self.own = self._own(features[~train], self.own_clips)

    @staticmethod
    def _fit(features: NDArray[np.float64], labels: list[int], train: NDArray[np.bool_], classes: int) -> Linear:
        return fit(features, np.array(labels)[train], classes)

    def _own(self, features: NDArray[np.float64], clips: Sequence[Clip]) -> dict[str, Any]:
        if not clips:
            return {"n": 0}
        speaker, emotion = self.speaker.predict(features), self.emotion.predict(features)
        return {
            "n": len(clips),
            "speaker_accuracy": _share(self.speakers[i] == c.speaker for i, c in zip(speaker, clips, strict=True)),
            "emotion_accuracy": _share(self.emotions[i] == c.emotion for i, c in zip(emotion, clips, strict=True)),
        }

    def judge(self, clips: Sequence[Audio]) -> list[tuple[str, str]]:
        """(speaker, emotion) heard in each clip; empty strings for what is too short."""
        found = []
        for audio in clips:
            if len(audio) < SHORTEST * 16_000 or not np.any(np.abs(audio) > 1e-4):
                found.append(("", ""))
                continue
            row = _features(audio)[None]
            speaker, emotion = int(self.speaker.predict(row)[0]), int(self.emotion.predict(row)[0])
            found.append((self.speakers[speaker], self.emotions[emotion]))
        return found


def _share(values: Any) -> float:
    listed = list(values)
    return round(sum(listed) / max(1, len(listed)), 4)


def mean_dnsmos(clips: Sequence[Audio]) -> float | None:
    """Mean DNSMOS P.835 overall (1 to 5) of `clips`, the first 9 s of each; those without sound are left out."""
    scores = [dnsmos(clip, windows=1).overall for clip in clips if np.any(np.abs(clip) > 1e-4)]
    return round(float(np.mean(scores)), 3) if scores else None


def measure_style(
    model: S2SModel,
    codec: TeluCodec,
    dialogues: Dialogues,
    questions: Sequence[Asked],
    *,
    sampling: Sampling,
    seed: int,
    fitted_on: int,
    progress: Progress,
) -> dict[str, Any]:
    """Speaker and emotion accuracy over every voice x emotion, each asked `questions`; with confusions of emotions, and
    DNSMOS of these answers beside that of as many true ones that went through the codec.
    """
    ears = Ears(codec, dialogues, fitted_on, seed)
    config = model.config
    right: list[tuple[str, str, str, str]] = []
    said: list[Audio] = []
    for speaker in progress(list(range(config.n_speakers)), "voices"):
        asked, wanted = [], []
        for emotion in range(config.n_emotions):
            for number, one in enumerate(questions):
                conditions = Conditions.one(speaker, emotion, n_speakers=config.n_speakers)
                asked.append(Asked(one.question, conditions, one.past, seed + 1000 * emotion + number))
                wanted.append(config.emotions[emotion])
        answers = answer_all(model, asked, sampling)
        spoken = [to_audio(codec, a.codes) for a in answers]
        said += spoken
        judged = ears.judge(spoken)
        right += [(config.speakers[speaker], e, *j) for e, j in zip(wanted, judged, strict=True)]
    table = {
        wanted: {
            other: sum(e == wanted and j == other for _, e, _, j in right)
            for other in (*config.emotions, "")
            if any(e == wanted and j == other for _, e, _, j in right)
        }
        for wanted in config.emotions
    }
    return {
        "n": len(right),
        "speaker_accuracy": _share(s == j for s, _, j, _ in right),
        "emotion_accuracy": _share(e == j for _, e, _, j in right),
        "emotion_accuracy_by_emotion": {
            name: _share(e == j for _, e, _, j in right if e == name) for name in config.emotions
        },
        "emotion_confusions": table,
        "classifiers_on_true_answers": ears.own,
        "dnsmos": mean_dnsmos(said),
        "dnsmos_of_true_answers": mean_dnsmos([to_audio(codec, c.codes) for c in ears.own_clips[: len(said)]]),
    }


def measure_dials(
    model: S2SModel,
    codec: TeluCodec,
    questions: Sequence[Asked],
    *,
    sampling: Sampling,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Slope of what is measured against what was set; 1 is perfect. Pitch in semitones, energy in dB, log tempo."""
    config = model.config
    result: dict[str, Any] = {}
    for dial, values in progress(list(DIALS.items()), "dials"):
        asked = []
        for value in values:
            for number, one in enumerate(questions):
                settings = {dial: value}
                conditions = Conditions.one(number % config.n_speakers, 0, n_speakers=config.n_speakers, **settings)
                asked.append(Asked(one.question, conditions, one.past, seed + number))
        answers = answer_all(model, asked, sampling)
        readings = [_reading(dial, to_audio(codec, a.codes)) for a in answers]
        grid = np.array(readings, np.float64).reshape(len(values), len(questions))
        means = [float(np.nanmean(row)) if np.isfinite(row).any() else float("nan") for row in grid]
        means = [m - means[len(means) // 2] for m in means]
        x = np.log(values) if dial == "rate" else np.array(values)
        usable = np.isfinite(means)
        slope = float(np.polyfit(x[usable], np.array(means)[usable], 1)[0]) if usable.sum() > 1 else float("nan")
        result[dial] = {
            "set": list(values),
            "measured": [round(m, 3) for m in means],
            "slope": round(slope, 3),
            "n": len(readings),
        }
    return result


def _reading(dial: str, audio: Audio) -> float:
    if len(audio) < SHORTEST * 16_000:
        return float("nan")
    found = heard(analyse_audio(audio))
    if dial == "pitch":
        return float(12.0 * np.log2(found.pitch_hz / 100.0))
    if dial == "energy":
        return found.energy_db
    return float(np.log(max(found.syllables_per_second, 0.1)))
