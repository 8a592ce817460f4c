"""A voice's pitch, changed in the admin, by REST and on the talk page: each is heard in the running conversation's next
answer, measured in the audio that was sent; and a voice by ear before it is saved. The shipped models speak."""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import soundfile
from django.utils import timezone
from playwright.sync_api import Page, expect

from ml.train.labels import pitch_of
from tests.support import browser
from tests.support.browser import PATIENCE_MS, TalkPage
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.integration]

QUESTION, PAUSE_S = "మీ పేరు ఏమిటి", 6.0
"""The pause is long enough for the answer to be heard, and for a change before the question comes again."""


@pytest.fixture(scope="module")
def talker(chromium_path: str, embedded: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TalkPage]:
    folder = tmp_path_factory.mktemp("asking")
    asked = browser.synthetic_speech(folder / "te.wav", QUESTION)
    wav = browser.write_microphone(folder / "microphone.wav", [asked], PAUSE_S / 2)
    with browser.chromium(chromium_path, *browser.with_microphone(wav)) as running:
        page = TalkPage(running, embedded.url).open()
        page.page.get_by_role("switch", name="హెడ్‌ఫోన్స్ పెట్టుకున్నాను").check()  # nothing of hers reaches the microphone
        yield page
        page.close()


@pytest.fixture
def form(talker: TalkPage, embedded: Stack) -> Iterator[Page]:
    """The form of the speaker Priya in the admin, open before an operator."""
    context = talker.context.browser.new_context()  # type: ignore[union-attr]
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{embedded.url}admin/login/?next=/admin/speakers/speaker/%3Fq%3Dpriya")
    page.fill("[name=username]", "operator")
    page.fill("[name=password]", embedded.operator_password)
    page.locator("[name=password]").press("Enter")
    page.locator("#result_list a", has_text="ప్రియ").first.click()
    page.locator("input[name=pitch_semitones]").wait_for()
    yield page
    context.close()


@pytest.fixture
def token(embedded: Stack) -> str:
    """What a program changes voices with."""

    def make() -> str:
        from django.contrib.auth.models import User

        from apps.accounts.services import token_create

        user = User.objects.create_superuser(f"rest-{secrets.token_hex(3)}", password=secrets.token_hex(8))
        expires_at = timezone.now() + timedelta(hours=1)
        return token_create(user=user, name="pitch", scopes=["config:write"], expires_at=expires_at)[1]

    return embedded.query(make)


def by_rest(stack: Stack, token: str, semitones: float) -> None:
    """PATCH of the speaker Priya."""
    request = urllib.request.Request(
        f"{stack.url}api/v1/speakers/priya",
        json.dumps({"pitch_semitones": semitones}).encode(),
        {"Authorization": f"Bearer {token}", "If-Match": "*", "Content-Type": "application/json"},
        method="PATCH",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def answer_after(stack: Stack, session: str, moment: datetime) -> Path | None:
    """The first answer of that conversation to a question that began after the moment, as it was sent.

    An answer to an earlier question may have been begun, in the old voice, before the question was over.
    """

    def read() -> str | None:
        from apps.voice.models import Turn

        turns = Turn.objects.filter(session_id=UUID(session)).order_by("index")
        asked = turns.filter(role="user", started_at__gt=moment).values_list("index", flat=True).first()
        if asked is None:
            return None
        return turns.filter(role="assistant", index__gt=asked).values_list("audio", flat=True).first()

    found = stack.query(read)
    return stack.folder / "media" / found if found else None


def test_a_pitch_set_anywhere_is_heard_in_the_next_answer(
    talker: TalkPage, embedded: Stack, form: Page, token: str
) -> None:
    page = talker.page
    page.locator("input[name=speaker][value=priya]").check(force=True)
    page.locator("#talk-button").click()
    talker.wait_until_live()
    session = talker.session_id

    def semitones() -> float:
        """The median pitch of the next answer, in semitones above 100 Hz; returns when it was heard to its end."""
        now = timezone.now()
        wait_until(lambda: answer_after(embedded, session, now) is not None, 4 * PATIENCE_MS / 1000, "an answer")
        path = answer_after(embedded, session, now)
        assert path is not None
        samples, _rate = soundfile.read(path, dtype="float32")
        track = pitch_of(samples)
        return 12 * float(np.log2(np.median(track[track > 0]) / 100))

    heard = {"at rest": semitones()}
    form.fill("input[name=pitch_semitones]", "7")
    form.locator("[name=_save]").click()
    form.wait_for_url("**/admin/speakers/speaker/?*")
    heard["admin +7"] = semitones()
    by_rest(embedded, token, 0)
    heard["REST 0"] = semitones()
    page.locator("input[name=pitch_semitones]").fill("6")
    heard["page +6"] = semitones()
    page.keyboard.press("Escape")
    talker.wait_for_phase("ended")
    print({name: round(value, 1) for name, value in heard.items()})
    rest, admin, rest_api, own = heard.values()
    assert admin - rest > 2, heard
    assert rest_api - admin < -2, heard
    assert own - rest_api > 2, heard


SAMPLE = """async () => {
  const form = document.querySelector("[data-audition]").closest("form");
  const data = new FormData(form);
  data.set("object", document.querySelector("[data-audition]").dataset.object);
  data.set("with", "neutral");
  const answer = await fetch(document.querySelector("[data-audition]").dataset.audition, {method: "POST", body: data});
  return btoa(Array.from(new Uint8Array(await answer.arrayBuffer()), (byte) => String.fromCharCode(byte)).join(""));
}"""
"""What the button asks for: Chromium's inspector keeps no body that must not be stored."""


def test_a_voice_is_heard_with_dials_that_nobody_saved(form: Page, embedded: Stack) -> None:
    place = form.locator("[data-audition]")
    place.locator("[data-hear]").click()
    expect(place).to_have_attribute("data-heard", "1", timeout=PATIENCE_MS)
    expect(place.locator("[data-hear]")).to_have_class(re.compile("is-playing"))
    heard = []
    for semitones in ("0", "9"):
        form.fill("input[name=pitch_semitones]", semitones)
        samples, _rate = soundfile.read(io.BytesIO(base64.b64decode(form.evaluate(SAMPLE))), dtype="float32")
        track = pitch_of(samples)
        heard.append(12 * float(np.log2(np.median(track[track > 0]) / 100)))
    assert heard[1] - heard[0] > 2, heard

    def saved() -> float:
        from apps.speakers.models import Speaker

        return Speaker.objects.get(slug="priya").pitch_semitones

    assert embedded.query(saved) == 0
