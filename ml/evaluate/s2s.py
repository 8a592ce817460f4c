"""What the S2S model answers, judged from its audio by the recogniser: `python -m ml evaluate s2s`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.codec.model import TeluCodec
from ml.data.synthesis.g2p import phones_of
from ml.data.synthesis.phones import PHONE_ID
from ml.evaluate.answers import Answered, Asked, answer_all, to_audio
from ml.recogniser import Recogniser, words_only
from ml.recogniser.decode import edit_distance, edit_distances
from ml.s2s.model import S2SModel
from ml.s2s.sampling import Sampling

if TYPE_CHECKING:
    from ml.data.pairs import Pair
    from ml.s2s.train.data import Dialogues

Progress = Callable[[Sequence[Any], str], Iterable[Any]]
GROUP_NAMES = {
    "seen": "training voices and phrasings, new recordings",
    "phrasings": "unseen phrasings, training voices",
    "voices": "unseen voices, training phrasings",
    "both": "unseen phrasings in unseen voices",
    "followups": "follow-ups",
    "chains": "context chains",
    "out_of_domain": "out of domain: human clips, noise",
}
TRUNCATED = 0.7
"""An answer with fewer than this share of its text's phones counts as truncated."""


class AnswerBook:
    """All answers of the model by id, with their phones: finds the one that heard phones are nearest to."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.ids = list(texts)
        self.phones = [[PHONE_ID[p] for p in phones_of(text)] for text in texts.values()]
        self.of = dict(zip(self.ids, self.phones, strict=True))

    def nearest(self, heard: Sequence[int]) -> tuple[str, float]:
        """Id of the nearest answer, and the share of phones in which it differs (1 for nothing heard)."""
        if not heard:
            return "", 1.0
        distances = edit_distances(heard, self.phones) / np.array([max(len(p), len(heard)) for p in self.phones])
        best = int(distances.argmin())
        return self.ids[best], float(distances[best])

    def error(self, heard: Sequence[int], answer: str) -> float:
        """Phone error rate of `heard` against an answer's text."""
        truth = self.of[answer]
        return edit_distance(heard, truth) / max(1, len(truth))


@dataclass(frozen=True)
class Heard:
    """What the recogniser made of one answer."""

    symbols: list[str]
    nearest: str
    distance: float

    @property
    def ids(self) -> list[int]:
        """Class ids of the words' phones."""
        return [PHONE_ID[s] for s in words_only(self.symbols)]


def hear(recogniser: Recogniser, book: AnswerBook, clips: Sequence[NDArray[np.float32]], rows: int = 16) -> list[Heard]:
    """Recognise `clips` and find the answers nearest to them."""
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    found: dict[int, Heard] = {}
    for start in range(0, len(order), rows):
        part = order[start : start + rows]
        for i, symbols in zip(part, recogniser.heard([clips[i] for i in part]), strict=True):
            found[i] = Heard(symbols, *book.nearest([PHONE_ID[s] for s in words_only(symbols)]))
    return [found[i] for i in range(len(clips))]


def repeats(phones: Sequence[int], truth: Sequence[int]) -> bool:
    """True when a stretch of 4 to 30 phones is said three times in a row and the text does not do that."""
    return _loops(phones) and not _loops(truth)


