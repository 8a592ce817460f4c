"""What the log leaves out. Imported before the apps are loaded, and so without Django."""

from __future__ import annotations

import logging


class NotReadyFilter(logging.Filter):
    """Drops "Service Unavailable: /readyz": a probe that asks every second has the reason in its answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        path = getattr(getattr(record, "request", None), "path", "")
        return not (path == "/readyz" and getattr(record, "status_code", 0) == 503)
