"""Pages beside the talk page: the voices by ear, a person's own conversations, and what this is."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.speakers.gallery import voice_gallery
from apps.speakers.selectors import emotions_published
from apps.training.selectors import model_cards
from apps.voice.access import guest_key_of
from apps.voice.exports import session_zip
from apps.voice.models import VoiceSession
from apps.voice.selectors import session_timeline, session_turns, sessions_own
from apps.voice.services import sessions_delete

PAGE = 30
"""Conversations on a page of the history."""


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """What a browser needs to install the page as an application."""
    icons = [
        {"src": static(f"icons/{name}.png"), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
        for name, size, purpose in (("192", 192, "any"), ("512", 512, "any"), ("512-maskable", 512, "maskable"))
    ]
    description = {
        "name": _("Telugu Voice"),
        "short_name": _("Telugu Voice"),
        "description": _("Speak Telugu. She answers."),
        "lang": get_language(),
        "start_url": reverse("talk"),
        "scope": "/",
        "display": "standalone",
        "background_color": "#f6f1e6",
        "theme_color": "#f6f1e6",
        "icons": icons,
    }
    response = JsonResponse(description, content_type="application/manifest+json")
    response["Vary"] = "Cookie, Accept-Language"
    return response


@require_safe
def listen(request: HttpRequest) -> HttpResponse:
    """Every published voice in every emotion, by ear."""
    return render(request, "voice/listen.html", {"gallery": voice_gallery(answers=True)})


@require_safe
def lab(request: HttpRequest) -> HttpResponse:
    """The codec lab: a voice through a codec, to hear and to see."""
    gallery = voice_gallery()
    samples = {f"{row.speaker.slug}-{emotion.slug}": url for row in gallery for emotion, url in row.samples}
    context = {
        "gallery": gallery,
        "emotions": emotions_published(),
        "samples": samples,
        "debug": settings.VOICE_PAGE_DEBUG,
    }
    return render(request, "voice/lab.html", context)


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """What this can do and what not, with the cards of the models that are in use."""
    return render(request, "voice/about.html", {"cards": model_cards()})


@require_safe
@never_cache
def history(request: HttpRequest) -> HttpResponse:
    """A person's own conversations, newest first; ``?before=`` an ISO time goes back."""
    rows = sessions_own(user=request.user, guest_key=guest_key_of(request.session))
    total = rows.count()
    try:
        page = max(1, int(request.GET.get("page", "1")))
    except ValueError:
        page = 1
    shown = list(rows[(page - 1) * PAGE : page * PAGE])
    context = {"sessions": shown, "total": total, "page": page, "older": page * PAGE < total}
    return render(request, "voice/history.html", context)


@require_safe
@never_cache
def history_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """One conversation on a time axis, with its turns."""
    session = _own(request, session_id)
    return render(
        request,
        "voice/history_session.html",
        {
            "session": session,
            "stretches": session_timeline(session_id=session_id),
            "turns": session_turns(session_id=session_id),
        },
    )


@require_safe
@never_cache
def history_export(request: HttpRequest, session_id: UUID) -> HttpResponseBase:
    """Recordings and a JSON description of one conversation as a zip."""
    session = _own(request, session_id)
    name = f"conversation-{session.created_at:%Y%m%d-%H%M%S}.zip"
    return FileResponse(session_zip(session=session), as_attachment=True, filename=name, content_type="application/zip")


@require_POST
def history_delete(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Delete one conversation with its recordings; one that still runs is ended."""
    session = _own(request, session_id)
    turns = session_turns(session_id=session_id).count()
    sessions_delete(session_ids=[session.pk])
    messages.success(
        request,
        ngettext(
            "The conversation is deleted, with one turn and its recordings.",
            "The conversation is deleted, with %(n)d turns and their recordings.",
            turns,
        )
        % {"n": turns},
    )
    return redirect("history")


def _own(request: HttpRequest, session_id: UUID) -> VoiceSession:
    # 404 also where it is somebody else's: whether it exists is nobody else's business.
    rows = sessions_own(user=request.user, guest_key=guest_key_of(request.session))
    session = rows.filter(pk=session_id).first()
    if session is None:
        raise Http404(_("There is no such conversation."))
    return session
