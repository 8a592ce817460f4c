"""What an ingest is asked and what it answers."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "validation", "test"]
CONSENTS = ("public", "given", "unknown")
"""public: the licence allows training; given: every speaker agreed; unknown: nobody has said, keep it private."""


class IngestError(ValueError):
    """A source or option that is refused as a whole; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How audio becomes clips. Every field that changes a clip is part of the fingerprint under which it is kept."""

    min_seconds: float = 1.0
    """Shorter stretches of speech are left out."""
    max_seconds: float = 15.0
    """Longer stretches are cut at their quietest place."""
    loudness: Literal["rms", "lufs", "none"] = "rms"
    """How the level of a clip is brought to `level_db`; none leaves it."""
    level_db: float = -16.0
    """Target: dBFS of the RMS over speech, or LUFS (ITU-R BS.1770)."""
    min_snr_db: float = 10.0
    """Estimated signal-to-noise ratio that a clip must have."""
    max_clipped: float = 0.005
    """Share of samples at full scale above which a clip is left out."""
    min_dnsmos: float | None = None
    """Overall DNSMOS that a clip must have; None does not measure it (it costs 0.2 s a clip)."""
    duplicates: bool = True
    """Whether clips that sound the same as an earlier one are left out."""
    speakers: Literal["source", "cluster"] = "cluster"
    """Where the source names no speaker: cluster by voice, or take each file for a speaker of its own."""
    augment: int = 0
    """Copies of each training clip with room, noise or telephone."""
    licence: str = ""
    """Licence of the source, where it does not tell its own."""
    consent: str = "unknown"
    """One of `CONSENTS`."""
    language: str = "te"
    """What is spoken; noted, not checked."""
    max_files: int = 100_000
    max_bytes: int = 50 * 2**30
    """Of everything unpacked or downloaded."""
    max_file_hours: float = 12.0
    """Longer files are read up to here."""
    allow_private: bool = False
    """Whether addresses inside the own network may be fetched from."""
    max_items: int = 50
    """Videos of one playlist or channel, rows of a streamed data set."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise IngestError(f"{name} must be a number, not {value}")
        if not 0.1 <= self.min_seconds < self.max_seconds <= 60.0:
            raise IngestError(
                f"clips need 0.1 <= min_seconds < max_seconds <= 60, got {self.min_seconds:g} and {self.max_seconds:g}"
            )
        if self.loudness not in ("rms", "lufs", "none"):
            raise IngestError(f"loudness is rms, lufs or none, not {self.loudness!r}")
        if not -60.0 <= self.level_db <= -3.0:
            raise IngestError(f"level_db must be between -60 and -3, not {self.level_db:g}")
        if self.consent not in CONSENTS:
            raise IngestError(f"consent is one of {', '.join(CONSENTS)}, not {self.consent!r}")
        if not 0 <= self.augment <= 10:
            raise IngestError(f"augment must be 0 to 10, not {self.augment}")
        for name in ("max_files", "max_bytes", "max_items"):
            if getattr(self, name) < 1:
                raise IngestError(f"{name} must be at least 1")

    @property
    def fingerprint(self) -> str:
        """Hash of what decides which clips come of a file (12 hex digits)."""
        told = (self.min_seconds, self.max_seconds, self.loudness, self.level_db, self.min_snr_db, self.max_clipped)
        return hashlib.sha256(repr((*told, self.min_dnsmos)).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Item:
    """One audio file of a source."""

    name: str
    """As people know it: its path in the folder or archive, the address, the row of a data set."""
    path: Path
    speaker: str = ""
    """Label that the source gives; "" where it gives none."""
    text: str = ""
    """What is said, where the source tells it."""
    licence: str = ""
    split: Split | None = None
    """Split that the source prescribes."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that did not become a clip."""

    file: str
    why: str
    seconds: tuple[float, float] | None = None
    """The stretch of the file; None for all of it."""


@dataclass(slots=True)
class IngestReport:
    """What an ingest did and what its folder holds now."""

    source: str
    files: int = 0
    """Files looked at in this run."""
    known: int = 0
    """Of these, files that were there already."""
    clips: int = 0
    """Clips in the manifest, augmented ones apart."""
    augmented: int = 0
    hours: float = 0.0
    speakers: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    """Of the whole folder, not of this run only."""
    stopped: bool = False
    """Whether it was told to stop before the source's end; the same call goes on."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; `report.json` holds it."""
        return {**asdict(self), "hours": round(self.hours, 4), "left_out": [
            {"file": o.file, "why": o.why, **({"seconds": list(o.seconds)} if o.seconds else {})} for o in self.left_out
        ]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClipEntry:
    """One clip as the manifest has it."""

    audio: str
    """FLAC file, 16 kHz mono, relative to the folder."""
    sha256: str
    seconds: float
    start: float
    """Where it lies in its file, in seconds."""
    speaker: str
    text: str
    split: str
    level_db: float
    """RMS of its speech before the level was changed, dBFS."""
    snr_db: float
    clipped: float
    dnsmos: float | None
    source: str
    """Name of the file it was cut from."""
    source_sha256: str
    licence: str
    consent: str
    language: str
    augmented_from: str = ""
