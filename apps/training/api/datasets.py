"""Recordings to train with: made, filled, ingested, heard."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.training import selectors, services
from apps.training.api.jobs import JobSerializer
from apps.training.models import Dataset
from apps.training.services.datasets import PAIR_SIZES
from apps.training.views.common import file_response
from voiceplatform.api.access import Access
from voiceplatform.api.idempotency import idempotent
from voiceplatform.api.views import ApiViewSet

_WORDS = ["name", "description", "licence"]
MOST_ROWS = 500


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    """A dataset. Length in seconds; ``stats`` holds the histograms that the page draws."""

    created_by: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(
        slug_field="username", read_only=True, allow_null=True
    )

    class Meta:
        model = Dataset
        fields = [
            "id",
            *_WORDS,
            "source",
            "status",
            "message",
            "files",
            "bytes",
            "clips",
            "seconds",
            "speakers",
            "manifest_sha256",
            "stats",
            "lineage",
            "created_by",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [name for name in fields if name not in _WORDS]


class NewDatasetSerializer(serializers.ModelSerializer[Dataset]):
    """A new dataset: ``upload`` takes files, ``conversation`` takes turns."""

    source = serializers.ChoiceField(["upload", "conversation"], default="upload")  # type: ignore[assignment]

    class Meta:
        model = Dataset
        fields = [*_WORDS, "source"]


class ReceivedSerializer(serializers.Serializer[Any]):
    """What became of the files that were sent."""

    files = serializers.IntegerField(help_text="Recordings stored.")
    bytes = serializers.IntegerField()
    left_out = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))


class NewPairsSerializer(serializers.Serializer[Any]):
    """Questions and answers to be spoken."""

    name = serializers.CharField(max_length=120)
    size = serializers.ChoiceField(PAIR_SIZES)
    topics = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False),
        required=False,
        help_text="Topics and chains of your own, spoken beside the corpus: file name (my_shop.yaml) to its YAML, "
        "as docs/corpus.md describes. All problems are told at once, and nothing is made then.",
    )


class FilesSerializer(serializers.Serializer[Any]):
    """Recordings, or archives of them (zip, tar, tar.gz); the form field may be repeated."""

    files = serializers.ListField(child=serializers.FileField(), allow_empty=False)


class TurnsSerializer(serializers.Serializer[Any]):
    """Turns that were marked good, of people who consented."""

    turns = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=10_000)


class AddedSerializer(serializers.Serializer[Any]):
    """How many of them were new to the dataset."""

    added = serializers.IntegerField()


class ClipsSerializer(serializers.Serializer[Any]):
    """Rows of the manifest."""

    start = serializers.IntegerField()
    total = serializers.IntegerField()
    rows = serializers.ListField(child=serializers.DictField())


class DatasetFilter(filters.FilterSet):
    class Meta:
        model = Dataset
        fields = ["status", "source"]


class DatasetViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Recordings to train with."""

    tag = "datasets"
    queryset = Dataset.objects.select_related("created_by")
    serializer_class = DatasetSerializer
    filterset_class = DatasetFilter
    search_fields = ["name", "description", "licence"]
    ordering_fields = ["created_at", "name", "seconds"]
    ordering = ["-created_at"]
    lookup_value_converter = "uuid"
    access = {
        "list": Access("read", "training.view_dataset"),
        "retrieve": Access("read", "training.view_dataset"),
        "clips": Access("read", "training.view_dataset"),
        "audio": Access("read", "training.view_dataset"),
        "create": Access("train", "training.add_dataset"),
        "partial_update": Access("train", "training.change_dataset"),
        "destroy": Access("train", "training.delete_dataset"),
        "files": Access("train", "training.change_dataset"),
        "turns": Access("train", "training.change_dataset"),
        "ingest": Access("train", "training.change_dataset"),
        "pairs": Access("train", "training.add_dataset"),
    }

    @extend_schema(request=NewDatasetSerializer, responses={201: DatasetSerializer})
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A new, empty dataset."""
        given = NewDatasetSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        dataset = services.dataset_create(user=request.user, **given.validated_data)
        location = request.build_absolute_uri(f"{request.path}/{dataset.pk}")
        return Response(DatasetSerializer(dataset).data, status=201, headers={"Location": location})

    @extend_schema(request=DatasetSerializer, responses=DatasetSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Other words about it."""
        given = DatasetSerializer(self.get_object(), data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        dataset = services.dataset_update(dataset_id=self.get_object().pk, **given.validated_data)
        return Response(DatasetSerializer(dataset).data)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Remove it with its recordings. Models trained on it stay."""
        services.dataset_delete(dataset_id=self.get_object().pk)
        return Response(status=204)

    @extend_schema(request={"multipart/form-data": FilesSerializer}, responses={201: ReceivedSerializer})
    @action(detail=True, methods=["post"], parser_classes=[MultiPartParser])
    def files(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add recordings (form field ``files``). What they are is read from their first bytes, not from their names."""
        dataset = self.get_object()
        given = FilesSerializer(data={"files": request.FILES.getlist("files")})
        given.is_valid(raise_exception=True)
        received = [services.upload_store(dataset_id=dataset.pk, upload=one) for one in given.validated_data["files"]]
        answer = {
            "files": sum(one.files for one in received),
            "bytes": sum(one.bytes for one in received),
            "left_out": [row for one in received for row in one.left_out],
        }
        return Response(answer, status=201)

    @extend_schema(request=TurnsSerializer, responses=AddedSerializer)
    @action(detail=True, methods=["post"])
    def turns(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add what people said: turns marked good, of people who agreed. Where each came from stays in the lineage."""
        given = TurnsSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        turn_ids = given.validated_data["turns"]
        added = services.dataset_add_turns(dataset=self.get_object(), turn_ids=turn_ids, user=request.user)
        return Response({"added": added})

    @extend_schema(request=NewPairsSerializer, responses={202: JobSerializer})
    @action(detail=False, methods=["post"])
    @idempotent
    def pairs(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Have our own voices speak the corpus: a new dataset of questions and answers, and the job that makes it."""
        given = NewPairsSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        job = services.dataset_make_pairs(user=request.user, **given.validated_data)
        return Response(JobSerializer(job).data, status=202)

    @extend_schema(request=None, responses={202: JobSerializer})
    @action(detail=True, methods=["post"])
    @idempotent
    def ingest(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Start the job that makes clips and a manifest of what was sent."""
        job = services.dataset_ingest(dataset_id=self.get_object().pk, user=request.user)
        return Response(JobSerializer(job).data, status=202)

    @extend_schema(
        responses=ClipsSerializer,
        parameters=[OpenApiParameter("start", int), OpenApiParameter("count", int, description="At most 500.")],
    )
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def clips(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Rows of the manifest, with the names under which the clips can be heard."""
        start, count = (_whole(request.query_params.get(name), d) for name, d in (("start", 0), ("count", 100)))
        page = selectors.dataset_manifest(dataset_id=self.get_object().pk, start=start, count=min(count, MOST_ROWS))
        return Response({"start": page.start, "total": page.total, "rows": page.rows})

    @extend_schema(
        responses={(200, "audio/flac"): OpenApiResponse(OpenApiTypes.BINARY)},
        parameters=[OpenApiParameter("name", str, required=True, description="`audio` of a manifest row.")],
    )
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def audio(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """One clip, FLAC; ranges are served."""
        name = request.query_params.get("name", "")
        path = selectors.dataset_audio_path(dataset_id=self.get_object().pk, name=name)
        if path is None:
            raise NotFound("There is no such clip.")
        return file_response(request._request, path)


def _whole(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else default
