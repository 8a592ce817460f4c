"""`PairSet`: what training and evaluation read of a folder of pairs, with codes in memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.audio.io import SAMPLE_RATE
from ml.data.corpus.schema import Split
from ml.data.pairs.codes import codes_folder, read_codes
from ml.data.pairs.schema import NEUTRAL, AnswerText, ClipRow, ControlValues, Group, PairKind, PairSpec
from ml.data.pairs.sizes import PairsError
from ml.data.pairs.store import read_manifest
from ml.data.synthesis.phones import PHONE_ID, SILENCE

HOP = 640
DELAY = 320
"""Samples a frame of the dialogue codec, and how much its output lags: frame f sounds from f * HOP - DELAY on."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A question or an answer as codes."""

    id: str
    codes: NDArray[np.uint16]
    """[levels, F], 25 frames a second."""
    phones: tuple[int, ...]
    """Class ids (`ml.data.synthesis.PHONES`) without pauses; () where they are not known."""
    frame_phones: NDArray[np.uint8]
    """[F] class id of the middle of each frame; [0] where phones are not known."""
    speech: tuple[int, int]
    """First frame of speech, and the one after its last."""
    text: str
    speaker: str
    kind: str
    """voice, talker, human or noise."""
    split: Split
    """Of the pairs that use a question; answers are `train`, since all splits share them."""
    path: Path
    """The FLAC file."""
    answer_id: str = ""
    emotion: str = ""
    controls: ControlValues = NEUTRAL
    """pitch (semitones), energy (dB), rate (x), accent, intensity."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, the answers that fit, and what was said before."""

    id: str
    question: int
    """Index into `PairSet.questions`."""
    answer: int
    """Index into `PairSet.answers`: one rendering of a fitting answer."""
    answers: tuple[str, ...]
    """Ids of all fitting answers; the rendered one first."""
    context: tuple[tuple[int, str], ...]
    """(question index, answer id) of the turns before, oldest first."""
    intent: str
    kind: PairKind
    split: Split
    group: Group
    phrasing_split: Split
    talker_split: Split


class PairSet:
    """Questions, answers and pairs of one folder whose clips have codes of one codec.

    A folder that is still being rendered or encoded gives what is complete.
    """

    def __init__(
        self,
        questions: list[Clip],
        answers: list[Clip],
        pairs: list[Pair],
        texts: dict[str, AnswerText],
        intents: tuple[str, ...] | None = None,
    ) -> None:
        self.questions, self.answers, self.pairs = questions, answers, pairs
        self.texts = texts
        """Answer id -> answer, of everything planned."""
        self.intents: tuple[str, ...] = intents or tuple(sorted({pair.intent for pair in pairs}))
        """Every planned intent, sorted."""
        self._renderings: dict[str, list[int]] = defaultdict(list)
        for index, clip in enumerate(answers):
            self._renderings[clip.answer_id].append(index)

    @classmethod
    def load(cls, folder: Path, key: str) -> PairSet:
        """The pairs of `folder` with the codes of the codec of `key` (`codes_key(codec)`). Raises PairsError."""
        head, rows, specs = read_manifest(folder)
        codes = read_codes(folder, key, {row.id for row in rows})
        if not codes:
            raise PairsError(
                f"{codes_folder(folder, key)} has no codes: run python -m ml data codes --pairs {folder} first"
            )
        used = {pair.question: pair.split for pair in specs}
        questions: list[Clip] = []
        answers: list[Clip] = []
        place: dict[str, int] = {}
        for row in rows:
            if row.id in codes:
                kept = answers if row.kind == "voice" else questions
                place[row.id] = len(kept)
                kept.append(_clip(folder, row, codes[row.id], used.get(row.id, row.split)))
        by_id = {spec.id: spec for spec in specs}
        complete = {spec.id for spec in specs if spec.question in place and spec.answer in place}
        pairs = [
            _pair(spec, place, by_id) for spec in specs if spec.id in complete and complete.issuperset(spec.context)
        ]
        texts = {row["id"]: AnswerText(**row) for row in head["answers"]}
        return cls(questions, answers, pairs, texts, tuple(head.get("intents", ())) or None)

    def renderings(self, answer_id: str) -> list[int]:
        """Indices into `answers` of the clips of an answer; [] where none has codes yet."""
        return self._renderings.get(answer_id, [])

    def of(self, split: Split, group: Group | None = None) -> list[Pair]:
        """Pairs of a split, of one group if given."""
        return [pair for pair in self.pairs if pair.split == split and group in (None, pair.group)]


def _clip(folder: Path, row: ClipRow, codes: NDArray[np.uint16], split: Split) -> Clip:
    frames = codes.shape[1]
    begin = int(row.speech[0] * SAMPLE_RATE + DELAY) // HOP
    end = -(-int(row.speech[1] * SAMPLE_RATE + DELAY) // HOP)
    if row.speech[1] <= row.speech[0]:
        begin, end = 0, frames
    spoken = tuple(PHONE_ID[symbol] for symbol, _, _ in row.phones if symbol != SILENCE)
    return Clip(
        id=row.id,
        codes=codes,
        phones=spoken,
        frame_phones=frame_phones(row.phones, frames),
        speech=(min(begin, frames), min(end, frames)),
        text=row.text,
        speaker=row.speaker,
        kind=row.kind,
        split="train" if row.kind == "voice" else split,
        path=folder / row.path,
        answer_id=row.answer,
        emotion=row.emotion,
        controls=row.controls,
    )


def frame_phones(phones: list[tuple[str, float, float]], frames: int) -> NDArray[np.uint8]:
    """Class id of what sounds in the middle of each of `frames` frames, uint8 [frames]; [0] without phones."""
    if not phones:
        return np.zeros(0, np.uint8)
    middles = (np.arange(frames) * HOP + HOP / 2 - DELAY) / SAMPLE_RATE
    ends = np.array([end for _, _, end in phones])
    ids = np.array([PHONE_ID[symbol] for symbol, _, _ in phones] + [PHONE_ID[SILENCE]], np.uint8)
    found: NDArray[np.uint8] = ids[np.searchsorted(ends, middles, side="right")]
    return found


def _pair(spec: PairSpec, place: dict[str, int], by_id: dict[str, PairSpec]) -> Pair:
    before = [by_id[i] for i in spec.context]
    return Pair(
        id=spec.id,
        question=place[spec.question],
        answer=place[spec.answer],
        answers=spec.answers,
        context=tuple((place[p.question], p.answers[0]) for p in before),
        intent=spec.intent,
        kind=spec.kind,
        split=spec.split,
        group=spec.group,
        phrasing_split=spec.phrasing_split,
        talker_split=spec.talker_split,
    )
