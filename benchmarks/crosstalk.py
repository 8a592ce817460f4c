"""Does anybody hear another's answer, or is answered to another's question? Told by the recogniser.

Upstream: what the server understood of each turn must be nearest to the question that this client asked. Downstream:
what arrived at a client must sound as the answers that the server stored for it, not as another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.data.synthesis import PHONE_ID, phones_of
from ml.recogniser import Recogniser
from ml.recogniser.decode import edit_distances

if TYPE_CHECKING:
    from benchmarks.conversation import Talker

SHORTEST_BYTES = 32_000
"""A second: less of an answer may fit anybody's."""


def crosstalk(talkers: Sequence[Talker]) -> dict[str, Any]:
    """Turns and answers that were compared, and how many were another's."""
    asked = [_ids(talker.text) for talker in talkers]
    answers = [[_ids(text) for text in dict.fromkeys(talker.result.captions["assistant"])] for talker in talkers]
    recogniser = Recogniser.load()
    turns, wrong_turns, heard, wrong_heard = 0, 0, 0, 0
    for me, talker in enumerate(talkers):
        for text in talker.result.captions["user"]:
            turns += 1
            wrong_turns += _nearest(_ids(text), asked) not in (me, *_equal(asked, me))
        for pcm in talker.result.said:
            if len(pcm) < SHORTEST_BYTES or not answers[me]:
                continue
            phones = recogniser.phones(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768))
            said = [PHONE_ID[phone] for phone in phones]
            others = [known for other, theirs in enumerate(answers) if other != me for known in theirs]
            heard += 1
            wrong_heard += bool(others) and _distance(said, answers[me]) > _distance(said, others)
    return {"turns": turns, "turns_of_another": wrong_turns, "answers": heard, "answers_of_another": wrong_heard}


def _ids(text: str) -> list[int]:
    return [PHONE_ID[phone] for phone in phones_of(text)]


def _equal(asked: Sequence[list[int]], me: int) -> list[int]:
    return [other for other, phones in enumerate(asked) if phones == asked[me]]


def _nearest(phones: list[int], known: Sequence[list[int]]) -> int:
    return int(np.argmin(edit_distances(phones, known) / np.maximum([len(k) for k in known], max(1, len(phones)))))


def _distance(said: list[int], known: Sequence[list[int]]) -> int:
    """To the nearest of texts of which only the beginning may have been heard."""
    return int(min(edit_distances(said, [text[: max(len(said), 1)] for text in known])))
