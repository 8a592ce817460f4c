"""How the platform does: figures without names."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.voice.figures import platform_figures
from apps.voice.servers import server_urls_now
from voiceplatform.api.access import Access, AccessTable


class ResponseTimesSerializer(serializers.Serializer[Any]):
    """From the end of a person's speech to the first audio of the answer, as the server knows it."""

    answers = serializers.IntegerField()
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)


class ServerSerializer(serializers.Serializer[Any]):
    """An inference server: its room, or why it does not answer."""

    ok = serializers.BooleanField()
    capacity = serializers.IntegerField(required=False)
    free = serializers.IntegerField(required=False)
    late_ticks = serializers.IntegerField(required=False)
    ticks = serializers.IntegerField(required=False)
    tick_ms_p50 = serializers.FloatField(required=False)
    tick_ms_p95 = serializers.FloatField(required=False)
    error = serializers.CharField(required=False)


class StatsSerializer(serializers.Serializer[Any]):
    live_sessions = serializers.IntegerField()
    sessions_24h = serializers.IntegerField()
    turns_24h = serializers.IntegerField()
    response_ms_24h = ResponseTimesSerializer()
    inference = ServerSerializer(many=True)
    models = serializers.DictField(child=serializers.CharField(), help_text="Versions in production, by preset.")


class StatsView(APIView):
    """How the platform does: sessions, response times, inference servers, models."""

    serializer_class = StatsSerializer
    http_method_names = ["get", "head"]
    tag: ClassVar[str] = "stats"
    access: ClassVar[AccessTable] = {"get": Access("read", also="chat")}

    @extend_schema(responses=StatsSerializer)
    def get(self, request: Request) -> Response:
        return Response(platform_figures(urls=server_urls_now()))
