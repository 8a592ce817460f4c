"""Writes of the training app: datasets, uploads, jobs, leases, model versions, heartbeats."""

from __future__ import annotations

from apps.training.services.consent import consent_give, consent_withdraw
from apps.training.services.datasets import (
    dataset_add_turns,
    dataset_create,
    dataset_delete,
    dataset_ingest,
    dataset_ingested,
    dataset_make_pairs,
    dataset_paired,
    dataset_update,
    job_fell_through,
)
from apps.training.services.jobs import GPUS_MAX, job_cancel, job_create, job_delete, job_resume
from apps.training.services.leases import (
    LEASE_S,
    Progress,
    job_claim,
    job_end,
    job_interrupt,
    job_report,
    job_running,
    job_shelve,
    jobs_reap,
)
from apps.training.services.promotion import Promotion, ServerAnswer, version_promote, version_roll_back
from apps.training.services.retention import files_expire
from apps.training.services.uploads import Received, upload_store
from apps.training.services.versions import (
    WeightsError,
    model_version_note_metrics,
    model_version_register,
    model_versions_register_shipped,
    versions_register_export,
)
from apps.training.services.workers import heartbeat_record

__all__ = [
    "GPUS_MAX",
    "LEASE_S",
    "Progress",
    "Promotion",
    "Received",
    "ServerAnswer",
    "WeightsError",
    "consent_give",
    "consent_withdraw",
    "dataset_add_turns",
    "dataset_create",
    "dataset_delete",
    "dataset_ingest",
    "dataset_ingested",
    "dataset_make_pairs",
    "dataset_paired",
    "dataset_update",
    "files_expire",
    "heartbeat_record",
    "job_cancel",
    "job_claim",
    "job_create",
    "job_delete",
    "job_end",
    "job_fell_through",
    "job_interrupt",
    "job_report",
    "job_resume",
    "job_running",
    "job_shelve",
    "jobs_reap",
    "model_version_note_metrics",
    "model_version_register",
    "model_versions_register_shipped",
    "upload_store",
    "version_promote",
    "version_roll_back",
    "versions_register_export",
]
