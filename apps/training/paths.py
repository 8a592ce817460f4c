"""Where training keeps its files: everything below ``<var>/training`` and ``<var>/models``."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from django.conf import settings


def training_dir() -> Path:
    """The folder of all datasets and runs."""
    return Path(settings.VAR_DIR) / "training"


def dataset_folder(dataset_id: UUID) -> Path:
    """``uploads/``, ``audio/`` and ``manifest.jsonl`` of a dataset."""
    return training_dir() / "datasets" / str(dataset_id)


def corpus_folder(dataset_id: UUID) -> Path:
    """Topics and chains of somebody's own that the pairs of a dataset are made from, beside the corpus."""
    return dataset_folder(dataset_id) / "corpus"


def run_folder(job_id: UUID) -> Path:
    """Everything a job writes: log, metrics, checkpoints, samples, results."""
    return training_dir() / "jobs" / str(job_id)


def cache_dir() -> Path:
    """Decoded audio, kept between runs; may be deleted at any time."""
    return training_dir() / "cache"


def models_dir() -> Path:
    """Registered weights that were made here, one file per version; never changed."""
    return Path(settings.VAR_DIR) / "models"


def production_dir() -> Path:
    """The promoted weights under the names an inference server looks for (``codec-hifi.safetensors``)."""
    return models_dir() / "production"
