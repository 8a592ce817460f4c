"""`python -m ml evaluate`: measurements on held-out audio."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.cli import evaluate_s2s

if TYPE_CHECKING:
    from ml.codec.adapters import AdaptedCodec
    from ml.codec.model import TeluCodec

app = typer.Typer(no_args_is_help=True)
app.command()(evaluate_s2s.s2s)


@app.callback()
def _evaluate() -> None:
    """Measure a model on a folder of audio."""


@app.command()
def codec(
    data: Annotated[list[Path], typer.Option(help="Folder of audio; may be repeated.")],
    preset: Annotated[
        str, typer.Option(help="Codec preset, or hf:FOLDER or hf:ID for EnCodec, Mimi or DAC by transformers.")
    ] = "hifi",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    quantizers: Annotated[str, typer.Option(help="Numbers of codebooks to measure, comma-separated.")] = "1,2,4,6,8",
    skip: Annotated[int, typer.Option(help="Leave out this many files at the start (those used for validation).")] = 0,
    limit: Annotated[int, typer.Option(help="Measure at most this many files.")] = 10_000,
    split: Annotated[str, typer.Option(help="all, or train, validation, test: the split by speaker.")] = "all",
    slow: Annotated[bool, typer.Option(help="ViSQOL and DNSMOS too, about a second a clip each.")] = True,
    card: Annotated[bool, typer.Option(help="Write the result into the model card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Codec and Opus on the same files: SNR, SI-SNR, PESQ-WB, STOI, ViSQOL, DNSMOS, mel distance, codebook usage."""
    import os

    from rich.console import Console
    from rich.progress import track

    from ml.codec.checkpoint import WEIGHTS_DIR, load_preset, read_card
    from ml.evaluate.codec import evaluate_codec
    from ml.train.data import find_audio, split_of

    if preset.startswith("hf:"):
        from ml.codec.adapters import load_adapted

        model: TeluCodec | AdaptedCodec = load_adapted(preset.removeprefix("hf:"))
    else:
        model = load_preset(preset, weights)
    counts = tuple(n for n in map(int, quantizers.split(",")) if n <= model.config.n_quantizers)
    paths = [p for p in find_audio(data) if split in ("all", split_of(p))][skip : skip + limit]
    console = Console(stderr=True)
    result = evaluate_codec(
        model,
        paths,
        quantizers=counts or (model.config.n_quantizers,),
        slow=slow,
        progress=lambda files: track(files, description="measuring", console=console),
    )
    if card:
        path = (weights or WEIGHTS_DIR) / f"codec-{preset}.safetensors"
        held = read_card(path)
        name = "+".join(folder.name for folder in data)
        held["metrics"][name] = {k: v for k, v in result.items() if k not in ("left_out", "preset")}
        partial = path.with_suffix(".json.partial")
        partial.write_text(json.dumps(held, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(partial, path.with_suffix(".json"))
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    typer.echo(f"{result['n']} files, {result['seconds']:.0f} s, {len(result['left_out'])} left out")
    for label, rows in (("TeluCodec", result["codec"]), ("Opus", result["opus"])):
        for key, row in rows.items():
            typer.echo(f"{label:10s} {key:>3s}  " + "  ".join(f"{k} {v}" for k, v in row.items()))


@app.command()
def phones(
    data: Annotated[Path, typer.Option(help="Folder of synthesised clips with phones beside them (JSON sidecars).")],
    preset: Annotated[str, typer.Option(help="Codec preset.")] = "dialogue",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    level: Annotated[int, typer.Option(help="Codebook to read, 0 is the first.")] = 0,
    limit: Annotated[int, typer.Option(help="Use at most this many clips.")] = 2_000,
) -> None:
    """Phone error rate from one codebook alone: a table of codes, counted on half of the clips."""
    from rich.console import Console
    from rich.progress import track

    from ml.codec.checkpoint import load_preset
    from ml.evaluate.phones import evaluate_phones
    from ml.train.data import find_audio

    paths = [p for p in find_audio([data]) if p.with_suffix(".json").exists()][:limit]
    console = Console(stderr=True)
    result = evaluate_phones(
        load_preset(preset, weights),
        paths[::2],
        paths[1::2],
        level=level,
        progress=lambda files: track(files, description="reading", console=console),
    )
    typer.echo(json.dumps(result))


@app.command()
def pictures(
    data: Annotated[Path, typer.Option(help="Folder of held-out audio for the rate plot.")],
    speech: Annotated[Path, typer.Option(help="One file of speech that may be shown, for the spectrograms.")],
    out: Annotated[Path, typer.Option(help="Folder that the pictures go to.")] = Path("docs/codec"),
    skip: Annotated[int, typer.Option(help="Leave out this many files at the start.")] = 0,
    limit: Annotated[int, typer.Option(help="Measure at most this many files.")] = 10_000,
) -> None:
    """Draw rate against quality of every shipped codec and Opus, and spectrograms before and after."""
    from rich.console import Console
    from rich.progress import track

    from ml.audio.io import read_audio
    from ml.codec.checkpoint import WEIGHTS_DIR, load_preset
    from ml.evaluate.codec import evaluate_codec
    from ml.evaluate.figures import draw_rates, draw_spectrograms
    from ml.train.data import find_audio

    console = Console(stderr=True)
    names = sorted(p.stem.removeprefix("codec-") for p in WEIGHTS_DIR.glob("codec-*.safetensors"))
    codecs = [load_preset(name) for name in names]
    paths = find_audio([data])[skip : skip + limit]
    results = [
        evaluate_codec(
            codec,
            paths,
            quantizers=(1, 2, 4, 6, 8),
            opus_kbps=(6.0, 9.0, 12.0, 16.0),
            slow=False,
            progress=lambda files: track(files, description="measuring", console=console),
        )
        for codec in codecs
    ]
    draw_rates(results, out / "rate.png")
    draw_spectrograms(read_audio(speech), codecs, out / "spectrograms.png")
    typer.echo(f"wrote {out / 'rate.png'} and {out / 'spectrograms.png'}")
