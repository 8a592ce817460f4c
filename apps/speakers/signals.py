"""What others may want to know of voices and emotions."""

from __future__ import annotations

from django.dispatch import Signal

voice_changed = Signal()
"""A voice or an emotion was stored with other values than before; sent after the commit with ``instance``."""
