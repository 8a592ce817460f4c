"""Profile names of the simplest clients for the four voices that come with the platform."""

from __future__ import annotations

ALIASES = {
    "male_young": "arjun",
    "male_mature": "ravi",
    "female_young": "priya",
    "female_professional": "lakshmi",
}


def speaker_slug(name: str) -> str:
    """The slug that a name on the wire means: a profile's voice, else the name itself."""
    return ALIASES.get(name, name)
