"""Sessions and turns by the hundred thousand, without recordings, as a platform has them after months.

Django has to be set up, and the database to be one whose contents do not matter.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.contrib.auth.models import User
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
        Turn.objects.filter(session__owner__in=self.users)._raw_delete("default")  # type: ignore[attr-defined]
        sessions._raw_delete("default")  # type: ignore[attr-defined]
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
    source = _turns(rows, turns, dice)
    while batch := list(islice(source, BATCH)):
        Turn.objects.bulk_create(batch)
    return Rows([user.pk for user in users], [one.pk for one in speakers], [one.pk for one in emotions])


def _turns(sessions: list[VoiceSession], count: int, dice: random.Random) -> Iterator[Turn]:
    per_session = max(2, count // len(sessions))
    for number in range(count):
        session = sessions[min(number // per_session, len(sessions) - 1)]
        index = number - per_session * min(number // per_session, len(sessions) - 1)
        answer = index % 2 == 1
        begin = session.created_at + timedelta(seconds=8 * index)
        slow = dice.random() < 0.02
        response = (dice.randint(801, 2000) if slow else dice.randint(180, 420)) if answer else None
        yield Turn(
            id=UUID(int=dice.getrandbits(128)),
            session=session,
            index=index,
            role="assistant" if answer else "user",
            speaker_id=session.speaker_id,
            emotion_id=session.emotion_id,
            started_at=begin,
            ended_at=begin + timedelta(seconds=3),
            start_ms=8000 * index,
            duration_ms=3000,
            interrupted_at_ms=1500 if answer and dice.random() < 0.1 else None,
            response_ms=response,
            latency={"endpoint_ms": 160.0, "decode_ms": 40.0} if answer else {},
            mark="good" if dice.random() < 0.01 else "",
        )
