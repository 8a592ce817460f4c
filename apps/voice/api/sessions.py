"""Conversations: begun here with their configuration, talked over a socket, followed and ended from anywhere."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import ApiToken
from apps.speakers.aliases import speaker_slug
from apps.speakers.models import ACCENT, ENERGY_DB, INTENSITY, PITCH_SEMITONES, RATE
from apps.voice import services
from apps.voice.models import ENDPOINT_MS, QUANTIZERS, VoiceSession
from apps.voice.services import IssuedTicket
from voiceplatform.api.access import Access
from voiceplatform.api.etags import EtagMixin, etag_of
from voiceplatform.api.idempotency import idempotent
from voiceplatform.api.views import ApiViewSet

SOCKET_PATH = "/ws/voice/"
CONFIGURATION = (
    "mode",
    "turn_taking",
    "speaker",
    "emotion",
    "quantizers",
    "pitch_semitones",
    "energy_db",
    "rate",
    "accent",
    "intensity",
    "keep_audio",
    "mix",
    "mix_share",
    "endpoint_min_ms",
    "endpoint_max_ms",
)


def _number(bounds: tuple[float, float], words: str) -> serializers.FloatField:
    return serializers.FloatField(min_value=bounds[0], max_value=bounds[1], required=False, help_text=words)


class ConfigurationSerializer(serializers.Serializer[Any]):
    """What of a session may change. What is not given stays (at creation: the person's preference, else the site's)."""

    mode = serializers.ChoiceField(VoiceSession.Mode.choices, required=False)
    turn_taking = serializers.ChoiceField(VoiceSession.TurnTaking.choices, required=False)
    speaker = serializers.CharField(max_length=50, required=False, help_text="Slug of a voice, or a profile's name.")
    emotion = serializers.CharField(max_length=50, required=False, help_text="Slug of an emotion.")
    quantizers = serializers.IntegerField(min_value=QUANTIZERS[0], max_value=QUANTIZERS[1], required=False)
    pitch_semitones = _number(PITCH_SEMITONES, "Added to the speaker's own.")
    energy_db = _number(ENERGY_DB, "Added to the speaker's own.")
    rate = _number(RATE, "Multiplies the speaker's own.")
    accent = _number(ACCENT, "How much of the accent.")
    intensity = _number(INTENSITY, "How much of the emotion.")
    mix = serializers.CharField(
        max_length=50, required=False, allow_blank=True, help_text="Slug of a second voice, mixed in; empty for none."
    )
    mix_share = _number(INTENSITY, "The second voice's share.")
    keep_audio = serializers.ChoiceField(
        VoiceSession.KeepAudio.choices, required=False, help_text="What is stored of the turns to come."
    )
    endpoint_min_ms = serializers.IntegerField(
        min_value=ENDPOINT_MS[0], max_value=ENDPOINT_MS[1], required=False, help_text="Silence that may end a turn."
    )
    endpoint_max_ms = serializers.IntegerField(
        min_value=ENDPOINT_MS[0], max_value=ENDPOINT_MS[1], required=False, help_text="Silence that always ends one."
    )

    def validate_speaker(self, name: str) -> str:
        return speaker_slug(name)

    def validate_mix(self, name: str) -> str:
        return speaker_slug(name) if name else ""


class ChangeSerializer(ConfigurationSerializer):
    """A change of a session."""

    now = serializers.BooleanField(
        default=False, write_only=True, help_text="Cut the answer being spoken, instead of waiting for the next one."
    )


class NewSessionSerializer(ConfigurationSerializer):
    """A new session."""

    mode = serializers.ChoiceField(VoiceSession.Mode.choices, default=VoiceSession.Mode.TALK)
    turn_taking = serializers.ChoiceField(VoiceSession.TurnTaking.choices, default=VoiceSession.TurnTaking.STREAM)
    quantizers = serializers.IntegerField(min_value=QUANTIZERS[0], max_value=QUANTIZERS[1], default=QUANTIZERS[1])
    client = serializers.CharField(
        max_length=200, allow_blank=True, default="", help_text="Your program's name, in your own words."
    )


class SessionSerializer(serializers.ModelSerializer[VoiceSession]):
    speaker: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    emotion: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    mix = serializers.CharField(read_only=True, allow_null=True)
    owner: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = VoiceSession
        fields = [
            "id",
            "owner",
            "status",
            *CONFIGURATION,
            "client",
            "end_reason",
            "last_fault",
            "last_seen",
            "created_at",
            "ended_at",
        ]
        read_only_fields = fields


class TicketSerializer(serializers.Serializer[Any]):
    """A ticket: sent once in ``hello``, within 30 s."""

    ticket = serializers.CharField()
    expires_at = serializers.DateTimeField()
    socket = serializers.CharField(help_text="Address of the socket, on this host.")


class OpenedSerializer(SessionSerializer):
    """A new session with the ticket for its socket."""

    ticket = TicketSerializer()

    class Meta(SessionSerializer.Meta):
        fields = [*SessionSerializer.Meta.fields, "ticket"]
        read_only_fields = fields


class SessionFilter(filters.FilterSet):
    speaker = filters.CharFilter(field_name="speaker__slug")
    emotion = filters.CharFilter(field_name="emotion__slug")
    owner = filters.CharFilter(field_name="owner__username")
    created_after = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = VoiceSession
        fields = ["status", "mode", "turn_taking"]


class SessionViewSet(EtagMixin, mixins.ListModelMixin, ApiViewSet):
    """Conversations: one's own; with a role that may see them, everyone's."""

    queryset = VoiceSession.objects.all()
    serializer_class = SessionSerializer
    filterset_class = SessionFilter
    search_fields = ["client", "owner__username"]
    ordering_fields = ["created_at", "last_seen"]
    ordering = ["-created_at"]
    lookup_value_converter = "uuid"
    if_match_required = False
    tag = "sessions"
    access = {
        "list": Access("read", also="chat"),
        "retrieve": Access("read", also="chat"),
        "create": Access("chat"),
        "partial_update": Access("config:write", also="chat"),
        "end": Access("config:write", also="chat"),
        "ticket": Access("chat"),
        "interrupt": Access("chat"),
        "forget": Access("chat"),
    }

    def get_queryset(self) -> QuerySet[VoiceSession]:
        rows = VoiceSession.objects.select_related("speaker", "emotion", "owner", "mix_speaker")
        user = self.request.user
        return rows if user.has_perm("voice.view_voicesession") else rows.filter(owner_id=user.pk)

    def get_object(self) -> VoiceSession:
        """The session; to change another's takes more than to see it."""
        session: VoiceSession = super().get_object()
        mine = session.owner_id == self.request.user.pk
        if self.action in ("ticket", "interrupt", "forget") and not mine:
            raise PermissionDenied("Only the person who talks may do this.")
        if self.action != "retrieve" and not mine and not self.request.user.has_perm("voice.change_voicesession"):
            raise PermissionDenied("This is another person's session: your account lacks 'voice.change_voicesession'.")
        return session

    def etag_data(self, row: VoiceSession) -> Any:
        """The configuration alone: a heart beat is no change."""
        data = SessionSerializer(row).data
        return {name: data[name] for name in CONFIGURATION}

    @extend_schema(
        request=NewSessionSerializer,
        responses={201: OpenedSerializer},
        examples=[
            OpenApiExample(
                "talk with Priya", {"mode": "talk", "speaker": "priya", "emotion": "happy"}, request_only=True
            )
        ],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """Begin a conversation. Connect within 30 s and send the ticket in `hello`; else it ends by itself."""
        serializer = NewSessionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        issued = services.session_reserve(
            user=cast("User", request.user), **_came_with(request), **serializer.validated_data
        )
        data = {**SessionSerializer(issued.session).data, "ticket": _ticket(issued)}
        location = request.build_absolute_uri(f"{request.path}/{issued.session.pk}")
        headers = {"ETag": etag_of(self.etag_data(issued.session)), "Location": location}
        return Response(data, status=201, headers=headers)

    @extend_schema(
        request=ChangeSerializer,
        responses=SessionSerializer,
        examples=[OpenApiExample("a higher voice, at once", {"pitch_semitones": 3, "now": True}, request_only=True)],
    )
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the configuration; a live conversation follows with its next answer (`now`: at once)."""
        return super().partial_update(request, *args, **kwargs)

    def writer(self, row: VoiceSession, data: Any) -> serializers.BaseSerializer[Any]:
        return ChangeSerializer(row, data=data, partial=True)

    def store(self, serializer: Any) -> VoiceSession:
        return services.session_configure(session_id=serializer.instance.pk, **serializer.validated_data)

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """End the conversation; its socket is closed. Ending twice is no error."""
        session = self.get_object()
        reason = "client" if session.owner_id == request.user.pk else "operator"
        services.session_end(session_id=session.pk, reason=reason)
        return Response(SessionSerializer(self.get_queryset().get(pk=session.pk)).data)

    @extend_schema(request=None, responses={201: TicketSerializer})
    @action(detail=True, methods=["post"])
    def ticket(self, request: Request, pk: str) -> Response:
        """A new ticket for one's session, to come back after the socket was lost."""
        issued = services.ticket_issue(session_id=self.get_object().pk, **_came_with(request))
        return Response(_ticket(issued), status=201)

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def interrupt(self, request: Request, pk: str) -> Response:
        """Silence the answer that is being spoken."""
        return Response(SessionSerializer(services.session_interrupt(session_id=self.get_object().pk)).data)

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def forget(self, request: Request, pk: str) -> Response:
        """The model forgets what was said so far; stored turns stay."""
        return Response(SessionSerializer(services.session_forget(session_id=self.get_object().pk)).data)


def _came_with(request: Request) -> dict[str, Any]:
    """By what right the socket will be open: the token, or the login."""
    if isinstance(request.auth, ApiToken):
        return {"api_token": request.auth, "login": ""}
    django_request: HttpRequest = request._request
    return {"api_token": None, "login": django_request.session.session_key or ""}


def _ticket(issued: IssuedTicket) -> dict[str, Any]:
    wanted = {"ticket": issued.ticket, "expires_at": issued.expires_at, "socket": SOCKET_PATH}
    return dict(TicketSerializer(wanted).data)
