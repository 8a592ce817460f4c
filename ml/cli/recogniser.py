"""`python -m ml recogniser`: weights of a training run for shipping."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _recogniser() -> None:
    """Export weights of a run."""


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run (with best.safetensors).")],
    weights: Annotated[Path, typer.Option(help="Folder to write recogniser.safetensors and its card to.")],
    version: Annotated[str, typer.Option(help="Version written into the card.")],
    hardware: Annotated[str, typer.Option(help="What trained it, in words, for the card.")],
    data: Annotated[list[str], typer.Option(help="A data source and its licence; may be repeated.")],
) -> None:
    """Write a run's best weights for shipping, with their model card."""
    from ml.cli.train_run import configured
    from ml.codec.checkpoint import CheckpointError, read_card
    from ml.recogniser.train import export_best
    from ml.shipped import write_json

    if not (run / "config.json").is_file():
        raise CheckpointError(f"{run} has nothing to export yet (no config.json); train until a validation has run")
    path = weights / "recogniser.safetensors"
    figures = export_best(run, configured("recogniser", str(run / "config.json"), None, []), path, data)
    words = {"version": version, "training": {"hardware": hardware, "data": data}}
    write_json(path.with_suffix(".json"), {**read_card(path), **words})
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {figures}")
