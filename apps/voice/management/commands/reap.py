"""`manage.py reap`: what the reaper task does, once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.voice.services import sessions_reap


class Command(BaseCommand):
    help = "Suspend live sessions whose lease ran out and end those that can no longer be resumed."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{sessions_reap()} sessions changed")
