"""The operators' pages in a real Chromium: nothing offends the Content-Security-Policy, and what moves, moves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import PATIENCE_MS
from tests.support.factories import draft, open_session, tone
from tests.support.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.integration]

LISTS = [
    *["voice/voicesession", "voice/turn", "speakers/speaker", "speakers/voiceblend", "speakers/emotion"],
    *["training/dataset", "training/job", "training/modelversion", "training/workerheartbeat"],
    *["auth/user", "auth/group", "accounts/apitoken"],
]


class AdminPages:
    """A browser that an operator has logged in. ``complaints``: what its console called an error, and lost files."""

    def __init__(self, browser: Browser, stack: Stack) -> None:
        self.context = browser.new_context(base_url=stack.url, color_scheme="dark")
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))
        self.page.on("console", self._console)
        self.page.on("response", self._response)
        self.page.goto("admin/")
        self.page.fill("#id_username", "operator")
        self.page.fill("#id_password", stack.operator_password)
        self.page.click("button[type=submit]")
        expect(self.page.locator(".home")).to_be_visible()

    def _console(self, line: Any) -> None:
        if line.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {line.text}")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    def open(self, path: str) -> Page:
        self.page.goto(f"admin/{path}")
        self.page.wait_for_load_state("networkidle")
        return self.page


@pytest.fixture(scope="module")
def admin(chromium: Browser, stack: Stack) -> Iterator[AdminPages]:
    pages = AdminPages(chromium, stack)
    yield pages
    pages.context.close()


@pytest.fixture(scope="module")
def said(stack: Stack) -> tuple[UUID, UUID]:
    """A session with a question and an answer, and the answer's id."""

    def make() -> tuple[UUID, UUID]:
        from django.test import override_settings

        from apps.voice.services import turn_record

        with override_settings(MEDIA_ROOT=stack.folder / "media"):  # where the stack looks for recordings
            return record(turn_record)

    def record(turn_record: Any) -> tuple[UUID, UUID]:
        session = open_session(mode="talk", speaker="priya", emotion="happy").session
        turn_record(session_id=session.pk, draft=draft(started_ms=0, output_pcm=b""))
        answer = draft(
            role="assistant", started_ms=800, duration_ms=4000, pcm=b"", output_pcm=tone(4000), response_ms=300
        )
        return session.pk, turn_record(session_id=session.pk, draft=answer).pk

    return stack.query(make)


def test_no_page_offends_the_policy_or_misses_a_file(admin: AdminPages, said: tuple[UUID, UUID]) -> None:
    session, turn = said
    admin.complaints.clear()
    for path in LISTS:
        page = admin.open(f"{path}/")
        expect(page.locator("#changelist")).to_be_visible()
    forms = [
        *["speakers/speaker/add/", "speakers/voiceblend/add/", "accounts/apitoken/add/", "auth/user/add/"],
        *[
            f"voice/voicesession/{session}/change/",
            f"voice/voicesession/{session}/timeline/",
            f"voice/turn/{turn}/change/",
        ],
        *[
            "speakers/speaker/1/change/",
            "speakers/speaker/1/history/",
            "speakers/emotion/1/change/",
            "auth/user/1/change/",
        ],
        *["auth/group/1/change/", "speakers/speaker/import/", "speakers/speaker/export/", f"voice/turn/{turn}/delete/"],
        *["password_change/", "auth/user/1/password/", ""],
    ]
    for path in forms:
        page = admin.open(path)
        expect(page.locator("#content")).to_be_visible()
    assert admin.complaints == []


def test_dials_follow_each_other(admin: AdminPages) -> None:
    page = admin.open("speakers/speaker/1/change/")
    number = page.locator("input[name=pitch_semitones]")
    slider = page.locator("[data-dial]", has=number).locator("input[type=range]")
    number.fill("3.5")
    expect(slider).to_have_value("3.5")
    slider.fill("-2")
    expect(number).to_have_value("-2")
    slider.dblclick(position={"x": 2, "y": 5})
    expect(number).to_have_value("0")


def test_filters_open_and_are_kept(admin: AdminPages, said: tuple[UUID, UUID]) -> None:
    page = admin.open("voice/turn/")
    panel = page.locator("#changelist-filter")
    expect(panel).to_be_hidden()
    page.locator("a", has_text=re.compile("వడపోత|Filters")).first.click()
    expect(panel).to_be_visible()
    panel.locator("select[name=latency]").select_option("fast")
    panel.locator("button[type=submit]").click()
    page.wait_for_url("**latency=fast*")
    found = page.locator("#result_list tbody").count()
    assert found >= 1
    page.locator(".kept-new input[name=name]").fill("fast ones")
    page.locator(".kept-new button").click()
    admin.open("voice/turn/")
    page.locator(".kept-chip a", has_text="fast ones").click()
    expect(page.locator(".kept-chip.is-active")).to_have_text(re.compile("fast ones"))
    expect(page.locator("#result_list tbody")).to_have_count(found)


def test_a_recording_shows_its_waveform_and_seeks(admin: AdminPages, said: tuple[UUID, UUID]) -> None:
    page = admin.open(f"voice/turn/{said[1]}/change/")
    player = page.locator(".player.is-answer")
    expect(player.locator(".wave-done")).to_have_attribute("d", re.compile("^M1.5 "))
    wave = player.locator(".player-wave")
    box = wave.bounding_box()
    assert box is not None
    wave.click(position={"x": box["width"] * 0.75, "y": 5})
    expect(wave).to_have_attribute("aria-valuenow", re.compile(r"^(2\.9|3\.0|3\.1)$"))
    assert player.locator("audio").evaluate("audio => audio.seekable.length && audio.seekable.end(0)") > 3.9


def test_both_sides_play_on_one_clock(admin: AdminPages, said: tuple[UUID, UUID]) -> None:
    page = admin.open(f"voice/voicesession/{said[0]}/timeline/")
    expect(page.locator(".lane-heard .stretch")).to_have_count(1)
    expect(page.locator(".lane-answer .stretch path")).to_have_attribute("d", re.compile("^M"))
    page.locator("[data-play]").click()
    expect(page.locator(".lane-answer .stretch")).to_have_class(re.compile("is-sounding"))
    page.locator("[data-play]").click()
    clock = page.locator("[data-clock]").inner_text()
    page.locator(".timeline-scroll").press("ArrowRight")
    expect(page.locator("[data-clock]")).not_to_have_text(clock)


def test_the_theme_changes_and_stays(admin: AdminPages) -> None:
    page = admin.open("")
    expect(page.locator("html")).to_have_class(re.compile("dark"))
    page.locator("[x-on\\:click^='openUserLinks =']").click()
    page.locator("[x-on\\:click=\"switchTheme('light')\"]").click()
    expect(page.locator("html")).to_have_class(re.compile("light"))
    admin.open("")
    expect(page.locator("html")).to_have_class(re.compile("light"))
    page.evaluate("() => localStorage.clear()")
