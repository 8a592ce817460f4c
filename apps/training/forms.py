"""Forms of the dashboard: the one for a new training is made from the trainer's typed configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from apps.training.models import Dataset
from apps.training.schema import Field, Trainer, parse_value, show_value, value_at, with_value

HIDDEN = {"name", "init"}
"""Settings that are no free text: the recipe's name, and a path (a file of the server is nobody's to type)."""
FIRST = ("steps", "batch", "learning_rate", "crop_seconds", "validate_every", "save_every_seconds", "seed")
PREFIX = "set:"


class DatasetForm(forms.ModelForm):
    """What people say about a dataset."""

    class Meta:
        model = Dataset
        fields = ["name", "licence", "description"]
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}
        labels = {"description": _("What is in it, and whose voices")}


@dataclass(slots=True)
class Setting:
    """A field of the configuration in the form: what stands in it, what it was by default, what is wrong with it."""

    field: Field
    text: str
    default: str
    error: str = ""

    @property
    def key(self) -> str:
        return f"{PREFIX}{self.field.name}"

    @property
    def changed(self) -> bool:
        return self.text != self.default


@dataclass(slots=True)
class Group:
    """Settings under one head; ``name`` is empty for the run's own."""

    name: str
    settings: list[Setting]

    @property
    def changed(self) -> bool:
        return any(setting.changed or setting.error for setting in self.settings)


class ConfigForm:
    """A trainer's configuration: starts from a recipe or from another run, keeps what was typed, says what is wrong."""

    def __init__(self, trainer: Trainer, recipe: str, start: dict[str, Any] | None = None) -> None:
        self.trainer = trainer
        self.recipe = recipe if recipe in trainer.recipes else next(iter(trainer.recipes))
        self.default = trainer.recipes[self.recipe]
        self.values = dict(start or self.default)
        self.errors: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def read(self, posted: QueryDict) -> bool:
        """Take what was typed; whether all of it can be read."""
        for field in self.fields:
            key = f"{PREFIX}{field.name}"
            if key not in posted:
                continue
            # a switch sends "false", and after it "true" when it is on: the last one counts
            text = posted.getlist(key)[-1]
            self._texts[field.name] = text
            try:
                value = parse_value(field, text)
            except ValueError as error:
                self.errors[field.name] = str(error)
                continue
            self.values = with_value(self.values, field.name, value)
        return not self.errors

    def blame(self, words: str) -> bool:
        """Put the trainer's complaint beside the setting that it names; whether it names one."""
        for field in sorted(self.fields, key=lambda f: -len(f.name)):
            if words.startswith((field.name, field.name.rpartition(".")[2])):
                self.errors[field.name] = words
                return True
        return False

    @property
    def fields(self) -> list[Field]:
        """Settings that this recipe has and that may be typed."""
        return [f for f in self.trainer.fields if f.name not in HIDDEN and self._present(f)]

    def _present(self, field: Field) -> bool:
        return not field.group or isinstance(value_at(self.values, field.group), dict)

    @property
    def groups(self) -> list[Group]:
        """All settings, the most used ones first."""
        by_name: dict[str, list[Setting]] = {"": []}
        for field in sorted(self.fields, key=lambda f: FIRST.index(f.name) if f.name in FIRST else len(FIRST)):
            text = self._texts.get(field.name, show_value(value_at(self.values, field.name)))
            default = show_value(value_at(self.default, field.name))
            setting = Setting(field, text, default, self.errors.get(field.name, ""))
            by_name.setdefault(field.group, []).append(setting)
        return [Group(name, settings) for name, settings in by_name.items() if settings]
