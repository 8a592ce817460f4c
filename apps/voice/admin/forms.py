"""Forms of sessions and turns: an operator takes over a configuration, or judges a recording."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib.admin import HORIZONTAL
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldBooleanSwitchWidget

from apps.speakers.models import ACCENT, ENERGY_DB, INTENSITY, PITCH_SEMITONES, RATE
from apps.voice.models import Turn, VoiceSession
from voiceplatform.admin_widgets import dial


class SessionForm(forms.ModelForm):
    """What an operator may change of a running session; what is left empty stays the voice's own."""

    now = forms.BooleanField(
        label=_("at once"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Cuts an answer that is being spoken; otherwise the change is heard from the next answer on."),
    )

    CONFIGURED: ClassVar[tuple[str, ...]] = (
        "speaker",
        "emotion",
        "mode",
        "turn_taking",
        "quantizers",
        "pitch_semitones",
        "energy_db",
        "rate",
        "accent",
        "intensity",
        "keep_audio",
    )

    class Meta:
        model = VoiceSession
        exclude: ClassVar[list[str]] = []  # the admin names the fields
        widgets = {
            "pitch_semitones": dial(PITCH_SEMITONES, step=0.1, unit="st", rest=0),
            "energy_db": dial(ENERGY_DB, step=0.1, unit="dB", rest=0),
            "rate": dial(RATE, step=0.01, unit="×", rest=1),
            "accent": dial(ACCENT, step=0.01),
            "intensity": dial(INTENSITY, step=0.01),
            "quantizers": dial((1, 8), step=1),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("speaker", "emotion"):
            if field := self.fields.get(name):
                # Only what is offered may be chosen anew; what the session has may stay.
                current = getattr(self.instance, f"{name}_id", None)
                field.queryset = field.queryset.filter(Q(is_published=True) | Q(pk=current))  # type: ignore[attr-defined]
                for wish in ("add", "change", "view"):  # a voice is edited on its own page
                    setattr(field.widget, f"can_{wish}_related", False)
        for name in ("accent", "intensity"):
            if field := self.fields.get(name):
                field.widget.attrs["placeholder"] = gettext("own")

    def wishes(self) -> dict[str, Any]:
        """What was changed, as ``session_configure`` takes it."""
        changed = {name: self.cleaned_data[name] for name in self.CONFIGURED if name in self.changed_data}
        for name in ("speaker", "emotion"):
            if changed.get(name) is not None:
                changed[name] = changed[name].slug
        return changed


class TurnForm(forms.ModelForm):
    """A mark and a note."""

    class Meta:
        model = Turn
        fields: ClassVar[list[str]] = ["mark", "mark_note"]

    mark = forms.ChoiceField(
        label=_("mark"),
        required=False,
        choices=[("", _("not marked")), *Turn.Mark.choices],
        widget=UnfoldAdminRadioSelectWidget(radio_style=HORIZONTAL),
    )
