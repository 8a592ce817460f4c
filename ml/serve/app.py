"""The inference server as a process: load, warm up, listen, say ready, serve, drain at SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ml.codec import CheckpointError
from ml.recogniser import Recogniser, kept
from ml.recogniser.turns import TurnEars
from ml.serve import wire
from ml.serve.engine import Engine, EngineConfig, Output
from ml.serve.lab import Lab
from ml.serve.metrics import serve_metrics
from ml.serve.server import InferenceServer, ServerConfig
from ml.serve.shelf import Offer, Shelf, ShelfError
from ml.serve.sockets import Listener, bind
from ml.vad import SegmenterConfig, SileroVad, VadBank

if TYPE_CHECKING:  # a server that announces itself nowhere needs no Redis client
    from ml.serve.registry import Announcer

log = logging.getLogger(__name__)


SWITCH_S = 0.0001
"""For how long a thread may keep the interpreter while another wants it. The device thread gives it up for each of some
hundred operations of a step, and would wait Python's usual 5 ms for it whenever a caption is made meanwhile."""

LARGE_BYTES = 1 << 20
_M_MMAP_THRESHOLD = -3


class StartError(RuntimeError):
    """The server cannot start; the message is one line that says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Everything the process is told."""

    listen: list[wire.Address]
    weights: Path
    promoted: Path | None = None
    """Folder that is looked into before ``weights``: what an operator promoted."""
    cache: Path | None = None
    """Folder that keeps what was made of the corpus between starts; None: it is made every time."""
    preset: str = "hifi"
    s2s_preset: str = "cpu"
    tiny_talk: bool = False
    """Talk with tiny random models: for tests, and for work on everything around the models."""
    registry: str = ""
    """``redis://…`` where this server announces itself as ``announce``; empty: nowhere."""
    announce: str = ""
    metrics: wire.Address | None = None
    """Where ``/metrics`` is given over HTTP."""
    device: str = "auto"
    vad: bool = True
    engine: EngineConfig = field(default_factory=EngineConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)


