"""``python -m ml serve``: the command line of the inference server."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from ml.serve import wire

app = typer.Typer()

ROOT = Path(__file__).resolve().parents[2]


@app.command()
def serve(
    listen: Annotated[
        list[str],
        typer.Option(
            "--listen",
            help="unix:///absolute/path.sock, or tcp://host:port (no authentication: private nets only); repeatable.",
        ),
    ],
    slots: Annotated[int, typer.Option("--slots", min=1, max=256, help="Live sessions at a time.")] = 8,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Folder with codec-PRESET.safetensors and its card.")
    ] = None,
    promoted: Annotated[
        Path | None, typer.Option("--promoted", help="Folder looked into before --weights: what an operator promoted.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="Folder kept between starts.", show_default="cache in VOICE_VAR_DIR, or var"),
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="Codec preset to serve.")] = "hifi",
    s2s: Annotated[str, typer.Option("--s2s", help="Preset of the speech-to-speech model for mode talk.")] = "cpu",
    tiny_talk: Annotated[
        bool,
        typer.Option("--tiny-talk", help="Talk with tiny random models (development).", envvar="VOICE_TINY_TALK"),
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, help="torch's threads on a CPU.")] = 1,
    tick_ms: Annotated[
        float, typer.Option("--tick-ms", min=0.0, max=20.0, help="Shortest time between two batch steps.")
    ] = 5.0,
    queue: Annotated[int, typer.Option("--queue", min=1, max=500, help="20 ms frames that may wait per session.")] = 25,
    vad: Annotated[bool, typer.Option("--vad/--no-vad", help="Tell clients when speech starts and stops.")] = True,
    registry: Annotated[
        str,
        typer.Option("--registry", help="redis://host:port/0 to announce at.", envvar="REDIS_URL"),
    ] = "",
    announce: Annotated[
        str,
        typer.Option("--announce", help="Address by which this server is reached.", envvar="VOICE_ANNOUNCE"),
    ] = "",
    metrics: Annotated[
        str, typer.Option("--metrics", help="tcp://host:port for GET /metrics (Prometheus).", envvar="VOICE_METRICS")
    ] = "",
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve live sessions over unix sockets or TCP; prints one JSON line when ready, drains at SIGTERM.

    Exits with 2 and one line on standard error when it cannot start, with 1 when the device fails later.
    """
    import asyncio

    from ml.codec import WEIGHTS_DIR, CheckpointError
    from ml.serve import wire
    from ml.serve.app import ServeOptions, StartError, run
    from ml.serve.engine import EngineConfig
    from ml.serve.sockets import ListenError
    from ml.vad import VadError

    level = logging.getLevelNamesMapping().get(log_level.upper())
    if level is None:
        _refuse(f"no log level {log_level!r}; use debug, info, warning or error")
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        options = ServeOptions(
            listen=[wire.parse_address(text) for text in listen],
            weights=weights or WEIGHTS_DIR,
            promoted=promoted,
            cache=cache or _var_dir() / "cache",
            preset=preset,
            s2s_preset=s2s,
            tiny_talk=tiny_talk,
            registry=registry,
            announce=str(wire.parse_address(announce)) if announce else "",
            metrics=_metrics_address(metrics),
            device=device,
            vad=vad,
            engine=EngineConfig(capacity=slots, threads=threads, tick_ms=tick_ms, queue_frames=queue),
        )
        code = asyncio.run(run(options))
    except (wire.WireError, StartError, CheckpointError, ListenError, VadError) as error:
        _refuse(str(error))
    raise typer.Exit(code)


def _var_dir() -> Path:
    """Where everything written at run time goes, by the rule of the web side's environment."""
    return ROOT / Path(os.environ.get("VOICE_VAR_DIR", "").strip() or "var").expanduser()


def _metrics_address(text: str) -> wire.Address | None:
    from ml.serve import wire

    if not text:
        return None
    address = wire.parse_address(text)
    if address.host is None:
        _refuse(f"--metrics {text!r}: HTTP needs tcp://host:port")
    return address


def _refuse(message: str) -> NoReturn:
    typer.echo(f"serve: {message}", err=True)
    raise typer.Exit(2)
