"""Jobs: started with a typed configuration, watched, stopped, resumed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.training import kinds, selectors, services
from apps.training.models import Dataset, Job, ModelVersion
from apps.training.paths import run_folder
from apps.training.schema import check_config, trainers, with_value
from apps.training.supervisor import failures
from apps.training.supervisor.progress import columns
from apps.training.views.common import file_response
from voiceplatform.api.access import Access
from voiceplatform.api.idempotency import idempotent
from voiceplatform.api.views import ApiViewSet

STARTED_HERE = [kind for kind in Job.Kind.values if kind not in ("ingest", "pairs")]
"""Kinds that POST /jobs takes; an ingest is started at its dataset."""
LOG_LINES = 500


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job. ``progress`` is 0..1; ``metrics`` are the last of each curve; ``message``, ``advice`` are for people."""

    created_by: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(
        slug_field="username", read_only=True, allow_null=True
    )

    class Meta:
        model = Job
        fields = [
            "id",
            "kind",
            "name",
            "status",
            "cancel_requested",
            "queue",
            "device",
            "config",
            "datasets",
            "parent",
            "model_version",
            "attempt",
            "worker",
            "step",
            "total",
            "progress",
            "eta_seconds",
            "stage",
            "metrics",
            "usage",
            "result",
            "artefacts",
            "message",
            "advice",
            "created_by",
            "created_at",
            "started_at",
            "ended_at",
        ]
        read_only_fields = fields


class NewJobSerializer(serializers.Serializer[Any]):
    """A new job. For a training: a recipe, and settings that differ from it, by dotted names."""

    kind = serializers.ChoiceField(STARTED_HERE)
    name = serializers.CharField(max_length=120, required=False, default="")
    datasets = serializers.PrimaryKeyRelatedField(queryset=Dataset.objects.all(), many=True, required=False, default=[])
    device = serializers.CharField(max_length=16, default="cpu")
    gpus = serializers.IntegerField(
        min_value=1,
        max_value=services.GPUS_MAX,
        default=1,
        help_text="Of a training on cuda: that many GPUs of one machine train together.",
    )
    recipe = serializers.CharField(max_length=60, required=False, help_text="Of a training: see /jobs/schema.")
    settings = serializers.DictField(required=False, help_text='Of a training: {"steps": 500, "loss.mel": 0.3}.')
    parent = serializers.PrimaryKeyRelatedField(  # type: ignore[assignment]
        queryset=Job.objects.all(), required=False, default=None, help_text="The run to export, to compare or to clone."
    )
    model_version = serializers.PrimaryKeyRelatedField(
        queryset=ModelVersion.objects.all(), required=False, default=None, help_text="What to evaluate or compare with."
    )
    version = serializers.CharField(max_length=40, required=False, help_text="Of an export: its name.")
    limit = serializers.IntegerField(
        min_value=1,
        max_value=1_000,
        required=False,
        help_text="Of an evaluation: so many recordings, or pairs a group.",
    )


class CurvesSerializer(serializers.Serializer[Any]):
    """A column of numbers per metric; ``step`` is the first."""

    columns = serializers.DictField(child=serializers.ListField(child=serializers.FloatField(allow_null=True)))


class LogSerializer(serializers.Serializer[Any]):
    """The last lines of a log."""

    lines = serializers.ListField(child=serializers.CharField())


