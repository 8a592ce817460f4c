"""Sessions and turns by the hundred thousand, without recordings, as a platform has them after months.

Django has to be set up, and the database to be a Postgres whose contents do not matter.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from apps.speakers.models import Emotion, Speaker
from apps.voice.models import Turn, VoiceSession

USERS = 200
BATCH = 5_000


@dataclass(frozen=True)
class Rows:
    """What :func:`make_rows` made, so that it can be removed again."""

    users: list[int]
    speakers: list[int]
    emotions: list[int]

    def remove(self) -> None:
        """Everything, without signals (there are no files)."""
        sessions = VoiceSession.objects.filter(owner__in=self.users)
        Turn.objects.filter(session__owner__in=self.users)._raw_delete("default")
        sessions._raw_delete("default")
        User.objects.filter(pk__in=self.users).delete()
        for model, keys in ((Speaker, self.speakers), (Emotion, self.emotions)):
            model._default_manager.filter(pk__in=keys).delete()


def make_rows(*, turns: int, sessions: int, seed: int = 0) -> Rows:
    """Turns spread evenly over sessions of 200 users, three months back: 1 % marked, 5 % cut, 1 % above 800 ms."""
    dice = random.Random(seed)
    users = User.objects.bulk_create(User(username=f"bench-{n}", password="!") for n in range(USERS))
    speakers = Speaker.objects.bulk_create(
        Speaker(slug=f"bench-{n}", name_te="అ", name_en=f"bench {n}", gender="female", is_published=True)
        for n in range(4)
    )
    emotions = Emotion.objects.bulk_create(
        Emotion(slug=f"bench-{n}", name_te="అ", name_en=f"bench {n}", is_published=True) for n in range(9)
    )
    now = timezone.now()
    begin = now - timedelta(days=90)
    step = timedelta(days=90) / max(1, sessions)
    rows = [
        VoiceSession(
            id=UUID(int=dice.getrandbits(128)),
            owner=dice.choice(users),
            speaker=dice.choice(speakers),
            emotion=dice.choice(emotions),
            mode="talk",
            client="bench",
            created_at=begin + n * step,
            last_seen=begin + n * step,
            status="live" if n >= sessions - 5 else "ended",
            lease_until=now + timedelta(seconds=60) if n >= sessions - 5 else None,
            ended_at=None if n >= sessions - 5 else begin + n * step + timedelta(minutes=5),
            end_reason="" if n >= sessions - 5 else "client",
            last_fault="inference_lost" if dice.random() < 0.01 else "",
        )
        for n in range(sessions)
    ]
    VoiceSession.objects.bulk_create(rows, BATCH)
    _fill_turns(rows[0], per_session=-(-turns // sessions))
    return Rows([user.pk for user in users], [one.pk for one in speakers], [one.pk for one in emotions])


def _fill_turns(first: VoiceSession, *, per_session: int) -> None:
    """Question, answer, question …: made within Postgres, from one row that the ORM wrote (a hundredfold faster)."""
    pattern = Turn.objects.create(
        session=first,
        index=1_000_000,
        role="user",
        started_at=first.created_at,
        ended_at=first.created_at,
        start_ms=0,
        duration_ms=3000,
    )
    answer = "n %% 2 = 1"
    values = {
        "id": "gen_random_uuid()",
        "session_id": "s.id",
        "index": "n",
        "role": f"CASE WHEN {answer} THEN 'assistant' ELSE 'user' END",
        "speaker_id": "s.speaker_id",
        "emotion_id": "s.emotion_id",
        "started_at": "s.created_at + n * interval '8 seconds'",
        "ended_at": "s.created_at + n * interval '8 seconds' + interval '3 seconds'",
        "start_ms": "8000 * n",
        "interrupted_at_ms": f"CASE WHEN {answer} AND random() < 0.1 THEN 1500 END",
        "response_ms": f"CASE WHEN {answer} THEN 180 + (random() * 240)::int + 600 * (random() < 0.02)::int END",
        "latency": '\'{"endpoint_ms": 160, "decode_ms": 40}\'::jsonb',
        "mark": "CASE WHEN random() < 0.01 THEN 'good' ELSE '' END",
    }
    columns = [str(field.column) for field in Turn._meta.concrete_fields]
    names = ", ".join(f'"{column}"' for column in columns)
    chosen = ", ".join(values.get(column, f't."{column}"') for column in columns)
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(
            f"INSERT INTO voice_turn ({names}) SELECT {chosen} FROM voice_turn t, voice_voicesession s,"
            " generate_series(0, %s) n WHERE t.id = %s AND s.client = 'bench'",
            [per_session - 1, pattern.pk],
        )
    pattern.delete()