def _loops(phones: Sequence[int]) -> bool:
    count = len(phones)
    for size in range(4, min(30, count // 3) + 1):
        for start in range(count - 3 * size + 1):
            piece = phones[start : start + size]
            if piece == phones[start + size : start + 2 * size] == phones[start + 2 * size : start + 3 * size]:
                return True
    return False


def ask_pair(dialogues: Dialogues, pair: Pair, seed: int) -> Asked:
    """The question of a pair with its context, to be answered as its own answer is said; nothing is masked."""
    from ml.s2s.train.config import S2STrainConfig

    rng = np.random.default_rng((seed, pair.question))
    still = S2STrainConfig(name="still", end_silence=(5, 5), distracted=0.0)
    row = dialogues.row_of(pair, rng, still, ())
    assert row.question is not None
    return Asked(row.question, dialogues.conditions([row.answer], [True]), row.past, seed + pair.question)


def measure_groups(
    model: S2SModel,
    codec: TeluCodec,
    recogniser: Recogniser,
    dialogues: Dialogues,
    *,
    split: str,
    limit: int,
    sampling: Sampling,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Answer accuracy and faults for each group of the split's pairs; see `evaluate_s2s`."""
    pairs = dialogues.set
    book = AnswerBook(answer_texts(dialogues))
    plans = sorted(dialogues.plan_of, key=dialogues.plan_of.__getitem__)
    groups: dict[str, Any] = {}
    confusions: Counter[tuple[str, str]] = Counter()
    totals = Totals()
    for group, title in progress(list(GROUP_NAMES.items()), "groups"):
        chosen = [p for p in pairs.pairs if p.split == split and p.group == group]
        chosen = [chosen[i] for i in np.random.default_rng(seed).permutation(len(chosen))[:limit]]
        if not chosen:
            continue
        answers = answer_all(model, [ask_pair(dialogues, pair, seed) for pair in chosen], sampling)
        heard = hear(recogniser, book, [to_audio(codec, a.codes) for a in answers])
        rows = Totals()
        for pair, answer, one in zip(chosen, answers, heard, strict=True):
            planned = plans[answer.plan] if answer.plan >= 0 else one.nearest
            rows.add(pair.answers, planned, answer, one, book)
            if one.nearest not in pair.answers:
                confusions[(pair.intent, one.nearest or "(nothing)")] += 1
        groups[group] = {"about": title, **rows.result()}
        totals.join(rows)
    return {
        "groups": groups,
        "all": totals.result(),
        "confusions": [
            {"intent": intent, "heard": said, "count": count} for (intent, said), count in confusions.most_common(40)
        ],
    }


def answer_texts(dialogues: Dialogues) -> dict[str, str]:
    """Answer id -> text, of every answer."""
    return {answer: told.text for answer, told in dialogues.set.texts.items()}


class Totals:
    """Counts over answers."""

    def __init__(self) -> None:
        self.count = self.right = self.planned = self.repeated = self.truncated = self.endless = self.clear = 0
        self.errors: list[float] = []
        self.seconds: list[float] = []

    def add(self, acceptable: tuple[str, ...], planned: str, answer: Answered, heard: Heard, book: AnswerBook) -> None:
        """Count one answer."""
        truth = book.of.get(planned, [])
        self.count += 1
        self.right += heard.nearest in acceptable
        self.clear += heard.nearest in acceptable and heard.distance <= 0.5
        self.planned += planned in acceptable
        self.repeated += repeats(heard.ids, truth)
        self.truncated += len(heard.ids) < TRUNCATED * len(truth)
        self.endless += not answer.ended
        if truth:
            self.errors.append(book.error(heard.ids, planned))
        self.seconds.append(answer.codes.shape[1] / 25.0)

    def join(self, other: Totals) -> None:
        """Add the counts of `other`."""
        for name in ("count", "right", "planned", "repeated", "truncated", "endless", "clear"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors += other.errors
        self.seconds += other.seconds

    def result(self) -> dict[str, Any]:
        """Rates; `accuracy` by ear, `chosen` by the plan that the model took before it spoke."""
        n = max(1, self.count)
        return {
            "n": self.count,
            "accuracy": round(self.right / n, 4),
            "accuracy_clear": round(self.clear / n, 4),
            "chosen": round(self.planned / n, 4),
            "caption_error": round(float(np.mean(self.errors)), 4) if self.errors else None,
            "repetition_rate": round(self.repeated / n, 4),
            "truncation_rate": round(self.truncated / n, 4),
            "limit_rate": round(self.endless / n, 4),
            "mean_seconds": round(float(np.mean(self.seconds)), 2) if self.seconds else 0.0,
        }


def measure_recogniser(
    recogniser: Recogniser, codec: TeluCodec, dialogues: Dialogues, *, limit: int, seed: int
) -> dict[str, Any]:
    """The judge's own faults: true answers through the codec, as the model would have to say them."""
    book = AnswerBook(answer_texts(dialogues))
    clips = dialogues.set.answers
    picked = [clips[i] for i in np.random.default_rng(seed).permutation(len(clips))[:limit]]
    heard = hear(recogniser, book, [to_audio(codec, clip.codes) for clip in picked])
    right = sum(one.nearest == clip.answer_id for one, clip in zip(heard, picked, strict=True))
    errors = [book.error(one.ids, clip.answer_id) for one, clip in zip(heard, picked, strict=True)]
    return {
        "n": len(picked),
        "accuracy_on_true_answers": round(right / max(1, len(picked)), 4),
        "phone_error_on_true_answers": round(float(np.mean(errors)), 4) if errors else None,
    }
