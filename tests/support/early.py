"""Loaded by `-p` before pytest-django reads the settings: says where the private servers will be.

The servers themselves start only when a test asks for them, so that a run of torch-only tests needs neither.
"""

import os

from tests.support.servers import plan

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.test")
plan()
