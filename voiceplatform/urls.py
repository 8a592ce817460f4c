"""All addresses of the site. Sockets: `voiceplatform.asgi`."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.generic import RedirectView

from apps.voice.metrics import metrics
from voiceplatform import health

admin.site.site_title = admin.site.site_header = "Telugu Voice"

urlpatterns = [
    path("", include("apps.voice.urls")),
    path("", include("apps.voice.simple.urls")),
    path("", include("apps.voice.openai_realtime.urls")),
    path("", include("apps.speakers.urls")),
    path("", include("apps.training.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("accounts/login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", auth.LogoutView.as_view(), name="logout"),
    path("accounts/", include("apps.accounts.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    # Browsers ask for it by themselves where a page names no icon (an API answer, a download).
    path("favicon.ico", RedirectView.as_view(url=settings.STATIC_URL + "img/favicon.svg"), name="favicon"),
    path("api/", include("voiceplatform.api.urls")),
]
