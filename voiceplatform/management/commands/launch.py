"""``manage.py launch``: what ``make run`` calls."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from voiceplatform.env import read_env
from voiceplatform.launcher.console import Reporter
from voiceplatform.launcher.launch import launch
from voiceplatform.launcher.supervisor import LaunchError


class Command(BaseCommand):
    """Start the whole product on this machine and keep it running until Ctrl-C."""

    help = "Start web server, inference server and job worker at HOST:PORT (environment); stop them all at Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            launch(read_env(), Reporter())
        except LaunchError as error:
            sys.exit(f"launch: {error}")
