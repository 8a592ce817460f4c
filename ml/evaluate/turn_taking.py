"""How well turns are taken: the director on the synthetic dialogues, in virtual time. Figures: docs/turn-taking.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.evaluate.turn_taking_set import Floats, OverlapScene, TurnScene, overlap_scenes, turn_scenes
from ml.recogniser import Recogniser
from ml.recogniser.turns import TurnEars
from ml.serve.conversation import WORDS_BEFORE_MS
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
from ml.turn_taking.prosody import TAIL_MS, pitched
from ml.turn_taking.words import Sort, finished_by
from ml.vad import WINDOW, SileroVad

FRAME = 320
FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class Heard:
    """Microphone audio with what a director needs of it, one value per 20 ms frame."""

    audio: Floats
    probability: npt.NDArray[np.float32]
    level_db: npt.NDArray[np.float64]
    finished: dict[int, tuple[float, float]] = field(default_factory=dict)
    """How finished the phrase before a sample sounds, and is by its words; filled as it is asked for."""


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


def play_turn(heard: Heard, config: TurnTakingConfig, ears: TurnEars | None = None) -> list[Endpoint]:
    """The end-points that the director finds in a scene; after each, nothing is answered. Without `ears` nothing is
    known of words, as on a server without a recogniser.
    """
    at = [0]

    def finished() -> float:
        end = at[0] - config.speculate_ms * 16
        if end not in heard.finished:
            start = max(0, at[0] - TAIL_MS * 16)
            words = ears.ending(heard.audio[start : at[0]]) if ears is not None else 0.5
            heard.finished[end] = finishedness(heard.audio[start : max(0, end)]), words
        prosody, words = heard.finished[end]
        return prosody if ears is None else finished_by(prosody, words)

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


def play_overlap(
    heard: Heard, scene: OverlapScene, config: TurnTakingConfig, ears: TurnEars | None = None
) -> tuple[list[Interrupt], list[Resume]]:
    """What the director does while an answer is heard. The canceller has had its time, nobody just asked."""
    at = [0]

    def words(from_ms: int) -> Sort | None:
        start = max(0, at[0] - TAIL_MS * 16, (from_ms - WORDS_BEFORE_MS) * 16)
        return ears.sort(scene.mic[start : at[0]]) if ears is not None else None

    director = TurnDirector(config, lambda: 0.5, words=words)
    director.phase = "answer"
    director.answer_started(-10_000)
    guard = EchoGuard()
    interrupts: list[Interrupt] = []
    resumes: list[Resume] = []
    for n in range(len(heard.probability)):
        chunk = slice(n * FRAME, (n + 1) * FRAME)
        at[0] = chunk.stop
        guard.played(scene.played[chunk])
        guard.heard(scene.mic[chunk])
        over = director.overlapping
        observation = Observation(
            (n + 1) * FRAME_MS,
            float(heard.probability[n]),
            float(heard.level_db[n]),
            guard.explained() if over else 0.0,
            pitched(scene.mic[max(0, chunk.stop - 640) : chunk.stop]) if over else False,
        )
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
    vad, ears = SileroVad(), TurnEars(Recogniser.load())
    scenes = [(scene, hear(vad, scene.mic)) for scene in turn_scenes(turns, seed)]
    over = [(scene, hear(vad, scene.mic)) for scene in overlap_scenes(overlaps, seed)]
    deaf = [(scene, replace(heard, finished={})) for scene, heard in scenes]
    stream = TurnTakingConfig.for_mode("stream")
    bounds = [(160, 500), (200, 700), (200, 850), (200, 1000), (240, 1000), (200, 1200), (480, 1200)]
    return {
        "seed": seed,
        "turns": turns,
        "overlaps": overlaps,
        "stream": endpoint_figures(scenes, stream, ears),
        "turn": endpoint_figures(scenes, TurnTakingConfig.for_mode("turn"), ears),
        "stream_without_words": endpoint_figures(deaf, stream),
        "endpoint_curve": [
            {"bounds_ms": pair, **endpoint_figures(scenes, TurnTakingConfig.for_mode("stream", *pair), ears)}
            for pair in bounds
        ],
        "fixed_curve": [
            {"wait_ms": wait, **endpoint_figures(deaf, TurnTakingConfig.for_mode("stream", wait, wait))}
            for wait in (300, 450, 600, 750, 900)
        ],
        "barge_in": barge_in_figures(over, TurnTakingConfig(), ears),
        "barge_in_without_words": barge_in_figures(over, TurnTakingConfig()),
        "barge_in_curve": [
            {"words_barge_in_ms": ms, **barge_in_figures(over, _barge_in(ms), ears)} for ms in (180, 220, 260, 340, 420)
        ],
    }


def _barge_in(words_ms: int) -> TurnTakingConfig:
    return TurnTakingConfig(words_ms=words_ms - 20, words_barge_in_ms=words_ms)


def endpoint_figures(
    scenes: Sequence[tuple[TurnScene, Heard]], config: TurnTakingConfig, ears: TurnEars | None = None
) -> dict[str, Any]:
    """False end-points per inner pause, turns never ended, and the time from the true end to the decision."""
    pauses = false = missed = early = 0
    waits: list[float] = []
    for scene, heard in scenes:
        endpoints = play_turn(heard, config, ears)
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


def barge_in_figures(
    scenes: Sequence[tuple[OverlapScene, Heard]], config: TurnTakingConfig, ears: TurnEars | None = None
) -> dict[str, Any]:
    """Missed barge-ins, false ones by what caused them (and how many of those went on), time to the decision."""
    kinds: dict[str, list[tuple[bool, bool]]] = {}
    waits: list[float] = []
    for scene, heard in scenes:
        interrupts, resumes = play_overlap(heard, scene, config, ears)
        if scene.kind == "interruption":
            hit = [i for i in interrupts if scene.event_ms <= i.decided_ms <= scene.event_end_ms + 300]
            waits += [hit[0].decided_ms - scene.event_ms] if hit else []
            kinds.setdefault(scene.kind, []).append((bool(hit), bool(hit and resumes)))
        else:
            kinds.setdefault(scene.kind, []).append((bool(interrupts), bool(resumes)))
    false = {kind: rows for kind, rows in kinds.items() if kind != "interruption"}
    all_false = [row for rows in false.values() for row in rows]
    real = kinds.get("interruption", [])
    return {
        "missed_barge_in_rate": _share(sum(not hit for hit, _ in real), len(real)),
        "taken_back_wrongly_rate": _share(sum(back for _, back in real), len(real)),
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
