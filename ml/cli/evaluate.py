"""`python -m ml evaluate`: measurements on held-out audio."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.cli import evaluate_s2s

if TYPE_CHECKING:
    from ml.audio.io import Samples
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
    quantizers: Annotated[str, typer.Option(help="Numbers of codebooks to measure, comma-separated.")] = "1,2,4,6,7,8",
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
def levels(
    data: Annotated[list[Path], typer.Option(help="Folder of audio; may be repeated.")],
    preset: Annotated[str, typer.Option(help="Codec preset.")] = "hifi",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    skip: Annotated[int, typer.Option(help="Leave out this many files at the start (those used for validation).")] = 0,
    limit: Annotated[int, typer.Option(help="Measure at most this many files.")] = 10_000,
) -> None:
    """What right levels are worth: as decoded, and with the energy of 20, 30 and 40 bands set to the original's."""
    from rich.console import Console
    from rich.progress import track

    from ml.codec.checkpoint import load_preset
    from ml.evaluate.levels import levels_worth
    from ml.train.data import find_audio

    console = Console(stderr=True)
    result = levels_worth(
        load_preset(preset, weights),
        find_audio(data)[skip : skip + limit],
        progress=lambda files: track(files, description="measuring", console=console),
    )
    typer.echo(json.dumps(result))


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
def codebooks(
    data: Annotated[list[Path], typer.Option(help="Folder of speech; may be repeated, each is a row.")],
    preset: Annotated[str, typer.Option(help="Codec preset.")] = "dialogue",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    skip: Annotated[int, typer.Option(help="Leave out this many files at the start of each folder.")] = 0,
    limit: Annotated[int, typer.Option(help="Use at most this many files of each folder.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Share of each codebook's entries that speech uses, and perplexity: per folder and of all. Encodes only."""
    from rich.console import Console
    from rich.progress import track

    from ml.codec.checkpoint import load_preset
    from ml.evaluate.codebooks import measure_codebooks
    from ml.train.data import find_audio

    console = Console(stderr=True)
    rows = measure_codebooks(
        load_preset(preset, weights),
        {folder.name: find_audio([folder])[skip : skip + limit] for folder in data},
        progress=lambda files: track(files, description="encoding", console=console),
    )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['name']}: {row['files']} files, {row['minutes']} min, {row['frames']} frames")
        typer.echo("  usage %     " + "  ".join(f"{100 * share:5.1f}" for share in row["usage"]))
        typer.echo("  perplexity  " + "  ".join(f"{entries:5.1f}" for entries in row["perplexity"]))


@app.command()
def rate(
    preset: Annotated[str, typer.Option(help="Codec preset.")] = "hifi",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    measured: Annotated[
        str, typer.Option(help="Test set whose figures in the model card are read.")
    ] = "common_voice_te",
    wanted: Annotated[str, typer.Option(help="SNR in dB to read on to, comma-separated.")] = "20,25",
    data: Annotated[Path | None, typer.Option(help="Also measure this folder without codebooks.")] = None,
    skip: Annotated[int, typer.Option(help="Leave out this many files at the start of it.")] = 0,
) -> None:
    """What more bits would buy: SNR for each kbit/s from the model card, and the bit rates that `wanted` would need."""
    from rich.console import Console
    from rich.progress import track

    from ml.codec.checkpoint import WEIGHTS_DIR, load_preset
    from ml.evaluate.figures import measured_of_cards
    from ml.evaluate.rate import rate_curve, unquantized_snr_db
    from ml.train.data import find_audio

    cards = {card["preset"]: card for card in measured_of_cards(weights or WEIGHTS_DIR, measured)}
    if preset not in cards:
        raise typer.BadParameter(f"{preset} was not measured on {measured}; measured were {', '.join(cards)}")
    model = load_preset(preset, weights)
    # A codebook of levels earns no SNR: only those that carry the waveform are on the curve.
    rows = [row for count, row in cards[preset]["codec"].items() if int(count) <= model.config.waveform_quantizers]
    curve = rate_curve([(row["kbps"], row["snr_db"]) for row in rows])
    for low, high, gained in curve.steps:
        typer.echo(f"{low:g} to {high:g} kbit/s: {gained:.2f} dB for each kbit/s")
    typer.echo(
        f"fit: {curve.ceiling_db:.1f} dB with bits without limit, {curve.halving_kbps:.1f} kbit/s halve the distance "
        f"(off by {curve.fit_error_db:.2f} dB at most)"
    )
    for goal in map(float, wanted.split(",")):
        never = "never" if goal >= curve.ceiling_db else "yes"
        typer.echo(
            f"{goal:g} dB: by the fit {never}; at {curve.db_per_doubling:.1f} dB a doubling (all points) "
            f"{curve.kbps_by_doubling(goal, curve.db_per_doubling):.0f} kbit/s; at {curve.last_db_per_doubling:.1f} dB "
            f"(last two) {curve.kbps_by_doubling(goal, curve.last_db_per_doubling):.0f} kbit/s; at 6 dB for each bit a "
            f"sample {curve.kbps_by_bits(goal):.0f} kbit/s"
        )
    if data is not None:
        console = Console(stderr=True)
        found = unquantized_snr_db(
            model,
            find_audio([data])[skip:],
            progress=lambda files: track(files, description="without codebooks", console=console),
        )
        typer.echo(f"without codebooks: {found:.1f} dB")


@app.command()
def pictures(
    data: Annotated[Path | None, typer.Option(help="Measure this folder anew; else the cards' figures.")] = None,
    speech: Annotated[Path | None, typer.Option(help="Speech for the spectrograms; else a voice of our own.")] = None,
    measured: Annotated[
        str, typer.Option(help="Test set whose figures in the model cards are drawn.")
    ] = "common_voice_te",
    out: Annotated[Path, typer.Option(help="Folder that the pictures go to.")] = Path("docs/codec"),
    skip: Annotated[int, typer.Option(help="With --data: leave out this many files at the start.")] = 0,
    limit: Annotated[int, typer.Option(help="With --data: measure at most this many files.")] = 10_000,
) -> None:
    """Draw rate against quality of every shipped codec and Opus, and spectrograms before and after."""
    from rich.console import Console
    from rich.progress import track

    from ml.audio.io import read_audio
    from ml.codec.checkpoint import WEIGHTS_DIR, load_preset
    from ml.evaluate.codec import evaluate_codec
    from ml.evaluate.figures import draw_rates, draw_spectrograms, measured_of_cards
    from ml.train.data import find_audio

    console = Console(stderr=True)
    names = sorted((p.stem.removeprefix("codec-") for p in WEIGHTS_DIR.glob("codec-*.safetensors")), reverse=True)
    codecs = [load_preset(name) for name in names]  # hifi first: it is the one that has a waveform to keep
    if data is None:
        results = measured_of_cards(WEIGHTS_DIR, measured)
    else:
        paths = find_audio([data])[skip : skip + limit]
        results = [
            evaluate_codec(
                codec,
                paths,
                quantizers=(1, 2, 4, 6, 7, 8),
                opus_kbps=(6.0, 9.0, 12.0, 16.0),
                slow=False,
                progress=lambda files: track(files, description="measuring", console=console),
            )
            for codec in codecs
        ]
    draw_rates(results, out / "rate.png")
    draw_spectrograms(read_audio(speech) if speech else _own_voice(), codecs, out / "spectrograms.png")
    typer.echo(f"wrote {out / 'rate.png'} and {out / 'spectrograms.png'}")


def _own_voice() -> Samples:
    """A sentence by a voice of the product: speech that may be shown, since nobody owns the voice."""
    from ml.data.synthesis import speak

    return speak("నమస్కారం. మీరు ఎలా ఉన్నారు?", voice="lakshmi", emotion="happy").audio
