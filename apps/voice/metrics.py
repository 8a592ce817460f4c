"""Counters of this web process in Prometheus' text format: what flows, what is lost, how long answers take to leave."""

from __future__ import annotations

from collections import Counter
from hmac import compare_digest

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

HELP = {
    "voice_web_sockets": ("gauge", "Live sockets of this process."),
    "voice_web_audio_up_frames_total": ("counter", "Microphone frames accepted, 20 ms each."),
    "voice_web_audio_down_frames_total": ("counter", "Frames of audio sent to clients."),
    "voice_web_dropped_frames_total": ("counter", "Frames given up in full queues, or stale."),
    "voice_web_late_frames_total": ("counter", "Frames that left later than they should."),
    "voice_web_answers_total": ("counter", "Answers begun to be sent."),
    "voice_web_interruptions_total": ("counter", "Answers stopped by their listener."),
    "voice_web_turns_total": ("counter", "Turns stored."),
    "voice_web_turns_lost_total": ("counter", "Turns that could not be stored."),
    "voice_web_busy_total": ("counter", "Greetings refused because every slot was taken."),
    "voice_web_inference_lost_total": ("counter", "Sessions whose inference server went away."),
}

_values: Counter[str] = Counter()


def count(name: str, by: int = 1) -> None:
    """Add to a counter (or move a gauge) of this process; ``name`` without its prefix ``voice_web_``."""
    _values["voice_web_" + name] += by


def text() -> str:
    """The exposition."""
    lines = []
    for name, (kind, words) in HELP.items():
        lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}", f"{name} {_values[name]}"]
    return "\n".join([*lines, ""])


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """``/metrics``: for the staff, and for whoever brings the token of ``VOICE_METRICS_TOKEN``."""
    token = settings.VOICE_METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    known = bool(token) and compare_digest(token.encode(), given.encode())
    if not known and not (request.user.is_authenticated and getattr(request.user, "is_staff", False)):
        return HttpResponse(
            "metrics: a staff login or the metrics token is needed\n", status=403, content_type="text/plain"
        )
    return HttpResponse(text(), content_type="text/plain; version=0.0.4; charset=utf-8")
