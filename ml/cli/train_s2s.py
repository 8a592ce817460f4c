"""`python -m ml train s2s`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.cli.train_options import (
    CodecOption,
    Device,
    MaxMinutes,
    Overrides,
    Pairs,
    Resume,
    Run,
    Steps,
    Tensorboard,
    Threads,
)


def s2s(
    pairs: Pairs,
    run: Run,
    stage: Annotated[str, typer.Option(help="lm, dialogue or style; empty: as the configuration mixes them.")] = "",
    config: Annotated[
        str, typer.Option(help="Recipe name, or a JSON file as stored by a run; by default the stage's own.")
    ] = "",
    codec: CodecOption = "dialogue",
    steps: Steps = None,
    set_: Overrides = None,
    max_minutes: MaxMinutes = 1e9,
    resume: Resume = True,
    device: Device = "auto",
    threads: Threads = 0,
    tensorboard: Tensorboard = True,
    samples: Annotated[int, typer.Option(help="Answers generated and written as FLAC at each validation.")] = 3,
    export: Annotated[
        Path | None, typer.Option(help="After each best validation write weights and a card here.")
    ] = None,
    checkpointing: Annotated[bool, typer.Option(help="Recompute activations: less memory, more time.")] = False,
) -> None:
    """Train the speech-to-speech model on pairs of questions and answers."""
    from ml.cli.train_run import configured, device_of, follow
    from ml.codec.checkpoint import WEIGHTS_DIR, load_codec, sha256_of
    from ml.data.pairs import PairSet, codes_key
    from ml.s2s.train.config import RECIPES, STAGES
    from ml.s2s.train.data import Dialogues, model_config
    from ml.s2s.train.report import export_best, write_answers
    from ml.s2s.train.trainer import S2STrainer
    from ml.train.workers import Workers

    if stage and stage not in STAGES:
        raise typer.BadParameter(f"stage {stage!r} is unknown; choose one of {', '.join(STAGES)}")
    chosen = configured("s2s", config or stage or "cpu-quick", steps, set_ or [])
    if stage and config:
        own = RECIPES[stage]
        chosen = dataclasses.replace(
            chosen, share_lm=own.share_lm, share_dialogue=own.share_dialogue, share_style=own.share_style
        )
    device = device_of(device, threads)
    workers = Workers.from_environment(device)
    weights = Path(codec) if codec.endswith(".safetensors") else WEIGHTS_DIR / f"codec-{codec}.safetensors"
    voice = load_codec(weights)
    found = PairSet.load(pairs, codes_key(voice))
    dialogues = Dialogues(found, model_config(found, chosen.preset))
    trainer = S2STrainer(chosen, run, device, dialogues, voice.quantizer.codebooks, sha256_of(weights), workers)
    trainer.model.checkpoint_activations(checkpointing)
    train = sum(p.split == "train" for p in found.pairs)
    about = (
        f"{train} pairs, {len(found.questions)} questions, {len(found.answers)} answers, {len(found.intents)} intents"
    )
    best = -float("inf")

    def validated(row: dict[str, Any]) -> None:
        nonlocal best
        if samples:
            write_answers(trainer, voice, row["step"], samples)
        if export is not None and trainer.best > best:
            export_best(trainer, export)
        best = max(best, trainer.best)

    follow(trainer, resume=resume, max_minutes=max_minutes, tensorboard=tensorboard, about=about, validated=validated)
    workers.leave()
