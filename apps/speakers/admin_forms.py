"""The forms of voices, emotions and blends: dials instead of bare numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _

from apps.speakers.models import ACCENT, ENERGY_DB, INTENSITY, PITCH_SEMITONES, RATE, Emotion, Speaker, VoiceBlend
from voiceplatform.admin_widgets import dial

SHARE = "share_"
_PROSODY = {
    "pitch_semitones": dial(PITCH_SEMITONES, step=0.1, unit="st", rest=0),
    "energy_db": dial(ENERGY_DB, step=0.1, unit="dB", rest=0),
    "rate": dial(RATE, step=0.01, unit="×", rest=1),
}


class SpeakerForm(forms.ModelForm):
    class Meta:
        model = Speaker
        exclude: ClassVar[list[str]] = []  # the admin names the fields
        widgets = {**_PROSODY, "accent_strength": dial(ACCENT, step=0.01, rest=0)}


class EmotionForm(forms.ModelForm):
    class Meta:
        model = Emotion
        exclude: ClassVar[list[str]] = []
        widgets = {
            **_PROSODY,
            "accent": dial(ACCENT, step=0.01, rest=0),
            "default_intensity": dial(INTENSITY, step=0.01),
        }


class BlendForm(forms.ModelForm):
    """Weights as a dial per voice; :func:`blend_form` adds those. What they add up to is made 1."""

    class Meta:
        model = VoiceBlend
        fields = ["slug", "name_te", "name_en", "description", "order", "is_published"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for slug, weight in (self.instance.weights or {}).items():
            if field := self.fields.get(SHARE + slug):
                field.initial = round(100 * weight, 1)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        shares = {name.removeprefix(SHARE): data.get(name) or 0.0 for name in self.fields if name.startswith(SHARE)}
        given = {slug: share for slug, share in shares.items() if share > 0}
        if shares and len(given) < 2:
            raise forms.ValidationError(_("A blend needs at least two voices: turn up two or more dials."))
        if given:
            self.instance.weights = normalised(given)
        return data


def normalised(shares: dict[str, float]) -> dict[str, float]:
    """The shares in proportion, adding up to 1 (four decimals; the largest takes what rounding leaves)."""
    total = sum(shares.values())
    weights = {slug: round(share / total, 4) for slug, share in shares.items()}
    largest = max(weights, key=lambda slug: weights[slug])
    weights[largest] = round(weights[largest] + 1 - sum(weights.values()), 4)
    return weights


def blend_form(speakers: dict[str, str]) -> type[BlendForm]:
    """BlendForm with a dial for each voice (slug to label)."""
    shares = {
        SHARE + slug: forms.FloatField(
            label=label, min_value=0, max_value=100, required=False, initial=0, widget=dial((0, 100), step=1, unit="%")
        )
        for slug, label in speakers.items()
    }
    return type("BlendForm", (BlendForm,), shares)
