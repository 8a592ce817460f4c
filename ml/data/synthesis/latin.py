"""English words inside Telugu text, written the way Telugu speakers say them."""

from __future__ import annotations

import re

_LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        [
            "ఏ",
            "బీ",
            "సీ",
            "డీ",
            "ఈ",
            "ఎఫ్",
            "జీ",
            "హెచ్",
            "ఐ",
            "జే",
            "కే",
            "ఎల్",
            "ఎమ్",
            "ఎన్",
            "ఓ",
            "పీ",
            "క్యూ",
            "ఆర్",
            "ఎస్",
            "టీ",
            "యూ",
            "వీ",
            "డబ్ల్యూ",
            "ఎక్స్",
            "వై",
            "జెడ్",
        ],
        strict=True,
    )
)
_WORDS = {
    "ok": "ఓకే",
    "okay": "ఓకే",
    "hello": "హలో",
    "hi": "హాయ్",
    "bye": "బై",
    "thanks": "థ్యాంక్స్",
    "thank": "థ్యాంక్",
    "you": "యూ",
    "sorry": "సారీ",
    "please": "ప్లీజ్",
    "good": "గుడ్",
    "morning": "మార్నింగ్",
    "night": "నైట్",
    "evening": "ఈవెనింగ్",
    "phone": "ఫోన్",
    "mobile": "మొబైల్",
    "computer": "కంప్యూటర్",
    "internet": "ఇంటర్నెట్",
    "whatsapp": "వాట్సాప్",
    "bus": "బస్సు",
    "train": "ట్రైన్",
    "car": "కారు",
    "office": "ఆఫీస్",
    "school": "స్కూల్",
    "college": "కాలేజ్",
    "doctor": "డాక్టర్",
    "hospital": "హాస్పిటల్",
    "police": "పోలీస్",
    "bank": "బ్యాంక్",
    "ticket": "టికెట్",
    "time": "టైమ్",
    "super": "సూపర్",
    "cricket": "క్రికెట్",
    "movie": "మూవీ",
    "cinema": "సినిమా",
    "film": "ఫిల్మ్",
    "tv": "టీవీ",
    "ac": "ఏసీ",
    "ai": "ఏఐ",
    "voice": "వాయిస్",
    "assistant": "అసిస్టెంట్",
    "app": "యాప్",
    "video": "వీడియో",
    "audio": "ఆడియో",
    "music": "మ్యూజిక్",
    "coffee": "కాఫీ",
    "tea": "టీ",
    "rice": "రైస్",
    "water": "వాటర్",
    "family": "ఫ్యామిలీ",
    "happy": "హ్యాపీ",
    "birthday": "బర్త్‌డే",
    "love": "లవ్",
    "job": "జాబ్",
    "work": "వర్క్",
    "home": "హోమ్",
    "house": "హౌస్",
    "the": "ది",
    "and": "అండ్",
    "is": "ఈజ్",
    "are": "ఆర్",
    "my": "మై",
    "me": "మీ",
    "we": "వీ",
    "he": "హీ",
    "she": "షీ",
    "to": "టు",
    "of": "ఆఫ్",
    "in": "ఇన్",
    "on": "ఆన్",
    "for": "ఫర్",
    "with": "విత్",
    "no": "నో",
    "yes": "యెస్",
    "one": "వన్",
    "two": "టూ",
    "three": "త్రీ",
    "four": "ఫోర్",
    "five": "ఫైవ్",
    "what": "వాట్",
    "how": "హౌ",
    "why": "వై",
    "who": "హూ",
    "when": "వెన్",
    "where": "వేర్",
    "very": "వెరీ",
    "nice": "నైస్",
    "great": "గ్రేట్",
    "life": "లైఫ్",
    "smart": "స్మార్ట్",
    "online": "ఆన్‌లైన్",
    "google": "గూగుల్",
    "youtube": "యూట్యూబ్",
    "telugu": "తెలుగు",
    "india": "ఇండియా",
    "hyderabad": "హైదరాబాద్",
    "english": "ఇంగ్లీష్",
}
_RULES = (
    # longest first; consonants carry a virama, vowels are given as (independent, sign)
    *(("tion", "షన్"), ("ough", "ఓ"), ("igh", "ఐ"), ("sch", "స్క్"), ("tch", "చ్"), ("sh", "ష్"), ("ch", "చ్"), ("th", "త్")),
    *(
        ("ph", "ఫ్"),
        ("gh", "గ్"),
        ("kh", "ఖ్"),
        ("bh", "భ్"),
        ("dh", "ధ్"),
        ("wh", "వ్"),
        ("ck", "క్"),
        ("qu", "క్వ్"),
        ("ng", "ంగ్"),
    ),
    *(
        ("aa", "ఆ"),
        ("ee", "ఈ"),
        ("ea", "ఈ"),
        ("oo", "ఊ"),
        ("ou", "ఔ"),
        ("ow", "ఔ"),
        ("ai", "ఏ"),
        ("ay", "ఏ"),
        ("oa", "ఓ"),
        ("au", "ఆ"),
    ),
    *(
        ("a", "అ"),
        ("e", "ఎ"),
        ("i", "ఇ"),
        ("o", "ఒ"),
        ("u", "ఉ"),
        ("y", "య్"),
        ("b", "బ్"),
        ("c", "క్"),
        ("d", "డ్"),
        ("f", "ఫ్"),
    ),
    *(
        ("g", "గ్"),
        ("h", "హ్"),
        ("j", "జ్"),
        ("k", "క్"),
        ("l", "ల్"),
        ("m", "మ్"),
        ("n", "న్"),
        ("p", "ప్"),
        ("q", "క్"),
        ("r", "ర్"),
    ),
    *(("s", "స్"), ("t", "ట్"), ("v", "వ్"), ("w", "వ్"), ("x", "క్స్"), ("z", "జ్")),
)
_SIGN_OF = dict(zip("అఆఇఈఉఊఎఏఐఒఓఔ", ["", *"ాిీుూెేైొోౌ"], strict=True))


def latin_to_telugu(word: str) -> str:
    """A Latin word in Telugu script: known words from a list, short capitals spelt, the rest letter by letter."""
    bare = re.sub(r"['’]", "", word)
    lower = bare.lower()
    if lower in _WORDS:
        return _WORDS[lower]
    if (bare.isupper() and len(bare) <= 5) or len(bare) == 1 or not re.search(r"[aeiouy]", lower):
        return " ".join(_LETTERS[letter] for letter in lower)
    if lower.endswith("y") and len(lower) > 2:
        lower = lower[:-1] + "ee"
    elif lower.endswith("e") and len(lower) > 3:
        lower = lower[:-1]
    lower = re.sub(r"([bcdfghjklmnpqrstvwxz])\1", r"\1", lower)
    out = ""
    at = 0
    while at < len(lower):
        letters, telugu = next((rule for rule in _RULES if lower.startswith(rule[0], at)), (lower[at], ""))
        at += len(letters)
        if telugu and telugu[0] in _SIGN_OF and out.endswith("్"):  # a vowel after a consonant becomes its sign
            out = out[:-1] + _SIGN_OF[telugu[0]] + telugu[1:]
        else:
            out += telugu
    return out
