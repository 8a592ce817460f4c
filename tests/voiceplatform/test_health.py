"""/healthz and /readyz against a socket that speaks the inference protocol, and without one."""

from __future__ import annotations

import asyncio
import logging.config
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from apps.training.services import heartbeat_record
from ml.serve.wire import Stats, decode_client, read_message, write_message
from voiceplatform import drain

pytestmark = pytest.mark.django_db


@contextmanager
def inference(path: Path, *, draining: bool = False) -> Iterator[str]:
    """A server that answers `stats`, with an event loop and a thread of its own. Yields its address."""
    stats = Stats(
        active=3,
        capacity=8,
        free=5,
        late_ticks=0,
        ticks=0,
        tick_ms_p50=0.0,
        tick_ms_p95=0.0,
        dropped=0,
        uptime_s=1.0,
        draining=draining,
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await read_message(reader, decode_client) is not None:
                await write_message(writer, stats)
        except ConnectionError:
            pass  # the probe has what it wanted and hung up
        finally:
            writer.close()

    listening: Future[Callable[[], object]] = Future()

    async def serve() -> None:
        # Everything that touches the loop happens in it; the test's thread only asks it to end.
        loop, ending = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_unix_server(answer, path):
            listening.set_result(lambda: loop.call_soon_threadsafe(ending.set))
            await ending.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    end = listening.result(10)
    try:
        yield f"unix://{path}"
    finally:
        end()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def ready(settings: Any, tmp_path: Path) -> Iterator[None]:
    with inference(tmp_path / "i.sock") as url:
        settings.INFERENCE_URLS = [url]
        yield


def test_alive_says_nothing_about_others(client: Client, settings: Any, django_assert_num_queries: Any) -> None:
    settings.INFERENCE_URLS = ["unix:///nowhere.sock"]
    with django_assert_num_queries(0):
        assert client.get("/healthz").json() == {"status": "ok"}


def test_ready(client: Client, ready: None, settings: Any) -> None:
    heartbeat_record(queue="io", worker="worker@host")
    response = client.get("/readyz")
    body = response.json()
    assert (response.status_code, body["status"]) == (200, "ok")
    assert body["inference"] == {settings.INFERENCE_URLS[0]: {"free": 5, "capacity": 8}}
    assert 0 <= body["jobs"]["io"] < 60
    assert "no-store" in response["Cache-Control"]


def test_one_server_of_two_is_enough(client: Client, ready: None, settings: Any) -> None:
    settings.INFERENCE_URLS = ["tcp://127.0.0.1:1", *settings.INFERENCE_URLS]
    response = client.get("/readyz")
    assert response.status_code == 200
    assert "error" in response.json()["inference"]["tcp://127.0.0.1:1"]


def test_a_probe_that_fails_every_second_does_not_fill_the_log(capsys: Any, client: Client, settings: Any) -> None:
    settings.INFERENCE_URLS = ["unix:///nowhere.sock"]
    logging.config.dictConfig(settings.LOGGING)  # the handler on this test's stderr
    try:
        assert client.get("/readyz").status_code == 503
        assert client.get("/nowhere").status_code == 404
        written = capsys.readouterr().err
    finally:
        with capsys.disabled():
            logging.config.dictConfig(settings.LOGGING)
    assert "readyz" not in written
    assert "/nowhere" in written


def test_no_inference_server(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.INFERENCE_URLS = [f"unix://{tmp_path}/missing.sock"]
    response = client.get("/readyz")
    assert response.status_code == 503
    assert list(response.json()["down"]) == ["inference"]
    assert "missing.sock" in response.json()["down"]["inference"]


def test_a_draining_inference_server_does_not_count(client: Client, settings: Any, tmp_path: Path) -> None:
    with inference(tmp_path / "i.sock", draining=True) as url:
        settings.INFERENCE_URLS = [url]
        response = client.get("/readyz")
    assert response.status_code == 503
    assert "draining" in response.json()["down"]["inference"]


def test_a_draining_web_process_wants_no_traffic_but_lives(client: Client, ready: None) -> None:
    asyncio.run(drain.drain(1.0))
    try:
        response = client.get("/readyz")
        assert (response.status_code, response.json()["down"]) == (503, {"web": "draining"})
        assert client.get("/healthz").status_code == 200
    finally:
        drain.reset()


def test_no_database(client: Client, ready: None) -> None:
    """A statement that fails is how a lost server looks from here."""
    from django.db import connection

    def lost(*_: Any) -> None:
        raise DatabaseError("server closed the connection unexpectedly")

    with connection.execute_wrapper(lost):
        response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["down"] == {"database": "DatabaseError"}
