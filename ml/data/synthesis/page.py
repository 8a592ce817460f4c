"""`docs/voices.md` and its plots from a measured report."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from ml.data.synthesis.measure import Report
from ml.data.synthesis.types import EMOTIONS, VOICES

COLOURS = {"arjun": "#1f77b4", "ravi": "#2ca02c", "priya": "#d62728", "lakshmi": "#9467bd"}
PLOTS = {
    "pitch_hz": ("Pitch", "Hz, median"),
    "pitch_range": ("Pitch range", "semitones, 10th to 90th percentile"),
    "syllables_per_second": ("Rate", "syllables per second"),
    "energy_db": ("Energy", "dBFS, active frames"),
}
"""Plotted number of `Heard` -> (title, unit)."""
_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 110, 34, 74


def plot(report: Report, name: str) -> str:
    """An SVG: emotions from left to right, one line of dots for each voice."""
    title, unit = PLOTS[name]
    values = {voice: [report.table[voice][emotion][name] for emotion in EMOTIONS] for voice in VOICES}
    low = min(min(row) for row in values.values())
    high = max(max(row) for row in values.values())
    margin = 0.08 * (high - low) or 1.0
    low, high = low - margin, high + margin
    step = (_WIDTH - _LEFT - _RIGHT) / (len(EMOTIONS) - 1)

    def x(index: int) -> float:
        return _LEFT + index * step

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20" font-size="15" fill="#222">{title} '
        f'<tspan fill="#666" font-size="12">({unit})</tspan></text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low + share * (high - low)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e4e4e4"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#666">{value:.3g}</text>')
    for index, emotion in enumerate(EMOTIONS):
        at = f"{x(index):.1f}"
        parts.append(
            f'<text x="{at}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="end" fill="#222" '
            f'transform="rotate(-35 {at} {_HEIGHT - _BOTTOM + 16})">{emotion}</text>'
        )
    for row, (voice, line) in enumerate(values.items()):
        colour = COLOURS[voice]
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(line))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-opacity="0.35"/>')
        parts += [f'<circle cx="{x(i):.1f}" cy="{y(v):.1f}" r="4.5" fill="{colour}"/>' for i, v in enumerate(line)]
        label = _TOP + 20 + 20 * row
        parts.append(f'<circle cx="{_WIDTH - 92}" cy="{label - 4}" r="4.5" fill="{colour}"/>')
        parts.append(f'<text x="{_WIDTH - 82}" y="{label}" fill="#222">{voice}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def render_page(report: Report, command: str, folder: str) -> str:
    """Markdown of `docs/voices.md`; ``command`` made the figures, ``folder`` holds the plots."""
    test = report.sentences["test"]
    lines = [
        "# Voices",
        "",
        f"<!-- written by `{command}`: change ml/data/synthesis, not this page -->",
        "",
        *_ABOUT,
        "## Four people, nine emotions",
        "",
        f"Measured on {test} sentences that the classifiers had not seen ({report.sentences['train']} to learn from), "
        "every sentence in every voice and emotion:",
        "",
        "| question | answer |",
        "|---|---|",
        f"| which of the four voices is it (any emotion) | {_percent(report.speaker_accuracy)} right |",
        *_embedding_row(report),
        f"| which of the nine emotions is it | {_percent(report.emotion_accuracy)} right |",
        *(f"| … said by {voice} | {_percent(share)} |" for voice, share in report.emotion_accuracy_by_voice.items()),
        "",
        "All are linear (multinomial logistic regression): voices by mean and deviation of 16 MFCC and the pitch, "
        "emotions by those and 28 numbers on pitch, energy, rhythm and tilt, each against the same voice's neutral "
        "mean (`ml/data/synthesis/features.py`). They hear samples only.",
        "",
        "Taken for (rows: said):",
        "",
        _row(["", *EMOTIONS]),
        _row(["---"] * (len(EMOTIONS) + 1)),
        *(
            _row([emotion, *(str(report.confusion[emotion][other] or "") for other in EMOTIONS)])
            for emotion in EMOTIONS
        ),
        "",
        "## What an emotion changes",
        "",
        "Means over the four voices. Pauses, laughter and fillers count as length.",
        "",
        _row(
            [
                "emotion",
                "pitch against neutral, semitones",
                "range, semitones",
                "syllables/s",
                "energy, dBFS",
                "pauses",
                "length",
            ]
        ),
        _row(["---"] * 7),
        *(_emotion_row(report, emotion) for emotion in EMOTIONS),
        "",
        *(f"![{title}]({folder}/{name}.svg)" for name, (title, _) in PLOTS.items()),
        "",
        "## Controls",
        "",
        "One control moved, everything else at rest; measured from the samples, against the middle step.",
        "",
        "| control | asked | measured |",
        "|---|---|---|",
        *_controls(report),
        "",
        "## Distance to real speech",
        "",
        "DNSMOS P.835 (1 to 5). The network was taught on noise suppression in English calls: read it as a check for "
        "noise and distortion beside people on ordinary microphones, not as naturalness. A diphone voice is monotonous "
        "in timbre and audibly synthetic; that is the distance no score here shows.",
        "",
        "| who | signal | background | overall | clips |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {row['signal']:.2f} | {row['background']:.2f} | {row['overall']:.2f} | {row['clips']:.0f} |"
            for name, row in report.dnsmos.items()
        ),
        "",
        "## Speed",
        "",
        "| what | seconds of audio per second of processor time, engines included |",
        "|---|---|",
        *(f"| {name} | {value:.0f} |" for name, value in report.speed.items()),
        "",
    ]
    return "\n".join(lines)


def _embedding_row(report: Report) -> list[str]:
    if report.embedding_accuracy != report.embedding_accuracy:  # nan: not asked for
        return []
    told = _percent(report.embedding_accuracy)
    return [f"| the same by Resemblyzer's embedding (GE2E, taught on people), on some of the clips | {told} right |"]


def _controls(report: Report) -> list[str]:
    lines = []
    for name, rows in report.controls.items():
        asked = ", ".join(f"{row['asked']:g}" for row in rows)
        measured = ", ".join(f"{row['measured']:.2f}" for row in rows)
        lines.append(f"| `{name}` | {asked} | {measured} |")
    return lines


def _emotion_row(report: Report, emotion: str) -> str:
    def mean(name: str) -> float:
        return sum(report.table[voice][emotion][name] for voice in VOICES) / len(VOICES)

    shift = sum(
        12 * log2(report.table[voice][emotion]["pitch_hz"] / report.table[voice]["neutral"]["pitch_hz"])
        for voice in VOICES
    ) / len(VOICES)
    return _row(
        [
            emotion, f"{shift:+.1f}", f"{mean('pitch_range'):.1f}", f"{mean('syllables_per_second'):.1f}",
            f"{mean('energy_db'):.1f}", f"{100 * mean('pause_share'):.0f} %", f"{mean('seconds'):.1f} s",
        ]
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


_ABOUT = """\
The platform makes its own Telugu speech; no model has to be fetched. `ml/data/synthesis` turns text into audio with the
phones in time, deterministic by its arguments:

