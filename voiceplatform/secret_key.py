"""The signing key of a development machine: made once, kept in ``var/secrets.json``."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

INSECURE_KEY = "insecure-key-that-production-refuses"
"""Stands in where production was given no key, so that the check can say so instead of Django's own crash."""


def development_key(var_dir: Path) -> str:
    """The key in ``var_dir/secrets.json``, made at the first call.

    Several processes may start at once: the file appears complete or not at all, and the first one wins.

    Raises:
        ImproperlyConfigured: the file is there but holds no key.
    """
    path = var_dir / "secrets.json"
    if not path.exists():
        var_dir.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=var_dir, prefix=".secrets-")  # mkstemp: readable by the owner only
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"secret_key": get_random_secret_key()}, file)
        try:
            os.link(name, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(name)
    try:
        key = json.loads(path.read_text(encoding="utf-8"))["secret_key"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ImproperlyConfigured(f"{path} holds no secret key ({error!r}); delete it and start again") from None
    if not isinstance(key, str) or len(key) < 32:
        raise ImproperlyConfigured(f"{path} holds no usable secret key; delete it and start again")
    return key
