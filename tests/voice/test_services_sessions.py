"""Sessions: opening, resuming, renewing, configuring, suspending, ending, reaping."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from apps.speakers.models import Emotion, Speaker
from apps.voice.access import transient_guest_key
from apps.voice.events import session_group
from apps.voice.models import VoiceSession
from apps.voice.services import (
    ResumeExpired,
    ServiceError,
    TakenOver,
    session_configure,
    session_end,
    session_renew,
    session_resume,
    session_suspend,
    sessions_reap,
)
from apps.voice.tokens import token_hash
from apps.voice.voices import voice_of
from tests.support.factories import GUEST, make_emotion, make_speaker, make_user, open_session

pytestmark = pytest.mark.django_db

CaptureOnCommit = Callable[..., AbstractContextManager[list[Any]]]


class Listener:
    """A consumer's place in a session's group."""

    def __init__(self, session_id: uuid.UUID) -> None:
        self.layer = get_channel_layer()
        self.channel = async_to_sync(self.layer.new_channel)()
        async_to_sync(self.layer.group_add)(session_group(session_id), self.channel)

    def next(self) -> dict[str, Any]:
        return async_to_sync(self.layer.receive)(self.channel)


# --- open ----------------------------------------------------------------------------------------------------------


def test_open_gives_a_leased_live_session_and_stores_no_token(
    speaker: Speaker, emotion: Emotion, settings: Any
) -> None:
    settings.VOICE_LEASE_SECONDS = 15
    opened = open_session(speaker="priya", emotion="neutral", quantizers=3)
    row = VoiceSession.objects.get(pk=opened.session.pk)
    assert (row.status, row.speaker, row.emotion, row.quantizers) == ("live", speaker, emotion, 3)
    assert row.lease_until == row.last_seen + timedelta(seconds=15)
    assert len(opened.resume_token) >= 43  # 256 bits in base64
    stored = " ".join(str(value) for value in VoiceSession.objects.values().get(pk=row.pk).values())
    assert opened.resume_token not in stored
    assert row.resume_hash == token_hash(opened.resume_token)


def test_open_without_a_choice_takes_the_operators_first_published_voice(speaker: Speaker) -> None:
    make_speaker("hidden", order=0, is_published=False)
    make_speaker("later", order=9)
    assert open_session().session.speaker == speaker


def test_open_works_before_any_voice_exists() -> None:
    assert open_session().session.speaker is None


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"speaker": "nobody"}, "unknown_speaker"),
        ({"speaker": "hidden"}, "unknown_speaker"),
        ({"emotion": "hidden"}, "unknown_emotion"),
        ({"quantizers": 9}, "bad_value"),
        ({"quantizers": 0}, "bad_value"),
        ({"mode": "sing"}, "bad_value"),
        ({"turn_taking": "both"}, "bad_value"),
        ({"client": "x" * 201}, "bad_value"),
        ({"guest_key": ""}, "login_required"),
    ],
)
def test_open_refuses(wish: dict[str, Any], code: str) -> None:
    make_speaker("hidden", is_published=False)
    make_emotion("hidden", is_published=False)
    with pytest.raises(ServiceError) as caught:
        open_session(**wish)
    assert caught.value.code == code
    assert not VoiceSession.objects.exists()


def test_guests_need_the_setting_and_users_do_not(settings: Any) -> None:
    settings.VOICE_ALLOW_GUESTS = False
    with pytest.raises(ServiceError, match="login_required"):
        open_session()
    with pytest.raises(ServiceError, match="login_required"):
        open_session(user=AnonymousUser(), guest_key=GUEST)
    user = make_user()
    session = open_session(user=user, guest_key=GUEST).session
    assert (session.owner, session.guest_key) == (user, "")


# --- resume --------------------------------------------------------------------------------------------------------


def test_resume_goes_on_with_voice_and_a_new_token(speaker: Speaker) -> None:
    opened = open_session(speaker="priya", quantizers=5)
    session_renew(session_id=opened.session.pk, generation=7)
    session_suspend(session_id=opened.session.pk)
    resumed = session_resume(token=opened.resume_token, user=None, guest_key=GUEST)
    assert resumed.session.pk == opened.session.pk
    assert (resumed.session.status, resumed.session.speaker, resumed.session.quantizers) == ("live", speaker, 5)
    assert resumed.session.generation > 7
    assert resumed.resume_token != opened.resume_token


def test_a_token_works_once() -> None:
    opened = open_session()
    second = session_resume(token=opened.resume_token, user=None, guest_key=GUEST)
    with pytest.raises(ResumeExpired):
        session_resume(token=opened.resume_token, user=None, guest_key=GUEST)
    session_resume(token=second.resume_token, user=None, guest_key=GUEST)


def test_resume_after_the_window_is_refused_even_before_the_reaper_came() -> None:
    opened = open_session()
    session_suspend(session_id=opened.session.pk)
    VoiceSession.objects.update(resume_until=timezone.now() - timedelta(milliseconds=1))
    with pytest.raises(ResumeExpired):
        session_resume(token=opened.resume_token, user=None, guest_key=GUEST)


def test_resume_of_a_live_row_counts_from_its_lease(settings: Any) -> None:
    """The web process was killed: nobody suspended the row."""
    opened = open_session()
    window = timedelta(seconds=settings.VOICE_RESUME_SECONDS)
    VoiceSession.objects.update(lease_until=timezone.now() - window - timedelta(seconds=1))
    with pytest.raises(ResumeExpired):
        session_resume(token=opened.resume_token, user=None, guest_key=GUEST)
    VoiceSession.objects.update(lease_until=timezone.now() - window + timedelta(seconds=30))
    assert session_resume(token=opened.resume_token, user=None, guest_key=GUEST).session.status == "live"


def test_an_ended_session_is_not_resumed() -> None:
    opened = open_session()
    session_end(session_id=opened.session.pk, reason="client")
    with pytest.raises(ResumeExpired):
        session_resume(token=opened.resume_token, user=None, guest_key=GUEST)


@pytest.mark.parametrize("token", ["", "unknown", "\ud800", "x" * 200])
def test_a_foreign_token_opens_nothing(token: str) -> None:
    opened = open_session()
    session_end(session_id=opened.session.pk, reason="client")  # its hash is empty now: the empty token is no key
    with pytest.raises(ResumeExpired):
        session_resume(token=token, user=None, guest_key=GUEST)


def test_a_stolen_token_is_useless_to_others() -> None:
    user, other = make_user(), make_user("ravana")
    guests, users = open_session(), open_session(user=user)
    for token, thief, key in [
        (guests.resume_token, None, "another-guest"),
        (guests.resume_token, None, ""),
        (guests.resume_token, None, transient_guest_key()),
        (guests.resume_token, AnonymousUser(), "another-guest"),
        (guests.resume_token, other, GUEST),
        (users.resume_token, None, GUEST),
        (users.resume_token, other, ""),
    ]:
        with pytest.raises(ResumeExpired):
            session_resume(token=token, user=thief, guest_key=key)
    assert session_resume(token=users.resume_token, user=user, guest_key="").session.pk == users.session.pk


def test_clients_without_cookies_resume_by_token_alone() -> None:
    opened = open_session(guest_key=transient_guest_key())
    session_resume(token=opened.resume_token, user=None, guest_key=transient_guest_key())


# --- renew and holder ----------------------------------------------------------------------------------------------


def test_renew_moves_the_lease_and_returns_the_row(speaker: Speaker) -> None:
    opened = open_session()
    VoiceSession.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
    row = session_renew(session_id=opened.session.pk, holder=opened.resume_token, generation=4)
    assert row.lease_until is not None
    assert row.lease_until > timezone.now() + timedelta(seconds=10)
    assert row.generation == 4
    assert session_renew(session_id=row.pk, generation=2).generation == 4  # it never falls


def test_renew_revives_what_the_reaper_suspended() -> None:
    opened = open_session()
    session_suspend(session_id=opened.session.pk)
    assert session_renew(session_id=opened.session.pk, holder=opened.resume_token).status == "live"


def test_renew_tells_that_the_session_was_ended_elsewhere() -> None:
    opened = open_session()
    session_end(session_id=opened.session.pk, reason="operator")
    row = session_renew(session_id=opened.session.pk, holder=opened.resume_token)
    assert (row.status, row.end_reason) == ("ended", "operator")


def test_the_old_connection_has_no_say_after_a_takeover() -> None:
    opened = open_session()
    pk, old = opened.session.pk, opened.resume_token
    fresh = session_resume(token=old, user=None, guest_key=GUEST)
    with pytest.raises(TakenOver):
        session_renew(session_id=pk, holder=old)
    session_suspend(session_id=pk, holder=old)
    session_end(session_id=pk, reason="client", holder=old)
    assert VoiceSession.objects.get(pk=pk).status == "live"
    session_end(session_id=pk, reason="client", holder=fresh.resume_token)
    assert VoiceSession.objects.get(pk=pk).status == "ended"


def test_unknown_sessions_are_named() -> None:
    for call in (session_renew, session_suspend, session_configure):
        with pytest.raises(ServiceError, match="unknown_session"):
            call(session_id=uuid.uuid4())


# --- configure -----------------------------------------------------------------------------------------------------


def test_configure_changes_what_is_given_and_tells_the_consumer(
    speaker: Speaker, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    other = make_speaker("lakshmi", order=5)
    opened = open_session(quantizers=8)
    listener = Listener(opened.session.pk)
    with django_capture_on_commit_callbacks(execute=True):
        row = session_configure(session_id=opened.session.pk, speaker="lakshmi", quantizers=2)
    assert (row.speaker, row.quantizers, row.turn_taking) == (other, 2, "stream")
    assert listener.next() == {"type": "session.event", "event": "config", "seq": 1}
    assert VoiceSession.objects.get().event_seq == 1


def test_configure_to_the_same_sends_nothing(
    speaker: Speaker, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    opened = open_session(speaker="priya")
    with django_capture_on_commit_callbacks() as callbacks:
        session_configure(session_id=opened.session.pk, speaker="priya", quantizers=8)
    assert callbacks == []


def test_a_withdrawn_voice_stays_with_its_session_but_cannot_be_chosen_anew(speaker: Speaker) -> None:
    make_speaker("lakshmi")
    opened = open_session(speaker="priya")
    Speaker.objects.filter(slug="priya").update(is_published=False)
    session_configure(session_id=opened.session.pk, speaker="priya", quantizers=4)
    session_configure(session_id=opened.session.pk, speaker="lakshmi")
    with pytest.raises(ServiceError, match="unknown_speaker"):
        session_configure(session_id=opened.session.pk, speaker="priya")


@pytest.mark.parametrize("wish", [{"quantizers": 9}, {"turn_taking": "never"}, {"emotion": "none"}])
def test_configure_refuses_and_changes_nothing(wish: dict[str, Any]) -> None:
    opened = open_session()
    with pytest.raises(ServiceError):
        session_configure(session_id=opened.session.pk, **wish)
    row = VoiceSession.objects.get()
    assert (row.quantizers, row.turn_taking, row.event_seq) == (8, "stream", 0)


def test_two_voices_are_mixed(speaker: Speaker) -> None:
    make_speaker("ravi", order=2)
    session = open_session(mode="talk", speaker="priya", mix="ravi", mix_share=0.25).session
    assert voice_of(session).speakers == {"priya": 0.75, "ravi": 0.25}
    session = session_configure(session_id=session.pk, speaker="ravi")
    assert voice_of(session).speakers == {"ravi": 1.0}, "with oneself there is nothing to mix"
    session = session_configure(session_id=session.pk, mix="", speaker="priya")
    assert (session.mix, voice_of(session).speakers) == (None, {"priya": 1.0})
    with pytest.raises(ServiceError, match="there is no voice 'nobody'"):
        session_configure(session_id=session.pk, mix="nobody")


def test_configure_of_an_ended_session_is_refused() -> None:
    opened = open_session()
    session_end(session_id=opened.session.pk, reason="client")
    with pytest.raises(ServiceError, match="session_ended"):
        session_configure(session_id=opened.session.pk, quantizers=3)


# --- suspend, end, reap --------------------------------------------------------------------------------------------


def test_end_is_told_once_and_is_final(django_capture_on_commit_callbacks: CaptureOnCommit) -> None:
    opened = open_session()
    listener = Listener(opened.session.pk)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        session_end(session_id=opened.session.pk, reason="operator")
        session_end(session_id=opened.session.pk, reason="client")
        session_suspend(session_id=opened.session.pk)
    assert len(callbacks) == 1
    assert listener.next()["event"] == "ended"
    row = VoiceSession.objects.get()
    assert (row.status, row.end_reason, row.resume_hash) == ("ended", "operator", "")


def test_an_event_that_cannot_be_sent_does_not_undo_the_change(
    settings: Any, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    """Redis is away: nobody listens on the port."""
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    opened = open_session()
    with django_capture_on_commit_callbacks(execute=True):
        session_end(session_id=opened.session.pk, reason="operator")
    assert VoiceSession.objects.get().status == "ended"
    assert "was not sent" in caplog.text


def test_reap_walks_a_lost_session_through_its_times(settings: Any) -> None:
    settings.VOICE_LEASE_SECONDS, settings.VOICE_RESUME_SECONDS = 15, 60
    opened = open_session()
    start = opened.session.last_seen

    def status_at(second: float) -> str:
        sessions_reap(now=start + timedelta(seconds=second))
        return VoiceSession.objects.get().status

    assert status_at(14.9) == "live"
    assert status_at(15) == "suspended"
    assert VoiceSession.objects.get().resume_until == start + timedelta(seconds=75)
    assert status_at(74.9) == "suspended"
    assert status_at(75) == "ended"
    assert VoiceSession.objects.get().end_reason == "expired"


def test_reap_that_comes_very_late_ends_at_once() -> None:
    opened = open_session()
    assert sessions_reap(now=opened.session.last_seen + timedelta(days=1)) == 1
    assert VoiceSession.objects.get().status == "ended"


def test_reap_counts_and_leaves_the_living_alone() -> None:
    kept, lost = open_session(), open_session()
    VoiceSession.objects.filter(pk=lost.session.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sessions_reap() == 1
    assert sessions_reap() == 0
    assert VoiceSession.objects.get(pk=kept.session.pk).status == "live"
