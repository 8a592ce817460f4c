"""Base classes of resources, the documentation's pages, and the answer where no resource is."""

from __future__ import annotations

from typing import Any, ClassVar

from csp.decorators import csp_update
from django.http import HttpResponse
from django.utils import translation
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework import mixins
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from voiceplatform.api.access import Access, AccessTable
from voiceplatform.api.etags import EtagMixin, etag_of
from voiceplatform.api.idempotency import idempotent

DOCS_POLICY = {"style-src": ["'unsafe-inline'"], "worker-src": ["blob:"]}
"""Swagger and Redoc make their styles at run time; scripts stay ours alone. The pages show nothing private."""


class ApiViewSet(GenericViewSet):
    """A viewset with an access table: a row for each action, or the action is closed."""

    access: ClassVar[AccessTable] = {}
    tag: ClassVar[str] = ""
    http_method_names = ["get", "post", "patch", "delete", "head"]
    ordering: ClassVar[list[str]] = ["pk"]


class ConfigurationViewSet(EtagMixin, mixins.ListModelMixin, ApiViewSet):
    """Rows that operators keep: list, read, create (idempotent), change (If-Match). Nothing is deleted: withdraw it.

    Subclasses give the queryset, the serializer and :meth:`store`.
    """

    lookup_field = "slug"
    lookup_value_converter = "slug"

    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = self.represent(self.store(serializer))
        location = request.build_absolute_uri(f"{request.path}/{data[self.lookup_field]}")
        return Response(data, status=201, headers={"ETag": etag_of(data), "Location": location})


@extend_schema(exclude=True)
class NoSuchResource(APIView):
    """404 in the API's own words below ``/api/``."""

    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = []
    access: ClassVar[AccessTable] = {}

    def _nothing(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise NotFound("There is no such address in the API: see /api/v1/docs.")

    get = post = put = patch = delete = _nothing


class SchemaView(SpectacularAPIView):
    """The API as OpenAPI 3; YAML, or JSON with ``?format=json``."""

    access: ClassVar[AccessTable] = {"get": Access("read", public=True)}
    _rendered: ClassVar[dict[str, bytes]] = {}
    """By media type, once for each process: making it takes a second, and everyone may ask."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer: Any = request.accepted_renderer
        kind = str(renderer.media_type)
        if kind not in self._rendered:
            with translation.override("en"):  # as the snapshot: an API has one language
                answer = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
                self._rendered[kind] = renderer.render(answer.data, kind, {})
        return HttpResponse(self._rendered[kind], content_type=kind)


@method_decorator(csp_update(DOCS_POLICY), name="dispatch")
class SwaggerPage(SpectacularSwaggerSplitView):
    """The API to try out. Its script comes from this very address (``?script=``), as the CSP wants no inline code."""

    template_name = "api/swagger.html"
    access: ClassVar[AccessTable] = {"get": Access("read", public=True)}


@method_decorator(csp_update(DOCS_POLICY), name="dispatch")
class RedocPage(SpectacularRedocView):
    """The API to read."""

    template_name = "api/redoc.html"
    access: ClassVar[AccessTable] = {"get": Access("read", public=True)}
