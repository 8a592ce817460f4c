"""The flow of a session's mode, and what a changed configuration means to it."""

from __future__ import annotations

from channels.db import database_sync_to_async
from django.conf import settings

from apps.voice import recollection
from apps.voice.flow import Flow, Say, SendAudio
from apps.voice.greeting import link_for, tune
from apps.voice.inference_client import InferenceBusy, InferenceLink, TalkOptions
from apps.voice.models import VoiceSession
from apps.voice.outlet import Outlet
from apps.voice.pipeline import Pipeline
from apps.voice.protocol import Mode, Notice, ProtocolFault
from apps.voice.services import session_configure
from apps.voice.talk_pipeline import TalkPipeline
from apps.voice.turns import TurnCut
from apps.voice.voices import talk_options
from apps.voice.writer import TurnWriter


def make_flow(
    session: VoiceSession, link: InferenceLink, send_audio: SendAudio, say: Say, *, outlet: Outlet, down_seq: int = 0
) -> Flow:
    """The flow that serves ``session`` over ``link``, from the generation that its row has."""
    kind = TalkPipeline if session.mode == VoiceSession.Mode.TALK else Pipeline
    flow = kind(
        link=link,
        send_audio=send_audio,
        outlet=outlet,
        say=say,
        generation=session.generation,
        quantizers=session.quantizers,
        max_ahead_ms=settings.VOICE_MAX_AHEAD_MS,
        down_seq=down_seq,
    )
    if isinstance(flow, TalkPipeline):
        flow.session_id = session.pk
        flow.conversation.pairs.extend(link.recalled)
    return flow


def keep_turns(flow: Flow, writer: TurnWriter, cuts: list[TurnCut], say: Say) -> None:
    """Hand finished turns to the writer, and what a model would have to be told of them to its keeper."""
    for cut in cuts:
        if not writer.submit(cut):
            say(Notice(code="turn_lost", message="a turn could not be stored"))
    if cuts and isinstance(flow, TalkPipeline) and flow.session_id is not None:
        recollection.keep(flow.session_id, flow.link.models, flow.conversation.pairs)


class Tuner:
    """Tells a flow what changed in its session's row, and only that."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._told: TalkOptions | None = None

    async def follow(self, session: VoiceSession, *, now: bool) -> None:
        """Make the flow do as the row says; ``now`` changes the voice in the middle of an answer."""
        self._flow.set_quantizers(session.quantizers)
        if not isinstance(self._flow, TalkPipeline):
            return
        wanted = await database_sync_to_async(talk_options)(session)
        before, self._told = self._told, wanted
        if before is None or before.voice != wanted.voice:
            self._flow.set_voice(wanted.voice, now=now)
        taking = (wanted.turn_taking, wanted.endpoint_min_ms, wanted.endpoint_max_ms)
        if before is None or (before.turn_taking, before.endpoint_min_ms, before.endpoint_max_ms) != taking:
            self._flow.set_turn_taking(*taking)


async def relink(session: VoiceSession, generation: int, say: Say) -> tuple[InferenceLink, VoiceSession]:
    """Another slot for a session whose mode changed, which goes on with ``generation``, and its row.

    Where no server offers that mode the session goes back to the one it had.

    Raises:
        InferenceBusy, InferenceLost, ProtocolFault: no slot at all.
    """
    wanted: Mode = "talk" if session.mode == VoiceSession.Mode.TALK else "reconstruct"
    before: Mode = "reconstruct" if wanted == "talk" else "talk"
    try:
        link = await link_for(wanted, session.quantizers)
    except (InferenceBusy, ProtocolFault) as error:
        say(Notice(code="mode_refused", message=str(error)))
        session = await database_sync_to_async(session_configure)(session_id=session.pk, mode=before)
        link = await link_for(before, session.quantizers)
    session.generation = generation
    try:
        await tune(link, session)
    except BaseException:
        await link.aclose()
        raise
    return link, session
