"""The inference server as a process: load, warm up, listen, say ready, serve, drain at SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ml.codec import TeluCodec, load_codec
from ml.codec.checkpoint import read_card
from ml.serve import wire
from ml.serve.engine import Engine, EngineConfig, Output
from ml.serve.server import InferenceServer, Offer, ServerConfig
from ml.serve.sockets import Listener, bind
from ml.serve.stepper import CodecStepper
from ml.vad import SegmenterConfig, SileroVad, VadBank

log = logging.getLogger(__name__)


class StartError(RuntimeError):
    """The server cannot start; the message is one line that says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Everything the process is told."""

    listen: list[wire.Address]
    weights: Path
    preset: str = "hifi"
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


def load_offer(options: ServeOptions, device: torch.device) -> tuple[TeluCodec, Offer]:
    """The codec, and what is told of it to clients. Raises CheckpointError, StartError."""
    path = options.weights / f"codec-{options.preset}.safetensors"
    codec = load_codec(path, device)
    card = read_card(path)
    config = codec.config
    if config.sample_rate != wire.SAMPLE_RATE or wire.FRAME_SAMPLES % config.hop:
        raise StartError(
            f"{path} is for {config.sample_rate} Hz and hop {config.hop}; this protocol needs {wire.SAMPLE_RATE} Hz "
            f"and a hop that divides {wire.FRAME_SAMPLES}"
        )
    sha256 = str(card["sha256"])
    version = str(card.get("version") or sha256[:12])
    models = {"codec": {"preset": options.preset, "sha256": sha256, "version": version}}
    delay_ms = 1000.0 * config.delay_samples / config.sample_rate
    return codec, Offer(options.preset, config.sample_rate, config.hop, delay_ms, models)


async def run(options: ServeOptions) -> int:
    """Serve until SIGTERM or SIGINT; the exit status (0 drained, 1 the device failed).

    Raises:
        StartError, CheckpointError, VadError, ListenError: nothing was served; each is one line for the user.
    """
    device = choose_device(options.device)
    codec, offer = load_offer(options, device)
    capacity = options.engine.capacity
    vad = VadBank(SileroVad(), capacity, wire.FRAME_SAMPLES, options.segmenter) if options.vad else None
    loop = asyncio.get_running_loop()
    server = InferenceServer(offer, options.server)
    leave = asyncio.Event()
    failures: list[BaseException] = []

    def publish(outputs: list[Output]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to hear it
            loop.call_soon_threadsafe(server.deliver, outputs)

    def failed(error: BaseException) -> None:
        failures.append(error)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(leave.set)

    engine = Engine(CodecStepper(codec, capacity, wire.FRAME_SAMPLES, device), vad, options.engine, publish, failed)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    # The addresses are taken before the warm-up, so that a second server fails at once, and listened on after it.
    listeners: list[Listener] = []
    try:
        for address in options.listen:
            listeners.append(bind(address))
        await asyncio.to_thread(engine.start)
        for listener in listeners:
            listener.start()
        await server.listen(engine, [listener.sock for listener in listeners])
        _say_ready([str(listener.address) for listener in listeners], options, device, engine, offer.models)
        await leave.wait()
        if not failures:
            await server.drain()
    finally:
        for listener in listeners:
            listener.close()
        await asyncio.to_thread(engine.stop)
    return 1 if failures else 0


def _say_ready(
    listen: list[str], options: ServeOptions, device: torch.device, engine: Engine, models: dict[str, Any]
) -> None:
    line = {
        "event": "ready",
        "pid": os.getpid(),
        "listen": listen,
        "slots": options.engine.capacity,
        "device": str(device),
        "threads": options.engine.threads,
        "warm_up_ms": round(engine.warm_up_ms, 1),
        "models": models,
    }
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(line), flush=True)
