"""How well turns are taken: the director on the synthetic dialogues, in virtual time. Figures: docs/turn-taking.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.evaluate.turn_taking_set import Floats, OverlapScene, TurnScene, overlap_scenes, turn_scenes
from ml.turn_taking import (
    EchoGuard,
    Endpoint,
    Interrupt,
    Observation,
    Resume,
    TurnDirector,
    TurnTakingConfig,
    finishedness,
)
from ml.turn_taking.prosody import TAIL_MS
from ml.vad import WINDOW, SileroVad

FRAME = 320
FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class Heard:
    """Microphone audio with what a director needs of it, one value per 20 ms frame."""

    audio: Floats
    probability: npt.NDArray[np.float32]
    level_db: npt.NDArray[np.float64]


def hear(vad: SileroVad, audio: Floats) -> Heard:
    """Probabilities and levels as the inference server has them: of the last full window, of the last frame."""
    frames = len(audio) // FRAME
    windows = frames * FRAME // WINDOW
    state = vad.state(1)
    found = [float(vad.step(audio[None, w * WINDOW : (w + 1) * WINDOW], state)[0]) for w in range(windows)]
    ends = np.arange(1, frames + 1) * FRAME // WINDOW
    probability = np.array([found[end - 1] if end else 0.0 for end in ends], np.float32)
    shaped = audio[: frames * FRAME].reshape(frames, FRAME).astype(np.float64)
    return Heard(audio, probability, 10 * np.log10(np.mean(shaped**2, axis=1) + 1e-9))


def play_turn(heard: Heard, config: TurnTakingConfig) -> list[Endpoint]:
    """The end-points that the director finds in a scene; after each, nothing is answered."""
    at = [0]

    def finished() -> float:
        end = at[0] - config.speculate_ms * 16
        return finishedness(heard.audio[max(0, end - TAIL_MS * 16) : max(0, end)])

    director = TurnDirector(config, finished)
    endpoints: list[Endpoint] = []
    for n in range(len(heard.probability)):
        at[0] = (n + 1) * FRAME
        observation = Observation((n + 1) * FRAME_MS, float(heard.probability[n]), float(heard.level_db[n]))
        for action in director.hear(observation):
            if isinstance(action, Endpoint):
                endpoints.append(action)
                director.answer_ended(observation.end_ms)
    return endpoints


def play_overlap(heard: Heard, scene: OverlapScene, config: TurnTakingConfig) -> tuple[list[Interrupt], list[Resume]]:
    """What the director does while an answer is heard. The canceller has had its time, nobody just asked."""
    director = TurnDirector(config, lambda: 0.5)
    director.phase = "answer"
    director.answer_started(-10_000)
    guard = EchoGuard()
    interrupts: list[Interrupt] = []
    resumes: list[Resume] = []
    for n in range(len(heard.probability)):
        chunk = slice(n * FRAME, (n + 1) * FRAME)
        guard.played(scene.played[chunk])
        guard.heard(scene.mic[chunk])
        likeness = guard.likeness() if director.overlapping else 0.0
        observation = Observation((n + 1) * FRAME_MS, float(heard.probability[n]), float(heard.level_db[n]), likeness)
        for action in director.hear(observation):
            if isinstance(action, Interrupt):
                interrupts.append(action)
            elif isinstance(action, Resume):
                resumes.append(action)
            elif isinstance(action, Endpoint):
                return interrupts, resumes
    return interrupts, resumes


def measure(turns: int = 120, overlaps: int = 120, seed: int = 0) -> dict[str, Any]:
    """Rates and times with the defaults, and the curves around them."""
    vad = SileroVad()
    scenes = [(scene, hear(vad, scene.mic)) for scene in turn_scenes(turns, seed)]
    over = [(scene, hear(vad, scene.mic)) for scene in overlap_scenes(overlaps, seed)]
    bounds = [(160, 300), (200, 500), (240, 700), (280, 900), (400, 900), (480, 1200), (700, 1200)]
    return {
        "seed": seed,
        "turns": turns,
        "overlaps": overlaps,
        "stream": endpoint_figures(scenes, TurnTakingConfig.for_mode("stream")),
        "turn": endpoint_figures(scenes, TurnTakingConfig.for_mode("turn")),
        "endpoint_curve": [
            {"bounds_ms": pair, **endpoint_figures(scenes, TurnTakingConfig.for_mode("stream", *pair))}
            for pair in bounds
        ],
        "fixed_curve": [
            {"wait_ms": wait, **endpoint_figures(scenes, TurnTakingConfig.for_mode("stream", wait, wait))}
            for wait in (300, 450, 600, 750, 900)
        ],
        "barge_in": barge_in_figures(over, TurnTakingConfig()),
        "barge_in_curve": [
            {"barge_in_ms": ms, **barge_in_figures(over, TurnTakingConfig(barge_in_ms=ms))}
            for ms in (200, 300, 420, 500, 600)
        ],
    }


def endpoint_figures(scenes: Sequence[tuple[TurnScene, Heard]], config: TurnTakingConfig) -> dict[str, Any]:
    """False end-points per inner pause, turns never ended, and the time from the true end to the decision."""
    pauses = false = missed = early = 0
    waits: list[float] = []
    for scene, heard in scenes:
        endpoints = play_turn(heard, config)
        pauses += len(scene.pauses)
        # Voice activity ends a little late: an end-point within the last tenth of a second was the true one.
        before = [e for e in endpoints if e.decided_ms < scene.end_ms - 100]
        inside = [e for e in before if any(a <= e.decided_ms <= b + 100 for a, b in scene.pauses)]
        false += bool(inside)
        early += len(before) > len(inside)
        after = [e for e in endpoints if e.decided_ms >= scene.end_ms - 100]
        if after:
            waits.append(after[0].decided_ms - scene.end_ms)
        else:
            missed += 1
    return {
        "false_endpoint_rate": _share(false, pauses),
        "cut_inside_speech_rate": _share(early, len(scenes)),
        "never_ended_rate": _share(missed, len(scenes)),
        "latency_ms": _percentiles(waits),
    }


def barge_in_figures(scenes: Sequence[tuple[OverlapScene, Heard]], config: TurnTakingConfig) -> dict[str, Any]:
    """Missed barge-ins, false ones by what caused them (and how many of those went on), time to the decision."""
    kinds: dict[str, list[tuple[bool, bool]]] = {}
    waits: list[float] = []
    for scene, heard in scenes:
        interrupts, resumes = play_overlap(heard, scene, config)
        if scene.kind == "interruption":
            hit = [i for i in interrupts if scene.event_ms <= i.decided_ms <= scene.event_end_ms + 300]
            waits += [hit[0].decided_ms - scene.event_ms] if hit else []
            kinds.setdefault(scene.kind, []).append((bool(hit), False))
        else:
            kinds.setdefault(scene.kind, []).append((bool(interrupts), bool(resumes)))
    false = {kind: rows for kind, rows in kinds.items() if kind != "interruption"}
    all_false = [row for rows in false.values() for row in rows]
    real = kinds.get("interruption", [])
    return {
        "missed_barge_in_rate": _share(sum(not hit for hit, _ in real), len(real)),
        "false_barge_in_rate": _share(sum(hit for hit, _ in all_false), len(all_false)),
        "false_by_cause": {kind: _share(sum(hit for hit, _ in rows), len(rows)) for kind, rows in false.items()},
        "false_and_not_resumed_rate": _share(sum(hit and not back for hit, back in all_false), len(all_false)),
        "latency_ms": _percentiles(waits),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _percentiles(values: Iterable[float]) -> dict[str, float | None]:
    known = list(values)
    return {f"p{q}": round(float(np.percentile(known, q)), 1) if known else None for q in (50, 95)}
