"""An inference server in the test's own event loop, with a tiny random codec, on real sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ml.codec import CodecConfig, TeluCodec
from ml.serve import wire
from ml.serve.app import ServeOptions, Service
from ml.serve.engine import EngineConfig
from ml.serve.server import ServerConfig
from ml.serve.shelf import Loaded, Shelf, tiny_models
from ml.serve.speaking import TalkConfig
from tests.ml.serve.client import Client

MODELS = {"codec": {"preset": "hifi", "sha256": "0" * 64, "version": "test"}}


@pytest.fixture(scope="session")
def codec() -> TeluCodec:
    torch.manual_seed(7)
    return TeluCodec(CodecConfig.named("tiny")).fold()


@dataclass
class Running:
    """A started service and what a test does with it."""

    service: Service
    address: wire.Address
    clients: AsyncExitStack

    async def client(self) -> Client:
        client = await Client.connect(self.address)
        self.clients.push_async_callback(client.close)
        return client


StartServer = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start_server(codec: TeluCodec, tmp_path: Path) -> AsyncIterator[StartServer]:
    """Start a server: ``await start_server(slots=2, queue_frames=25, address=None, vad=False, talk=False)``."""
    async with AsyncExitStack() as stack:

        async def start(
            *,
            slots: int = 4,
            queue_frames: int = 25,
            address: wire.Address | None = None,
            vad: bool = False,
            server: ServerConfig | None = None,
            talk: bool = False,
        ) -> Running:
            device = torch.device("cpu")
            shelf = Shelf(tmp_path, device, slots)
            shelf.hifi = Loaded(codec, MODELS["codec"])
            if talk:
                shelf.dialogue, shelf.s2s = tiny_models(device)
            options = ServeOptions(
                listen=[address or wire.Address(path=str(tmp_path / "i.sock"))],
                weights=tmp_path,
                vad=vad or talk,
                engine=EngineConfig(capacity=slots, queue_frames=queue_frames, tick_ms=0.0, talk=TalkConfig()),
                server=server or ServerConfig(),
            )
            service = Service(shelf, device, options)
            stack.push_async_callback(service.stop)
            (bound,) = await service.start()
            clients = await stack.enter_async_context(AsyncExitStack())
            return Running(service, bound, clients)

        yield start
