"""The talk page in a real Chromium, against the whole product: real microphone path, real sockets, real codec."""

import re
import uuid

import numpy as np
import pytest
from playwright.sync_api import Browser, Route, expect
from pystoi import stoi

from tests.support.browser import PATIENCE_MS, RATE, Audio, TalkPage, every_slot_taken, find_clip
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.integration]

CAME_BACK = 0.7
"""STOI of speech that came back. A broken path stays far below: another clip of the same voice gives under 0.4."""
ROUNDS = 4


def best_stoi(clips: list[Audio], heard: Audio) -> float:
    """The clip that came back best: the machine may have been too busy for one of them, not for all."""
    return max(float(stoi(clip, find_clip(clip, heard), RATE)) for clip in clips)


def test_own_voice_comes_back(talk: TalkPage, clips: list[Audio], stack: Stack) -> None:
    page = talk.page
    page.get_by_role("switch").check()  # headphones: no echo cancellation, which would work on our own voice
    page.get_by_role("button", name="మాట్లాడటం మొదలుపెట్టు").focus()
    page.keyboard.press("Enter")
    talk.wait_until_live()
    talk.start_recording()
    expect(page.get_by_role("button", name="ఆపు", exact=True)).to_have_attribute("aria-pressed", "true")

    heard: Audio = np.zeros(0)
    score = 0.0
    for turns in range(1, ROUNDS + 1):
        talk.wait_for_turns(turns * len(clips))
        heard = np.concatenate([heard, talk.stop_recording()])
        talk.start_recording()
        score = max(score, best_stoi(clips, heard))
        if score >= CAME_BACK:
            break
    assert score >= CAME_BACK, f"STOI {score:.2f}: what was played is not what was said"

    # Both directions are on the meters, and every figure is a number.
    for side in ("heard", "spoken"):
        talk.wait_for_level(side, 20)
    for name in ("mouth-to-ear", "bitrate", "round-trip", "encode", "decode", "buffered", "underruns", "dropped"):
        assert talk.figure(name) is not None, name
    assert (talk.figure("mouth-to-ear") or 0) > (talk.figure("round-trip") or 0)

    session = talk.session_id
    page.keyboard.press("Space")
    talk.wait_for_phase("ended")
    talk.expect_words("ముగిసింది", "Ended")
    assert page.evaluate("__voice.session.audio.stream") is None, "the microphone is given back"

    def stored() -> tuple[str, int]:
        from apps.voice.models import VoiceSession

        row = VoiceSession.objects.get(pk=session)
        return row.status, row.turns.count()

    def all_there() -> bool:
        return stack.query(stored) == ("ended", page.locator("#turns > li").count())

    wait_until(all_there, 15, "the session to be ended, with every turn that the page shows in the database")
    assert talk.complaints == []


def test_another_voice_would_not_pass(clips: list[Audio]) -> None:
    """The yardstick of the test above tells a clip from another one of the same speaker, and from noise."""
    if len(clips) < 2:
        pytest.skip("needs the recordings in ../shared/data")
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * max(map(len, clips)))
    assert best_stoi(clips[:1], np.concatenate([clips[1], clips[2], clips[1], clips[2]])) < CAME_BACK - 0.2
    assert best_stoi(clips[:1], noise) < CAME_BACK - 0.2


def test_a_turn_can_be_heard_again(talk: TalkPage) -> None:
    talk.page.keyboard.press("Space")
    talk.wait_for_turns(1)
    talk.page.keyboard.press("Escape")
    talk.wait_for_phase("ended")
    turn = talk.page.locator("#turns > li").last
    expect(turn.locator("[data-part=legend]")).to_contain_text("ms")
    for part in ("microphone", "codec"):
        player = turn.locator(f"[data-part={part}]")
        player.get_by_role("button").click()
        expect(player.get_by_role("button")).to_have_attribute("data-playing", "true")
        # It moves, and it comes to its end: the recording is whole and can be decoded.
        expect(player.get_by_role("slider")).not_to_have_value("0", timeout=PATIENCE_MS)
        expect(player.get_by_role("button")).to_have_attribute("data-playing", "false", timeout=PATIENCE_MS)
        assert player.get_attribute("data-broken") is None


