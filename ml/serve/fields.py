"""JSON objects whose members are read by name and type; every failure names the member."""

from __future__ import annotations

import json
from typing import Any

from ml.serve.messages import WireError


class JsonObject:
    """One message; ``kind`` is its type, for the words of errors."""

    __slots__ = ("_values", "kind")

    def __init__(self, values: dict[str, Any], kind: str) -> None:
        self._values = values
        self.kind = kind

    @classmethod
    def parse(cls, body: memoryview) -> JsonObject:
        try:
            values = json.loads(bytes(body).decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as exc:
            raise WireError("bad_json", f"not valid JSON in UTF-8: {exc}") from exc
        if not isinstance(values, dict):
            raise WireError("bad_message", f"a JSON object is needed, got {type(values).__name__}")
        kind = values.get("type")
        if not isinstance(kind, str):
            raise WireError("bad_message", "field 'type' must be a string")
        return cls(values, kind)

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def _get(self, name: str, wanted: str) -> Any:
        if name not in self._values:
            raise WireError("bad_message", f"field '{name}' of '{self.kind}' is missing, {wanted} is needed")
        return self._values[name]

    def bad(self, name: str, wanted: str) -> WireError:
        return WireError("bad_message", f"field '{name}' of '{self.kind}' must be {wanted}")

    def integer(self, name: str, low: int, high: int) -> int:
        wanted = f"an integer from {low} to {high}"
        value = self._get(name, wanted)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.bad(name, wanted)
        return value

    def number(self, name: str) -> float:
        value = self._get(name, "a number")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(name, "a number")
        try:
            number = float(value)
        except OverflowError:
            raise self.bad(name, "a number of ordinary size") from None
        if not abs(number) < float("inf"):
            raise self.bad(name, "a finite number")
        return number

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        return self.integer(name, low, high) if self.has(name) else None

    def bounded(self, name: str, low: float, high: float) -> float:
        value = self.number(name)
        if not low <= value <= high:
            raise self.bad(name, f"a number from {low:g} to {high:g}")
        return value

    def numbers(self, name: str) -> dict[str, float]:
        """An object of numbers, `{}` where it is absent."""
        values = self.mapping(name) if self.has(name) else {}
        return {key: JsonObject(values, f"{self.kind}.{name}").number(key) for key in values}

    def child(self, name: str) -> JsonObject:
        """Member ``name`` as an object of its own."""
        return JsonObject(self.mapping(name), f"{self.kind}.{name}")

    def boolean(self, name: str) -> bool:
        value = self._get(name, "true or false")
        if not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def text(self, name: str, limit: int) -> str:
        wanted = f"a string of at most {limit} characters"
        value = self._get(name, wanted)
        if not isinstance(value, str) or len(value) > limit:
            raise self.bad(name, wanted)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        wanted = "one of " + ", ".join(choices)
        value = self._get(name, wanted)
        if not isinstance(value, str) or value not in choices:
            raise self.bad(name, wanted)
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._get(name, "an object")
        if not isinstance(value, dict):
            raise self.bad(name, "an object")
        return value


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
