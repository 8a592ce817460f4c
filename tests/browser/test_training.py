"""From a folder of recordings to a conversation with what they made, in a real browser: nothing of it is pretended."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import TalkPage
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.integration]

CLIPS = 20
WORDS = ["నమస్కారం", "వాతావరణం", "పుస్తకాలు", "ప్రయాణం", "కుటుంబం", "సంగీతం", "విద్యార్థి", "వంటగది", "మామిడిపండు", "సముద్రతీరం"]
PATIENCE_MS = 120_000
SETTINGS = {
    "steps": "100000",
    "validate_every": "60",
    "save_every_seconds": "0.5",
    "quantize_from": "10",
    "codec.codebook_size": "64",
    # what is promoted under this name is what the talk page speaks through
    "codec.preset": "hifi",
}


@pytest.fixture(params=["services", "embedded"])
def product(request: pytest.FixtureRequest) -> Stack:
    """The product on Postgres and Redis, and on a fresh machine's defaults."""
    name = "stack" if request.param == "services" else "embedded"
    running: Stack = request.getfixturevalue(name)
    return running


@pytest.fixture
def desk(chromium: Browser, product: Stack) -> Iterator[TalkPage]:
    """The operator, logged in, on the training pages."""
    expect.set_options(timeout=PATIENCE_MS)
    seen = TalkPage(chromium, f"{product.url}training/")
    seen.context.set_default_timeout(PATIENCE_MS)
    seen.page.goto(seen.url)
    seen.page.fill("[name=username]", "operator")
    seen.page.fill("[name=password]", product.operator_password)
    seen.page.click("main form .button.primary")
    seen.page.wait_for_url(re.compile(r"/training/$"))
    yield seen
    seen.close()
    expect.set_options(timeout=5_000)


def chip(page: Page, state: str) -> None:
    expect(page.locator(f'#live .chip[data-state="{state}"]')).to_be_visible(timeout=PATIENCE_MS)


def step_of(page: Page) -> int:
    return int(page.locator("#live [data-step]").get_attribute("data-step") or 0)


def wait_for_rows(page: Page, more_than: int) -> int:
    """Until the curve has more points than that; how many it has."""
    place = page.locator("[data-charts]")
    wait_until(
        lambda: int(place.get_attribute("data-rows") or 0) > more_than, PATIENCE_MS / 1000, f"{more_than} points drawn"
    )
    return int(place.get_attribute("data-rows") or 0)


def press(page: Page, action: str) -> None:
    page.locator(f'[data-action="{action}"]').first.click()


def spoken(path: Path, number: int) -> Path:
    """A Telugu sentence by espeak-ng: speech to an ingest, and no two alike (it leaves out what it has)."""
    words = f"{WORDS[number % 10]} {WORDS[(3 * number + number // 10 + 1) % 10]}, {WORDS[(7 * number + 5) % 10]}."
    pitch, speed = 20 + 3 * number, 110 + 6 * (number % 10)
    subprocess.run(["espeak-ng", "-v", "te", "-p", str(pitch), "-s", str(speed), "-w", str(path), words], check=True)
    return path


def upload(page: Page, product: Stack, folder: Path) -> None:
    """A new dataset with 20 recordings, ingested."""
    page.goto(f"{product.url}training/datasets")
    page.fill("[name=name]", "Twenty sentences")
    page.fill("[name=licence]", "CC0")
    page.locator(".card form .button.primary").click()
    clips = [spoken(folder / f"clip-{n:02d}.wav", n) for n in range(CLIPS)]
    with page.expect_navigation():  # the page loads itself anew once all are sent
        page.set_input_files("#files", clips)
    expect(page.locator("#live")).to_contain_text(f"{CLIPS}")
    press(page, "ingest")
    expect(page.locator('#live [data-status="ready"]')).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".clips [data-player]").nth(9)).to_be_visible()
    expect(page.locator("svg.bars").first).to_be_visible()


def start(page: Page) -> None:
    """A tiny training with that dataset, by the form."""
    page.locator(".head .button.primary").click()
    page.wait_for_url(re.compile("/training/jobs/new"))  # loaded: before its scripts run nothing follows the recipe
    page.select_option("#recipe", "tiny")
    expect(page.locator('[id="id-steps"]')).to_have_value("60")  # the form followed the recipe
    for name, value in SETTINGS.items():
        field = page.locator(f'[id="id-{name}"]')
        if not field.is_visible():
            field.locator("xpath=ancestor::details/summary").click()
        field.fill(value)
    page.fill("#name", "Tiny, in a browser")
    page.locator("form#new-job .button.primary").click()
    page.wait_for_url(re.compile(r"/training/jobs/[0-9a-f-]{36}$"))


def hear(page: Page) -> None:
    """Play the newest sample until it sounds."""
    sample = page.locator('.sample-row[data-kind="step"] [data-player]').first
    sample.locator("button").click()
    expect(sample.locator("button")).to_have_attribute("data-playing", "true")
    wait_until(lambda: int(sample.locator("input").input_value()) > 0, PATIENCE_MS / 1000, "the sample to sound")


def test_from_recordings_to_a_conversation(desk: TalkPage, product: Stack, tmp_path: Path, chromium: Browser) -> None:
    page = desk.page
    upload(page, product, tmp_path)
    start(page)
    job = page.url
    chip(page, "running")
    wait_for_rows(page, wait_for_rows(page, 0))  # it moves, and nobody loaded the page anew
    press(page, "cancel")
    chip(page, "cancelled")
    reached = step_of(page)
    press(page, "resume")
    wait_until(lambda: step_of(page) > reached, PATIENCE_MS / 1000, "it to go on")
    expect(page.locator('.sample-row[data-kind="step"]').first).to_be_attached(timeout=PATIENCE_MS)
    press(page, "cancel")
    chip(page, "cancelled")
    hear(page)
    press(page, "export")
    chip(page, "succeeded")

    page.goto(f"{product.url}training/models")
    staged = page.locator('.version[data-stage="staged"]', has_text="Tiny, in a browser")
    sha = staged.locator("code").inner_text()
    staged.locator('[data-action="promote"]').click()
    expect(page.locator(".message")).to_contain_text(sha)
    try:
        expect(page.locator('.version[data-stage="production"]', has_text=sha)).to_be_visible()
        talk = TalkPage(chromium, f"{product.url}?mode=reconstruct").open()
        talk.page.keyboard.press("Space")
        talk.wait_until_live()
        talk.wait_for_level("spoken", 0.5)
        talk.wait_for_turns(1)
        session = talk.session_id
        talk.page.keyboard.press("Space")
        talk.close()

        def spoken_through() -> str:
            from apps.voice.models import Turn

            turn = Turn.objects.filter(session=session).first()
            return str(turn.model_versions) if turn is not None else ""

        wait_until(lambda: sha in product.query(spoken_through), 30, "a turn that went through the promoted weights")
    finally:
        page.goto(f"{product.url}training/models")
        press(page, "roll-back")
    expect(page.locator('.version[data-stage="retired"]', has_text=sha)).to_be_visible()
    page.goto(job)
    chip(page, "cancelled")
    assert desk.complaints == []
