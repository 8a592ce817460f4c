"""axe-core on every page, in both languages, light and dark; words, keyboard; and that the page holds to its policy."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from tests.support.browser import PATIENCE_MS, TalkPage
from tests.support.page_checks import foreign_words, unreachable
from tests.support.stack import ROOT, Stack

pytestmark = [pytest.mark.browser, pytest.mark.integration]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "te-light-desktop": ("te", {"viewport": {"width": 1280, "height": 900}}),
    "en-dark-phone": ("en", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}),
}


def violations(page: Page) -> list[str]:
    """What axe finds wrong, one line for each element."""
    page.evaluate("document.fonts.ready")
    found: Any = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{page.url}: {rule['id']}: {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def checked(page: Page, wrong: list[str]) -> None:
    wrong += violations(page) + foreign_words(page)
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if width[0] > width[1]:
        wrong.append(f"{page.url}: sticks out at the side: {width}")


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(chromium: Browser, stack: Stack, look: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci (needs node)")
    language, context = LOOKS[look]
    talk = TalkPage(chromium, stack.url, language=language, reduced_motion="reduce", **context)
    page = talk.page
    page.add_init_script(path=AXE)
    wrong: list[str] = []
    talk.open()
    checked(page, wrong)
    page.locator("select[name=mix]").select_option("ravi")
    page.keyboard.press("Space")
    talk.wait_until_live()
    page.locator("#turns > li[data-role=assistant]").first.wait_for(timeout=2 * PATIENCE_MS)
    checked(page, wrong)
    page.locator("select[name=turn_taking]").select_option("push")
    expect(page.locator("#end")).to_be_visible()
    checked(page, wrong)
    page.keyboard.press("Escape")
    talk.wait_for_phase("ended")
    checked(page, wrong)
    page.goto(stack.url + "?mode=reconstruct")
    checked(page, wrong)
    page.goto(stack.url + "lab")
    page.locator("#lab[data-state=ready]").wait_for(timeout=2 * PATIENCE_MS)
    checked(page, wrong)
    page.goto(stack.url + "history")
    checked(page, wrong)
    page.locator("main a.button").first.click()
    page.locator(".stretch").first.wait_for()
    checked(page, wrong)
    for path in ("listen", "about", "accounts/login/", "nowhere"):
        page.goto(stack.url + path)
        checked(page, wrong)
    assert not wrong, "\n".join(wrong)
    # 404 is what was asked for last; nothing else was complained of, no breach of the content security policy either
    assert [line for line in talk.complaints if "404" not in line] == []
    talk.close()


def test_every_control_by_keyboard(chromium: Browser, stack: Stack) -> None:
    """Tab reaches everything, and shows where it is; arrows, space and Home work the parts that are our own."""
    talk = TalkPage(chromium, stack.url, language="en", viewport={"width": 1280, "height": 900}).open()
    page = talk.page
    wrong = unreachable(page)
    page.locator("input[name=speaker]:checked").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("input[name=speaker][value=lakshmi]")).to_be_checked()
    page.locator("input[name=pitch_semitones]").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("input[name=pitch_semitones]")).to_have_value("-0.5")
    page.locator("#talk-button").focus()
    page.keyboard.press("Enter")
    talk.wait_until_live()
    page.locator("#turns > li[data-role=user]").first.wait_for(timeout=2 * PATIENCE_MS)
    page.locator("select[name=turn_taking]").focus()
    page.keyboard.press("End")
    expect(page.locator("#end")).to_be_visible()
    page.locator("#talk-button").focus()
    page.keyboard.down("Space")
    expect(page.locator("#talk-button")).to_have_attribute("data-held", "true")
    page.keyboard.up("Space")
    expect(page.locator("#talk-button")).to_have_attribute("data-held", "false")
    wrong += unreachable(page)
    page.keyboard.press("Escape")
    talk.wait_for_phase("ended")
    page.goto(stack.url + "lab")
    page.locator("#lab[data-state=ready]").wait_for(timeout=2 * PATIENCE_MS)
    wrong += unreachable(page)
    page.goto(stack.url + "history")
    wrong += unreachable(page)
    page.locator("main a.button").first.focus()
    page.keyboard.press("Enter")
    page.locator(".stretch").first.wait_for()
    wrong += unreachable(page)
    for path in ("listen", "about", "accounts/login/"):
        page.goto(stack.url + path)
        wrong += unreachable(page)
    assert not wrong, "\n".join(wrong)
    talk.close()


def test_a_first_visit_is_small_and_at_once(chromium: Browser, stack: Stack) -> None:
    """Under 200 kB for all that is asked for, as production sends it: text is gzipped."""
    page = chromium.new_context().new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(stack.url, wait_until="networkidle")
    page.evaluate("document.fonts.ready")
    page.wait_for_load_state("networkidle")
    expect(page.locator("#talk-button")).to_be_enabled()
    assert all(answer.url.startswith(stack.url) for answer in answers), "nothing is loaded from elsewhere"
    sizes = {answer.url.removeprefix(stack.url): len(answer.body()) for answer in answers if answer.ok}
    for answer in answers:
        if answer.url == stack.url:
            assert answer.all_headers()["content-encoding"] == "gzip"
        if answer.url == stack.url or re.search(r"/static/.*\.(js|css|svg)$", answer.url):
            sizes[answer.url.removeprefix(stack.url)] = len(gzip.compress(answer.body(), 9))
    total = sum(sizes.values()) + 300 * len(sizes)  # and some headers
    assert 60_000 < total < 200_000, f"{total} bytes: {sizes}"
    page.context.close()


def test_it_can_be_installed(chromium: Browser, stack: Stack) -> None:
    page = chromium.new_context(locale="te-IN").new_page()
    page.goto(stack.url)
    answer: Any = page.evaluate("fetch(document.querySelector('link[rel=manifest]').href).then((a) => a.json())")
    assert (answer["name"], answer["lang"], answer["start_url"]) == ("తెలుగు స్వరం", "te", "/")
    assert {icon["purpose"] for icon in answer["icons"]} == {"any", "maskable"}
    for icon in answer["icons"]:
        sides = page.evaluate(
            "(src) => fetch(src).then((a) => a.blob()).then(createImageBitmap).then((b) => [b.width, b.height])",
            icon["src"],
        )
        assert f"{sides[0]}x{sides[1]}" == icon["sizes"]
    page.context.close()


def test_telugu_is_drawn_in_our_own_typeface(chromium: Browser, stack: Stack) -> None:
    """A browser that takes another one shows boxes where the system has none."""
    page = chromium.new_context().new_page()
    page.goto(stack.url)
    page.evaluate("document.fonts.ready")
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root: Any = session.send("DOM.getDocument")["root"]["nodeId"]
    for selector in ("#headline .only-talk", ".top-links a", "#status-title", ".emotion b"):
        node: Any = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        fonts: Any = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert fonts, selector
        assert {font["familyName"] for font in fonts} == {"Anek Telugu"} or all(f["isCustomFont"] for f in fonts)
    page.context.close()
