"""What the model is told of an earlier connection: the codes of the last turns, by session.

Kept in this process for as long as a session can be resumed, which covers most reconnects and consent to keep
nothing; else read from the stored turns. Codes, not the model's own memory: another model version can be told them too.
The same version is also told the plan of each answer: what was heard of one that was cut short may not tell it.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
import numpy.typing as npt

from apps.voice.models import Turn, VoiceSession
from apps.voice.storage import read_codes
from ml.serve.wire import History

logger = logging.getLogger(__name__)

Codes = npt.NDArray[np.uint16]
Pairs = list[History]
Models = Mapping[str, str]
"""Versions by kind, as `InferenceLink.models` and turns name them."""

TURNS = 10
SESSIONS = 500
KEPT_S = 180.0

_kept: OrderedDict[UUID, tuple[float, Models, Pairs]] = OrderedDict()


def keep(session_id: UUID, models: Models, pairs: Sequence[History]) -> None:
    """Remember a session's last turns, told in codes and plans of ``models``."""
    _kept.pop(session_id, None)
    _kept[session_id] = (time.monotonic(), models, list(pairs)[-TURNS:])
    while len(_kept) > SESSIONS or (_kept and time.monotonic() - next(iter(_kept.values()))[0] > KEPT_S):
        _kept.popitem(last=False)


def drop(session_id: UUID) -> None:
    """Forget a session."""
    _kept.pop(session_id, None)


def recollect(session: VoiceSession, models: Models) -> Pairs:
    """The last turns of a session, oldest first, in terms of ``models``."""
    found = _kept.get(session.pk)
    if found is not None and found[1]["codec"] == models["codec"] and time.monotonic() - found[0] <= KEPT_S:
        if _same_model(found[1], models):
            return list(found[2])
        return [replace(turn, plan=None) for turn in found[2]]
    return _stored(session, models)


def _same_model(told: Models, models: Models) -> bool:
    """Whether plans mean the same to both: a number of one version is another answer in the next."""
    return "s2s" in models and told.get("s2s") == models["s2s"]


def _stored(session: VoiceSession, models: Models) -> Pairs:
    rows = (
        Turn.objects.filter(session_id=session.pk, index__gte=session.memory_from)
        .exclude(codes="")
        .order_by("-index")[: 2 * TURNS]
    )
    pairs: Pairs = []
    asked: Codes | None = None
    for turn in reversed(rows):
        codes = _codes(turn, models["codec"])
        if codes is None:
            continue
        if turn.role == Turn.Role.USER:
            if asked is not None:
                pairs.append(History(asked, asked[:, :0]))
            asked = codes
        elif asked is not None:
            plan = turn.stats.get("plan") if _same_model(turn.model_versions or {}, models) else None
            pairs.append(History(asked, codes, plan))
            asked = None
    if asked is not None:
        pairs.append(History(asked, asked[:, :0]))
    return pairs[-TURNS:]


def _codes(turn: Turn, codec: str) -> Codes | None:
    if (turn.model_versions or {}).get("codec") != codec:
        return None
    try:
        return read_codes(turn)
    except (OSError, ValueError):
        logger.warning("codes of turn %s cannot be read", turn.pk)
        return None
