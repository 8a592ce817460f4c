"""``GET /speakers``, ``GET /stats``, ``POST /config``: the REST twins of the simple protocol."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.core.cache import cache
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated, NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.speakers.aliases import ALIASES
from apps.speakers.selectors import emotions_published, speakers_published
from apps.voice import services
from apps.voice.api.sessions import CONFIGURATION, ChangeSerializer, SessionSerializer
from apps.voice.api.stats import StatsSerializer
from apps.voice.figures import platform_figures
from apps.voice.models import VoiceSession
from apps.voice.servers import server_urls_now
from apps.voice.simple.adapter import session_of_key
from voiceplatform.api.access import Access, AccessTable

STATS_SECONDS = 2
"""The figures are asked for by everybody, and each time ask every inference server: one answer serves two seconds."""


class SimpleSpeakerSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name_te = serializers.CharField()
    name_en = serializers.CharField()
    gender = serializers.CharField()
    description = serializers.CharField()
    aliases = serializers.ListField(child=serializers.CharField(), help_text="Profile names that mean this voice.")


class SimpleEmotionSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name_te = serializers.CharField()
    name_en = serializers.CharField()
    emoji = serializers.CharField()


class ChoicesSerializer(serializers.Serializer[Any]):
    speakers = SimpleSpeakerSerializer(many=True)
    emotions = SimpleEmotionSerializer(many=True)


class SpeakersView(APIView):
    """Voices and emotions to choose from, all at once."""

    http_method_names = ["get", "head"]
    tag: ClassVar[str] = "simple protocol"
    access: ClassVar[AccessTable] = {"get": Access("read", public=True)}

    @extend_schema(responses=ChoicesSerializer, operation_id="simple_speakers")
    def get(self, request: Request) -> Response:
        names: dict[str, list[str]] = {}
        for alias, slug in ALIASES.items():
            names.setdefault(slug, []).append(alias)
        speakers = speakers_published().values("slug", "name_te", "name_en", "gender", "description")
        return Response(
            {
                "speakers": [{**row, "aliases": names.get(str(row["slug"]), [])} for row in speakers],
                "emotions": list(emotions_published().values("slug", "name_te", "name_en", "emoji")),
            }
        )


class SimpleStatsView(APIView):
    """How the platform does; the same figures as `/api/v1/stats`."""

    http_method_names = ["get", "head"]
    tag: ClassVar[str] = "simple protocol"
    access: ClassVar[AccessTable] = {"get": Access("read", public=True)}

    @extend_schema(responses=StatsSerializer, operation_id="simple_stats")
    def get(self, request: Request) -> Response:
        figures = cache.get_or_set("figures", lambda: platform_figures(urls=server_urls_now()), STATS_SECONDS)
        return Response(figures)


class SimpleConfigSerializer(ChangeSerializer):
    """A change, and of which session: by the `key` of its `ready` message, by id, or one's newest live one."""

    key = serializers.CharField(max_length=200, required=False, write_only=True)
    session = serializers.UUIDField(required=False)


class ConfiguredSerializer(serializers.Serializer[Any]):
    session = serializers.UUIDField()
    config = serializers.DictField(help_text="What is in force now.")


class ConfigView(APIView):
    """Change a running conversation of the simple protocol from outside its socket."""

    http_method_names = ["post"]
    tag: ClassVar[str] = "simple protocol"
    access: ClassVar[AccessTable] = {"post": Access("config:write", also="chat", public=True)}

    @extend_schema(
        request=SimpleConfigSerializer,
        responses=ConfiguredSerializer,
        operation_id="simple_config",
        examples=[
            OpenApiExample("a voice and a mood", {"speaker": "female_young", "emotion": "laugh"}, request_only=True)
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = SimpleConfigSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = dict(serializer.validated_data)
        session_id = self._session(request, wish.pop("key", None), wish.pop("session", None))
        data = SessionSerializer(services.session_configure(session_id=session_id, **wish)).data
        return Response({"session": session_id, "config": {name: data[name] for name in CONFIGURATION}})

    def _session(self, request: Request, key: str | None, wanted: UUID | None) -> UUID:
        if key is not None:
            found = session_of_key(key)
            if found is None or wanted not in (None, found):
                raise NotFound("This key opens no session: take it from the socket's 'ready' message.")
            return found
        if not request.user.is_authenticated:
            raise NotAuthenticated("Send the 'key' of your socket's 'ready' message, or log in.")
        rows = VoiceSession.objects.filter(owner_id=request.user.pk)
        if wanted is not None and request.user.has_perm("voice.change_voicesession"):
            rows = VoiceSession.objects.all()
        rows = rows.filter(pk=wanted) if wanted is not None else rows.filter(status=VoiceSession.Status.LIVE)
        session = rows.order_by("-created_at").first()
        if session is None:
            raise NotFound("You have no live session of that name: open a socket first.")
        return session.pk
