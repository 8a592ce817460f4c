"""What is done together: the stage on a clock of its own, with the real detector and a tiny talker that counts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ml.serve.answering import AnswerMaker
from ml.serve.conversation import Awaited, Conversation
from ml.serve.messages import AudioDown, AudioUp, ServerMessage
from ml.serve.slots import Frame, Session, SlotTable
from ml.serve.speaking import Mouth, TalkConfig
from ml.serve.talk import TalkStage
from ml.serve.talk_messages import Answer, Voice
from ml.serve.talker import Talker
from ml.turn_taking import TurnTakingConfig
from ml.vad import SileroVad, VadBank
from tests.ml.serve.test_talker import parts, talker

MS = 1_000_000
FRAME = 320


class Counting(Talker):
    """A talker that keeps how many rows and frames each call of its codec was for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.encoded: list[tuple[int, int]] = []
        self.decoded: list[tuple[int, int]] = []

    def encode(self, rows: list[int], audio: npt.NDArray[np.float32]) -> Any:
        self.encoded.append((len(rows), audio.shape[1] // self.hop))
        return super().encode(rows, audio)

    def decode(self, rows: list[int], codes: npt.NDArray[np.uint16]) -> Any:
        self.decoded.append((len(rows), codes.shape[2]))
        return super().decode(rows, codes)


class World:
    """Two conversations, a clock that stands still, and what was said."""

    def __init__(self, lead_ms: int = 320) -> None:
        self.now_ns = MS
        self.talker = Counting(*parts())
        self.said: list[tuple[Session, ServerMessage]] = []
        slots = SlotTable(2, 25)
        sessions = [slots.admit(8, self.talker, talk=True) for _ in range(2)]
        self.rows = [
            Conversation(session, self.talker, TurnTakingConfig(), Voice(), row)
            for row, session in enumerate(sessions)
            if session is not None
        ]
        self.config = TalkConfig(lead_ms=lead_ms, max_answer_ms=1_000)
        self.mouth = Mouth(self.config, lambda session, message: self.said.append((session, message)), self.clock)
        self.maker = AnswerMaker(self.config, self.mouth, self.clock)

    def clock(self) -> int:
        return self.now_ns

    def run(self, ms: int) -> None:
        """What there is to do, every 5 ms."""
        for _ in range(0, ms, 5):
            while (due_ns := self.maker.next_due_ns(self.rows, self.now_ns)) is not None and due_ns <= self.now_ns:
                self.maker.work(self.rows)
            self.now_ns += 5 * MS

    def of(self, row: int) -> list[ServerMessage]:
        return [message for session, message in self.said if session.row == row]


def sound(messages: list[ServerMessage]) -> npt.NDArray[np.int16]:
    pcm = [np.frombuffer(m.pcm, "<i2") for m in messages if isinstance(m, AudioDown)]
    return np.concatenate(pcm) if pcm else np.zeros(0, np.int16)


def codes(messages: list[ServerMessage]) -> npt.NDArray[np.uint16]:
    return np.concatenate([m.codes for m in messages if isinstance(m, AudioDown)], axis=1)


def ask(world: World, row: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    world.talker.listen([row], rng.integers(0, 64, (1, 8, 12)).astype(np.uint16))
    world.maker.answer(world.rows[row], Awaited(0, world.now_ns, {}))


def test_frames_ahead_of_their_time_sound_in_pairs_and_sound_the_same() -> None:
    world = World()
    ask(world, 0, 1)
    world.run(300)
    ask(world, 1, 2)
    world.run(2_000)

    assert world.talker.decoded[0] == (1, 1), "the first frame of an answer waits for nothing"
    assert (2, 2) in world.talker.decoded, "rows that are in step sound together"
    assert world.mouth.underruns == 0
    for row in (0, 1):
        said = world.of(row)
        told = codes(said)
        alone = talker()
        one_by_one = np.concatenate([alone.decode([0], told[None, :, at : at + 1])[0] for at in range(told.shape[1])])[
            alone.delay_samples :
        ]
        assert np.abs(sound(said).astype(np.int32) - one_by_one).max() <= 1
        assert one_by_one.any()
        assert isinstance(said[-1], Answer), "the last frame leaves before the end is told"
        assert said[-1].event == "ended"
        assert said[-1].at_ms == pytest.approx(len(one_by_one) / 16, abs=1)
        assert told.shape[1] * 40 <= world.config.max_answer_ms


def test_an_answer_by_itself_sounds_in_pairs_once_it_is_safe() -> None:
    world = World()
    ask(world, 0, 1)
    world.run(2_000)
    frames = [frames for _, frames in world.talker.decoded]
    safe = frames.index(2)
    assert 4 <= safe <= 8, "160 ms have to be ahead of their time first, made twice as fast as they are spoken"
    assert set(frames[safe:-1]) == {2}
    assert sum(frames) == codes(world.of(0)).shape[1] == 25


def test_a_frame_whose_time_comes_sounds_alone() -> None:
    world = World(lead_ms=120)  # never as much ahead as pairs need
    ask(world, 0, 1)
    world.run(2_000)
    assert {frames for _, frames in world.talker.decoded} == {1}
    assert world.mouth.underruns == 0


def test_a_frame_without_sound_waits_while_its_answer_is_paused() -> None:
    world, unbroken = World(), World()
    for each in (world, unbroken):
        ask(each, 0, 1)
    conversation = world.rows[0]
    while not (conversation.answer and conversation.answer.unheard and conversation.answer.frames):
        world.maker.work(world.rows)
        world.now_ns += 5 * MS
    answer = conversation.answer
    conversation.answer, conversation.paused = None, answer
    before = len(world.talker.decoded)
    world.maker.settle(conversation)
    world.run(200)
    assert len(world.talker.decoded) == before
    conversation.answer, conversation.paused = answer, None
    world.run(2_000)
    unbroken.run(2_000)
    assert np.abs(sound(world.of(0)).astype(np.int32) - sound(unbroken.of(0))).max() <= 1


def test_the_rest_of_a_finished_answer_leaves_after_an_interruption_that_was_none() -> None:
    world = World()
    stage = TalkStage(VadBank(SileroVad(), 2), world.config, lambda *_: None, world.clock)
    ask(world, 0, 1)
    conversation = world.rows[0]
    while not (conversation.answer and conversation.answer.told_end):
        world.run(5)
    answer = conversation.answer
    conversation.answer, conversation.paused = None, answer
    stage.heard_until(conversation, 400)  # more is left than may leave ahead of its time
    kept = len(answer.frames) - answer.sent
    assert kept * 40 > world.config.lead_ms
    stage._resume(conversation)
    assert answer.sent < len(answer.frames)
    before = len(sound(world.of(0)))
    world.run(2_000)
    assert answer.sent == len(answer.frames)
    assert world.mouth.underruns == 0
    left = len(sound(world.of(0))) - before
    assert 0 < left < kept * 640


def test_what_is_heard_is_coded_four_frames_at_a_time_for_all_rows_together() -> None:
    world = World()
    stage = TalkStage(VadBank(SileroVad(), 2), world.config, lambda *_: None, world.clock)
    for conversation in world.rows:
        stage.begin(conversation)
    rng = np.random.default_rng(4)
    audio = rng.integers(-300, 300, (2, 24, FRAME)).astype("<i2")

    def hear(row: int, at: int) -> None:
        up = AudioUp(at, at * 20, 0, audio[row, at].tobytes())
        stage.hear([(world.rows[row], Frame(up, 8, world.now_ns, world.now_ns))])

    for at in range(24):
        for row in (0, 1):  # half a frame out of step
            hear(row, at)
            world.now_ns += 10 * MS
    assert world.talker.encoded == [(2, 4)] * 3
    alone = talker()
    for row, conversation in enumerate(world.rows):
        whole = np.concatenate(list(audio[row])).astype(np.float32) / np.float32(32_768)
        alone.reset([row])
        expected = [alone.encode([row], whole[None, at : at + 640])[0, :, 0] for at in range(0, len(whole), 640)]
        kept = [frame for _, frame in conversation._recent]
        assert np.array_equal(np.stack(kept), np.stack(expected))
        assert [start for start, _ in conversation._recent] == list(range(0, 480, 40))


def test_a_row_of_which_something_is_to_be_known_is_coded_at_once() -> None:
    world = World()
    stage = TalkStage(VadBank(SileroVad(), 2), world.config, lambda *_: None, world.clock)
    for conversation in world.rows:
        stage.begin(conversation)
    for at, row in itertools.product(range(4), (0, 1)):
        up = AudioUp(at, at * 20, 0, bytes(2 * FRAME))
        stage.hear([(world.rows[row], Frame(up, 8, world.now_ns, world.now_ns))])
    assert world.talker.encoded == []
    stage.settle(world.rows[0])
    assert world.talker.encoded == [(2, 2)], "who has heard as much joins"