def test_quantizers_reach_the_server(talk: TalkPage, stack: Stack) -> None:
    talk.page.keyboard.press("Space")
    talk.wait_for_figure("bitrate", lambda kbps: kbps > 5)
    slider = talk.page.locator("input[name=quantizers]")
    slider.focus()
    talk.page.keyboard.press("Home")
    expect(talk.page.locator("[data-quantizers=kbps]")).to_have_text("2")
    talk.wait_for_figure("bitrate", lambda kbps: 0 < kbps < 3)
    session = talk.session_id

    def quantizers() -> int:
        from apps.voice.models import VoiceSession

        return VoiceSession.objects.get(pk=session).quantizers

    wait_until(lambda: stack.query(quantizers) == 1, 15, "the number of quantizers to be stored")
    talk.page.get_by_role("radio", name="లక్ష్మి").check()
    happy = talk.page.get_by_role("radio", name="సంతోషం")
    happy.click()  # not check(): the server's echo of the choice before may arrive within it

    def voice() -> tuple[str | None, str | None]:
        from apps.voice.models import VoiceSession

        return VoiceSession.objects.values_list("speaker__slug", "emotion__slug").get(pk=session)

    wait_until(lambda: stack.query(voice) == ("lakshmi", "happy"), 15, "speaker and emotion to be stored")
    expect(happy).to_be_checked()


def test_killed_inference_server(talk: TalkPage, stack: Stack) -> None:
    talk.page.keyboard.press("Space")
    talk.wait_for_turns(1)
    session = talk.session_id
    killed = stack.kill("inference")
    talk.wait_for_phase("reconnecting", "busy")
    stack.wait_back("inference", killed)
    talk.wait_until_live()
    assert talk.session_id == session, "the session goes on"
    turns = talk.page.locator("#turns > li").count()
    talk.wait_for_turns(turns + 1)


def test_dropped_connection_is_told_and_mended(talk: TalkPage) -> None:
    talk.page.keyboard.press("Space")
    talk.wait_until_live()
    session = talk.session_id
    talk.context.set_offline(True)
    talk.page.evaluate("__voice.session.link.close()")
    talk.wait_for_phase("reconnecting")
    talk.expect_words("మళ్లీ కలుపుతున్నాం", "Reconnecting", "కనెక్షన్ తెగింది")
    talk.context.set_offline(False)
    talk.wait_until_live()
    assert talk.session_id == session


def test_a_full_server_counts_down_and_lets_in(talk: TalkPage, stack: Stack) -> None:
    with every_slot_taken(stack.inference_url):
        talk.page.keyboard.press("Space")
        talk.wait_for_phase("busy")
        talk.expect_words("ప్రస్తుతం చోటు ఖాళీ లేదు", "All places are taken")
        expect(talk.page.locator("#status-advice")).to_have_text(re.compile(r"^\d+ సెకన్లలో"))
        expect(talk.page.get_by_role("button", name="ఇప్పుడే ప్రయత్నించు")).to_be_visible()
    talk.wait_until_live()


def test_an_operator_ends_the_session(talk: TalkPage, stack: Stack) -> None:
    talk.page.keyboard.press("Space")
    talk.wait_until_live()
    session = uuid.UUID(talk.session_id)

    def end() -> None:
        from apps.voice.services import session_end

        session_end(session_id=session, reason="operator")

    stack.query(end)
    talk.wait_for_phase("ended")
    talk.expect_words("నిర్వాహకులు ముగించారు", "An operator ended this session")


def test_in_english_and_on_a_phone(chromium: Browser, stack: Stack) -> None:
    talk = TalkPage(chromium, stack.url + "?mode=reconstruct", viewport={"width": 360, "height": 740}).open()
    page = talk.page
    assert page.locator("html").get_attribute("lang") == "te"
    page.get_by_role("button", name="English").click()
    expect(page.locator("#headline .only-reconstruct")).to_have_text("Speak. Hear your own voice come back.")
    expect(page.locator("#headline .only-talk")).to_be_hidden()
    assert page.locator("html").get_attribute("lang") == "en"
    page.get_by_role("button", name="Start talking").click()
    talk.wait_until_live()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing sticks out at the side"
    page.get_by_role("button", name="Stop").click()
    talk.expect_words("Ended")
    talk.close()


def test_where_guests_may_not_talk(chromium: Browser, stack: Stack) -> None:
    """The page's own part of it; that the server refuses them is tested with the server."""

    def without_guests(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('"guests_allowed": true', '"guests_allowed": false'))

    talk = TalkPage(chromium, stack.url + "?mode=reconstruct")
    talk.page.route(re.compile(re.escape(stack.url) + r"\?"), without_guests)
    talk.open()
    talk.expect_words("మాట్లాడాలంటే లాగిన్ కావాలి", "Please log in to talk")
    expect(talk.page.locator("#talk-button")).to_be_disabled()
    assert (talk.page.locator("#login-link").get_attribute("href") or "").startswith("/accounts/login/")
    talk.close()
