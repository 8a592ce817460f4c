"""Conversations in the admin."""

from apps.voice.admin.sessions import VoiceSessionAdmin
from apps.voice.admin.turns import TurnAdmin

__all__ = ["TurnAdmin", "VoiceSessionAdmin"]
