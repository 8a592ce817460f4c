"""The turn assembler: cuts are exact to the frame, and memory stays bounded whatever comes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.voice.turns import TurnAssembler, TurnLimits


def pcm(index: int) -> bytes:
    """A frame whose bytes say which one it is."""
    return np.full(320, index % 30_000, dtype="<i2").tobytes()


def out(index: int) -> bytes:
    return np.full(320, -(index % 30_000), dtype="<i2").tobytes()


def codes(index: int) -> np.ndarray:
    return np.full((8, 4), index % 1024, dtype=np.uint16)


class Talk:
    """Feeds frames that come straight back."""

    def __init__(self, limits: TurnLimits | None = None) -> None:
        self.assembler = TurnAssembler(limits)
        self.index = 0

    def frames(self, count: int, *, send: bool = True) -> None:
        for _ in range(count):
            self.assembler.heard(self.index, pcm(self.index))
            if send:
                self.assembler.coded(self.index, codes(self.index), queue_ms=1.0, encode_ms=2.0, decode_ms=3.0)
                self.assembler.sent(self.index, out(self.index), server_ms=7.0)
            self.index += 1


def numbers(data: bytes) -> list[int]:
    return np.frombuffer(data, "<i2")[::320].tolist()


def test_a_turn_has_preroll_postroll_codes_and_latency() -> None:
    talk = Talk()
    talk.frames(60)
    talk.assembler.speech("started", 1000)
    talk.frames(40)
    talk.assembler.playback(90)
    talk.assembler.network(12.5)
    talk.assembler.speech("stopped", 1700)
    (cut,) = talk.assembler.take()
    assert (cut.started_ms, cut.duration_ms) == (700, 1100)
    assert numbers(cut.pcm) == list(range(35, 90))
    assert numbers(cut.output_pcm) == [-i for i in range(35, 90)]
    assert cut.codes is not None
    assert cut.codes.shape == (8, 55 * 4)
    assert cut.codes[0, ::4].tolist() == list(range(35, 90))
    assert cut.latency == {
        "queue_ms": 1.0,
        "encode_ms": 2.0,
        "decode_ms": 3.0,
        "server_ms": 7.0,
        "endpoint_ms": 300.0,
        "network_ms": 12.5,
        "playback_ms": 90,
    }
    assert cut.frames_missing == 0
    assert cut.interrupted_at_ms is None


def test_the_first_words_of_a_connection_have_as_much_preroll_as_there_is() -> None:
    talk = Talk()
    talk.frames(10)
    talk.assembler.speech("started", 100)
    talk.frames(10)
    talk.assembler.speech("stopped", 200)
    (cut,) = talk.assembler.take()
    assert cut.started_ms == 0


def test_two_turns_never_share_a_frame() -> None:
    talk = Talk()
    talk.frames(50)
    for start in (500, 740):
        talk.assembler.speech("started", start)
        talk.assembler.speech("stopped", start + 160)
    first, second = talk.assembler.take()
    assert first.started_ms + first.duration_ms == second.started_ms


def test_a_turn_waits_for_audio_still_on_its_way() -> None:
    talk = Talk()
    talk.frames(20)
    talk.assembler.speech("started", 300)
    talk.frames(10, send=False)
    talk.assembler.speech("stopped", 460)
    assert talk.assembler.take() == []
    for index in range(20, 30):
        talk.assembler.sent(index, out(index), server_ms=50.0)
    (cut,) = talk.assembler.take()
    assert cut.frames_missing == 0


def test_but_not_for_ever() -> None:
    talk = Talk(TurnLimits(settle_ms=200))
    talk.frames(20)
    talk.assembler.speech("started", 300)
    talk.frames(10, send=False)
    talk.assembler.given_up(20)
    talk.assembler.speech("stopped", 460)
    talk.frames(10, send=False)
    (cut,) = talk.assembler.take()
    assert cut.frames_missing == 8
    assert numbers(cut.pcm) == list(range(28))
    assert numbers(cut.output_pcm) == [-i for i in range(20)]


def test_long_speech_is_split_without_a_gap() -> None:
    talk = Talk(TurnLimits(max_turn_ms=1000, preroll_ms=0))
    talk.assembler.speech("started", 0)
    talk.frames(120)
    talk.assembler.speech("stopped", 2300)
    cuts = talk.assembler.take()
    assert [cut.started_ms for cut in cuts] == [0, 1000, 2000]
    assert [n for cut in cuts for n in numbers(cut.pcm)] == list(range(120))
    assert "endpoint_ms" not in cuts[0].latency
    assert "endpoint_ms" in cuts[2].latency


def test_flush_gives_what_was_being_said() -> None:
    talk = Talk()
    talk.frames(20)
    talk.assembler.speech("started", 300)
    talk.assembler.interrupted()
    talk.frames(5)
    (cut,) = talk.assembler.flush()
    assert cut.started_ms == 0
    assert cut.duration_ms == 500
    assert cut.interrupted_at_ms == 400
    assert talk.assembler.flush() == []


def test_a_speech_event_before_any_audio_makes_no_empty_turn() -> None:
    assembler = TurnAssembler()
    assembler.speech("stopped", 0)
    assembler.speech("started", 0)
    assembler.speech("stopped", 0)
    assert assembler.take() == []
    assert assembler.flush() == []


def test_a_frame_out_of_step_is_a_bug_that_shows() -> None:
    with pytest.raises(ValueError, match="expected"):
        TurnAssembler().heard(1, pcm(1))


steps = st.one_of(
    st.tuples(st.just("frames"), st.integers(1, 120), st.booleans()),
    st.tuples(st.just("speech"), st.sampled_from(["started", "stopped"]), st.integers(-3000, 3000)),
    st.tuples(st.just("take"), st.none(), st.none()),
)


@settings(deadline=None)
@given(st.lists(steps, max_size=60))
def test_memory_is_bounded_and_turns_are_disjoint_and_in_order(script: list[tuple]) -> None:
    limits = TurnLimits(max_turn_ms=3000, history_ms=1000, settle_ms=500)
    talk = Talk(limits)
    cuts = []
    for what, a, b in script:
        if what == "frames":
            for _ in range(a):
                talk.frames(1, send=b)
                cuts += talk.assembler.take()  # the pipeline asks after every frame
                assert talk.assembler.held_frames <= (3000 + 3000 + 1000 + 500) // 20
        elif what == "speech":
            talk.assembler.speech(a, max(0, talk.index * 20 + b))
        else:
            cuts += talk.assembler.take()
    cuts += talk.assembler.flush()
    end = 0
    for cut in cuts:
        assert cut.started_ms >= end
        assert 0 < cut.duration_ms <= 3000 + 1000
        assert numbers(cut.pcm) == list(range(cut.started_ms // 20, (cut.started_ms + cut.duration_ms) // 20))
        end = cut.started_ms + cut.duration_ms
    assert talk.assembler.flush() == []
