"""Telugu speech from text: four voices, nine emotions, endless questioners, one phone inventory.

`speak` says answers as the product's four voices; `ask` says questions as synthetic strangers; both are deterministic
by their arguments. They need the programs `festival` and `espeak-ng` (data making only; the product runs without).
"""

from __future__ import annotations

from ml.data.synthesis.g2p import phones_of
from ml.data.synthesis.phones import CONSONANTS, NON_SPEECH, PHONE_ID, PHONES, VOWELS, TimedPhone
from ml.data.synthesis.speech import speak
from ml.data.synthesis.surroundings import vary
from ml.data.synthesis.talkers import Talker, ask, random_talker
from ml.data.synthesis.types import EMOTIONS, LIMITS, SAMPLE_RATE, VOICES, Controls, SpokenClip, SynthesisError

__all__ = [
    "CONSONANTS",
    "EMOTIONS",
    "LIMITS",
    "NON_SPEECH",
    "PHONES",
    "PHONE_ID",
    "SAMPLE_RATE",
    "VOICES",
    "VOWELS",
    "Controls",
    "SpokenClip",
    "SynthesisError",
    "Talker",
    "TimedPhone",
    "ask",
    "phones_of",
    "random_talker",
    "speak",
    "vary",
]
