#!/usr/bin/env python
"""Django's command line; `manage.py launch` serves the whole product."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.dev")
    try:
        from django.core.management import execute_from_command_line

        from voiceplatform.env import EnvError, read_env
    except ImportError as error:
        sys.exit(f"error: {error}; run `make setup` and use .venv/bin/python")
    try:
        read_env()
    except EnvError as error:
        sys.exit(f"error: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
