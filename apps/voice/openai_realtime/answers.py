"""What the core decides about turns and answers, in the words of the protocol."""

from __future__ import annotations

from apps.voice.openai_realtime.clock import now
from apps.voice.openai_realtime.connection import Connection
from apps.voice.openai_realtime.endings import Endings
from apps.voice.openai_realtime.responses import Response, Waiting
from apps.voice.protocol import AnswerEvent, Endpoint, Speech


class Answers:
    """An interruption is final in this protocol, and nobody is answered who did not ask in manual turns."""

    def __init__(self, connection: Connection, endings: Endings) -> None:
        self._it = connection
        self._endings = endings

    def speech(self, speech: Speech) -> None:
        """The person speaks, or stopped."""
        it = self._it
        if it.config.manual:
            return
        if speech.event == "started":
            hold = it.responses.active is not None and it.config.interrupts
            it.turns.started(self._start_ms(speech.at_ms), hold=hold)
        else:
            it.turns.stopped(it.client_ms(speech.at_ms))

    def endpoint(self, endpoint: Endpoint) -> None:
        """What was said is over. It is answered for whom it was ordered, else for a response that begins now.

        Unless it waits for its answer: then it is an item, and whatever response there is goes on.
        """
        it = self._it
        ordered, owner = False, None
        if endpoint.reason == "released":
            ordered, owner = it.whose(endpoint.end_ms + endpoint.waited_ms)
        active = it.responses.active
        if endpoint.answered != "now":
            if not it.config.manual:
                self._commit(endpoint)
                length_ms = endpoint.end_ms - endpoint.start_ms
                it.waiting = Waiting(endpoint.turn, length_ms, unasked=endpoint.answered == "later")
            return
        it.waiting = None
        if owner is not None and owner is not active:
            return  # cancelled meanwhile: its answer is stopped as it begins
        if active is not None and active.turn is None and (owner is active or not ordered):
            self._give(active, endpoint)
        elif not it.config.manual:
            self._begin(endpoint)

    def _give(self, response: Response, endpoint: Endpoint) -> None:
        it = self._it
        response.turn, response.stirred_at = endpoint.turn, now()
        response.question_ms = response.question_ms or endpoint.end_ms - endpoint.start_ms
        if it.config.manual:
            return
        if it.turns.speaking:
            it.turns.ended(self._start_ms(endpoint.start_ms), it.client_ms(endpoint.end_ms))
        else:
            it.turns.asked_last()

    def _begin(self, endpoint: Endpoint) -> None:
        it = self._it
        if it.responses.active is not None:
            self._endings.before_turn(it.responses.active)
        self._commit(endpoint)
        response = it.responses.create(it.config.output_format, turn=endpoint.turn)
        response.question_ms = endpoint.end_ms - endpoint.start_ms

    def _commit(self, endpoint: Endpoint) -> None:
        it = self._it
        it.turns.ended(self._start_ms(endpoint.start_ms), it.client_ms(endpoint.end_ms))
        it.input.commit()
        it.input.answered(it.input.mark)

    def _taken_up(self, turn: int) -> bool:
        """A turn that has waited is answered: whether there is a response for that now."""
        it = self._it
        active, waiting = it.responses.active, it.waiting
        unmade = active is not None and active.turn is None
        if active is not None and unmade and active.waited is not None and active.waited.turn == turn:
            it.responses.give(active.waited)
            return True
        if waiting is None or waiting.turn != turn:
            return False
        it.waiting = None
        if it.config.manual:
            return False
        if not unmade:
            if active is not None:
                self._endings.before_turn(active)
            it.responses.create(it.config.output_format)
        it.responses.give(waiting)
        return True

    def answer(self, answer: AnswerEvent) -> None:
        """What happens to the answer to a turn."""
        it = self._it
        taken_up = answer.event == "started" and self._taken_up(answer.turn)
        active = it.responses.active
        mine = taken_up or (active is not None and active.turn == answer.turn)
        match answer.event:
            case "started" if mine:
                it.responses.begin()
            case "started" | "resumed":
                # The client was told that it is over, or did not ask for it.
                it.core.say(type="interrupt")
            case "ended" if active is not None and mine:
                active.ends_at_ms, active.reason = answer.at_ms, answer.reason
                active.stirred_at = now()
                self._endings.sent(active)
            case "interrupted" if mine:
                self._endings.cut("cancelled", "client_cancelled" if answer.reason == "client" else "turn_detected")
                it.turns.tell()

    def _start_ms(self, at_ms: int) -> int:
        """Where the audio of a turn begins: before the speech, by the padding."""
        return max(0, self._it.client_ms(at_ms) - self._it.config.padding_ms)
