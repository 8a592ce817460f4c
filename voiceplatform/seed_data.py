"""The voices and emotions that a new installation begins with. Operators change them in the admin.

Pitch, energy and pace of the four voices are in the model's own voices: their dials begin at rest.
"""

from __future__ import annotations

from typing import Any

SPEAKERS: list[dict[str, Any]] = [
    {
        "slug": "arjun",
        "name_te": "అర్జున్",
        "name_en": "Arjun",
        "gender": "male",
        "description": "young, lively",
        "order": 1,
        "is_published": True,
    },
    {
        "slug": "ravi",
        "name_te": "రవి",
        "name_en": "Ravi",
        "gender": "male",
        "description": "mature, calm",
        "order": 2,
        "is_published": True,
    },
    {
        "slug": "priya",
        "name_te": "ప్రియ",
        "name_en": "Priya",
        "gender": "female",
        "description": "young, conversational",
        "order": 3,
        "is_published": True,
    },
    {
        "slug": "lakshmi",
        "name_te": "లక్ష్మి",
        "name_en": "Lakshmi",
        "gender": "female",
        "description": "professional, clear",
        "order": 4,
        "is_published": True,
    },
]

_EMOTIONS = [
    # slug, Telugu, English, emoji, default intensity
    ("neutral", "సాధారణం", "Neutral", "😐", 0.0),
    ("happy", "సంతోషం", "Happy", "😊", 0.6),
    ("laugh", "నవ్వు", "Laugh", "😂", 0.7),
    ("excited", "ఉత్సాహం", "Excited", "🤩", 0.7),
    ("empathy", "సానుభూతి", "Empathy", "🤗", 0.6),
    ("surprise", "ఆశ్చర్యం", "Surprise", "😲", 0.6),
    ("thinking", "ఆలోచన", "Thinking", "🤔", 0.5),
    ("telugu_heavy", "గాఢమైన తెలుగు యాస", "Strong Telugu accent", "🌶️", 0.9),
    ("telugu_mild", "తేలికైన తెలుగు యాస", "Mild Telugu accent", "🌿", 0.4),
]

EMOTIONS: list[dict[str, Any]] = [
    {
        "slug": slug,
        "name_te": name_te,
        "name_en": name_en,
        "emoji": emoji,
        "default_intensity": intensity,
        "order": order,
        "is_published": True,
    }
    for order, (slug, name_te, name_en, emoji, intensity) in enumerate(_EMOTIONS, start=1)
]
