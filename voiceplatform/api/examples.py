"""A request to copy for each operation that takes JSON: shown in Swagger, checked against the schema by a test."""

from __future__ import annotations

from typing import Any

_DATASET, _RUN = "6f0d3a52-5f6b-4c2b-9d0b-2b6b5f9f7c11", "0b8f3a0e-92a5-4a3f-8b43-0c9f3c2a5d77"
_SOFTER = {"pitch_semitones": -1.5, "energy_db": -2, "rate": 0.95}

EXAMPLES: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("post", "/api/v1/speakers"): (
        "a voice of your own",
        {"slug": "anita", "name_te": "అనిత", "name_en": "Anita", "gender": "female", **_SOFTER},
    ),
    ("patch", "/api/v1/speakers/{slug}"): ("a lower, calmer voice", _SOFTER),
    ("post", "/api/v1/emotions"): (
        "another mood",
        {"slug": "calm", "name_te": "ప్రశాంతం", "name_en": "Calm", "emoji": "😌", "default_intensity": 0.6, "rate": 0.9},
    ),
    ("patch", "/api/v1/emotions/{slug}"): ("half as strong", {"default_intensity": 0.5}),
    ("post", "/api/v1/blends"): (
        "two voices in one",
        {"slug": "mix", "name_te": "మిశ్రమం", "name_en": "Mix", "weights": {"priya": 0.6, "lakshmi": 0.4}},
    ),
    ("patch", "/api/v1/blends/{slug}"): ("other shares", {"weights": {"priya": 0.3, "lakshmi": 0.7}}),
    ("patch", "/api/v1/preferences"): ("Lakshmi, a little slower", {"speaker": "lakshmi", "rate": 0.9}),
    ("patch", "/api/v1/turns/{id}"): ("a turn to learn from", {"mark": "good", "mark_note": "clear, no noise"}),
    ("post", "/api/v1/datasets"): (
        "recordings to be sent",
        {"name": "Village stories", "licence": "CC BY 4.0", "source": "upload"},
    ),
    ("patch", "/api/v1/datasets/{id}"): ("another licence", {"licence": "CC0"}),
    ("post", "/api/v1/datasets/{id}/turns"): ("turns that were marked good", {"turns": [_RUN]}),
    ("post", "/api/v1/datasets/pairs"): ("a small set of pairs", {"name": "First pairs", "size": "tiny"}),
    ("post", "/api/v1/jobs"): (
        "a tiny training",
        {
            "kind": "train_codec",
            "name": "first try",
            "recipe": "tiny",
            "datasets": [_DATASET],
            "settings": {"steps": 200, "loss.mel": 0.3},
        },
    ),
    ("post", "/api/v1/models/roll-back"): ("the codec before", {"kind": "codec", "preset": "hifi"}),
}


def add_examples(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Post-processing hook: each of `EXAMPLES` at its operation."""
    for (method, path), (words, value) in EXAMPLES.items():
        operation = result.get("paths", {}).get(path, {}).get(method)
        if operation is not None:
            name = "".join(word.capitalize() for word in words.replace(",", "").split())
            operation["requestBody"]["content"]["application/json"]["examples"] = {
                name: {"value": value, "summary": words}
            }
    return result
