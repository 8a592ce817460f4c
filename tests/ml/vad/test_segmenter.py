"""The hysteresis, by hand-made probabilities; one window is 32 ms."""

import pytest

from ml.vad import SegmenterConfig, SpeechEvent, SpeechSegmenter


def run(probabilities: list[float], config: SegmenterConfig | None = None) -> list[SpeechEvent]:
    segmenter = SpeechSegmenter(config)
    events = [segmenter.push(p, 32.0 * (i + 1)) for i, p in enumerate(probabilities)]
    return [event for event in events if event is not None]


def test_speech_is_told_after_100_ms_with_the_time_it_began() -> None:
    segmenter = SpeechSegmenter()
    assert [segmenter.push(0.9, 32.0 * n) for n in (11, 12, 13)] == [None] * 3
    assert segmenter.push(0.9, 32.0 * 14) == SpeechEvent("started", 320)


def test_a_click_is_forgotten() -> None:
    assert run(([0.9] * 3 + [0.1]) * 10) == []


def test_a_pause_shorter_than_300_ms_stays_inside() -> None:
    assert run([0.9] * 10 + [0.1] * 9 + [0.9] * 10 + [0.1] * 10) == [
        SpeechEvent("started", 0),
        SpeechEvent("stopped", 29 * 32),
    ]


def test_a_probability_between_the_thresholds_changes_nothing() -> None:
    assert run([0.45] * 50) == []
    assert [event.event for event in run([0.9] * 5 + [0.45] * 50)] == ["started"]
    # It neither ends a run that has begun: the silence counts from its first window on.
    assert run([0.9] * 5 + [0.1, 0.45] * 6)[-1] == SpeechEvent("stopped", 160)


def test_without_minimum_lengths_every_crossing_is_told() -> None:
    config = SegmenterConfig(min_speech_ms=0, min_silence_ms=0)
    assert [event.at_ms for event in run([0.1, 0.9, 0.1, 0.9], config)] == [32, 64, 96]


@pytest.mark.parametrize(
    "values",
    [{"start_threshold": 0.3}, {"stop_threshold": 0.0}, {"start_threshold": 1.5}, {"min_speech_ms": -1}],
)
def test_a_config_that_cannot_work_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"threshold|negative"):
        SegmenterConfig(**values)  # type: ignore[arg-type]
