"""Loaded by `-p` before pytest-django reads the settings: says which they are and where the private servers will be.

The servers themselves start only when a test asks for them, so that a run of torch-only tests needs neither.
"""

import os

# First of all: whatever imports `voiceplatform` before this line would make its Celery app choose the dev settings.
os.environ["DJANGO_SETTINGS_MODULE"] = "voiceplatform.settings.test"

from tests.support.servers import plan

plan()
