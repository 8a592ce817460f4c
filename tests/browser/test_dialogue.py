"""Whole conversations in a real Chromium, a spoken Telugu microphone: turns, memory, who speaks, stopping her, history.

Asserted on what was rendered, on the rows, and on what stands on the page. The models are tiny and random here: what
they answer means nothing, that it is heard, kept and remembered does.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.test import override_settings
from playwright.sync_api import Page, expect

from tests.support import browser
from tests.support.browser import PATIENCE_MS, RATE, Audio, TalkPage, find_clip, likeness
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.integration]

CALM_S, HURRIED_S = 2.8, 0.9
"""Silence after each clip: enough for a whole answer, or so little that the next clip falls into it."""


def microphone(path: Path, clips: list[Audio], silence_s: float) -> Path:
    rest = np.zeros(round(silence_s * RATE))
    spoken = [clip[: 3 * RATE] for clip in clips]
    soundfile.write(path, np.concatenate([part for clip in spoken for part in (rest, clip)]), RATE)
    return path


@pytest.fixture(scope="module")
def speech(clips: list[Audio], tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    folder = tmp_path_factory.mktemp("speech")
    return {rest: microphone(folder / f"{rest}.wav", clips, rest) for rest in (CALM_S, HURRIED_S)}


@pytest.fixture(params=[CALM_S])
def talker(
    request: pytest.FixtureRequest, chromium_path: str, stack: Stack, speech: dict[float, Path]
) -> Iterator[TalkPage]:
    """The talk page with a microphone that speaks, then is silent for so long."""
    with browser.chromium(chromium_path, *browser.with_microphone(speech[request.param])) as running:
        talk = TalkPage(running, stack.url).open()
        talk.page.get_by_role("switch", name="హెడ్‌ఫోన్స్ పెట్టుకున్నాను").check()  # nothing of hers reaches the microphone
        yield talk
        talk.close()


def rows_of(stack: Stack, session: str) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        from apps.voice.models import Turn

        names = (
            "index",
            "role",
            "speaker__slug",
            "audio",
            "duration_ms",
            "interrupted_at_ms",
            "response_ms",
            "caption",
        )
        return list(Turn.objects.filter(session_id=session).order_by("index").values("id", *names))

    return stack.query(read)


def stored_audio(stack: Stack, row: dict[str, Any]) -> Audio:
    samples, rate = soundfile.read(stack.folder / "media" / row["audio"], dtype="float64")
    assert rate == RATE
    return np.asarray(samples, np.float64)


def hers(page: Page) -> Any:
    return page.locator("#turns > li[data-role=assistant]")


def test_three_turns_with_memory_through_a_restart_of_the_web_process(talker: TalkPage, stack: Stack) -> None:
    page = talker.page
    page.locator("input[name=speaker][value=priya]").check(force=True)
    page.locator("#talk-button").click()
    talker.wait_until_live()
    talker.start_recording()
    session = talker.session_id
    expect(hers(page).nth(0)).to_be_visible(timeout=3 * PATIENCE_MS)
    # Another voice in mid-session: from the next answer on.
    page.locator("input[name=speaker][value=ravi]").check(force=True)
    expect(hers(page).nth(1)).to_be_visible(timeout=3 * PATIENCE_MS)
    wait_until(lambda: "రవి" in hers(page).first.inner_text(), 60, "an answer by Ravi")
    heard = talker.stop_recording()
    answers = [row for row in rows_of(stack, session) if row["role"] == "assistant"]
    assert {row["speaker__slug"] for row in answers[:1]} == {"priya"}
    assert answers[-1]["speaker__slug"] == "ravi"
    assert all(row["response_ms"] > 0 for row in answers)
    whole = [row for row in answers if row["interrupted_at_ms"] is None and row["duration_ms"] > 500]
    assert max(likeness(stored_audio(stack, row), heard) for row in whole) > 0.8, "what is stored is what was rendered"
    legend = hers(page).first.locator("[data-part=legend]")
    expect(legend).to_contain_text("మాట ముగింపు")
    expect(legend.locator("b")).to_contain_text("నిశ్శబ్దం")

    killed = stack.kill("web")
    talker.wait_for_phase("reconnecting")
    talker.expect_words("మళ్లీ కలుపుతున్నాం", "మీ సంభాషణ భద్రంగా ఉంది")
    stack.wait_back("web", killed)
    talker.wait_until_live()
    assert talker.session_id == session
    before = hers(page).count()
    expect(hers(page).nth(before)).to_be_visible(timeout=3 * PATIENCE_MS)
    page.keyboard.press("Escape")
    talker.wait_for_phase("ended")

    def remembered() -> int:
        from apps.voice.models import VoiceSession
        from apps.voice.recollection import recollect

        row = VoiceSession.objects.get(pk=session)
        models = row.turns.filter(role="user").latest("index").model_versions
        with override_settings(MEDIA_ROOT=stack.folder / "media"):
            return len(recollect(row, models))

    wait_until(lambda: len([r for r in rows_of(stack, session) if r["role"] == "assistant"]) >= 3, 30, "three answers")
    rows = rows_of(stack, session)
    assert [row["index"] for row in rows] == list(range(len(rows))), "one conversation, before and after"
    assert stack.query(remembered) >= 3, "what the model is told when it has to remember"
    page.get_by_role("button", name="English").click()
    expect(page.locator("#status-title")).to_have_text("Press to talk")
    history(page, stack, session)


def history(page: Page, stack: Stack, session: str) -> None:
    """Both sides on one axis: played together, from anywhere; each turn by itself."""
    page.goto(f"{stack.url}history/{session}")
    expect(page.get_by_role("heading", name="Turn by turn")).to_be_visible()
    for lane in ("heard", "answer"):
        assert page.locator(f".lane-{lane} .stretch").count() >= 3
    clock = page.locator("[data-clock]")

    def seconds() -> float:
        minutes, _, rest = clock.inner_text().partition(":")
        return 60 * int(minutes) + float(rest)

    block = page.locator(".lane-answer .stretch").nth(1)
    box = block.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    placed = seconds()
    page.get_by_role("button", name="Play both sides").click()
    expect(block).to_have_class("stretch is-sounding", timeout=PATIENCE_MS)
    wait_until(lambda: seconds() > placed + 0.2, 20, "the playhead to move on")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("slider", name="Place in the conversation").press("ArrowRight")
    assert seconds() > placed + 0.9
    turn = page.locator(".spoken li[data-role=user] .player").first
    slider = turn.get_by_role("slider")
    slider.fill("500")
    turn.get_by_role("button").click()
    wait_until(lambda: int(slider.input_value()) > 550, 30, "the recording to go on from the middle")
    assert turn.get_attribute("data-broken") is None


@pytest.mark.parametrize("talker", [HURRIED_S], indirect=True)
def test_she_stops_when_spoken_over(talker: TalkPage, stack: Stack) -> None:
    page = talker.page
    page.locator("#talk-button").click()
    talker.wait_until_live()
    talker.start_recording()
    cut = page.locator("#turns > li[data-role=assistant]", has_text="ఆపారు").first
    expect(cut).to_be_visible(timeout=6 * PATIENCE_MS)
    heard = talker.stop_recording()
    turn = uuid.UUID(cut.get_attribute("data-turn"))
    row = next(row for row in rows_of(stack, talker.session_id) if row["id"] == turn)
    page.keyboard.press("Escape")
    talker.wait_for_phase("ended")
    assert row["interrupted_at_ms"] == row["duration_ms"], "stored as it was heard"
    said = stored_audio(stack, row)
    if len(said) < RATE // 4:
        return  # stopped before there was a quarter of a second: too little to find again
    assert likeness(said, heard) > 0.7
    at = int(np.flatnonzero(np.isclose(heard, find_clip(said, heard)[0]))[0])
    after = heard[at + len(said) + RATE // 8 : at + len(said) + RATE // 4]
    assert not len(after) or float(np.sqrt(np.mean(after**2))) < 0.1 * float(np.sqrt(np.mean(said**2)) + 1e-3)
