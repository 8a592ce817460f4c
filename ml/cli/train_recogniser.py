"""`python -m ml train recogniser`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.train_options import Device, MaxMinutes, Overrides, Resume, Run, Steps, Tensorboard, Threads


def recogniser(
    run: Run,
    data: Annotated[list[Path] | None, typer.Option(help="Folder of clips with phones; may be repeated.")] = None,
    speak: Annotated[int, typer.Option(help="Clips synthesised on the spot (needs festival and espeak-ng).")] = 0,
    texts: Annotated[
        Path | None, typer.Option(help="Telugu lines that are spoken beside the corpus, one text a line.")
    ] = None,
    config: Annotated[str, typer.Option(help="Recipe name, or a JSON file as stored by a run.")] = "cpu-quick",
    noises: Annotated[Path | None, typer.Option(help="Folder of background noises.")] = None,
    rooms: Annotated[Path | None, typer.Option(help="Folder of room impulse responses.")] = None,
    limit: Annotated[int, typer.Option(help="Use at most this many clips; 0 for all.")] = 0,
    validation_clips: Annotated[int, typer.Option(help="Held-out clips used per validation.")] = 150,
    steps: Steps = None,
    set_: Overrides = None,
    max_minutes: MaxMinutes = 1e9,
    resume: Resume = True,
    device: Device = "auto",
    threads: Threads = 0,
    tensorboard: Tensorboard = True,
    export: Annotated[Path | None, typer.Option(help="At the end write the best weights and a card here.")] = None,
) -> None:
    """Train the phone recogniser (CTC) on clips with phones; speakers are held out for validation."""
    from ml.cli.train_run import configured, device_of, follow
    from ml.data.corpus.loader import load_corpus
    from ml.recogniser.captions import corpus_texts
    from ml.recogniser.data import Surroundings, load_clips, split_clips, spoken_clips
    from ml.recogniser.train import RecogniserTrainer, export_best
    from ml.train.workers import Workers

    chosen = configured("recogniser", config, steps, set_ or [])
    device = device_of(device, threads)
    workers = Workers.from_environment(device)
    lines = corpus_texts(load_corpus())
    if texts is not None:
        lines += [line.strip() for line in texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    clips = load_clips(data, limit) if data else []
    if speak:
        clips += spoken_clips(lines, speak, chosen.seed)
    if not clips:
        raise typer.BadParameter("there is nothing to learn from: give --data FOLDER or --speak COUNT")
    training, held_out = split_clips(clips, validation_clips)
    trainer = RecogniserTrainer(chosen, run, device, training, held_out, Surroundings.load(noises, rooms), workers)
    hours = sum(len(c.audio) for c in training) / 16_000 / 3600
    speakers = len({c.speaker for c in training})
    about = f"{hours:.2f} h of {speakers} speakers, {len(held_out)} clips of others held out"
    follow(trainer, resume=resume, max_minutes=max_minutes, tensorboard=tensorboard, about=about)
    if export is not None and workers.first:
        figures = export_best(
            run,
            chosen,
            export,
            [folder.name for folder in data or []] + ([f"{speak} clips spoken on the spot"] if speak else []),
        )
        typer.echo(f"wrote {export}: {figures}")
    workers.leave()
