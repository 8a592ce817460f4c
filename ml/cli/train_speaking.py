"""`python -m ml train speaking`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.cli.train_options import (
    CodecOption,
    Device,
    MaxMinutes,
    Minutes,
    Overrides,
    Pairs,
    Resume,
    Run,
    Tensorboard,
    Threads,
)


def speaking(
    pairs: Pairs,
    weights: Annotated[Path, typer.Option(help="S2S weights to start from; what understands stays as it is there.")],
    run: Run,
    out: Annotated[Path, typer.Option(help="Where the weights that speak better are written; may be the same.")],
    codec: CodecOption = "dialogue",
    minutes: Minutes = 60.0,
    set_: Overrides = None,
    max_minutes: MaxMinutes = 1e9,
    resume: Resume = True,
    device: Device = "auto",
    threads: Threads = 0,
    tensorboard: Tensorboard = True,
    samples: Annotated[int, typer.Option(help="Answers generated and written as FLAC at each validation.")] = 3,
) -> None:
    """Train decoder, style and depth head of a finished model on; its understanding does not change."""
    from safetensors.torch import load_file

    from ml.cli.train_run import device_of, follow, overridden
    from ml.codec.checkpoint import WEIGHTS_DIR, load_codec, read_card
    from ml.data.pairs import PairSet, codes_key
    from ml.s2s.checkpoint import export_s2s, load_s2s
    from ml.s2s.train.data import Dialogues
    from ml.s2s.train.report import write_answers
    from ml.s2s.train.speaking import SpeakingConfig, SpeakingTrainer, take_speaking

    device = device_of(device, threads)
    chosen = dataclasses.replace(overridden(SpeakingConfig(), set_ or []), schedule_minutes=minutes)
    voice = load_codec(Path(codec) if codec.endswith(".safetensors") else WEIGHTS_DIR / f"codec-{codec}.safetensors")
    card, trained = read_card(weights), load_s2s(weights)
    found = PairSet.load(pairs, codes_key(voice))
    trainer = SpeakingTrainer(chosen, run, device, Dialogues(found, trained.config, card["plans"]), trained)

    def export() -> None:
        model = load_s2s(weights)
        take_speaking(model, load_file(run / "best.safetensors"))
        note = json.loads((run / "best.json").read_text(encoding="utf-8"))
        export_s2s(model, out, {**card, "speaking": {"settings": chosen.to_dict(), "best": note}})

    def validated(row: dict[str, Any]) -> None:
        if samples:
            write_answers(trainer, voice, row["step"], samples)

    about = f"{len(found.answers)} renderings of answers, {len(found.questions)} questions"
    follow(trainer, resume=resume, max_minutes=max_minutes, tensorboard=tensorboard, about=about, validated=validated)
    if trainer.best > -float("inf"):  # stopped before its first validation there is nothing to write
        export()