```python
from ml.data.synthesis import Controls, ask, random_talker, speak, vary

clip = speak("నమస్కారం, మీరు ఎలా ఉన్నారు?", voice="priya", emotion="happy", controls=Controls(rate=1.1, intensity=0.8))
clip.audio, clip.phones            # float32 at 16 kHz; (symbol, start, end) in seconds
question = ask("మీ పేరు ఏంటండి?", talker=random_talker(7))
noisy = vary(question.audio, seed=1)   # room, noise, telephone; same length
```

```
python -m ml data voices say "నమస్కారం" --voice ravi --emotion empathy --out hello.wav
python -m ml data voices speech FOLDER --minutes 40      # training speech: FLAC with phones in JSON
python -m ml data voices report --page docs/voices.md    # this page
```

Programs: `apt-get install festival festival-te festvox-te-nsk espeak-ng` (`make setup-test` does it). Only the making
of data needs them.

How it works:

- **Text** (`normalise`, `latin`, `g2p`): numbers, signs and English words are written out in Telugu, Telugu letters
  become phones of one inventory of 49 symbols (`phones.PHONES`, frozen: the index is a class id in weights). What
  cannot be said is left out and listed in `g2p.analyse(text).skipped`; every answer and phrasing of the corpus is said
  whole (tested).
- **Prosody** (`prosody`, `emotions`): durations and an F0 contour by a prosody program: level, range, declination, word
  rises, final falls, emphasis, pauses, energy, tilt, breath, tremor, smile. `intensity` moves a program linearly from
  neutral. `laugh` adds bursts of "ha" at 4 to 5 syllables a second with falling pitch, before, inside and after the
  words; `thinking` adds fillers and pauses; `telugu_heavy` and `telugu_mild` lengthen vowels, double and retroflex
  consonants (`accent`).
- **Engines**: Festival's recorded Telugu diphones get phones, times and F0 from us (its own front end is not used);
  espeak-ng gets our phones and tells their times; MMS-TTS/VITS and Parler-TTS load from a path or hub id (`hub`).
- **Timbre** (`voices`, `colour`): the engine speaks slower and lower by a factor and is resampled by it, so formants
  move without artefacts; then equaliser, tilt, aspiration, level. Four people and endless strangers come from one
  recorded voice.
""".splitlines()
