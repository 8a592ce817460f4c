"""`python -m ml train`: training runs with a progress line, JSONL metrics and resumable checkpoints."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.cli import train_choice, train_recogniser, train_s2s, train_schema, train_second, train_speaking
from ml.cli.train_options import Device, MaxMinutes, Resume, Run, Steps, Tensorboard, Threads

app = typer.Typer(no_args_is_help=True)
app.command()(train_schema.schema)
app.command()(train_schema.check)
app.command()(train_recogniser.recogniser)
app.command()(train_s2s.s2s)
app.command()(train_choice.choice)
app.command()(train_second.second)
app.command()(train_speaking.speaking)


@app.callback()
def _train() -> None:
    """Train a model, resumable in slices."""


@app.command()
def codec(
    data: Annotated[list[Path], typer.Option(help="Folder of training audio; may be repeated.")],
    run: Run,
    config: Annotated[str, typer.Option(help="Recipe name, or a JSON file as stored by a run.")] = "hifi",
    validation: Annotated[
        list[Path] | None, typer.Option(help="Folder of held-out audio; by default a split by speaker of --data.")
    ] = None,
    validation_clips: Annotated[int, typer.Option(help="Clips used per validation.")] = 20,
    steps: Steps = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: name=value, loss.mel=0.3.")
    ] = None,
    max_minutes: MaxMinutes = 1e9,
    resume: Resume = True,
    cache: Annotated[Path, typer.Option(help="Where decoded audio is kept between runs.")] = Path("var/cache"),
    device: Device = "auto",
    threads: Threads = 0,
    fuse: Annotated[
        bool | None,
        typer.Option(
            "--fuse/--no-fuse",
            help="Compile the activations, where there is a C++ compiler; by default of models above 1 M parameters.",
        ),
    ] = None,
    tensorboard: Tensorboard = True,
    samples: Annotated[int, typer.Option(help="Held-out clips written as FLAC at each validation.")] = 3,
) -> None:
    """Train TeluCodec."""
    import torch
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from ml.codec.layers import fuse_activations
    from ml.train.codec import CodecTrainer, Stop
    from ml.train.data import ClipBank, find_audio, held_out_split
    from ml.train.samples import write_codec_samples
    from ml.train.workers import Workers

    chosen = _configured(config, steps, set_ or [])
    if threads:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    paths = find_audio(data)
    training, held_out = (paths, find_audio(validation)) if validation else held_out_split(paths)
    bank = ClipBank.load(training, cache, chosen.labelled)
    valid = ClipBank.load(held_out[:validation_clips], cache)
    workers = Workers.from_environment(device)
    trainer = CodecTrainer(chosen, run, device, workers)
    size = sum(p.numel() for p in trainer.codec.parameters())
    # by size alone, so that a resumed run computes as the unbroken one did; compiling takes half a minute and more
    if size > 1_000_000 if fuse is None else fuse:
        fuse_activations()
    resumed = trainer.resume() if resume else False
    if not workers.first:  # files and progress are the first process's
        trainer.fit(bank, valid, lambda _row: None, Stop().listen(), max_minutes)
        workers.leave()
        return
    (run / "config.json").write_text(json.dumps(chosen.to_dict(), indent=2), encoding="utf-8")
    typer.echo(
        f"{'resuming' if resumed else 'starting'} {chosen.name} at step {trainer.step} of {chosen.steps}: "
        f"{size / 1e6:.1f} M parameters, {bank.hours:.2f} h of speech, {len(training)} clips, on {device}"
    )
    writer = None
    if tensorboard:
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(run / "tensorboard"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress, (run / "metrics.jsonl").open("a") as log:
        task = progress.add_task("training", total=chosen.steps, completed=trainer.step)

        def report(row: dict[str, Any]) -> None:
            validated = [k for k in row if k.startswith(("snr_db_", "mel_distance", "envelope_corr", "mos"))]
            if row["step"] % 10 == 0 or validated:
                log.write(json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}) + "\n")
                log.flush()
                if writer is not None:
                    for key, value in row.items():
                        writer.add_scalar(key, value, row["step"])
            if validated and samples:
                write_codec_samples(run, trainer.averaged(), valid, row["step"], samples)
            if validated:
                progress.console.print(f"step {row['step']}: " + ", ".join(f"{k} {row[k]:.2f}" for k in validated))
            progress.update(task, completed=row["step"], description=f"loss {row['loss']:.3f}")

        reason = trainer.fit(bank, valid, report, Stop().listen(), max_minutes)
    if writer is not None:
        writer.close()
    typer.echo(f"{reason} at step {trainer.step}; best validation score {trainer.best:.2f}")
    workers.leave()


def _configured(config: str, steps: int | None, overrides: list[str]) -> Any:
    from ml.cli.train_run import overridden
    from ml.codec.config import ConfigError
    from ml.train.config import RECIPES, CodecTrainConfig

    if config in RECIPES:
        chosen = RECIPES[config]
    elif Path(config).is_file():
        try:
            chosen = CodecTrainConfig.from_dict(json.loads(Path(config).read_text(encoding="utf-8")))
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{config} is no training configuration: {error}") from None
    else:
        raise ConfigError(f"no recipe or file {config!r}; recipes: {', '.join(RECIPES)}")
    chosen = overridden(chosen, overrides)
    return chosen if steps is None else dataclasses.replace(chosen, steps=steps)
