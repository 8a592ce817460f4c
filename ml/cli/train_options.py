"""Options that several train commands have, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Option(help="Folder of this run: checkpoints, metrics, best weights.")]
Pairs = Annotated[Path, typer.Option(help="Folder of pairs with codes (python -m ml data pairs, … data codes).")]
CodecOption = Annotated[str, typer.Option("--codec", help="Codec preset whose codes are used, or its weights file.")]
Minutes = Annotated[float, typer.Option(help="Length of the schedule; 0 follows steps.")]
Steps = Annotated[int | None, typer.Option(help="Override the recipe's number of steps.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: name=value.")]
MaxMinutes = Annotated[float, typer.Option(help="Stop after this long, with a checkpoint.")]
Resume = Annotated[bool, typer.Option(help="Continue the run in --run if there is one.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")]
Tensorboard = Annotated[bool, typer.Option(help="Write TensorBoard logs into the run folder.")]
