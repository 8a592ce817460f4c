"""Other words for a training phrasing: synonyms, vocatives, fillers, endings, a dropped polite word.

Eight phrasings an intent are few for what people say. Validation and test phrasings are never touched.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import yaml

from ml.data.corpus.loader import CORPUS_DIR

SYNONYMS = CORPUS_DIR.parent / "synonyms-te.yaml"
_BEFORE = ("అండీ,", "ఏమండీ,", "హలో,", "అవునూ,", "ఇదిగో,", "మరీ,", "అరే,", "సరే,", "ఊ,", "అదీ,", "ఒక మాట,", "చూడండి,", "అన్నట్టు,")
_AFTER = ("అండి", "ప్లీజ్", "మరి", "కదా", "ఒకసారి")
_DROPPED = frozenset(("కొంచెం", "కాస్త", "దయచేసి", "ప్లీజ్", "అసలు", "మరి", "ఒకసారి", "ఇప్పుడు", "మీరు", "నువ్వు", "నాకు"))
_WORD = re.compile(r"[^\s,.?!]+")


def load_synonyms(path: Path = SYNONYMS) -> dict[str, tuple[str, ...]]:
    """Word -> what may stand in its place; {} without the file."""
    if not path.is_file():
        return {}
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["words"]
    found: dict[str, dict[str, None]] = {}
    for group in groups:
        for word in group:
            found.setdefault(str(word), {}).update({str(other): None for other in group if other != word})
    return {word: tuple(others) for word, others in found.items()}


def reword(text: str, synonyms: dict[str, tuple[str, ...]], rng: np.random.Generator) -> str:
    """`text` said a little differently: at least one change where one is possible."""
    places = [m for m in _WORD.finditer(text) if m.group() in synonyms]
    if places and rng.random() < 0.8:
        count = min(len(places), 1 + int(rng.random() < 0.4))
        for place in sorted((int(i) for i in rng.choice(len(places), count, replace=False)), reverse=True):
            match = places[place]
            others = synonyms[match.group()]
            text = text[: match.start()] + others[int(rng.integers(len(others)))] + text[match.end() :]
    heard = _WORD.findall(text)
    kinds = rng.random(3)
    if kinds[0] < 0.2 and len(heard) > 3:
        spare = [word for word in heard if word in _DROPPED]
        if spare:
            text = re.sub(rf"(?<!\S){re.escape(spare[int(rng.integers(len(spare)))])}\s+", "", text, count=1)
    if kinds[1] < 0.3 and len(heard) < 14:
        text = f"{_BEFORE[int(rng.integers(len(_BEFORE)))]} {text}"
    if kinds[2] < 0.2 and len(heard) < 14 and heard and heard[-1] not in (*_AFTER, "చెప్పండి"):
        ending = re.search(r"[.?!]*$", text)
        mark = ending.group() if ending else ""
        text = f"{text[: len(text) - len(mark)]} {_AFTER[int(rng.integers(len(_AFTER)))]}{mark}"
    return text
