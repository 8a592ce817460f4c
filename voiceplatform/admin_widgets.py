"""Form fields that the admin pages of several apps use."""

from __future__ import annotations

from typing import Any

from unfold.widgets import UnfoldAdminTextInputWidget


class DialWidget(UnfoldAdminTextInputWidget):
    """A slider beside its number. The number is what is sent, so that the form works without script.

    ``unit`` is shown behind it; ``rest`` is the value at which the dial does nothing (a double click goes there).
    """

    input_type = "number"
    template_name = "console/dial.html"

    def __init__(self, low: float, high: float, *, step: float, unit: str = "", rest: float | None = None) -> None:
        super().__init__(attrs={"min": low, "max": high, "step": step})
        self.unit = unit
        self.rest = rest

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"].update(unit=self.unit, rest=self.rest)
        return context


def dial(bounds: tuple[float, float], *, step: float, unit: str = "", rest: float | None = None) -> DialWidget:
    """A dial over a model's bounds."""
    return DialWidget(*bounds, step=step, unit=unit, rest=rest)
