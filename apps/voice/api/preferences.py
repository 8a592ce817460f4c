"""How a person likes the voice that answers."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.speakers.models import RATE
from apps.speakers.selectors import emotions_published, speakers_published
from apps.voice.models import VoicePreference
from apps.voice.selectors import preference_of
from apps.voice.services import preference_save
from voiceplatform.api.access import Access, AccessTable
from voiceplatform.api.etags import EtagMixin


class PreferencesSerializer(serializers.ModelSerializer[VoicePreference]):
    speaker = serializers.SlugRelatedField(
        slug_field="slug", queryset=speakers_published(), allow_null=True, required=False
    )
    emotion = serializers.SlugRelatedField(
        slug_field="slug", queryset=emotions_published(), allow_null=True, required=False
    )
    rate = serializers.FloatField(min_value=RATE[0], max_value=RATE[1], required=False)

    class Meta:
        model = VoicePreference
        fields = ["speaker", "emotion", "rate"]


class PreferencesView(EtagMixin):
    """What one's sessions begin with; null leaves it to the site."""

    serializer_class = PreferencesSerializer
    http_method_names = ["get", "patch", "head"]
    tag: ClassVar[str] = "preferences"
    access: ClassVar[AccessTable] = {
        "get": Access("read", also="chat"),
        "patch": Access("config:write", also="chat"),
    }
    if_match_required = False
    if_match_actions = ("patch",)
    filter_backends = []

    def get_object(self) -> VoicePreference:
        return preference_of(user=cast("User", self.request.user))

    def locked_object(self) -> VoicePreference:
        return self.get_object()  # one's own row: nobody else writes it

    def store(self, serializer: Any) -> VoicePreference:
        row, wish = serializer.instance, serializer.validated_data
        wanted = {name: wish.get(name, getattr(row, name)) for name in ("speaker", "emotion", "rate")}
        return preference_save(user=cast("User", self.request.user), **wanted)

    def get(self, request: Request) -> Response:
        return self.retrieve(request)

    def patch(self, request: Request) -> Response:
        """Change what is given."""
        return self.partial_update(request)
