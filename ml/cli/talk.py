"""`python -m ml talk IN.wav OUT.wav`: a whole turn from file to file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()


@app.command()
def talk(
    source: Annotated[Path, typer.Argument(help="The question: any audio file that soundfile or PyAV reads.")],
    target: Annotated[Path, typer.Argument(help="Where the answer goes (.wav or .flac, 16 kHz mono).")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="", hidden=True)] = None,
    speaker: Annotated[str, typer.Option(help="A speaker, or a blend such as priya=0.7,ravi=0.3.")] = "priya",
    emotion: Annotated[str, typer.Option(help="An emotion.")] = "neutral",
    intensity: Annotated[float, typer.Option(help="How much of the emotion, 0 to 1.", min=0.0, max=1.0)] = 1.0,
    pitch: Annotated[float, typer.Option(help="Semitones up or down.", min=-12.0, max=12.0)] = 0.0,
    energy: Annotated[float, typer.Option(help="Level in dB.", min=-12.0, max=12.0)] = 0.0,
    rate: Annotated[float, typer.Option(help="Speed; 1 is the voice's own.", min=0.5, max=2.0)] = 1.0,
    accent: Annotated[float, typer.Option(help="Strength of the regional accent, 0 to 1.", min=0.0, max=1.0)] = 0.0,
    context: Annotated[
        list[Path] | None,
        typer.Option(help="Files of earlier turns, oldest first: question, answer, question, answer …"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    greedy: Annotated[bool, typer.Option(help="Always the likeliest answer and code.")] = False,
    preset: Annotated[str, typer.Option(help="Preset of the S2S model.")] = "cpu",
    codec: Annotated[str, typer.Option(help="Codec preset that it speaks.")] = "dialogue",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Answer the question in SOURCE. Prints first_audio_ms, rtf, duration_s and what a recogniser hears."""
    import numpy as np
    import torch

    from ml.audio.io import read_audio, stream_audio, write_audio
    from ml.codec.checkpoint import WEIGHTS_DIR, load_preset, read_card
    from ml.s2s.checkpoint import load_s2s_preset
    from ml.s2s.choices import conditions_of
    from ml.s2s.sampling import Sampling
    from ml.s2s.talk import talk as answer

    if threads:
        torch.set_num_threads(threads)
    model = load_s2s_preset(preset, weights)
    voice = load_preset(codec, weights)
    conditions = conditions_of(
        model.config, speaker, emotion, intensity=intensity, pitch=pitch, energy=energy, rate=rate, accent=accent
    )
    # An empty recording is a question like silence: the model answers it.
    parts = list(stream_audio(source))
    spoken = answer(
        voice,
        model,
        np.concatenate(parts) if parts else np.zeros(0, np.float32),
        conditions,
        seed=seed,
        sampling=Sampling.greedy() if greedy else None,
        # `--context f1 f2` is one option and one argument to the parser; both are context
        context=[read_audio(path) for path in (*(context or ()), *(more or ()))],
    )
    write_audio(target, spoken.audio)
    plans = read_card((weights or WEIGHTS_DIR) / f"s2s-{preset}.safetensors").get("plans") or []
    result: dict[str, Any] = {
        "first_audio_ms": round(spoken.first_audio_ms, 1),
        "rtf": round(spoken.rtf, 4),
        "listen_rtf": round(spoken.listen_rtf, 4),
        "duration_s": round(spoken.duration_s, 2),
        "ended": spoken.ended,
        "answer": plans[spoken.plan] if 0 <= spoken.plan < len(plans) else None,
        **_heard(spoken.audio, weights),
        "speaker": speaker,
        "emotion": emotion,
        "seed": seed,
    }
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    typer.echo(
        f"{target}: {result['duration_s']} s, first audio after {result['first_audio_ms']} ms, real-time factor "
        f"{result['rtf']}"
    )
    if result["caption"]:
        typer.echo(f"heard in it: {result['caption']}")


def _heard(audio: Any, weights: Path | None) -> dict[str, Any]:
    """Phones and caption of the answer by the recogniser; None of both where none is installed."""
    from ml.codec.checkpoint import WEIGHTS_DIR, CheckpointError
    from ml.recogniser import Recogniser

    own = (weights or WEIGHTS_DIR) / "recogniser.safetensors"
    try:
        recogniser = Recogniser.load(own if own.exists() else None)
    except CheckpointError:
        return {"phonemes": None, "caption": None}
    if not len(audio):
        return {"phonemes": [], "caption": ""}
    phones = recogniser.phones(audio)
    return {"phonemes": phones, "caption": recogniser.caption(phones)}
