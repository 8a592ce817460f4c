"""The Celery application: queues, schedule, and messages that really travel through the filesystem."""

from __future__ import annotations

from pathlib import Path

from celery import Celery
from django.conf import settings

from voiceplatform.celery import QUEUES, app


def test_every_scheduled_task_exists_and_goes_to_a_declared_queue() -> None:
    app.loader.import_default_modules()
    declared = {queue.name for queue in app.conf.task_queues}
    assert declared == set(QUEUES) == {"io", "cpu", "gpu"}
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
        assert entry["options"]["queue"] in declared
        assert entry["options"]["expires"] <= entry["schedule"]
    beats = {entry["args"][0] for entry in app.conf.beat_schedule.values() if entry["task"] == "training.heartbeat"}
    assert beats == set(settings.VOICE_QUEUES)  # no message to a queue that nobody reads
    assert app.conf.beat_schedule["reap sessions"]["schedule"] == 15


def test_tasks_are_never_run_in_place() -> None:
    assert app.conf.task_always_eager is False
    assert app.conf.task_acks_late is False


def test_messages_travel_through_files(tmp_path: Path) -> None:
    assert settings.CELERY_BROKER_URL == "filesystem://"
    options = dict(settings.CELERY_BROKER_TRANSPORT_OPTIONS)
    assert options["data_folder_in"] == options["data_folder_out"] == str(settings.VAR_DIR / "celery" / "messages")
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    options.update(
        data_folder_in=str(tmp_path / "messages"),
        data_folder_out=str(tmp_path / "messages"),
        control_folder=str(tmp_path / "control"),
    )
    client = Celery("test", broker="filesystem://", set_as_current=False)
    client.conf.update(broker_transport_options=options, task_queues=app.conf.task_queues, task_default_queue="io")
    client.send_task("voice.reap", queue="io")
    assert len(list((tmp_path / "messages").glob("*"))) == 1
    with client.connection_for_read() as connection:
        message = connection.SimpleQueue("io").get(timeout=10)
        assert message.headers["task"] == "voice.reap"
        message.ack()
    client.close()
