"""Words of a topic beyond the phrasings: pieces of one to four words that occur in what people say of an intent.

No phrasing can hold every fruit, game and verb form of its topic; the reader of acts (`ml.s2s.acts`) learns them from
here. Nothing is said or asked with them, and none is a held-out phrasing.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml

from ml.data.corpus.loader import CORPUS_DIR

TOPIC_WORDS = CORPUS_DIR.parent / "topic-words-te.yaml"


def load_topic_words(intents: Collection[str], path: Path = TOPIC_WORDS) -> dict[str, tuple[str, ...]]:
    """Intent -> its pieces, for those of `intents` that have any; {} without the file."""
    if not path.is_file():
        return {}
    told = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {str(name): tuple(str(piece) for piece in pieces) for name, pieces in told.items() if name in intents}
