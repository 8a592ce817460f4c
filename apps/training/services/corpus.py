"""Topics and chains of somebody's own, in the corpus' format, to be spoken together with the corpus."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from django.utils.translation import gettext as _

from apps.training.paths import corpus_folder, training_dir
from apps.training.schema import check_corpus
from apps.voice.errors import ServiceError

MAX_FILES = 50
MAX_FILE_BYTES = 2_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\.yaml")


def corpus_checked(topics: Mapping[str, str]) -> Path:
    """Write files (name to YAML or JSON text) into a folder of their own and have the corpus' own checker read them.

    `corpus_keep` moves the folder to its dataset.

    Raises:
        ServiceError: bad_corpus with every problem, each with its file, place and remedy.
    """
    if len(topics) > MAX_FILES:
        raise ServiceError("bad_corpus", _("%(n)d files") % {"n": len(topics)}, _("send at most %d") % MAX_FILES)
    for name, text in topics.items():
        if not _NAME.fullmatch(name):
            remedy = _("small letters, digits, - and _, ending in .yaml: my_shop.yaml")
            raise ServiceError("bad_corpus", _("file name “%(name)s”") % {"name": name[:80]}, remedy)
        if len(text.encode("utf-8", "replace")) > MAX_FILE_BYTES:
            raise ServiceError("bad_corpus", f"{name}: > {MAX_FILE_BYTES} B", _("split the file"))
    training_dir().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="corpus-", dir=training_dir()))
    try:
        for name, text in topics.items():
            (folder / name).write_text(text, encoding="utf-8", errors="replace")
        check_corpus(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def corpus_keep(folder: Path, dataset_id: UUID) -> None:
    """Make checked files those of a dataset."""
    place = corpus_folder(dataset_id)
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.replace(place)
