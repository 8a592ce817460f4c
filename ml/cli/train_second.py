"""`python -m ml train second`."""

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


def second(
    pairs: Pairs,
    weights: Annotated[Path, typer.Option(help="S2S weights whose encoder listens; they do not change.")],
    run: Run,
    out: Annotated[Path, typer.Option(help="Where the weights with the second reading are written; may be the same.")],
    codec: CodecOption = "dialogue",
    encoder: Annotated[bool, typer.Option(help="The encoder learns too, from where it is.")] = False,
    minutes: Minutes = 60.0,
    set_: Overrides = None,
    max_minutes: MaxMinutes = 1e9,
    resume: Resume = True,
    device: Device = "auto",
    threads: Threads = 0,
    tensorboard: Tensorboard = True,
) -> None:
    """Train the second reading of questions on a trained encoder; fit the choice again afterwards."""
    from safetensors.torch import load_file

    from ml.cli.train_run import device_of, follow, overridden
    from ml.codec.checkpoint import WEIGHTS_DIR, load_codec, read_card
    from ml.data.pairs import PairSet, codes_key
    from ml.s2s.checkpoint import export_s2s, load_s2s
    from ml.s2s.train.data import Dialogues
    from ml.s2s.train.ear import EarTrainer
    from ml.s2s.train.second import SecondConfig, SecondTrainer, with_second

    device = device_of(device, threads)
    chosen = dataclasses.replace(overridden(SecondConfig(), set_ or []), schedule_minutes=minutes, encoder=encoder)
    voice = load_codec(Path(codec) if codec.endswith(".safetensors") else WEIGHTS_DIR / f"codec-{codec}.safetensors")
    card, listener = read_card(weights), load_s2s(weights)
    found = PairSet.load(pairs, codes_key(voice))
    trainer = (EarTrainer if encoder else SecondTrainer)(
        chosen, run, device, Dialogues(found, listener.config, card["plans"]), listener
    )

    def export() -> None:
        wider = with_second(listener.cpu(), chosen)
        wider.load_state_dict(
            {trainer.part + k: v for k, v in load_file(run / "best.safetensors").items()}, strict=False
        )
        note = json.loads((run / "best.json").read_text(encoding="utf-8"))
        export_s2s(wider.eval(), out, {**card, "second": {"settings": chosen.to_dict(), "best": note}})
        listener.to(device)

    def validated(row: dict[str, Any]) -> None:
        if json.loads((run / "best.json").read_text(encoding="utf-8"))["step"] == row["step"]:
            export()

    about = f"{len(trainer.train)} questions, {len(trainer.held)} held out"
    follow(trainer, resume=resume, max_minutes=max_minutes, tensorboard=tensorboard, about=about, validated=validated)
