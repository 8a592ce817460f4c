"""Which renderings each answer gets: voices, emotions, controls; shared by all pairs that use the answer."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import numpy as np

from ml.data.corpus.schema import Answer, Intent
from ml.data.pairs.schema import NEUTRAL, AnswerText, ClipSpec, ControlValues
from ml.data.pairs.sizes import Size
from ml.data.synthesis.types import EMOTIONS, VOICES

_CHARACTERS_A_SECOND = 13.0
_TEMPO = {"thinking": 0.62, "empathy": 0.8, "laugh": 0.72, "excited": 1.15, "telugu_heavy": 0.85, "surprise": 0.9}


class AnswerBook:
    """Answer texts and their clips; every text in every voice before any voice says it twice."""

    voices = VOICES

    def __init__(self, size: Size, seed: int) -> None:
        self.size, self.seed = size, seed
        self.answers: dict[str, AnswerText] = {}
        self.clips: dict[str, ClipSpec] = {}
        self.clip_answer: dict[str, str] = {}
        self.used: dict[str, int] = defaultdict(int)
        """Answer id -> pairs that render it."""
        self._of: dict[str, list[str]] = defaultdict(list)
        self._id_of_text: dict[str, str] = {}
        self._alias: dict[str, str] = {}
        self._clip_used: dict[str, int] = defaultdict(int)
        self._combinations: dict[tuple[str, str], int] = {(v, e): 0 for v in VOICES for e in EMOTIONS}

    def add(self, answer_id: str, answer: Answer, renderings: int) -> None:
        """Plan `renderings` clips of an answer; a text that is there already keeps its first id."""
        if answer.text in self._id_of_text:
            self._alias[answer_id] = self._id_of_text[answer.text]
            return
        self._id_of_text[answer.text] = self._alias[answer_id] = answer_id
        self.answers[answer_id] = AnswerText(answer_id, answer.text, answer.emotion)
        told = hashlib.sha256(repr((self.seed, answer_id, answer.text)).encode()).digest()
        rng = np.random.default_rng(int.from_bytes(told[:8], "little"))
        for number, (voice, emotion) in enumerate(self._choose(answer.emotion, renderings, rng)):
            controlled = number > 0 and rng.random() < self.size.controlled
            clip = ClipSpec(
                kind="voice",
                text=answer.text,
                speaker=voice,
                split="train",
                emotion=emotion,
                controls=_random_controls(rng) if controlled else NEUTRAL,
                seed=int(rng.integers(1 << 30)) if controlled else 0,
            )
            self.clips[clip.id] = clip
            self.clip_answer[clip.id] = answer_id
            self._of[answer_id].append(clip.id)

    def _choose(self, own: str, count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
        """Own emotion for every other rendering, else what was used least so far; voices take turns."""
        if count >= len(self._combinations):
            return list(self._combinations)
        chosen: list[tuple[str, str]] = []
        turns = [VOICES[int(i)] for i in rng.permutation(len(VOICES))]
        for number in range(count):
            voice = turns[number % len(VOICES)]
            free = [e for e in EMOTIONS if (voice, e) not in chosen]
            least = min(self._combinations[voice, e] for e in free)
            rare = [e for e in free if self._combinations[voice, e] == least]
            own_turn = (number + number // len(VOICES)) % 2 == 0 and own in free
            emotion = own if own_turn else rare[int(rng.integers(len(rare)))]
            chosen.append((voice, emotion))
            self._combinations[voice, emotion] += 1
        return chosen

    def known(self, answer_id: str) -> str:
        """The id under which the answer's text is kept."""
        return self._alias[answer_id]

    def ids(self, intent: Intent) -> tuple[str, ...]:
        """Ids of an intent's answers."""
        return tuple(dict.fromkeys(self.known(f"{intent.id}/{n}") for n in range(len(intent.answers))))

    def rendering(self, answer_id: str, rng: np.random.Generator, voice: str | None = None) -> str:
        """Clip id of the rendering that pairs have used least, by `voice` where it is given."""
        clips = [c for c in self._of[answer_id] if voice is None or self.clips[c].speaker == voice]
        clips = clips or self._of[answer_id]
        least = min(self._clip_used[c] for c in clips)
        choices = [c for c in clips if self._clip_used[c] == least]
        chosen = choices[int(rng.integers(len(choices)))]
        self._clip_used[chosen] += 1
        self.used[answer_id] += 1
        return chosen

    def seconds(self, clip_id: str) -> float:
        """Likely duration of an answer clip."""
        clip = self.clips[clip_id]
        return len(clip.text) / _CHARACTERS_A_SECOND / (_TEMPO.get(clip.emotion, 1.0) * clip.controls[2])


def _random_controls(rng: np.random.Generator) -> ControlValues:
    """Each control moves with probability 0.6; at least the pitch does."""
    moves = rng.random(5) < 0.6
    moves[0] |= not moves.any()
    pitch, energy, accent = rng.uniform(-4.0, 4.0), rng.uniform(-8.0, 5.0), rng.uniform(0.0, 1.0)
    rate, intensity = 2.0 ** rng.uniform(-0.45, 0.45), rng.uniform(0.2, 1.0)
    return (
        round(float(pitch), 2) if moves[0] else 0.0,
        round(float(energy), 2) if moves[1] else 0.0,
        round(float(rate), 3) if moves[2] else 1.0,
        round(float(accent), 3) if moves[3] else 0.0,
        round(float(intensity), 3) if moves[4] else 1.0,
    )
