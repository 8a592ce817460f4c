"""How the admin looks and what its side bar holds. Colours live in ``frontend/static/console/theme.css`` (CSP)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _static(path: str) -> Any:
    return lambda request: static(path)


def _may(*permissions: str) -> Any:
    """Shown to those who hold one of the permissions."""

    def allowed(request: HttpRequest) -> bool:
        return any(request.user.has_perm(permission) for permission in permissions)

    return allowed


def _page(title: Any, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": _may(f"{app}.view_{name}", f"{app}.change_{name}"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("Telugu Voice"),
    "SITE_HEADER": _("Telugu Voice"),
    "SITE_SUBHEADER": _("Operations"),
    "SITE_URL": "/",
    "SITE_ICON": _static("img/favicon.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static("img/favicon.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": True,
    "COLORS": {},
    "STYLES": [_static("console/theme.css"), _static("console/console.css")],
    "SCRIPTS": [_static("console/console.js"), _static("console/player.js"), _static("console/timeline.js")],
    "DASHBOARD_CALLBACK": "apps.console.home.dashboard",
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {
        "show_search": False,
        "command_search": True,
        "show_all_applications": False,
        "navigation": [
            {"items": [{"title": _("Is it well?"), "icon": "vital_signs", "link": reverse_lazy("admin:index")}]},
            {
                "title": _("Conversations"),
                "items": [
                    _page(_("Sessions"), "forum", "voice.voicesession"),
                    _page(_("Turns"), "graphic_eq", "voice.turn"),
                ],
            },
            {
                "title": _("Voices"),
                "items": [
                    _page(_("Speakers"), "record_voice_over", "speakers.speaker"),
                    _page(_("Blends"), "tune", "speakers.voiceblend"),
                    _page(_("Emotions"), "mood", "speakers.emotion"),
                ],
            },
            {
                "title": _("Training"),
                "items": [
                    {
                        "title": _("Training pages"),
                        "icon": "model_training",
                        "link": reverse_lazy("training:overview"),
                        "permission": _may("training.view_job"),
                        "active": lambda request: False,  # its address is part of this app's admin pages' too
                    },
                    _page(_("Datasets"), "library_music", "training.dataset"),
                    _page(_("Jobs"), "conveyor_belt", "training.job"),
                    _page(_("Model versions"), "deployed_code", "training.modelversion"),
                    _page(_("Workers"), "memory", "training.workerheartbeat"),
                ],
            },
            {
                "title": _("People"),
                "items": [
                    _page(_("Users"), "person", "auth.user"),
                    _page(_("Roles"), "badge", "auth.group"),
                    _page(_("API tokens"), "key", "accounts.apitoken"),
                ],
            },
        ],
    },
}
