"""`manage.py seed`: what a new installation begins with. Safe to run at every start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.speakers.services import emotions_seed, speakers_seed
from apps.training.services import WeightsError, model_versions_register_shipped
from voiceplatform.seed_data import EMOTIONS, SPEAKERS


class Command(BaseCommand):
    help = "Create the first voices and emotions and register shipped weights; what is there already stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        speakers = speakers_seed(rows=SPEAKERS)
        emotions = emotions_seed(rows=EMOTIONS)
        try:
            models = model_versions_register_shipped(weights_dir=settings.VOICE_WEIGHTS_DIR)
        except WeightsError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"seed: {speakers} speakers, {emotions} emotions, {len(models)} model versions added")
