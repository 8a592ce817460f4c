"""`python -m ml train schema` and `check`: configurations for those who start trainings from elsewhere."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer


def schema() -> None:
    """Print every setting of every training as JSON: name, type, help, and the recipes' values."""
    from ml.train.schema import export_schema

    typer.echo(json.dumps(export_schema(), ensure_ascii=False))


def check(kind: Annotated[str, typer.Argument(help="codec, s2s or recogniser.")]) -> None:
    """Read a configuration (JSON) from stdin and print it as the training will read it, or say what cannot work."""
    from ml.codec.config import ConfigError
    from ml.train.schema import checked

    try:
        values = json.load(sys.stdin)
    except ValueError as error:
        raise ConfigError(f"stdin is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError("a configuration is a JSON object")
    typer.echo(json.dumps(checked(kind, values), ensure_ascii=False))
