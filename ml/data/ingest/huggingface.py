"""Data sets of the Hugging Face hub, row by row as they stream: Kathbath, IndicVoices, IndicTTS and the like."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.data.ingest.types import IngestError, IngestOptions, Item, LeftOut, Split

_SPEAKER = ("speaker_id", "speaker", "client_id", "reader_id")
_TEXT = ("text", "sentence", "transcript", "transcription", "normalized", "verbatim", "transcript_raw")
_AUDIO = ("audio", "audio_filepath", "speech", "file")
_SPLITS: dict[str, Split] = {"train": "train", "validation": "validation", "valid": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class HuggingFaceSource:
    """`hf:NAME[:CONFIG[:SPLIT]]`: the first `max_items` rows of a split (train by default)."""

    name: str
    config: str | None
    split: str
    options: IngestOptions
    id: str
    whole: bool = False

    @classmethod
    def named(cls, source: str, options: IngestOptions) -> HuggingFaceSource:
        """From `hf:owner/name:config:split`."""
        parts = source.removeprefix("hf:").split(":")
        if not parts[0] or len(parts) > 3:
            raise IngestError(f"{source} is no data set: write hf:OWNER/NAME, hf:OWNER/NAME:CONFIG or …:CONFIG:SPLIT")
        config = parts[1] if len(parts) > 1 and parts[1] else None
        return cls(parts[0], config, parts[2] if len(parts) > 2 else "train", options, source)

    def items(self, work: Path, left_out: list[LeftOut]) -> Iterator[Item]:
        target = work / "rows"
        target.mkdir(parents=True, exist_ok=True)
        try:
            yield from rows_to_items(self._rows(), target, self.options.max_items, self.split, left_out)
        except IngestError:
            raise
        except Exception as error:  # the hub's client has dozens of kinds
            raise IngestError(explained(self.name, error)) from error

    def _rows(self) -> Iterable[dict[str, Any]]:
        try:
            import datasets
        except ImportError:
            raise IngestError("data sets of the hub need the package datasets: pip install datasets") from None
        loaded = datasets.load_dataset(self.name, self.config, split=self.split, streaming=True)
        column = next((c for c in _AUDIO if c in (loaded.column_names or ())), None)
        if column is not None:  # the file's own bytes; the Audio feature wants torchcodec even to pass them on
            loaded = loaded.cast_column(column, {"bytes": datasets.Value("binary"), "path": datasets.Value("string")})
        return iter(loaded)


def rows_to_items(
    rows: Iterable[dict[str, Any]], target: Path, limit: int, split: str, left_out: list[LeftOut]
) -> Iterator[Item]:
    """Each row's audio written to `target`, with what the row tells of it; the file is removed after its turn."""
    for number, row in enumerate(rows):
        if number >= limit:
            return
        name = f"row-{number:07d}"
        content = next((_bytes(row[c]) for c in _AUDIO if c in row and _bytes(row[c])), None)
        if content is None:
            left_out.append(LeftOut(name, f"no audio in this row (columns: {', '.join(sorted(map(str, row)))[:120]})"))
            continue
        path = target / f"{hashlib.sha256(content).hexdigest()[:16]}.audio"
        path.write_bytes(content)
        speaker = next((str(row[c]) for c in _SPEAKER if row.get(c) not in (None, "")), "")
        text = next((str(row[c]) for c in _TEXT if row.get(c)), "")
        yield Item(name, path, speaker=speaker[:64], text=text, split=_SPLITS.get(split.split("[")[0]))
        path.unlink(missing_ok=True)


def _bytes(value: Any) -> bytes | None:
    """Bytes of an undecoded audio cell; paths are not followed, they may point anywhere."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return bytes(value) if isinstance(value, bytes | bytearray) and value else None


def explained(name: str, error: BaseException) -> str:
    """What a failure of the hub means for the person who asked."""
    told = f"{type(error).__name__}: {error}"
    low = told.lower()
    if "gated" in low or "401" in low or "403" in low or "authenticat" in low:
        return (
            f"{name} is gated: open its page on the hub while logged in, accept its terms, make an access token, "
            "and run again with HF_TOKEN=… in the environment"
        )
    if any(word in low for word in ("connection", "resolve", "offline", "timed out", "unreachable", "couldn't reach")):
        return f"the hub cannot be reached for {name}: check the network, or download the data set and give its folder"
    if "config" in low and ("missing" in low or "pick one" in low or "not found" in low):
        return f"{name} has several configurations: write hf:{name}:CONFIG ({str(error)[:200]})"
    if "not found" in low or "doesn't exist" in low or "404" in low:
        return f"{name} is not on the hub: check the name (OWNER/NAME), or log in if it is private"
    return f"{name} cannot be streamed ({told[:300]})"
