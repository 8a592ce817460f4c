"""Static files under names that carry their hash."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):
    """Hashed names, also for what ES modules and worklets import by relative path; an unknown name is an error."""

    support_js_module_import_aggregation = True
    manifest_strict = True
