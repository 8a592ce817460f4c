"""`python -m ml bench`: measurements of speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.serve.bench import bench_serve

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Measure speed."""


app.command("serve")(bench_serve)


@app.command()
def codec(
    preset: Annotated[
        list[str] | None, typer.Option(help="Preset; may be repeated. All with weights by default.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    chunks: Annotated[str, typer.Option(help="Chunk lengths in ms, comma-separated.")] = "20,40,80,256,1000",
    rows: Annotated[str, typer.Option(help="Streams in one batch, comma-separated.")] = "1,4,8",
    seconds: Annotated[float, typer.Option(help="Audio seconds per measurement.")] = 8.0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    reference: Annotated[
        bool, typer.Option(help="Time a codec of the usual shape (convolutions at the sample rate) in the same run.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Encode and decode time per chunk, and the real-time factor of both together."""
    import torch

    from ml.codec.checkpoint import WEIGHTS_DIR, load_preset
    from ml.evaluate.speed import codec_speed, resident_mb

    if threads:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = weights or WEIGHTS_DIR
    names = preset or sorted(p.stem.removeprefix("codec-") for p in folder.glob("codec-*.safetensors"))
    presets: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        model = load_preset(name, folder, device)
        presets[name] = [
            codec_speed(model, chunk_ms=float(chunk), rows=int(n), seconds=seconds)
            for n in rows.split(",")
            for chunk in chunks.split(",")
        ]
    yardstick = None
    if reference:
        from ml.evaluate.reference import reference_speed

        yardstick = reference_speed(chunk_ms=256.0, seconds=seconds, device=device)
    result = {
        "device": device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "presets": presets,
        "reference": yardstick,
        "resident_mb_peak": round(resident_mb(), 1),
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{device}, {result['threads']} threads, peak resident memory {result['resident_mb_peak']} MB")
    for name, measured in presets.items():
        for row in measured:
            typer.echo(f"{name}  " + "  ".join(f"{k} {v}" for k, v in row.items()))
    if yardstick:
        typer.echo("reference  " + "  ".join(f"{k} {v}" for k, v in yardstick.items()))
