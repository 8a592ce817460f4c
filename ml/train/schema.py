"""What can be set for a training run, as JSON: for forms and APIs that must not load torch themselves.

The source of names, types, defaults and help is the config dataclasses (a field's docstring is the string below it).
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import itertools
import textwrap
import types
import typing
from typing import Any

from ml.codec.config import ConfigError

TRAINERS: dict[str, tuple[str, str]] = {
    "codec": ("ml.train.config", "CodecTrainConfig"),
    "s2s": ("ml.s2s.train.config", "S2STrainConfig"),
    "recogniser": ("ml.recogniser.config", "RecogniserTrainConfig"),
}
"""Kind of training -> (module, config class). The module also has RECIPES; one that is not there yet is left out."""


def field_docs(config: type[Any]) -> dict[str, str]:
    """Docstring of each field of a dataclass, as one line."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(config)))
    except (OSError, SyntaxError):
        return {}
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    docs: dict[str, str] = {}
    for node, below in itertools.pairwise(body):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            docs[node.target.id] = " ".join(below.value.value.split())
    return docs


def _all_docs(config: type[Any]) -> dict[str, str]:
    """As `field_docs`, those of the classes it inherits from included."""
    return {k: v for base in reversed(config.__mro__) if base is not object for k, v in field_docs(base).items()}


def fields_of(config: type[Any], prefix: str = "") -> list[dict[str, Any]]:
    """Every leaf of a config dataclass: name (dotted), type (int, float, bool, text, list, choice), help, choices."""
    docs, hints = _all_docs(config), typing.get_type_hints(config)
    found: list[dict[str, Any]] = []
    for field in dataclasses.fields(config):
        hint, name = hints[field.name], f"{prefix}{field.name}"
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            hint = next(part for part in typing.get_args(hint) if part is not type(None))
        if dataclasses.is_dataclass(hint):
            found += fields_of(typing.cast(type[Any], hint), f"{name}.")
            continue
        row: dict[str, Any] = {"name": name, "help": docs.get(field.name, "")}
        if typing.get_origin(hint) is typing.Literal:
            row |= {"type": "choice", "choices": list(typing.get_args(hint))}
        elif hint in (int, float, bool):
            row["type"] = hint.__name__
        else:
            row["type"] = "text" if hint is str else "list"
        found.append(row)
    return found


def trainer(kind: str) -> tuple[type[Any], dict[str, Any]]:
    """Config class and recipes of a kind of training. Raises ConfigError when there is no such trainer."""
    if kind not in TRAINERS:
        raise ConfigError(f"no training of {kind!r}; there are: {', '.join(TRAINERS)}")
    module_name, class_name = TRAINERS[kind]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError:
        raise ConfigError(f"training of {kind!r} is not part of this build") from None
    return getattr(module, class_name), module.RECIPES


def export_schema() -> dict[str, Any]:
    """``{kind: {"fields": [...], "recipes": {name: config as a mapping}}}`` of every trainer in this build."""
    schema: dict[str, Any] = {}
    for kind in TRAINERS:
        try:
            config, recipes = trainer(kind)
        except ConfigError:
            continue
        schema[kind] = {
            "fields": fields_of(config),
            "recipes": {name: recipe.to_dict() for name, recipe in recipes.items()},
        }
    return schema


def checked(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """The configuration `values` as the trainer will read it. Raises ConfigError when it cannot work."""
    config, _ = trainer(kind)
    try:
        stored: dict[str, Any] = config.from_dict(values).to_dict()
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"this is no configuration of {kind}: {error}") from None
    return stored
