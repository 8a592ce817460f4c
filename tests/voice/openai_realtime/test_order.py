"""Order of events, whatever a client does and whenever: its promises as a state machine, driven at random.

The adapter is the real one, pumps and all, on virtual time; real turn-taking is behind it
(`tests.support.realtime_core`).
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.support.realtime_world import World, noise

WHETHER = {name: st.booleans() for name in ("create_response", "interrupt_response")}
DETECTION = st.one_of(
    st.none(),
    st.fixed_dictionaries({"type": st.just("semantic_vad")}, optional=WHETHER),
    st.fixed_dictionaries({"type": st.just("server_vad")}, optional=WHETHER),
    st.fixed_dictionaries({"type": st.just("server_vad"), "idle_timeout_ms": st.sampled_from([None, 5_000])}),
)
MS = st.sampled_from([20, 60, 130, 250, 400, 900])


class AnyClient(RuleBasedStateMachine):
    """Says whatever a client may say, in any order. The model in `World` judges every event as it comes."""

    @initialize(transcripts=st.booleans(), answer_ms=st.sampled_from([0, 40, 600, 3_000]), think_s=st.floats(0, 0.5))
    def connect(self, transcripts: bool, answer_ms: int, think_s: float) -> None:
        self.world = World(transcripts=transcripts, answer_ms=answer_ms, think_s=think_s)
        self.world.append(noise(200, amplitude=20))

    @rule(ms=MS)
    def speak(self, ms: int) -> None:
        self.world.append(noise(ms))

    @rule(ms=MS)
    def be_silent(self, ms: int) -> None:
        self.world.append(noise(ms, amplitude=20))

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.1, 0.5, 2.0, 7.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(kind=st.sampled_from(["commit", "clear"]))
    def buffer(self, kind: str) -> None:
        self.world.say(f"input_audio_buffer.{kind}")

    @rule(kind=st.sampled_from(["create", "create", "cancel"]))
    def respond(self, kind: str) -> None:
        self.world.say(f"response.{kind}")

    @rule(detection=DETECTION, pcmu=st.booleans())
    def update(self, detection: Any, pcmu: bool) -> None:
        form = {"type": "audio/pcmu"} if pcmu else {"type": "audio/pcm", "rate": 24_000}
        audio = {"input": {"turn_detection": detection}, "output": {"format": form}}
        self.world.say("session.update", session={"type": "realtime", "audio": audio})

    @rule(verb=st.sampled_from(["retrieve", "delete", "truncate"]), at=st.integers(0, 30), ms=st.integers(0, 10**7))
    def touch(self, verb: str, at: int, ms: int) -> None:
        items = [event["item"]["id"] for event in self.world.of("conversation.item.added")] or ["nothing"]
        self.world.say(f"conversation.item.{verb}", item_id=items[at % len(items)], audio_end_ms=ms)

    @rule(role=st.sampled_from(["user", "assistant"]), audio=st.booleans(), root=st.booleans())
    def add(self, role: str, audio: bool, root: bool) -> None:
        from tests.support.realtime_world import b64

        spoken = {"type": "input_audio", "audio": b64(noise(200))} if audio else {"type": "input_text", "text": "ఏమిటి"}
        place = {"previous_item_id": "root"} if root else {}
        item = {"type": "message", "role": role, "content": [spoken]}
        self.world.say("conversation.item.create", item=item, **place)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        try:
            world.settle()
            world.manual()
            world.wait(0.1)
            world.say("input_audio_buffer.clear")
            done = len(world.model.done)
            world.ask()
            world.settle()
            assert [response["status"] for response in world.model.done[done:]] == ["completed"]
            assert world.close_code is None
        finally:
            world.close()


AnyClient.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, suppress_health_check=list(HealthCheck), deadline=None
)
TestAnyClientGetsItsEventsInOrder = AnyClient.TestCase
