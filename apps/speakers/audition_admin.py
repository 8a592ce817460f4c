"""The address behind "hear it with these dials" in the forms of voices, emotions and blends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.speakers.admin_forms import SHARE, normalised
from apps.speakers.models import Emotion, Speaker, VoiceBlend
from apps.voice.audition import audition
from apps.voice.errors import ServiceError

PROSODY = ("pitch_semitones", "energy_db", "rate")


class AuditionMixin:
    """Adds ``audition/`` to an admin of speakers, emotions or blends: POST of the form's fields, a WAV back.

    ``object`` is the row's key (empty for a new one), ``with`` the emotion (for an emotion: the voice) by its slug.
    What the form says is heard, saved or not. Errors are JSON with ``detail`` and ``hint``.
    """

    opts: Any
    admin_site: Any

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.audition))
        name = f"{self.opts.app_label}_{self.opts.model_name}_audition"
        own: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        return [path("audition/", view, name=name), *own]

    def audition(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        try:
            wav = audition(**self.audition_of(request.POST))
        except ValidationError as error:
            return JsonResponse({"detail": " ".join(error.messages), "hint": ""}, status=400)
        except ServiceError as error:
            return JsonResponse({"detail": error.message, "hint": error.hint}, status=503)
        return HttpResponse(wav, content_type="audio/wav")  # never cached, as all of the admin

    def audition_of(self, data: Mapping[str, str]) -> dict[str, Any]:
        """What :func:`apps.voice.audition.audition` is given. Raises ValidationError."""
        raise NotImplementedError


def speaker_audition(data: Mapping[str, str]) -> dict[str, Any]:
    """A speaker as its form stands, in the emotion that is asked for."""
    speaker = _row(Speaker, data) or Speaker(slug="new", gender="female")
    _dial(speaker, data, (*PROSODY, "accent_strength", "gender"))
    return {"speaker": speaker, "emotion": _named(Emotion, data)}


def emotion_audition(data: Mapping[str, str]) -> dict[str, Any]:
    """An emotion as its form stands, by the voice that is asked for."""
    emotion = _row(Emotion, data) or Emotion(slug="neutral")
    _dial(emotion, data, (*PROSODY, "accent", "default_intensity"))
    return {"speaker": _named(Speaker, data), "emotion": emotion}


def blend_audition(data: Mapping[str, str]) -> dict[str, Any]:
    """A blend as its dials stand, in the emotion that is asked for."""
    shares = {key.removeprefix(SHARE): _number(value) for key, value in data.items() if key.startswith(SHARE)}
    if not shares and (saved := _row(VoiceBlend, data)) is not None:  # a form that may only be looked at
        shares = dict(saved.weights)
    given = {slug: share for slug, share in shares.items() if share > 0}
    known = Speaker.objects.filter(slug__in=given)
    if len(given) < 2 or len(known) < len(given):
        raise ValidationError(_("A blend needs at least two voices: turn up two or more dials."))
    blend = VoiceBlend(slug="new", weights=normalised(given))
    return {"speaker": None, "emotion": _named(Emotion, data), "blend": blend}


def _row(model: type[Any], data: Mapping[str, str]) -> Any:
    key = data.get("object", "")
    return model.objects.filter(pk=key).first() if key.isascii() and key.isdecimal() and len(key) < 10 else None


def _named(model: type[Any], data: Mapping[str, str]) -> Any:
    found = model.objects.filter(slug=data.get("with", "")).first()
    if found is None:
        raise ValidationError(_("Choose what to hear it with."))
    return found


def _dial(row: Any, data: Mapping[str, str], names: Sequence[str]) -> None:
    for name in names:
        if data.get(name, "") != "":
            setattr(row, name, data[name])
    row.clean_fields(exclude={field.name for field in row._meta.fields} - set(names))


def _number(text: str) -> float:
    try:
        return min(100.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
