"""One of everything, for the matrix of permissions; all that belongs to a person is sita's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.utils import timezone

from apps.accounts.services import token_create
from apps.console.models import SavedFilter
from apps.speakers.models import VoiceBlend
from apps.speakers.services import blend_save
from apps.training.models import Dataset, DeviceLease, Job, ModelVersion, WorkerHeartbeat
from apps.voice.services import turn_record
from tests.support.factories import draft, make_emotion, make_speaker, open_session


@dataclass(frozen=True)
class World:
    """Rows by model."""

    rows: dict[str, Model]

    def admin_object(self, label: str) -> Model:
        return self.rows[label]

    def fill(self, value: Any) -> Any:
        named = {"{session}": "voice.voicesession", "{filter}": "console.savedfilter"}
        return str(self.rows[named[value]].pk) if isinstance(value, str) and value in named else value

    def arguments_for(self, path: str, key: str) -> Any:
        """What stands for `key` in a path of the schema: ``/api/v1/speakers/{slug}``."""
        resource = path.split("/")[3].rstrip("s")
        if key == "name":
            return "nowhere.flac"
        return self._value("slug" if key == "slug" else "pk", f"{resource}-detail")

    def arguments(self, name: str, route: str) -> tuple[list[Any], dict[str, Any]]:
        """What the address of that name needs to be written."""
        if name.endswith("_simple_history"):
            row: Any = self.rows[self._admin_label(name)]
            return [row.pk, row.history.first().history_id], {}
        named = re.findall(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>", route)
        return [], {key: self._value(key, name) for pair in named for key in pair if key}

    def _value(self, key: str, name: str) -> Any:
        owner = {
            "turn_id": "voice.turn",
            "session_id": "voice.voicesession",
            "dataset_id": "training.dataset",
            "job_id": "training.job",
            "version_id": "training.modelversion",
        }
        if key in owner:
            return self.rows[owner[key]].pk
        if key == "object_id":
            return self.rows[self._admin_label(name)].pk if name != "admin:view_on_site" else 1
        fixed = {"app_label": "speakers", "name": "nowhere.flac", "content_type_id": 0}
        if key in fixed:
            return fixed[key]
        if key == "id":
            return self.rows["auth.user"].pk
        resource = re.sub(r"^(api:)?(\w+)-.*$", r"\2", name)
        labels = {
            "speaker": "speakers.speaker",
            "emotion": "speakers.emotion",
            "blend": "speakers.voiceblend",
            "session": "voice.voicesession",
            "turn": "voice.turn",
            "token": "accounts.apitoken",
            "dataset": "training.dataset",
            "job": "training.job",
            "model": "training.modelversion",
        }
        row: Any = self.rows[labels[resource]]
        return row.slug if key == "slug" else row.pk

    @staticmethod
    def _admin_label(name: str) -> str:
        found = re.match(r"admin:([a-z]+)_([a-z]+)_", name)
        assert found is not None, name
        return f"{found[1]}.{found[2]}"


def make_world(*, owner: User) -> World:
    """Fresh rows."""
    now = timezone.now()
    speaker, emotion = make_speaker("priya"), make_emotion("happy")
    make_speaker("arjun", gender="male")
    blend = blend_save(
        blend=VoiceBlend(
            slug="mix", name_te="మిశ్రమం", name_en="Mix", weights={"priya": 0.5, "arjun": 0.5}, is_published=True
        )
    )
    session = open_session(user=owner).session
    token, _ = token_create(user=owner, name="laptop", scopes=["read"], expires_at=now + timedelta(days=1))
    job = Job.objects.create(kind=Job.Kind.values[0], name="a job", created_by=owner)
    rows: list[Model] = [
        speaker,
        emotion,
        blend,
        session,
        turn_record(session_id=session.pk, draft=draft()),
        Dataset.objects.create(name="a dataset", licence="own", created_by=owner),
        job,
        DeviceLease.objects.create(device="cpu@tests", job=job),
        ModelVersion.objects.create(
            kind="codec", preset="hifi", version="1", file="codec-hifi.safetensors", sha256="0" * 64
        ),
        WorkerHeartbeat.objects.create(queue="cpu", worker="tests", beat_at=now),
        SavedFilter.objects.create(user=owner, page="voice.turn", name="mine", query="mark=good"),
        token,
        User.objects.create_user("clerk"),
        Group.objects.create(name="Guests of the house"),
        AccessAttempt.objects.create(username="x", ip_address="192.0.2.1", failures_since_start=1),
        AccessLog.objects.create(username="x", ip_address="192.0.2.1"),
        AccessFailureLog.objects.create(username="x", ip_address="192.0.2.1"),
    ]
    return World({row._meta.label_lower: row for row in rows})
