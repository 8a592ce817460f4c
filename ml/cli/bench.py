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


@app.command("turn-taking")
def turn_taking(
    turns: Annotated[int, typer.Option(min=1, help="Questions of the test set.")] = 120,
    overlaps: Annotated[int, typer.Option(min=6, help="Answers with something over them.")] = 120,
    seed: Annotated[int, typer.Option(help="Of the test set.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on one line.")] = False,
) -> None:
    """False and late end-points, missed and false barge-ins, on synthetic dialogues in virtual time."""
    from ml.evaluate.turn_taking import measure

    typer.echo(json.dumps(measure(turns, overlaps, seed), indent=None if as_json else 1))


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


@app.command()
def s2s(
    preset: Annotated[str, typer.Option(help="Preset of the S2S model.")] = "cpu",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    rows: Annotated[str, typer.Option(help="Rows in one batch, comma-separated.")] = "1,2,4,8",
    question: Annotated[float, typer.Option(help="Seconds of each question.")] = 3.0,
    answer: Annotated[float, typer.Option(help="Seconds of each answer.")] = 4.0,
    rounds: Annotated[int, typer.Option(help="Turns measured per number of rows.")] = 5,
    reference: Annotated[bool, typer.Option(help="Measure the reference shape in the same run.")] = True,
    compile_blocks: Annotated[bool, typer.Option("--compile", help="torch.compile the decoder's blocks.")] = False,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """First token, time per answer frame and real-time factor; beside a 72 M model that steps at 200 Hz."""
    import torch

    from ml.codec.checkpoint import WEIGHTS_DIR
    from ml.evaluate.speed import resident_mb
    from ml.s2s import S2SConfig, S2SModel, load_s2s_preset
    from ml.s2s.speed import reference_speed, s2s_speed

    if threads:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    shipped = ((weights or WEIGHTS_DIR) / f"s2s-{preset}.safetensors").exists()
    if shipped:
        model = load_s2s_preset(preset, weights, device)
    else:  # the speed does not depend on what the weights are
        model = S2SModel(S2SConfig.named(preset, n_plans=1_200, score_length=96)).eval().requires_grad_(False)
        model = model.to(device)
    if compile_blocks:
        model.compile_blocks()
    before = resident_mb()
    measured = [
        s2s_speed(model, rows=int(n), question_s=question, answer_s=answer, rounds=rounds) for n in rows.split(",")
    ]
    result: dict[str, Any] = {
        "preset": preset,
        "weights": "shipped" if shipped else "random",
        "device": device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "compiled": compile_blocks,
        "parameters": sum(p.numel() for p in model.parameters()),
        "frame_rate": model.config.frame_rate,
        "rows": measured,
        "first_token_ms": measured[0]["first_token_ms_p50"],
        "ms_per_frame": measured[0]["frame_ms_p50"],
        "rtf": measured[0]["rtf"],
        "resident_mb_before": round(before, 1),
        "resident_mb_peak": round(resident_mb(), 1),
    }
    if reference:
        result["reference"] = reference_speed(torch.device(device), question_s=question)
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(
        f"S2S {preset} ({result['weights']} weights, {result['parameters'] / 1e6:.1f} M), {device}, "
        f"{result['threads']} threads, peak resident memory {result['resident_mb_peak']} MB"
    )
    for row in measured:
        typer.echo("  ".join(f"{k} {v}" for k, v in row.items()))
    if reference:
        typer.echo("reference  " + "  ".join(f"{k} {v}" for k, v in result["reference"].items()))
