"""A conversation as a file that its speaker takes home."""

from __future__ import annotations

import json
import tempfile
import zipfile
from typing import IO, Any

from apps.voice.models import Turn, VoiceSession
from apps.voice.selectors import session_turns

IN_MEMORY = 8 << 20
"""Bytes of a zip that are built in memory; a larger one goes through a temporary file."""
_FILES = (("audio", "heard.flac"), ("output_audio", "answered.flac"), ("codes", "codes.npy"))


def session_zip(*, session: VoiceSession) -> IO[bytes]:
    """The session's recordings and codes, and `conversation.json` that says what they are; positioned at its start.

    Recordings are FLAC already, so they are stored, not packed again. A file that is gone is named as missing.
    """
    out: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (the response closes it)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        turns = [_add(archive, turn) for turn in session_turns(session_id=session.pk)]
        description = {
            "session": str(session.pk),
            "begun": session.created_at.isoformat(),
            "ended": session.ended_at.isoformat() if session.ended_at else None,
            "mode": session.mode,
            "turns": turns,
        }
        text = json.dumps(description, ensure_ascii=False, indent=2)
        archive.writestr("conversation.json", text, zipfile.ZIP_DEFLATED)
    out.seek(0)
    return out


def _add(archive: zipfile.ZipFile, turn: Turn) -> dict[str, Any]:
    row: dict[str, Any] = {
        "index": turn.index,
        "role": turn.role,
        "speaker": turn.speaker.slug if turn.speaker else None,
        "emotion": turn.emotion.slug if turn.emotion else None,
        "start_ms": turn.start_ms,
        "duration_ms": turn.duration_ms,
        "interrupted_at_ms": turn.interrupted_at_ms,
        "latency": turn.latency,
        "models": turn.model_versions,
    }
    for attribute, name in _FILES:
        stored = getattr(turn, attribute)
        if not stored:
            continue
        target = f"{turn.index:03d}-{turn.role}-{name}"
        try:
            with stored.storage.open(stored.name) as source, archive.open(target, "w") as copy:
                for block in source.chunks():
                    copy.write(block)
            row[attribute] = target
        except FileNotFoundError:
            row[attribute] = None
    return row
