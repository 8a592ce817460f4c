"""Anyone's speech into a folder of clean clips with a manifest: `ingest(source, out, options, progress)`."""

from ml.data.ingest.ingest import ingest
from ml.data.ingest.types import ClipEntry, IngestError, IngestOptions, IngestReport, Item, LeftOut

__all__ = ["ClipEntry", "IngestError", "IngestOptions", "IngestReport", "Item", "LeftOut", "ingest"]
