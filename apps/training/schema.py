"""The typed configurations of ``python -m ml train …``, read through that command: this side never imports torch.

What the command prints is kept in ``<var>/training/schema-KEY.json``, where KEY stands for the sources it came from.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from apps.training.paths import training_dir
from apps.voice.errors import ServiceError
from voiceplatform.env import BASE_DIR

PATIENCE_S = 120.0
_SOURCES = ("ml/train", "ml/codec", "ml/s2s", "ml/recogniser")


@dataclass(frozen=True, slots=True)
class Field:
    """One setting. ``type`` is int, float, bool, text, list or choice; ``group`` what stands before its last dot."""

    name: str
    type: str
    help: str
    choices: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def label(self) -> str:
        return self.name.rpartition(".")[2].replace("_", " ")


@dataclass(frozen=True, slots=True)
class Trainer:
    """What a kind of training can be told. ``recipes`` are complete configurations by name."""

    kind: str
    fields: tuple[Field, ...]
    recipes: dict[str, dict[str, Any]]


def trainers() -> dict[str, Trainer]:
    """Every kind of training that this build has, by name (codec, s2s, recogniser).

    Raises:
        ServiceError: no_schema, when the command cannot be run.
    """
    return {
        kind: Trainer(
            kind,
            tuple(
                Field(f["name"], f["type"], f["help"], tuple(map(str, f.get("choices", ())))) for f in held["fields"]
            ),
            held["recipes"],
        )
        for kind, held in _schema().items()
    }


def check_config(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """The configuration as the trainer will read it.

    Raises:
        ServiceError: bad_config with the trainer's own words, when it cannot work.
    """
    done = _ml(["train", "check", kind], json.dumps(values))
    if done.returncode == 0:
        checked: dict[str, Any] = json.loads(done.stdout)
        return checked
    words = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "")
    raise ServiceError("bad_config", words.removeprefix("error: "), _("change this setting"))


def check_corpus(folder: Path) -> None:
    """Whether topics and chains of somebody's own in `folder` can be spoken together with the corpus.

    Raises:
        ServiceError: bad_corpus with every problem, each with its file, place and remedy.
    """
    done = _ml(["data", "corpus", "check", "--more", str(folder)])
    if done.returncode:
        raise ServiceError("bad_corpus", done.stderr.strip().removeprefix("error: ")[:4_000], _("correct these files"))


def value_at(config: dict[str, Any], name: str) -> Any:
    """The value of a dotted name; None when a group on the way is absent."""
    found: Any = config
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def with_value(config: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A copy of `config` with another value at a dotted name."""
    head, _dot, rest = name.partition(".")
    inner = config.get(head)
    return {**config, head: with_value(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def parse_value(field: Field, text: str) -> Any:
    """What was typed, as the field's type. Raises ValueError with words for people."""
    text = text.strip()
    if field.type == "bool":
        return text.lower() in ("1", "true", "on", "yes")
    if field.type in ("int", "float"):
        try:
            number = int(text) if field.type == "int" else float(text)
        except ValueError:
            raise ValueError(_("a whole number") if field.type == "int" else _("a number")) from None
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError(_("a number"))
        return number
    if field.type == "list":
        try:
            items = json.loads(f"[{text}]")
        except ValueError:
            raise ValueError(_("numbers with commas between them")) from None
        if not all(isinstance(item, int | float) for item in items):
            raise ValueError(_("numbers with commas between them"))
        return items
    if field.choices and text not in field.choices:
        raise ValueError(_("one of %(choices)s") % {"choices": ", ".join(field.choices)})
    return text


def show_value(value: Any) -> str:
    """A value as it stands in a form field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(show_value, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def _schema() -> dict[str, Any]:
    stored = training_dir() / f"schema-{_sources_key()}.json"
    try:
        held: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8"))
        return held
    except (OSError, ValueError):
        pass
    done = _ml(["train", "schema"])
    if done.returncode:
        raise ServiceError("no_schema", f"python -m ml train schema: {done.stderr[-300:]}", "run: make setup")
    fresh: dict[str, Any] = json.loads(done.stdout)
    stored.parent.mkdir(parents=True, exist_ok=True)
    partial = stored.with_suffix(".partial")
    partial.write_text(done.stdout, encoding="utf-8")
    partial.replace(stored)
    for old in stored.parent.glob("schema-*.json"):
        if old != stored:
            old.unlink(missing_ok=True)
    return fresh


def _sources_key() -> str:
    rows = []
    for folder in _SOURCES:
        for path in sorted((BASE_DIR / folder).rglob("*.py")):
            if "config" in path.name or path.name == "schema.py" or "discriminators" in path.name:
                rows.append(f"{path.relative_to(BASE_DIR)} {path.stat().st_size} {path.stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _ml(arguments: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "ml", *arguments]
    try:
        return subprocess.run(
            command, cwd=Path(BASE_DIR), input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        words = f"python -m ml {' '.join(arguments)} took over {PATIENCE_S:.0f} s"
        raise ServiceError("no_schema", words, _("try again when the machine is less busy")) from None