def choose_device(name: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N`` as a device that is there. Raises StartError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise StartError(f"no device {name!r}; use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise StartError(f"device {name!r} is not supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise StartError(
            f"device {name!r} is not there ({torch.cuda.device_count()} CUDA devices found); use auto or cpu"
        )
    return device


def load_shelf(options: ServeOptions, device: torch.device) -> Shelf:
    """The models that there are. Raises CheckpointError, StartError."""
    shelf = Shelf(options.weights, device, options.engine.capacity, options.promoted)
    try:
        shelf.start(options.preset, options.s2s_preset, tiny_talk=options.tiny_talk)
    except ShelfError as error:
        raise StartError(str(error)) from error
    return shelf


def load_recogniser(*folders: Path | None, cache: Path | None = None) -> Recogniser | None:
    """What gives approximate captions, ready to use, from the first folder that has it; None without any weights.

    `cache`: see `ServeOptions`.
    """
    for path in (folder / "recogniser.safetensors" for folder in folders if folder is not None):
        if not path.exists():
            continue
        try:
            recogniser = Recogniser.load(path)
        except (CheckpointError, OSError) as error:
            log.warning("no captions by %s: %s", path, error)
            continue
        return Recogniser(recogniser.net, kept.shipped(cache).captioner)
    return None


class Service:
    """Engine, sockets and their wiring; used by one event loop.

    Whoever announces this server elsewhere finds what that needs: the addresses from `start`, and
    `InferenceServer.stats` with capacity, free slots, models and whether it drains.
    """

    def __init__(self, shelf: Shelf, device: torch.device, options: ServeOptions) -> None:
        self.shelf = shelf
        self.options = options
        self.device = device
        self.leave = asyncio.Event()
        """Set by whoever wants the service to end, and when the device fails."""
        self.failure: BaseException | None = None
        self.server = InferenceServer(shelf.offers(), options.server, self._load)
        self.server.no_talk = shelf.no_talk
        capacity = options.engine.capacity
        vad = VadBank(SileroVad(), capacity, wire.FRAME_SAMPLES, options.segmenter) if options.vad else None
        self.stepper = shelf.stepper()
        recogniser = load_recogniser(options.promoted, options.weights, cache=options.cache)
        ears = None
        if recogniser is not None and not options.tiny_talk:
            ears = TurnEars(recogniser, kept.shipped(options.cache).endings)
        self.engine = Engine(
            self.stepper,
            vad,
            options.engine,
            self._publish,
            self._failed,
            talker=shelf.talker() if vad else None,
            ears=ears,
        )
        self.lab = Lab(shelf.codec, device, lambda: self.engine.stats().active > 0, recogniser)
        self.server.lab = self.lab
        self._listeners: list[Listener] = []
        self._announcer: Announcer | None = None
        self._metrics: asyncio.Server | None = None
        self._loop = asyncio.get_running_loop()

    async def start(self) -> list[wire.Address]:
        """Take the addresses, warm up, listen; returns where. Raises ListenError."""
        # Taken before the warm-up, so that a second server fails at once, and listened on after it.
        for address in self.options.listen:
            self._listeners.append(bind(address))
        await asyncio.to_thread(self.engine.start)
        self.lab.start()
        for listener in self._listeners:
            listener.start()
        await self.server.listen(self.engine, [listener.sock for listener in self._listeners])
        if self.options.metrics is not None:
            host, port = str(self.options.metrics.host), int(self.options.metrics.port or 0)
            try:
                self._metrics = await serve_metrics(host, port, self.server.metrics)
            except OSError as error:
                raise StartError(f"cannot give metrics on {host}:{port}: {error}; choose another address") from error
        if self.options.registry and self.options.announce:
            from ml.serve.registry import Announcer

            self._announcer = Announcer(self.options.registry, self.options.announce, self.server.describe)
            self._announcer.start()
        return [listener.address for listener in self._listeners]

    async def stop(self) -> None:
        """Drain (unless the device has failed), remove the sockets, stop the device thread."""
        try:
            if self._announcer is not None:
                await self._announcer.stop()  # first of all: nobody is to be sent here any more
            if self._metrics is not None:
                self._metrics.close()
            if self.failure is None:
                await self.server.drain()
        finally:
            for listener in self._listeners:
                listener.close()
            await asyncio.to_thread(self.lab.stop)
            await asyncio.to_thread(self.engine.stop)

    def _load(self, request: wire.Load) -> Mapping[str, Offer]:
        mode, model = self.shelf.load(request)
        self.engine.install(mode, model)
        return self.shelf.offers()

    def _publish(self, outputs: list[Output]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(self.server.deliver, outputs)

    def _failed(self, error: BaseException) -> None:
        self.failure = error
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.leave.set)


async def run(options: ServeOptions) -> int:
    """Serve until SIGTERM or SIGINT; the exit status (0 drained, 1 the device failed).

    Raises:
        StartError, CheckpointError, VadError, ListenError: nothing was served; each is one line for the user.
    """
    sys.setswitchinterval(SWITCH_S)
    _give_back_large_blocks()
    # Of this thread, which loads; torch's threads that wait for one another cost more than they bring on shared cores.
    torch.set_num_threads(options.engine.threads)
    device = choose_device(options.device)
    service = Service(load_shelf(options, device), device, options)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, service.leave.set)
    try:
        addresses = await service.start()
        # What is there now stays. Looking through all of it for cycles took a quarter of a second, in mid-conversation.
        gc.collect()
        gc.freeze()
        _say_ready(addresses, service)
        await service.leave.wait()
    finally:
        await service.stop()
    return 1 if service.failure else 0


def _give_back_large_blocks() -> None:
    """Have glibc take large blocks from the system and return them when they are freed.

    Left to itself it raises that size to what was freed last, up to 32 MB: one large array, once, stays in the process
    for good below what is allocated next. Elsewhere (musl, macOS) nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)


def _say_ready(addresses: list[wire.Address], service: Service) -> None:
    line = {
        "event": "ready",
        "pid": os.getpid(),
        "listen": [str(address) for address in addresses],
        "slots": service.options.engine.capacity,
        "device": str(service.device),
        "threads": service.options.engine.threads,
        "warm_up_ms": round(service.engine.warm_up_ms, 1),
        "models": service.server.models(),
    }
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(line), flush=True)
