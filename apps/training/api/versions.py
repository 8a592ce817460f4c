"""Model versions: what people talk to, what waits, what was before."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.training import services
from apps.training.models import ModelVersion
from apps.training.services import Promotion
from voiceplatform.api.access import Access
from voiceplatform.api.views import ApiViewSet


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """One set of weights. ``job`` made it, ``parent`` is what it started from."""

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "kind",
            "preset",
            "version",
            "stage",
            "sha256",
            "file",
            "card",
            "metrics",
            "job",
            "parent",
            "promoted_at",
            "created_at",
        ]
        read_only_fields = fields


class ServerAnswerSerializer(serializers.Serializer[Any]):
    """What an inference server made of it."""

    address = serializers.CharField()
    ok = serializers.BooleanField()
    message = serializers.CharField(allow_blank=True)


class PromotionSerializer(serializers.Serializer[Any]):
    """The version in production now, the one before, and the servers that took it."""

    version = ModelVersionSerializer()
    before = ModelVersionSerializer(allow_null=True)
    servers = ServerAnswerSerializer(many=True)


class RollBackSerializer(serializers.Serializer[Any]):
    """Which model to roll back."""

    kind = serializers.ChoiceField(ModelVersion.Kind.choices)
    preset = serializers.CharField(max_length=40)


class ModelVersionFilter(filters.FilterSet):
    class Meta:
        model = ModelVersion
        fields = ["kind", "preset", "stage", "sha256", "job"]


class ModelVersionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Weights that were shipped, or made here."""

    tag = "models"
    queryset = ModelVersion.objects.all()
    serializer_class = ModelVersionSerializer
    filterset_class = ModelVersionFilter
    search_fields = ["preset", "version", "sha256"]
    ordering_fields = ["created_at", "preset", "version"]
    ordering = ["-created_at"]
    lookup_value_converter = "int"
    access = {
        "list": Access("read", "training.view_modelversion"),
        "retrieve": Access("read", "training.view_modelversion"),
        "promote": Access("train", "training.promote_modelversion"),
        "roll_back": Access("train", "training.promote_modelversion"),
    }

    @extend_schema(request=None, responses=PromotionSerializer)
    @action(detail=True, methods=["post"])
    def promote(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """From now on people talk to this one; conversations go on. Wrong bytes or a refusal change nothing."""
        return _answer(services.version_promote(version_id=self.get_object().pk))

    @extend_schema(request=RollBackSerializer, responses=PromotionSerializer)
    @action(detail=False, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Back to the version that was in production before."""
        given = RollBackSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return _answer(services.version_roll_back(**given.validated_data))


def _answer(promotion: Promotion) -> Response:
    return Response(PromotionSerializer(promotion).data)
