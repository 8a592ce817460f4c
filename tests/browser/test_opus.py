"""Opus by WebCodecs in a real Chromium: a conversation in a fraction of the bytes, and PCM16 where it is lacking."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, expect

from tests.support.browser import PATIENCE_MS, RATE, Audio, TalkPage, likeness
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.integration]

PCM_KBPS = (640 + 13) * 8 / 20
TALLY = """(() => {
  const tally = (window.__tally = {});
  const count = (way, data) => {
    if (typeof data === "string") return;
    const bytes = new Uint8Array(data.buffer ?? data);
    const name = `${way}${bytes[0]}`;
    (tally[name] ??= { frames: 0, bytes: 0 }).frames += 1;
    tally[name].bytes += bytes.length;
  };
  window.WebSocket = class extends WebSocket {
    constructor(...options) {
      super(...options);
      this.addEventListener("message", ({ data }) => count("down", data));
    }
    send(data) { count("up", data); super.send(data); }
  };
})()"""
"""Counts binary frames by direction and kind, as they pass the socket."""


@pytest.fixture(params=["opus", "without WebCodecs"])
def talk(chromium: Browser, stack: Stack, request: pytest.FixtureRequest) -> Iterator[TalkPage]:
    page = TalkPage(chromium, stack.url)
    page.page.add_init_script(TALLY)
    if request.param != "opus":
        page.page.add_init_script("delete window.AudioEncoder")
    yield page.open()
    page.close()


def test_a_conversation_by_opus_and_without(
    talk: TalkPage, stack: Stack, clips: list[Audio], request: pytest.FixtureRequest
) -> None:
    page = talk.page
    opus = request.node.callspec.params["talk"] == "opus"
    page.get_by_role("switch").check()  # headphones: no echo cancellation, which bends the wave
    page.locator("#talk-button").click()
    talk.wait_until_live()
    if opus and not page.evaluate("__voice.session.opus"):
        pytest.skip("this Chromium has no Opus by WebCodecs")
    talk.start_recording()
    session = uuid.UUID(talk.session_id)
    hers = page.locator("#turns > li[data-role=assistant]")
    expect(hers.first).to_be_visible(timeout=2 * PATIENCE_MS)
    talk.wait_for_figure("sent", lambda kbps: (kbps < PCM_KBPS / 3) is opus)
    expect(page.locator("[data-figure=sent-as]")).to_have_text("Opus" if opus else "PCM16")
    rendered = talk.stop_recording()
    tally = page.evaluate("__tally")
    up, down = ("up3", "down4") if opus else ("up1", "down2")
    assert {up, down} == set(tally), "nothing travels otherwise"
    if opus:
        assert tally["up3"]["bytes"] < tally["up3"]["frames"] * 653 / 3
    page.keyboard.press("Escape")
    talk.wait_for_phase("ended")

    def stored() -> dict[str, list[str]]:
        from apps.voice.models import Turn

        rows = Turn.objects.filter(session_id=session).order_by("index").values_list("role", "audio")
        return {role: [audio for kind, audio in rows if kind == role] for role in ("user", "assistant")}

    wait_until(lambda: all(stack.query(stored).values()), 30, "both sides to be stored")
    found = stack.query(stored)

    def read(name: str) -> Audio:
        samples, rate = soundfile.read(stack.folder / "media" / name, dtype="float64")
        assert rate == RATE
        return np.asarray(samples, np.float64)

    asked = np.concatenate([read(name) for name in found["user"]])
    assert max(likeness(clip, asked) for clip in clips) > 0.8, "what was said arrived"
    assert max(likeness(read(name), rendered) for name in found["assistant"]) > 0.8, "what she said was rendered"
    assert talk.complaints == []
