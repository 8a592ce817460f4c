"""What a model is told of an earlier connection: codes to any version, plans only to the one that took them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apps.voice import recollection
from apps.voice.recollection import recollect
from apps.voice.services import turn_record
from ml.serve.wire import History
from tests.support.factories import draft, open_session

CODES = np.ones((8, 5), np.uint16)
MODELS = {"codec": "dialogue@1", "s2s": "cpu@1"}
OTHER_S2S = {"codec": "dialogue@1", "s2s": "cpu@2"}
OTHER_CODEC = {"codec": "dialogue@2", "s2s": "cpu@1"}


@pytest.mark.django_db
def test_what_this_process_kept_has_its_plans_for_the_same_model_only() -> None:
    session = open_session().session
    told = [History(CODES, CODES, 17), History(CODES, CODES[:, :0])]
    recollection.keep(session.pk, MODELS, told)
    assert recollect(session, MODELS) == told
    assert recollect(session, OTHER_S2S) == [History(CODES, CODES), told[1]]
    assert recollect(session, OTHER_CODEC) == [], "these codes mean nothing to it"
    recollection.drop(session.pk)
    assert recollect(session, MODELS) == []


@pytest.mark.django_db
def test_stored_turns_have_their_plans_too(media: Path) -> None:
    session = open_session().session
    for role, stats in (("user", {}), ("assistant", {"plan": 17}), ("user", {}), ("assistant", {}), ("user", {})):
        turn_record(session_id=session.pk, draft=draft(role=role, codes=CODES, stats=stats, model_versions=MODELS))
    nothing = History(CODES, CODES[:, :0])
    assert recollect(session, MODELS) == [History(CODES, CODES, 17), History(CODES, CODES), nothing]
    assert recollect(session, OTHER_S2S) == [History(CODES, CODES), History(CODES, CODES), nothing]
    assert recollect(session, OTHER_CODEC) == []
