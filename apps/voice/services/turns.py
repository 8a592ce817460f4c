"""Storing what was said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import numpy as np
import numpy.typing as npt
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from apps.voice.errors import ServiceError
from apps.voice.models import Turn, VoiceSession
from apps.voice.services.rows import locked_session, words
from apps.voice.storage import (
    SAMPLE_RATE,
    delete_files,
    flac_from_pcm16,
    npy_from_codes,
    turn_audio_path,
    turn_codes_path,
    turn_output_path,
    write_file,
)

EXPIRE_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class TurnDraft:
    """A finished stretch of speech, before it is stored: as much of it as the session's ``keep_audio`` allows.

    ``pcm`` (said, by whoever's turn it is) and ``output_pcm`` (one's own voice sent back) are PCM16LE 16 kHz mono;
    ``codes`` are integers [levels, frames]; ``started_ms`` is media time within the session; ``latency`` milliseconds
    by stage; ``response_ms`` is of answers: from the end of the user's speech to their first audio. ``ended_at``
    defaults to now.
    """

    role: Literal["user", "assistant"]
    started_ms: int
    duration_ms: int
    pcm: bytes = b""
    output_pcm: bytes = b""
    codes: npt.NDArray[Any] | None = None
    latency: Mapping[str, float] = field(default_factory=dict)
    model_versions: Mapping[str, Any] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)
    interrupted_at_ms: int | None = None
    response_ms: int | None = None
    ended_at: datetime | None = None


def turn_record(*, session_id: UUID, draft: TurnDraft) -> Turn:
    """Store a finished turn with its files, numbered after the session's last one.

    Files are written first: a committed row never points to a missing file; when the row cannot be stored they are
    removed again. Works for a session in any state, as the last turn may be written around the end.

    Raises:
        ServiceError: unknown_session or bad_turn.
    """
    turn, contents = _prepare(session_id, draft)
    for attribute in _withheld(session_id):
        contents.pop(attribute, None)
    written: list[str] = []
    try:
        for attribute, (name, content) in contents.items():
            written.append(write_file(name, content))
            setattr(turn, attribute, written[-1])
        _insert_turn(turn)
    except BaseException:
        delete_files(written)
        raise
    return turn


def turn_captioned(*, turn_id: UUID, text: str) -> bool:
    """Keep the caption of a turn, where the person lets the recording be kept too. Returns whether it was."""
    kept = Turn.objects.filter(pk=turn_id, session__keep_audio=VoiceSession.KeepAudio.YES).update(caption=text)
    return bool(kept)


def turns_expire(*, days: int, now: datetime | None = None) -> int:
    """Delete turns that ended more than ``days`` ago, with their files; 0 keeps all. Returns how many.

    In small transactions: nobody who talks now waits for it.
    """
    if days <= 0:
        return 0
    before = (now or timezone.now()) - timedelta(days=days)
    total = 0
    while ids := list(Turn.objects.filter(ended_at__lt=before).values_list("pk", flat=True)[:EXPIRE_AT_ONCE]):
        with transaction.atomic():
            Turn.objects.filter(pk__in=ids).delete()  # the files follow once this is committed, see signals
        total += len(ids)
    return total


def _withheld(session_id: UUID) -> tuple[str, ...]:
    """What the person has not consented to keep."""
    kept = VoiceSession.objects.filter(pk=session_id).values_list("keep_audio", flat=True).first()
    if kept == VoiceSession.KeepAudio.NOTHING:
        return ("audio", "output_audio", "codes")
    return ("audio", "output_audio") if kept == VoiceSession.KeepAudio.CODES else ()


def _prepare(session_id: UUID, draft: TurnDraft) -> tuple[Turn, dict[str, tuple[str, bytes]]]:
    """The row without number, voice and files, and the files' names and contents by attribute."""
    if not draft.pcm and not draft.output_pcm:
        raise ServiceError("bad_turn", "a turn needs audio", "give pcm or output_pcm")
    bad = [k for k, v in draft.latency.items() if not isinstance(v, int | float) or not math.isfinite(v) or v < 0]
    if bad:
        raise ServiceError("bad_turn", f"latency {', '.join(sorted(bad))} must be milliseconds, 0 or more")
    ended_at = draft.ended_at or timezone.now()
    turn = Turn(
        id=uuid4(),
        session_id=session_id,
        role=draft.role,
        started_at=ended_at - timedelta(milliseconds=max(0, draft.duration_ms)),
        ended_at=ended_at,
        start_ms=draft.started_ms,
        duration_ms=draft.duration_ms,
        interrupted_at_ms=draft.interrupted_at_ms,
        response_ms=draft.response_ms,
        latency={key: round(float(value), 3) for key, value in draft.latency.items()},
        model_versions=dict(draft.model_versions),
        stats={**draft.stats, "sample_rate": SAMPLE_RATE},
    )
    contents: dict[str, tuple[str, bytes]] = {}
    try:
        if draft.pcm:
            contents["audio"] = (turn_audio_path(turn), flac_from_pcm16(draft.pcm))
        if draft.output_pcm:
            contents["output_audio"] = (turn_output_path(turn), flac_from_pcm16(draft.output_pcm))
        if draft.codes is not None:
            contents["codes"] = (turn_codes_path(turn), npy_from_codes(np.asarray(draft.codes)))
    except ValueError as error:
        raise ServiceError("bad_turn", str(error)) from None
    return turn, contents


@transaction.atomic(durable=True)
def _insert_turn(turn: Turn) -> None:
    # durable: the files' fate hangs on this very commit, so that no outer transaction may undo it later.
    session = locked_session(turn.session_id)
    last = Turn.objects.filter(session=session).aggregate(last=Max("index"))["last"]
    turn.session = session
    turn.index = 0 if last is None else last + 1
    turn.speaker = session.speaker
    turn.emotion = session.emotion
    try:
        turn.full_clean()
    except ValidationError as error:
        raise ServiceError("bad_turn", words(error)) from None
    turn.save(force_insert=True)
