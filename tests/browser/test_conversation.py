"""A conversation in a real Chromium: the question is answered, both appear, she can be stopped."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import PATIENCE_MS, TalkPage

pytestmark = [pytest.mark.browser, pytest.mark.integration]


def test_a_question_is_answered_and_both_are_kept(conversation: TalkPage) -> None:
    page = conversation.page
    expect(page.get_by_role("radio", name="సంభాషణ")).to_be_checked()
    page.keyboard.press("Space")
    conversation.wait_until_live()
    settings = page.evaluate("__voice.session.audio.stream.getAudioTracks()[0].getSettings()")
    assert settings["echoCancellation"], "she is heard by loudspeaker"
    hers = page.locator("#turns > li[data-role=assistant]")
    expect(hers.first).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(page.locator("#turns > li[data-role=user]").first).to_be_visible(timeout=PATIENCE_MS)
    expect(hers.first.locator("[data-part=legend]")).to_contain_text("ms")
    # Another voice in mid-session: the server says what is in force.
    page.locator("input[name=speaker][value=ravi]").check(force=True)
    expect(page.locator("input[name=speaker][value=ravi]")).to_be_checked()
    page.keyboard.press("Escape")
    conversation.wait_for_phase("ended")
    player = hers.first.locator("[data-part=microphone]")
    player.get_by_role("button").click()
    expect(player.get_by_role("slider")).not_to_have_value("0", timeout=PATIENCE_MS)
    assert player.get_attribute("data-broken") is None
    assert conversation.complaints == []


def test_the_other_mode_is_one_click_away(conversation: TalkPage) -> None:
    page = conversation.page
    page.keyboard.press("Space")
    conversation.wait_until_live()
    page.get_by_role("radio", name="నా గొంతు").check(force=True)
    expect(page.locator("#talk-page")).to_have_attribute("data-mode", "reconstruct")
    conversation.wait_for_figure("bitrate", lambda kbps: kbps > 5)
    page.keyboard.press("Escape")
    conversation.wait_for_phase("ended")
