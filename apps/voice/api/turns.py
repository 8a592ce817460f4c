"""What was said: rows, recordings with ranges, waveforms, codes; marks and deletion."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.http import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from apps.voice import services
from apps.voice.models import Turn
from apps.voice.pictures import MAX_PEAKS, PEAKS, audio_peaks
from apps.voice.ranges import ranged_response
from apps.voice.selectors import turns_visible
from apps.voice.storage import read_codes
from voiceplatform.api.access import Access
from voiceplatform.api.views import ApiViewSet

RANGE = OpenApiParameter(
    "Range", str, OpenApiParameter.HEADER, description="Part of the file: `bytes=0-65535` is answered with 206."
)
SIDE = OpenApiParameter(
    "of",
    str,
    enum=["audio", "output"],
    default="audio",
    description="What the microphone heard, or what was sent back.",
)
FLAC = {(200, "audio/flac"): OpenApiTypes.BINARY, (206, "audio/flac"): OpenApiTypes.BINARY}


class TurnSerializer(serializers.ModelSerializer[Turn]):
    speaker: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    emotion: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    has_audio = serializers.BooleanField(source="audio", read_only=True)
    has_output = serializers.BooleanField(source="output_audio", read_only=True)
    has_codes = serializers.BooleanField(source="codes", read_only=True)

    class Meta:
        model = Turn
        fields = [
            "id",
            "session",
            "index",
            "role",
            "speaker",
            "emotion",
            "started_at",
            "ended_at",
            "start_ms",
            "duration_ms",
            "interrupted_at_ms",
            "response_ms",
            "caption",
            "latency",
            "model_versions",
            "stats",
            "has_audio",
            "has_output",
            "has_codes",
            "mark",
            "mark_note",
        ]
        read_only_fields = [name for name in fields if name not in ("mark", "mark_note")]


class PeaksSerializer(serializers.Serializer[Any]):
    """A waveform to draw."""

    duration_ms = serializers.IntegerField()
    peaks = serializers.ListField(child=serializers.FloatField(min_value=0, max_value=1))


class CodesSerializer(serializers.Serializer[Any]):
    """The codec's codes."""

    levels = serializers.IntegerField(min_value=1, max_value=8)
    frames = serializers.IntegerField(min_value=0)
    codes = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField(min_value=0, max_value=1023)),
        help_text="One list a level, the coarsest first.",
    )


class PeaksQuery(serializers.Serializer[Any]):
    of = serializers.ChoiceField(["audio", "output"], default="audio")
    count = serializers.IntegerField(min_value=1, max_value=MAX_PEAKS, default=PEAKS)


class TurnFilter(filters.FilterSet):
    session = filters.UUIDFilter(field_name="session_id")
    speaker = filters.CharFilter(field_name="speaker__slug")
    emotion = filters.CharFilter(field_name="emotion__slug")
    interrupted = filters.BooleanFilter(field_name="interrupted_at_ms", lookup_expr="isnull", exclude=True)
    started_after = filters.IsoDateTimeFilter(field_name="started_at", lookup_expr="gte")
    started_before = filters.IsoDateTimeFilter(field_name="started_at", lookup_expr="lt")

    class Meta:
        model = Turn
        fields = ["role", "mark"]


class Whatever(DefaultContentNegotiation):
    """A recording is FLAC whatever ``Accept`` says: a player asks for ``audio/*``, errors stay JSON."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class TurnViewSet(mixins.RetrieveModelMixin, mixins.ListModelMixin, ApiViewSet):
    """What was said: one's own; with a role that may hear it, everyone's."""

    queryset = Turn.objects.all()
    serializer_class = TurnSerializer
    filterset_class = TurnFilter
    search_fields = ["session__owner__username", "mark_note"]
    ordering_fields = ["started_at", "duration_ms", "index"]
    ordering = ["-started_at"]
    lookup_value_converter = "uuid"
    tag = "turns"
    access = {
        "list": Access("read"),
        "retrieve": Access("read"),
        "partial_update": Access("config:write", "voice.change_turn"),
        "destroy": Access("config:write"),
        "audio": Access("read"),
        "output": Access("read"),
        "peaks": Access("read"),
        "codes": Access("read"),
    }

    def get_queryset(self) -> QuerySet[Turn]:
        return turns_visible(user=self.request.user).select_related("session", "speaker", "emotion")

    @extend_schema(description="Mark it good or bad, with a note.")
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        turn = self.get_object()
        serializer = self.get_serializer(turn, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        wish = {"mark": turn.mark, "mark_note": turn.mark_note, **serializer.validated_data}
        services.turn_mark(turn_id=turn.pk, mark=wish["mark"], note=wish["mark_note"], user=cast("User", request.user))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete it with its recordings and codes: one's own, or with the permission `voice.delete_turn`."""
        turn = self.get_object()
        if turn.session.owner_id != request.user.pk and not request.user.has_perm("voice.delete_turn"):
            raise PermissionDenied("This is another person's turn: your account lacks 'voice.delete_turn'.")
        services.turns_delete(turn_ids=[turn.pk])
        return Response(status=204)

    @extend_schema(parameters=[RANGE], responses=FLAC)
    @action(detail=True, methods=["get"], content_negotiation_class=Whatever)
    def audio(self, request: Request, pk: UUID) -> HttpResponseBase:
        """What the microphone heard: FLAC, 16 kHz mono."""
        return self._recording(request, "audio")

    @extend_schema(parameters=[RANGE], responses=FLAC)
    @action(detail=True, methods=["get"], content_negotiation_class=Whatever)
    def output(self, request: Request, pk: UUID) -> HttpResponseBase:
        """What was sent back: FLAC, 16 kHz mono."""
        return self._recording(request, "output_audio")

    @extend_schema(
        parameters=[SIDE, OpenApiParameter("count", {"type": "integer", "minimum": 1, "maximum": MAX_PEAKS})],
        responses=PeaksSerializer,
        filters=False,
    )
    @action(detail=True, methods=["get"])
    def peaks(self, request: Request, pk: UUID) -> Response:
        """The waveform: the loudest sample (0..1) of each of `count` equal stretches."""
        query = PeaksQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        turn = self.get_object()
        stored = _file(turn, "output_audio" if query.validated_data["of"] == "output" else "audio")
        peaks = audio_peaks(stored, query.validated_data["count"])
        return Response({"duration_ms": turn.duration_ms, "peaks": peaks})

    @extend_schema(responses=CodesSerializer, filters=False)
    @action(detail=True, methods=["get"])
    def codes(self, request: Request, pk: UUID) -> Response:
        """The codec's codes, level by level."""
        turn = self.get_object()
        _file(turn, "codes")
        codes = read_codes(turn)
        return Response({"levels": codes.shape[0], "frames": codes.shape[1], "codes": codes.tolist()})

    def _recording(self, request: Request, attribute: str) -> HttpResponseBase:
        turn = self.get_object()
        etag = f"{turn.pk}-{attribute}"
        return ranged_response(request._request, _file(turn, attribute), content_type="audio/flac", etag=etag)


def _file(turn: Turn, attribute: str) -> FieldFile:
    stored: FieldFile = getattr(turn, attribute)
    if not stored or not stored.storage.exists(str(stored.name)):
        raise NotFound("Nothing of this kind is stored for this turn.")
    return stored
