"""Another socket's database call holds up nobody's frames: shown by order, not by the clock."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.support.live_client import live_client
from tests.support.side_web import side_web
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("thread", ["shared", "own"])
async def test_frames_flow_while_a_database_call_is_held(stack: Stack, tmp_path: Path, thread: str) -> None:
    """A hundred frames come back, one after another, within a single call that another socket holds."""
    async with side_web(stack, tmp_path, program="benchmarks.stalled_web") as web:
        stall_url = web.ws_url.replace("/voice/", "/stall/")
        async with live_client(web.ws_url) as client, connect(stall_url) as other:
            await client.hello()
            await client.in_step([bytes(640)] * 5)
            await other.send(json.dumps({"ms": 30_000, "thread": thread}))
            assert json.loads(await other.recv()) == {"began": True}
            done = asyncio.create_task(other.recv())
            await client.in_step([bytes(640)] * 100)
            assert not done.done(), "the call was over before the frames came back"
            done.cancel()
            other.transport.abort()
