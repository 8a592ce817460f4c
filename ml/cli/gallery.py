"""`python -m ml gallery QUESTION.wav FOLDER`: the model's answer in every voice and emotion, to choose by ear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def gallery(
    question: Annotated[Path, typer.Argument(help="What is asked: any audio file.")],
    folder: Annotated[Path, typer.Argument(help="Where SPEAKER-EMOTION.ogg are written (Opus, 16 kHz mono).")],
    preset: Annotated[str, typer.Option(help="Preset of the S2S model.")] = "cpu",
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; the shipped ones by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
) -> None:
    """Answer the question in every voice and emotion of the shipped model, the same words as far as it chooses them."""
    import soundfile

    from ml.audio.io import SAMPLE_RATE, read_audio
    from ml.codec.checkpoint import load_preset
    from ml.s2s.checkpoint import load_s2s_preset
    from ml.s2s.choices import conditions_of
    from ml.s2s.talk import talk

    model, codec = load_s2s_preset(preset, weights), load_preset("dialogue", weights)
    asked = read_audio(question)
    folder.mkdir(parents=True, exist_ok=True)
    for speaker in model.config.speakers:
        for emotion in model.config.emotions:
            spoken = talk(codec, model, asked, conditions_of(model.config, speaker, emotion), seed=seed)
            path = folder / f"{speaker}-{emotion}.ogg"
            soundfile.write(path, spoken.audio, SAMPLE_RATE, format="OGG", subtype="OPUS")
            typer.echo(f"{path.name} {spoken.duration_s:.1f} s")
