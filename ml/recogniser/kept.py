"""What captions and turn-taking know of the corpus, made once and kept in a file.

Reading the corpus and turning its texts into phones was half of the processor time of a start. What comes of it
depends on nothing but the corpus and the code, so the file carries the sha256 of both and of its own content; whatever
is not that, or cannot be read, is made anew. A file that cannot be written is done without.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ml.recogniser.captions import Captioner, KnownTexts, corpus_texts
from ml.recogniser.turns import questions_of
from ml.turn_taking.words import Endings

log = logging.getLogger(__name__)

NAME = "corpus-heard.safetensors"
CORPUS = Path(__file__).resolve().parents[1] / "data" / "corpus" / "te"
"""`ml.data.corpus.loader.CORPUS_DIR`, without what importing that takes."""
_ML = Path(__file__).resolve().parents[1]
_CODE = ("recogniser/*.py", "turn_taking/words.py", "data/corpus/*.py", "data/synthesis/*.py")
"""Below `_ML`: everything by which a text becomes what is kept. Rather too much, so that nothing is forgotten."""

_Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Heard:
    """Of one corpus."""

    captioner: Captioner
    endings: Endings


@lru_cache(maxsize=1)
def shipped(folder: Path | None) -> Heard:
    """Of the shipped corpus; read once per process, though captions and turn-taking both ask."""
    return heard_of(folder)


def heard_of(folder: Path | None, corpus: Path = CORPUS) -> Heard:
    """What is kept in `folder`, else made, and kept there unless it is None. Raises CorpusError."""
    if folder is None:
        return _made(corpus)
    path, key = folder / NAME, key_of(corpus)
    found = _read(path, key)
    if found is None:
        found = _made(corpus)
        _write(path, key, found)
    return found


def key_of(corpus: Path) -> str:
    """The sha256 of a corpus and of the code that reads it."""
    found = hashlib.sha256()
    files = [*corpus.glob("*.yaml"), *(path for pattern in _CODE for path in _ML.glob(pattern))]
    for path in sorted(files):
        content = path.read_bytes()
        found.update(f"{path.name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def _made(folder: Path) -> Heard:
    from ml.data.corpus.loader import load_corpus

    corpus = load_corpus(folder)
    return Heard(Captioner(corpus_texts(corpus)), Endings(questions_of(corpus)))


# -- the file ----------------------------------------------------------------------------------------------


def _read(path: Path, key: str) -> Heard | None:
    try:
        with safe_open(path, framework="numpy") as file:
            told = file.metadata() or {}
            if told.get("key") != key:
                log.info("the corpus or its code has changed: %s is made anew", path)
                return None
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        if _digest(arrays) != told.get("sha256"):
            raise ValueError("its content is not what was written")
        return _unpacked(arrays)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        log.warning("%s cannot be used and is made anew: %s", path, error)
        return None


def _write(path: Path, key: str, heard: Heard) -> None:
    """By write-and-rename of a file of one's own: servers that start at once each put a whole one in place."""
    arrays = _packed(heard)
    content = save(arrays, {"key": key, "sha256": _digest(arrays)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(".partial", f"{path.stem}-", path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
    except OSError as error:
        log.warning("the next start takes as long as this one: %s cannot be written (%s)", path, error)


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _packed(heard: Heard) -> _Arrays:
    known = heard.captioner.known
    words = [[" ".join(phones), word] for phones, word in known.words.items()]
    told = json.dumps({"texts": known.texts, "words": words}, ensure_ascii=False).encode()
    return {"told": np.frombuffer(told, np.uint8), "phones": known.phones, **dict(_tables(heard.endings))}


def _unpacked(arrays: _Arrays) -> Heard:
    told = json.loads(arrays["told"].tobytes())
    words = {tuple(phones.split()): word for phones, word in told["words"]}
    endings = Endings(())
    for name, table in _tables(endings):
        table[:] = arrays[name]
    return Heard(Captioner(KnownTexts(told["texts"], arrays["phones"], words)), endings)


def _tables(endings: Endings) -> Iterator[tuple[str, NDArray[np.float32]]]:
    # They are nobody else's business but a copy's; should their form change, so does the key.
    for number, table in enumerate(endings._tables):
        yield f"ends.{number}", table._ends
        yield f"all.{number}", table._all
