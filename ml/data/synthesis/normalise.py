"""Text to plain Telugu words: digits, signs and Latin words are written out; what nobody can say is recorded."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ml.data.synthesis.latin import latin_to_telugu

_UNITS = [
    "సున్నా",
    "ఒకటి",
    "రెండు",
    "మూడు",
    "నాలుగు",
    "ఐదు",
    "ఆరు",
    "ఏడు",
    "ఎనిమిది",
    "తొమ్మిది",
    "పది",
    "పదకొండు",
    "పన్నెండు",
    "పదమూడు",
    "పద్నాలుగు",
    "పదిహేను",
    "పదహారు",
    "పదిహేడు",
    "పద్దెనిమిది",
    "పంతొమ్మిది",
]
_TENS = ["", "", "ఇరవై", "ముప్పై", "నలభై", "యాభై", "అరవై", "డెబ్బై", "ఎనభై", "తొంభై"]
_SCALES = (
    # value, alone as one, one with more after it, many exactly, many with more after it
    (10_000_000, "కోటి", "కోటి", "కోట్లు", "కోట్ల"),
    (100_000, "లక్ష", "లక్ష", "లక్షలు", "లక్షల"),
    (1_000, "వెయ్యి", "వెయ్యి", "వేలు", "వేల"),
    (100, "వంద", "నూట", "వందలు", "వందల"),
)
_SIGNS = {
    "%": "శాతం",
    "₹": "రూపాయలు",
    "$": "డాలర్లు",
    "€": "యూరోలు",
    "£": "పౌండ్లు",
    "&": "మరియు",
    "+": "ప్లస్",
    "=": "ఈక్వల్స్",
    "@": "ఎట్",
    "#": "హ్యాష్",
    "°": "డిగ్రీలు",
    "×": "ఇంటూ",
}
_CURRENCY = re.compile(r"([₹$€£])\s*(\d[\d,]*(?:\.\d+)?)")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_TIME = re.compile(r"\b(\d{1,2}):(\d{2})\b")
_LATIN = re.compile(r"[A-Za-z][A-Za-z'’]*")
_PUNCTUATION = {
    **dict.fromkeys(".।॥", "."),
    **dict.fromkeys(",;:–—()[]{}", ","),
    "?": "?",
    "!": "!",
    "…": "…",
}
_SILENT = frozenset("\u200b\u200c\u200d\u2060\ufeff\u0c55\u0c56'\"‘’“”«»*_`~|ఁఽ-‐‑/\\")
"""Joiners, quotation marks and letters without sound."""


@dataclass(frozen=True)
class Normalised:
    """Telugu letters, spaces and ``. , ? ! …`` only, with the characters that had to be left out."""

    text: str
    skipped: tuple[str, ...]


def number_words(value: int) -> str:
    """A whole number as it is said, 0 to 99,99,99,99,999."""
    if value < 0:
        return "మైనస్ " + number_words(-value)
    if value >= 10**13:
        return " ".join(_UNITS[int(digit)] for digit in str(value))
    if value < 20:
        return _UNITS[value]
    if value < 100:
        tens, unit = divmod(value, 10)
        return _TENS[tens] + (f" {_UNITS[unit]}" if unit else "")
    for scale, one, one_more, many, many_more in _SCALES:
        if value >= scale:
            count, rest = divmod(value, scale)
            if count == 1:
                head = one_more if rest else one
            else:
                head = f"{number_words(count)} {many_more if rest else many}"
            return f"{head} {number_words(rest)}" if rest else head
    raise AssertionError(value)


def _say_number(match: re.Match[str]) -> str:
    digits = match.group().rstrip(",")
    tail = match.group()[len(digits) :]
    whole, _, fraction = digits.replace(",", "").partition(".")
    if len(whole) > 1 and whole.startswith("0"):  # a telephone number or a code
        words = " ".join(_UNITS[int(digit)] for digit in whole)
    else:
        words = number_words(int(whole))
    if fraction:
        words += " పాయింట్ " + " ".join(_UNITS[int(digit)] for digit in fraction)
    return f" {words} {tail}"


def _say_time(match: re.Match[str]) -> str:
    minutes = int(match.group(2))
    return f" {number_words(int(match.group(1)))} {number_words(minutes) if minutes else ''} "


def normalise(text: str) -> Normalised:
    """Write ``text`` out for the voices. Never raises: unknown characters are left out and listed."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    text = re.sub(r"\.{2,}", "…", text)
    text = _CURRENCY.sub(lambda m: f"{m.group(2)} {_SIGNS[m.group(1)]}", text)
    text = _TIME.sub(_say_time, text)
    text = _NUMBER.sub(_say_number, text)
    text = _LATIN.sub(lambda m: f" {latin_to_telugu(m.group())} ", text)
    out: list[str] = []
    skipped: list[str] = []
    for char in text:
        if char.isspace() or char in "-–—/":
            out.append("," if char in "–—" else " ")
        elif char in _PUNCTUATION:
            out.append(_PUNCTUATION[char])
        elif char in _SILENT:
            continue
        elif char in _SIGNS:
            out.append(f" {_SIGNS[char]} ")
        elif is_sounding(char):
            out.append(char)
        else:
            skipped.append(char)
    plain = re.sub(r"\s+([.,?!…])", r"\1", re.sub(r"\s+", " ", "".join(out)).strip())
    plain = re.sub(r",+", ",", re.sub(r"[.,]*([?!…])[.,?!…]*", r"\1", plain))
    plain = re.sub(r"([.,?!…])(?=[^\s.,?!…])", r"\1 ", plain)
    return Normalised(plain.strip(" ,"), tuple(skipped))


def is_sounding(char: str) -> bool:
    """True for the Telugu letters and signs that `g2p` turns into sound."""
    code = ord(char)
    return (
        0x0C01 < code <= 0x0C03
        or (0x0C05 <= code <= 0x0C39 and code not in (0x0C0D, 0x0C11, 0x0C29))
        or (0x0C3E <= code <= 0x0C4D and code not in (0x0C45, 0x0C49))
        or code in (0x0C58, 0x0C59, 0x0C60, 0x0C61, 0x0C62, 0x0C63)
    )
