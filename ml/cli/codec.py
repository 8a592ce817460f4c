"""`python -m ml codec`: files through the codec, and weights for shipping."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _codec() -> None:
    """Reconstruct audio, export weights."""


@app.command()
def reconstruct(
    source: Annotated[Path, typer.Argument(help="Any audio file that soundfile or PyAV reads.")],
    target: Annotated[Path, typer.Argument(help="Where the reconstruction goes (.wav or .flac, 16 kHz mono).")],
    preset: Annotated[str, typer.Option(help="Codec preset.")] = "hifi",
    quantizers: Annotated[int | None, typer.Option(help="Codebooks used, 1 to 8; all by default.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Encode and decode one file; prints snr_db, kbps and rtf (computing time over audio time)."""
    from ml.codec.checkpoint import load_preset
    from ml.codec.files import reconstruct_file

    result = reconstruct_file(load_preset(preset, weights), source, target, quantizers)
    if as_json:
        values = dataclasses.asdict(result)
        typer.echo(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}))
    else:
        typer.echo(
            f"{target}: {result.seconds:.1f} s at {result.kbps:g} kbps, SNR {result.snr_db:.2f} dB, "
            f"real-time factor {result.rtf:.3f}"
        )


@app.command()
def samples(
    source: Annotated[Path, typer.Argument(help="Folder of audio, for instance RUN/samples/target.")],
    target: Annotated[Path, typer.Argument(help="Folder to write NAME.flac of each to; it appears whole.")],
    preset: Annotated[str, typer.Option(help="Codec preset.")] = "hifi",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
) -> None:
    """Let one model speak the clips of a folder, to compare models by ear on the same clips."""
    import shutil

    from ml.codec.checkpoint import load_preset
    from ml.codec.files import reconstruct_file
    from ml.train.data import find_audio

    codec = load_preset(preset, weights)
    paths = find_audio([source])
    partial = target.with_name(f".{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in paths:
        reconstruct_file(codec, path, partial / f"{path.stem}.flac")
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    typer.echo(f"{len(paths)} clips in {target}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run (with best.safetensors).")],
    weights: Annotated[Path, typer.Option(help="Folder to write codec-PRESET.safetensors and its card to.")],
    version: Annotated[str, typer.Option(help="Version written into the card.")],
    hardware: Annotated[str, typer.Option(help="What trained it, in words, for the card.")],
    data: Annotated[list[str], typer.Option(help="A data source and its licence; may be repeated.")],
    earlier: Annotated[
        list[str] | None, typer.Option(help="An earlier run that this one started from, in words; may be repeated.")
    ] = None,
    half: Annotated[bool, typer.Option(help="Store weights in half precision.")] = True,
) -> None:
    """Write a run's best weights for shipping, with their model card."""
    import torch
    from safetensors.torch import load_file

    from ml.codec import TeluCodec, export_codec
    from ml.codec.checkpoint import CheckpointError
    from ml.train.config import CodecTrainConfig

    try:
        config = CodecTrainConfig.from_dict(json.loads((run / "config.json").read_text(encoding="utf-8")))
        best = json.loads((run / "best.json").read_text(encoding="utf-8"))
        tensors = load_file(run / "best.safetensors")
    except OSError as error:
        raise CheckpointError(f"{run} has nothing to export yet ({error}); train until a validation has run") from None
    codec = TeluCodec(config.codec)
    codec.load_state_dict(tensors)
    card = {
        "name": f"TeluCodec {config.codec.preset}",
        "kind": "codec",
        "preset": config.codec.preset,
        "version": version,
        "licence": "Apache-2.0",
        "parameters": sum(p.numel() for p in codec.parameters()),
        "training": {
            "recipe": {k: v for k, v in config.to_dict().items() if k not in ("codec", "init")},
            "started_from": earlier or (["unnamed weights"] if config.init else []),
            "step_of_best": best["step"],
            "hours_of_this_run": round(best["trained_seconds"] / 3600, 2),
            "hardware": hardware,
            "data": data,
        },
        "metrics": {},
    }
    path = weights / f"codec-{config.codec.preset}.safetensors"
    export_codec(codec, path, card, torch.float16 if half else torch.float32)
    typer.echo(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB; fill its metrics with `python -m ml evaluate codec --card`"
    )
