"""What the page says when it gets no microphone. Each case needs a Chromium of its own flags."""

import pytest

from tests.support import browser
from tests.support.browser import TalkPage
from tests.support.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.integration]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param(browser.FAKE_DEVICE, ("మైక్రోఫోన్‌కు అనుమతి లేదు", "The microphone is blocked"), id="refused"),
        pytest.param(browser.GRANTED, ("మైక్రోఫోన్ కనబడలేదు", "No microphone found"), id="missing"),
        pytest.param(
            (*browser.FAKE_DEVICE, *browser.GRANTED),
            ("ఈ చిరునామా నుంచి మైక్రోఫోన్ అందదు", "No microphone at this address"),
            id="insecure",
        ),
    ],
)
def test_no_microphone(
    chromium_path: str, stack: Stack, flags: tuple[str, ...], words: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    with browser.chromium(chromium_path, *flags) as running:
        talk = TalkPage(running, stack.url + "?mode=reconstruct")
        if request.node.callspec.id == "insecure":
            # The product refuses foreign host names, so a page of its own origin is made insecure from within.
            talk.page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
        talk.open()
        talk.page.keyboard.press("Space")
        talk.wait_for_phase("refused")
        talk.expect_words(*words)
        assert talk.page.locator("#talk-button").get_attribute("aria-pressed") == "false"
        assert talk.page.evaluate("__voice.session.link") is None, "no connection without a microphone"
