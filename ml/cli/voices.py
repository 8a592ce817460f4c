"""`python -m ml data voices`: make Telugu speech and measure it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Synthetic Telugu voices: say, make training speech, measure.")

_PROGRESS = Annotated[Path | None, typer.Option(help="Append progress to this file as JSON lines.")]


@app.callback()
def _voices() -> None:
    """Synthetic Telugu voices: say, make training speech, measure."""


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="Telugu; digits and Latin words are written out.")],
    out: Annotated[Path, typer.Option(help="A .wav or .flac file.")],
    voice: Annotated[str, typer.Option(help="arjun, ravi, priya or lakshmi.")] = "priya",
    emotion: Annotated[str, typer.Option(help="One of the nine emotions.")] = "neutral",
    pitch: Annotated[float, typer.Option(help="Semitones.")] = 0.0,
    energy: Annotated[float, typer.Option(help="Decibels.")] = 0.0,
    rate: Annotated[float, typer.Option(help="Tempo.")] = 1.0,
    accent: Annotated[float, typer.Option(help="Regional accent, 0 to 1.")] = 0.0,
    intensity: Annotated[float, typer.Option(help="Of the emotion, 0 to 1.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed is another rendering.")] = 0,
) -> None:
    """Say a text into a file, and print its phones."""
    from ml.audio.io import write_audio
    from ml.data.synthesis import Controls, speak
    from ml.data.synthesis.g2p import analyse

    controls = Controls(pitch, energy, rate, accent, intensity)
    clip = speak(text, voice=voice, emotion=emotion, controls=controls, seed=seed)
    write_audio(out, clip.audio)
    typer.echo(" ".join(phone.symbol for phone in clip.phones))
    if skipped := analyse(text).skipped:
        typer.echo(f"left out: {' '.join(skipped)}", err=True)


@app.command()
def speech(
    out: Annotated[Path, typer.Argument(help="Folder for FLAC files with their phones in JSON.")],
    minutes: Annotated[float, typer.Option(help="How much audio.")] = 40.0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal files.")] = 1,
    sentences: Annotated[Path | None, typer.Option(help="Text file, a sentence a line, beside the corpus.")] = None,
    progress_jsonl: _PROGRESS = None,
) -> None:
    """Make training speech: the four voices in all emotions and strangers, saying the corpus."""
    from ml.data.progress import shown
    from ml.data.synthesis.speech_set import make_speech

    with shown(progress_jsonl) as (tell, lines):
        made = make_speech(out, minutes=minutes, seed=seed, sentences=sentences, tell=tell)
        lines.result(made)
    typer.echo(f"{made['clips']} clips, {made['minutes']:.1f} min in {out}")


@app.command()
def report(
    sentences: Annotated[int, typer.Option(help="Sentences of the corpus to speak, 36 clips each.")] = 60,
    human: Annotated[Path | None, typer.Option(help="Folder of recordings of people, to compare by DNSMOS.")] = None,
    rated: Annotated[int, typer.Option(help="Clips of each kind that DNSMOS scores.")] = 12,
    page: Annotated[
        Path | None, typer.Option(help="Write a Markdown page, and its plots into a folder beside it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    progress_jsonl: _PROGRESS = None,
) -> None:
    """Measure: are they four people and nine emotions, do controls work, how far is it to real speech."""
    from ml.data.corpus.loader import load_corpus
    from ml.data.progress import shown
    from ml.data.synthesis.measure import measure
    from ml.data.synthesis.page import PLOTS, plot, render_page
    from ml.data.synthesis.speech import seeded

    texts = sorted({answer.text for answer in load_corpus().answers()})
    order = seeded("report").permutation(len(texts))[:sentences]
    with shown(progress_jsonl) as (tell, lines):
        found = measure([texts[i] for i in order], human=human, rated=rated, tell=tell)
        lines.result(found.as_dict())
    if page is not None:
        folder = page.with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        for name in PLOTS:
            (folder / f"{name}.svg").write_text(plot(found, name), encoding="utf-8")
        people = " --human FOLDER" if human else ""
        command = (
            f"python -m ml data voices report --sentences {sentences} --rated {rated}{people} --page docs/voices.md"
        )
        page.write_text(render_page(found, command, folder.name), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
        return
    typer.echo(f"speakers {found.speaker_accuracy:.1%}, emotions {found.emotion_accuracy:.1%} of held-out sentences")
    for name, row in found.dnsmos.items():
        typer.echo(f"{name}: DNSMOS {row['overall']:.2f}")


@app.command()
def samples(out: Annotated[Path, typer.Argument(help="Folder for VOICE-EMOTION.ogg.")]) -> None:
    """Each voice in each emotion says the same greeting, to choose by ear (Opus in Ogg, about 10 KB each)."""
    from ml.data.synthesis.samples import make_samples

    for path in make_samples(out):
        typer.echo(path.name)
