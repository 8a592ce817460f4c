"""Command line of the models. Subcommands are imported on use, so that `--help` does not load torch."""

from __future__ import annotations

import importlib
import sys

import typer
from typer.core import TyperGroup

_COMMANDS = {
    "serve": ("ml.serve.cli", "Run the inference server."),
    "talk": ("ml.cli.talk", "Answer a recording with a recording."),
    "gallery": ("ml.cli.gallery", "Answer a recording in every voice and emotion."),
    "codec": ("ml.cli.codec", "Reconstruct audio, export weights."),
    "s2s": ("ml.cli.s2s", "Export weights of a run, compare models by ear."),
    "recogniser": ("ml.cli.recogniser", "Export weights of a run."),
    "train": ("ml.cli.train", "Train a model, resumable in slices."),
    "evaluate": ("ml.cli.evaluate", "Measure a model on a folder of audio."),
    "data": ("ml.cli.data", "Speech data and the dialogue corpus."),
    "bench": ("ml.cli.bench", "Measure speed."),
}


class _LazyGroup(TyperGroup):
    """Imports a subcommand's module when it is asked for."""

    def list_commands(self, ctx: object) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: object, cmd_name: str):  # type: ignore[no-untyped-def]
        if cmd_name not in _COMMANDS:
            return None
        module, help_text = _COMMANDS[cmd_name]
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name, command.help = cmd_name, command.help or help_text
        return command

    def format_commands(self, ctx, formatter) -> None:  # type: ignore[no-untyped-def]
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


app = typer.Typer(cls=_LazyGroup, help="Models of the Telugu voice platform.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Models of the Telugu voice platform."""


def main() -> None:
    """Entry point; expected failures print one line and exit with 2."""
    try:
        app()
    except (ValueError, RuntimeError) as error:
        if type(error).__module__.startswith("ml."):
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        raise
