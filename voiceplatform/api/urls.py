"""Addresses below ``/api/``."""

from __future__ import annotations

from typing import Any

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

import apps.speakers.api
import apps.training.api
import apps.voice.api
from voiceplatform.api.views import NoSuchResource, RedocPage, SchemaView, SwaggerPage

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
for resources in (apps.speakers.api, apps.voice.api, apps.training.api):
    resources.register(router)

_v1: list[Any] = [
    path("", include(router.urls)),
    path("", include(apps.voice.api.urlpatterns)),
    path("schema", SchemaView.as_view(), name="schema"),
    path("docs", SwaggerPage.as_view(url_name="api:schema"), name="docs"),
    path("redoc", RedocPage.as_view(url_name="api:schema"), name="redoc"),
]

app_name = "api"
urlpatterns = [path("v1/", include(_v1)), re_path(r"", NoSuchResource.as_view(), name="nowhere")]
