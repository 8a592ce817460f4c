"""Turns that wait for their answer, over real sockets, with tiny random models."""

from __future__ import annotations

import numpy as np
import pytest

from ml.serve import wire
from tests.ml.serve.conftest import Running, StartServer
from tests.ml.serve.test_talk import VOICE, Sound, Talk, silence, talking


@pytest.fixture
def question(telugu_question: Sound) -> Sound:
    return np.concatenate([silence(300), telugu_question])


def endpoints(talk: Talk) -> list[str]:
    return [endpoint.answered for endpoint in talk.of(wire.Endpoint)]


def memory(running: Running) -> list[tuple[bool, bool]]:
    """Which sides of which turns the model of the first row remembers."""
    stage = running.service.engine._talk
    assert stage is not None
    (conversation,) = stage.conversations
    return list(conversation.talker._state.rows[conversation.row].memory)


async def unanswered(start_server: StartServer) -> tuple[Running, Talk]:
    """A conversation in which nobody is answered unasked."""
    running = await start_server(talk=True)
    client = await running.client()
    await client.send(wire.Open(mode="talk", preset="dialogue", voice=VOICE, seed=3))
    await client.expect(wire.Opened)
    await client.send(wire.Listen(answers=False), wire.Set(endpoint_min_ms=300, endpoint_max_ms=300))
    return running, Talk(client)


async def test_nobody_is_answered_unasked(start_server: StartServer, question: Sound) -> None:
    running, talk = await unanswered(start_server)
    for asked in (["asked"], ["asked", "asked"]):
        await talk.say(question)
        await talk.until_while_silent(lambda: len(talk.of(wire.TurnCodes)) == len(asked))  # noqa: B023
    await talk.say(silence(400))
    assert endpoints(talk) == ["asked", "asked"]
    assert not talk.of(wire.Answer)
    await talk.client.send(wire.Key("reply"))
    await talk.until_while_silent(lambda: bool(talk.of(wire.Answer, event="ended")))
    (started,) = talk.of(wire.Answer, event="started")
    assert started.turn == 1, "the newest turn is answered, the other one is remembered"
    assert "endpoint_ms" not in started.latency, "nobody waited for it since then"
    assert memory(running) == [(True, False)], "the first one: asked, not answered"
    await talk.aclose()


async def test_what_is_said_over_an_answer_is_answered_after_it(
    start_server: StartServer, question: Sound, telugu_question: Sound
) -> None:
    talk = await talking(start_server)
    await talk.client.send(wire.Listen(interruptible=False))
    await talk.say(question)
    await talk.until_while_silent(lambda: bool(talk.of(wire.AudioDown)))
    # Twice without a pause: a machine that loses frames must not make a backchannel of it.
    await talk.say(np.concatenate([telugu_question, telugu_question]))
    await talk.until_while_silent(lambda: len(talk.of(wire.Answer, event="ended")) == 2)
    assert not talk.of(wire.Answer, event="interrupted")
    events = [(m.turn, m.event) for m in talk.of(wire.Answer)]
    assert events == [(0, "started"), (0, "ended"), (1, "started"), (1, "ended")]
    assert [codes.turn for codes in talk.of(wire.TurnCodes)] == [0, 1]
    await talk.aclose()


async def test_an_answer_that_is_stopped_while_it_begins_has_begun(start_server: StartServer, question: Sound) -> None:
    """It begins in pieces; whoever changes something between them finds nothing half done."""
    running, talk = await unanswered(start_server)
    await talk.say(question)
    await talk.until_while_silent(lambda: bool(talk.of(wire.TurnCodes)))
    await talk.client.send(wire.Key("reply"), wire.Set(generation=1))
    await talk.until_while_silent(lambda: bool(talk.of(wire.Answer, event="interrupted")))
    events = [(m.turn, m.event) for m in talk.of(wire.Answer)]
    assert events == [(0, "started"), (0, "interrupted")]
    assert len(talk.of(wire.AudioDown)) >= 1

    await talk.client.send(wire.Listen(answers=True))
    await talk.say(question)
    await talk.until_while_silent(lambda: bool(talk.of(wire.Answer, event="ended")))
    assert [m.turn for m in talk.of(wire.Answer, event="started")] == [0, 1]
    assert memory(running)[-1] == (True, True), "the stopped answer counts as far as it left"
    await talk.aclose()