class SamplesSerializer(serializers.Serializer[Any]):
    """What a state of the model makes of the held-out clips."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(["target", "version", "step"])
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    files = serializers.ListField(child=serializers.CharField())


class JobFilter(filters.FilterSet):
    created_after = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Job
        fields = ["kind", "status", "device", "datasets", "parent"]


class JobViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Training, evaluation, export, ingest."""

    tag = "jobs"
    queryset = Job.objects.select_related("created_by").prefetch_related("datasets")
    serializer_class = JobSerializer
    filterset_class = JobFilter
    search_fields = ["name", "message"]
    ordering_fields = ["created_at", "name", "step"]
    ordering = ["-created_at"]
    lookup_value_converter = "uuid"
    access = {
        "list": Access("read", "training.view_job"),
        "retrieve": Access("read", "training.view_job"),
        "metrics": Access("read", "training.view_job"),
        "log": Access("read", "training.view_job"),
        "samples": Access("read", "training.view_job"),
        "file": Access("read", "training.view_job"),
        "config_schema": Access("read", "training.view_job"),
        "create": Access("train", "training.add_job"),
        "cancel": Access("train", "training.change_job"),
        "resume": Access("train", "training.change_job"),
        "destroy": Access("train", "training.delete_job"),
    }

    @extend_schema(request=NewJobSerializer, responses={201: JobSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Start a job. A configuration that cannot work is refused with the trainer's own words."""
        given = NewJobSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        # before the transaction that keeps the answer: the trainer takes seconds to look at a configuration
        config = _config_of(given.validated_data)
        return self._create(request, given.validated_data, config)

    create.idempotent = True  # type: ignore[attr-defined]  # the half below is; here the documentation looks

    @idempotent
    def _create(self, request: Request, given: dict[str, Any], config: dict[str, Any]) -> Response:
        job = services.job_create(
            kind=given["kind"],
            name=given["name"],
            user=request.user,
            config=config,
            datasets=list(given["datasets"]),
            device=given["device"],
            gpus=given["gpus"],
            parent=given["parent"],
            model_version=given["model_version"],
        )
        location = request.build_absolute_uri(f"{request.path}/{job.pk}")
        return Response(JobSerializer(job).data, status=201, headers={"Location": location})

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Stop it: a running one writes a checkpoint and can be resumed."""
        return Response(JobSerializer(services.job_cancel(job_id=self.get_object().pk)).data)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Go on from the last checkpoint."""
        return Response(JobSerializer(services.job_resume(job_id=self.get_object().pk)).data)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Remove a job that is over, with its files. Registered models stay."""
        services.job_delete(job_id=self.get_object().pk)
        return Response(status=204)

    @extend_schema(responses=CurvesSerializer)
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def metrics(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The curves."""
        folder = run_folder(self.get_object().pk)
        path = next((folder / n for n in ("metrics.jsonl", "progress.jsonl") if (folder / n).is_file()), None)
        return Response({"columns": columns(path) if path is not None else {"step": []}})

    @extend_schema(responses=LogSerializer)
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def log(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The last lines of its log."""
        return Response({"lines": failures.tail(run_folder(self.get_object().pk) / "log.txt", LOG_LINES)})

    @extend_schema(responses=SamplesSerializer(many=True))
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def samples(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What there is to hear: files for ``/file?name=``."""
        found = selectors.run_samples(job_id=self.get_object().pk)
        return Response([{**asdict(one), "files": [name for name, _seconds in one.files]} for one in found])

    @extend_schema(
        responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY)},
        parameters=[OpenApiParameter("name", str, required=True, description="One of `artefacts`, or a sample.")],
    )
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def file(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A file that it wrote; ranges are served."""
        path = selectors.run_file_path(job_id=self.get_object().pk, name=request.query_params.get("name", ""))
        if path is None:
            raise NotFound("There is no such file.")
        return file_response(request._request, path)

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=False, methods=["get"], url_path="schema", filterset_class=None, pagination_class=None)
    def config_schema(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What every training can be told: settings with types and help, and the recipes."""
        return Response(
            {
                kind: {
                    "fields": [{"name": f.name, "type": f.type, "help": f.help} for f in trainer.fields],
                    "recipes": trainer.recipes,
                }
                for kind, trainer in trainers().items()
            }
        )


def _config_of(given: dict[str, Any]) -> dict[str, Any]:
    trainer_name = kinds.TRAINERS.get(Job.Kind(given["kind"]))
    if trainer_name is None:
        return {name: given[name] for name in ("version", "limit") if name in given}
    trainer = trainers().get(trainer_name)
    if trainer is None:
        raise ValidationError({"kind": [f"this build has no training of {trainer_name}"]})
    parent = given["parent"]
    recipe = given.get("recipe") or (parent.config.get("recipe") if parent is not None else None)
    if recipe not in trainer.recipes:
        raise ValidationError({"recipe": [f"choose one of {', '.join(trainer.recipes)}"]})
    values: dict[str, Any] = trainer.recipes[recipe]
    if parent is not None and parent.config.get("recipe") == recipe:
        values = parent.config.get("values", values)
    known = {field.name for field in trainer.fields} - {"init"}
    for name, value in given.get("settings", {}).items():
        if name not in known:
            raise ValidationError({"settings": [f"no setting {name!r}"]})
        values = with_value(values, name, value)
    return {"recipe": recipe, "values": check_config(trainer_name, values)}
