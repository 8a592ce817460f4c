"""The talk page, and recordings for those who may hear them."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.conf import settings
from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.voice.access import ensure_guest_key, guest_key_of
from apps.voice.models import Turn
from apps.voice.pictures import PEAKS, audio_peaks, codes_png
from apps.voice.ranges import ranged_response
from apps.voice.selectors import page_config, turn_visible
from apps.voice.servers import talk_offered_now
from apps.voice.storage import read_codes

WS_PATH = "/ws/voice/"


@require_safe
@never_cache
def talk(request: HttpRequest) -> HttpResponse:
    """The page on which people talk. A guest gets a key here, which makes their recordings theirs."""
    if not request.user.is_authenticated and settings.VOICE_ALLOW_GUESTS:
        ensure_guest_key(request.session)
    login_url = f"{reverse('login')}?{urlencode({'next': reverse('talk')})}"
    page = page_config(user=request.user, ws_path=WS_PATH, login_url=login_url, talk=talk_offered_now())
    if request.GET.get("mode") in page["modes"]:
        page["defaults"]["mode"] = request.GET["mode"]  # a link to one's own voice, or to the conversation
    return render(request, "voice/talk.html", {"page": page})


@require_safe
def turn_audio(request: HttpRequest, turn_id: UUID) -> HttpResponseBase:
    """What the microphone heard, FLAC."""
    return _turn_file(request, turn_id, "audio", "audio/flac")


@require_safe
def turn_output(request: HttpRequest, turn_id: UUID) -> HttpResponseBase:
    """What was sent back, FLAC."""
    return _turn_file(request, turn_id, "output_audio", "audio/flac")


@require_safe
def turn_codes(request: HttpRequest, turn_id: UUID) -> HttpResponseBase:
    """The codec's codes, .npy uint16 [levels, frames]."""
    return _turn_file(request, turn_id, "codes", "application/octet-stream")


@require_safe
def turn_peaks(request: HttpRequest, turn_id: UUID, side: str) -> HttpResponseBase:
    """`{"peaks": [0..1, …]}` of what was heard (`audio`) or sent back (`output_audio`); ``?count=`` 1 to 4000."""
    stored = _turn_stored(request, turn_id, side)
    try:
        peaks = audio_peaks(stored, int(request.GET.get("count", PEAKS)))
    except ValueError as error:
        return JsonResponse({"error": str(error)}, status=400)
    return _kept(JsonResponse({"peaks": peaks}))


@require_safe
def turn_codes_image(request: HttpRequest, turn_id: UUID) -> HttpResponseBase:
    """The codes as a picture, one pixel a code."""
    stored = _turn_stored(request, turn_id, "codes")
    return _kept(HttpResponse(codes_png(read_codes(cast(Turn, stored.instance))), content_type="image/png"))


def _kept(response: HttpResponse) -> HttpResponse:
    # A turn's files never change, so neither does what is drawn from them; a proxy keeps no one's voice.
    response["Cache-Control"] = "private, max-age=600"
    return response


def _turn_stored(request: HttpRequest, turn_id: UUID, attribute: str) -> FieldFile:
    # 404 also for those who may not hear it: whether a turn exists is nobody else's business.
    turn = turn_visible(turn_id=turn_id, user=request.user, guest_key=guest_key_of(request.session))
    stored: FieldFile | None = getattr(turn, attribute) if turn is not None else None
    if not stored or not stored.storage.exists(str(stored.name)):
        raise Http404(_("There is no such recording."))
    return stored


def _turn_file(request: HttpRequest, turn_id: UUID, attribute: str, content_type: str) -> HttpResponseBase:
    stored = _turn_stored(request, turn_id, attribute)
    return ranged_response(request, stored, content_type=content_type, etag=f"{turn_id}-{attribute}")
