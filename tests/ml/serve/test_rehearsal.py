"""The engine in virtual time answers, and adds up."""

import shutil

import pytest

from benchmarks.rehearsal import rehearse


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng asks the questions")
def test_conversations_in_virtual_time_are_answered_and_their_work_is_accounted_for() -> None:
    told = rehearse(2, 6.0, tiny=True)
    assert told["answered"] >= 2
    assert told["asked"] >= told["answered"]
    assert told["dropped"] == 0
    works = told["works"]
    assert works["begin"]["times"] >= told["answered"]
    assert works["encode"]["times"] < 6.0 * 25, "two rows of 25 frames a second, several at once"
    assert 0 < sum(work["ms"] for work in works.values()) <= 1000 * told["busy"] * told["seconds"]
