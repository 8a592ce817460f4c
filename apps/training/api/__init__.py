"""Datasets, jobs and model versions by REST: twins of the dashboard's pages."""

from __future__ import annotations

from rest_framework.routers import BaseRouter

from apps.training.api.datasets import DatasetViewSet
from apps.training.api.jobs import JobViewSet
from apps.training.api.versions import ModelVersionViewSet


def register(router: BaseRouter) -> None:
    """Add this app's resources."""
    router.register("datasets", DatasetViewSet, basename="dataset")
    router.register("jobs", JobViewSet, basename="job")
    router.register("models", ModelVersionViewSet, basename="model")
