"""``python -m ml bench serve``: real-time sessions through a real socket, measured on both sides.

For each number of sessions a fresh server process is started and fed with frames paced by the wall clock, each
session with a phase of its own. Round trip is from the moment a frame is handed to the socket to the moment its
answer has been read; the server's own figures come from its ``stats`` and from the times in each answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ml.serve import wire

_START_S = 120.0
_SETTLE_S = 1.0


@dataclass(slots=True)
class SessionResult:
    """What one session saw; times in ms, one per answered frame after the settling time."""

    sent: int = 0
    answered: int = 0
    round_trip: list[float] = field(default_factory=list)
    queue: list[float] = field(default_factory=list)
    encode: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)


async def run_session(
    address: wire.Address, seconds: float, phase_s: float, seed: int, settle_s: float = _SETTLE_S
) -> SessionResult:
    """One session of ``seconds`` of speech-like noise in real time. Raises RuntimeError when the server is full."""
    loop = asyncio.get_running_loop()
    reader, writer = await wire.connect(address)
    result = SessionResult()
    sent_at: dict[int, float] = {}
    frames = _frames(seconds, seed)
    warm = int(settle_s * 1000 / wire.FRAME_MS)

    async def receive() -> None:
        while result.answered < len(frames):
            message = await wire.read_message(reader, wire.decode_server)
            if message is None:
                return
            if not isinstance(message, wire.AudioDown):
                continue
            now = loop.time()
            result.answered += 1
            began = sent_at.pop(message.seq)
            if message.seq >= warm:
                result.round_trip.append(1000 * (now - began))
                result.queue.append(message.queue_us / 1000)
                result.encode.append(message.encode_us / 1000)
                result.decode.append(message.decode_us / 1000)

    try:
        await wire.write_message(writer, wire.Open())
        answer = await wire.read_message(reader, wire.decode_server)
        if not isinstance(answer, wire.Opened):
            raise RuntimeError(f"the server gave no slot: {answer}")
        receiving = asyncio.create_task(receive())
        start = loop.time() + phase_s
        for n, pcm in enumerate(frames):
            await asyncio.sleep(start + n * wire.FRAME_MS / 1000 - loop.time())
            sent_at[n] = loop.time()
            await wire.write_message(writer, wire.AudioUp(n, n * wire.FRAME_MS, 0, pcm))
            result.sent += 1
        # Frames that were dropped never come back: the wait for the last answers is bounded.
        await asyncio.wait([receiving], timeout=2.0)
        receiving.cancel()
        return result
    finally:
        writer.close()


def _frames(seconds: float, seed: int) -> list[bytes]:
    count = int(seconds * 1000 / wire.FRAME_MS)
    rng = np.random.default_rng(seed)
    loudness = 1500 * (1 + np.sin(np.arange(count) * 0.4 + seed))
    noise = rng.standard_normal((count, wire.FRAME_SAMPLES)) * loudness[:, None]
    return [row.astype("<i2").tobytes() for row in noise.clip(-32768, 32767)]


async def measure(sessions: int, seconds: float, serve_options: list[str]) -> dict[str, Any]:
    """Figures of one level of load, from a server process of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        address = wire.Address(path=f"{folder}/i.sock")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ml", "serve", "--listen", str(address), "--slots", str(max(8, sessions))),
            *serve_options,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                line = await process.stdout.readline()
            if not line:
                raise RuntimeError("the server did not start; see its message above")
            before = _cpu_seconds(process.pid)
            phase = random.Random(sessions)
            results = await asyncio.gather(
                *(run_session(address, seconds, phase.random() * 0.02, seed) for seed in range(sessions))
            )
            stats = await wire.probe(address)
            cpu = _cpu_seconds(process.pid) - before
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
    merged = {
        name: [v for r in results for v in getattr(r, name)] for name in ("round_trip", "queue", "encode", "decode")
    }
    return {
        "sessions": sessions,
        "seconds": seconds,
        "frames": sum(r.sent for r in results),
        "answered": sum(r.answered for r in results),
        "ticks": stats.ticks,
        "late_ticks": stats.late_ticks,
        "dropped": stats.dropped,
        "tick_ms": {"p50": round(stats.tick_ms_p50, 2), "p95": round(stats.tick_ms_p95, 2)},
        "round_trip_ms": _percentiles(merged["round_trip"]),
        "server_ms": {name: _percentiles(merged[name]) for name in ("queue", "encode", "decode")},
        "server_cores": round(cpu / seconds, 2),
        "server": json.loads(line),
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    return {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 95, 99)}


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    except OSError:
        return 0.0  # no /proc on this system
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench_serve(
    sessions: Annotated[str, typer.Option("--sessions", help="Numbers of sessions, e.g. 1,2,4,8.")] = "1,2,4,8",
    seconds: Annotated[float, typer.Option("--seconds", min=2.0, help="Length of each level.")] = 20.0,
    weights: Annotated[Path | None, typer.Option("--weights", help="Folder of the weights.")] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="torch's threads in the server.")] = 1,
    tick_ms: Annotated[float | None, typer.Option("--tick-ms", help="As of `serve`.")] = None,
    vad: Annotated[bool, typer.Option("--vad/--no-vad", help="As of `serve`.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Real-time sessions through the inference server: ticks, late ticks, round trip."""
    try:
        levels = [int(part) for part in sessions.split(",")]
        if not levels or min(levels) < 1:
            raise ValueError
    except ValueError:
        raise typer.BadParameter("use numbers from 1, with commas between, e.g. 1,2,4,8") from None
    options = ["--threads", str(threads), "--vad" if vad else "--no-vad", "--log-level", "warning"]
    options += ["--weights", str(weights)] if weights else []
    options += ["--tick-ms", str(tick_ms)] if tick_ms is not None else []
    try:
        rows = [asyncio.run(measure(level, seconds, options)) for level in levels]
    except RuntimeError as error:
        typer.echo(f"bench serve: {error}", err=True)
        raise typer.Exit(2) from None
    load = os.getloadavg()
    if as_json:
        typer.echo(json.dumps({"levels": rows, "cores": os.cpu_count(), "load_average": load}, indent=2))
        return
    typer.echo("sessions  tick p50/p95 ms  late/ticks  dropped  round trip p50/p95/p99 ms  server cores")
    for row in rows:
        trip, tick = row["round_trip_ms"], row["tick_ms"]
        typer.echo(
            f"{row['sessions']:8d}  {tick['p50']:6.2f} / {tick['p95']:6.2f}  {row['late_ticks']:4d}/{row['ticks']:<6d}"
            f"  {row['dropped']:6d}  {trip['p50']:7.2f} / {trip['p95']:6.2f} / {trip['p99']:6.2f}"
            f"  {row['server_cores']:15.2f}"
        )
