"""Addresses of the training dashboard."""

from __future__ import annotations

from django.urls import include, path

from apps.training.views import consent, datasets, jobs, models, start

pages = [
    path("", jobs.overview, name="overview"),
    path("live", jobs.overview_live, name="overview-live"),
    path("datasets", datasets.dataset_list, name="datasets"),
    path("datasets/pairs", datasets.dataset_pairs, name="dataset-pairs"),
    path("datasets/<uuid:dataset_id>/codes", datasets.dataset_codes, name="dataset-codes"),
    path("datasets/<uuid:dataset_id>", datasets.dataset_detail, name="dataset"),
    path("datasets/<uuid:dataset_id>/live", datasets.dataset_live, name="dataset-live"),
    path("datasets/<uuid:dataset_id>/change", datasets.dataset_change, name="dataset-change"),
    path("datasets/<uuid:dataset_id>/files", datasets.dataset_upload, name="dataset-upload"),
    path("datasets/<uuid:dataset_id>/ingest", datasets.dataset_ingest, name="dataset-ingest"),
    path("datasets/<uuid:dataset_id>/delete", datasets.dataset_delete, name="dataset-delete"),
    path("datasets/<uuid:dataset_id>/clips/<path:name>", datasets.dataset_audio, name="dataset-audio"),
    path("jobs", jobs.job_list, name="jobs"),
    path("jobs/new", start.job_new, name="job-new"),
    path("jobs/compare", jobs.job_compare, name="compare"),
    path("jobs/<uuid:job_id>", jobs.job_detail, name="job"),
    path("jobs/<uuid:job_id>/live", jobs.job_live, name="job-live"),
    path("jobs/<uuid:job_id>/samples", jobs.job_samples, name="job-samples"),
    path("jobs/<uuid:job_id>/metrics", jobs.job_metrics, name="job-metrics"),
    path("jobs/<uuid:job_id>/files/<path:name>", jobs.job_file, name="job-file"),
    path("jobs/<uuid:job_id>/cancel", jobs.job_cancel, name="job-cancel"),
    path("jobs/<uuid:job_id>/resume", jobs.job_resume, name="job-resume"),
    path("jobs/<uuid:job_id>/delete", jobs.job_delete, name="job-delete"),
    path("jobs/<uuid:job_id>/export", jobs.job_export, name="job-export"),
    path("jobs/<uuid:job_id>/hear", jobs.job_hear, name="job-hear"),
    path("models", models.model_list, name="models"),
    path("models/roll-back", models.model_roll_back, name="roll-back"),
    path("models/<int:version_id>", models.model_detail, name="model"),
    path("models/<int:version_id>/promote", models.model_promote, name="model-promote"),
    path("models/<int:version_id>/evaluate", models.model_evaluate, name="model-evaluate"),
]
urlpatterns = [
    path("training/", include((pages, "training"))),
    path("consent", consent.consent, name="training-consent"),
]
