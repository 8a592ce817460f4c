"""Pictures of every page and state for README and docs: ``python -m tests.support.screenshots`` (`make screenshots`).

Starts the product on embedded defaults in a temporary folder, with synthetic Telugu (espeak-ng) as the microphone, and
writes ``docs/screenshots/*.png``, or into another folder. What the pictures show was measured while they were taken.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

from benchmarks.ports import free_port
from tests.support import browser
from tests.support.browser import TalkPage, every_slot_taken
from tests.support.servers import require
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PICTURES = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots"
QUESTIONS = ("నమస్కారం, మీరు ఎలా ఉన్నారు?", "మీ పేరు ఏమిటి?", "మీకు ఇష్టమైన పండుగ ఏది?")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def picture(talk: TalkPage, name: str, **options: Any) -> None:
    talk.page.evaluate("document.fonts.ready")
    path = PICTURES / f"{name}.png"
    talk.page.screenshot(path=path, **options)
    with Image.open(path) as full:
        # A page of few colours: a palette of 256 is a third of the size, and no eye sees it.
        few = full.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(path)


def speaking(talk: TalkPage, turns: int) -> None:
    """Bring the page into the middle of an answer, with some turns said before."""
    talk.page.keyboard.press("Space")
    talk.wait_for_turns(turns)
    talk.wait_for_phase("answering")
    talk.wait_for_level("spoken", 40)


def live_pictures(running: Browser, url: str) -> None:
    """A conversation in each look, and every page with something on it."""
    looks: list[tuple[str, str, dict[str, Any]]] = [
        ("", "te", {"viewport": DESKTOP}),
        ("-english-dark", "en", {"viewport": DESKTOP, "color_scheme": "dark"}),
        ("-phone", "te", {"viewport": PHONE, "device_scale_factor": 1.5}),
        ("-phone-english-dark", "en", {"viewport": PHONE, "device_scale_factor": 1.5, "color_scheme": "dark"}),
    ]
    for look, language, context in looks:
        talk = TalkPage(running, url, language=language, **context).open()
        whole = context["viewport"] is DESKTOP
        picture(talk, f"talk-idle{look}", full_page=whole)
        speaking(talk, turns=2 if whole else 1)
        picture(talk, f"talk{look}", full_page=whole)
        if not look:
            talk.page.locator("select[name=turn_taking]").select_option("push")
            talk.page.locator("#end").wait_for()
            talk.page.locator("select[name=mix]").select_option("ravi")
            picture(talk, "talk-push-and-blend")
        talk.page.keyboard.press("Escape")
        talk.wait_for_phase("ended")
        picture(talk, f"talk-ended{look}")
        pages(talk, look)
        talk.close()
    talk = TalkPage(running, url + "?mode=reconstruct", viewport=DESKTOP).open()
    talk.page.keyboard.press("Space")
    talk.wait_for_turns(1)
    talk.wait_for_level("heard", 40)
    picture(talk, "talk-own-voice", full_page=True)
    talk.close()


def pages(talk: TalkPage, look: str) -> None:
    """What is not the talk page, for somebody who has talked."""
    page = talk.page
    page.goto(talk.url + "lab")
    page.locator("#lab[data-state=ready]").wait_for()
    picture(talk, f"lab{look}", full_page=True)
    if not look:
        page.locator("input[name=preset][value=dialogue]").check(force=True)
        page.locator("#lab[data-state=ready][data-preset=dialogue]").wait_for()
        picture(talk, "lab-dialogue", full_page=True)
    page.goto(talk.url + "history")
    picture(talk, f"history{look}")
    page.locator("main a.button").first.click()
    page.locator(".stretch path[d]").first.wait_for(state="attached")
    picture(talk, f"history-session{look}", full_page=True)
    for name in ("listen", "about"):
        page.goto(talk.url + name)
        picture(talk, f"{name}{look}", full_page=True)


def admin_pictures(running: Browser, url: str, password: str) -> None:
    """What an operator sees of the conversations that were held for the pictures before."""
    looks: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
        ("admin", {"viewport": DESKTOP}, ("home", "turns", "timeline")),
        ("admin-dark", {"viewport": DESKTOP, "color_scheme": "dark"}, ("speaker", "sessions")),
        ("admin-phone", {"viewport": PHONE, "device_scale_factor": 2}, ("home",)),
    ]
    pages = {
        "home": "admin/",
        "turns": "admin/voice/turn/",
        "sessions": "admin/voice/voicesession/",
        "speaker": "admin/speakers/speaker/1/change/",
    }
    for prefix, context, names in looks:
        talk = TalkPage(running, url, **context)
        talk.page.goto(f"{url}admin/")
        talk.page.fill("#id_username", "operator")
        talk.page.fill("#id_password", password)
        talk.page.click("button[type=submit]")
        for name in names:
            if name == "timeline":
                talk.page.goto(f"{url}{pages['sessions']}")
                talk.page.locator("#result_list tbody .field-who a").first.click()
                talk.page.locator('a[href$="/timeline/"]').first.click()
            else:
                talk.page.goto(f"{url}{pages[name]}")
            talk.page.wait_for_load_state("networkidle")
            picture(talk, f"{prefix}-{name}")
        talk.close()


def other_pictures(running: Browser, url: str) -> None:
    """The states that nobody wants to see, and the pages for strangers."""
    talk = TalkPage(running, url, viewport=DESKTOP).open()
    talk.page.keyboard.press("Space")
    talk.wait_for_phase("refused")
    picture(talk, "talk-refused")
    talk.page.goto(f"{url}history")
    picture(talk, "history-empty")
    talk.page.goto(f"{url}accounts/login/")
    picture(talk, "login")
    talk.page.goto(f"{url}nowhere")
    picture(talk, "not-found")
    talk.close()


def waiting_pictures(running: Browser, url: str, inference_url: str) -> None:
    """Asking, connecting, busy, reconnecting: each held still for its picture."""
    talk = TalkPage(running, url, viewport=DESKTOP).open()
    with every_slot_taken(inference_url):
        talk.page.keyboard.press("Space")
        talk.wait_for_phase("busy")
        picture(talk, "talk-busy")
    talk.wait_until_live()
    talk.context.set_offline(True)
    talk.page.evaluate("__voice.session.link.close()")
    talk.wait_for_phase("reconnecting")
    picture(talk, "talk-reconnecting")
    talk.close()
    # The page's own words for the moments that are over before a picture is taken.
    for phase, event in (
        ("asking", "{ type: 'start' }"),
        ("connecting", "{ type: 'microphone_ready', now: 0 }"),
        ("thinking", "{ type: 'endpoint' }"),
    ):
        talk = TalkPage(running, url, viewport=DESKTOP).open()
        # Nothing is carried out: the state alone is shown.
        talk.page.evaluate("() => { __voice.session.audio.open = () => new Promise(() => undefined); }")
        if phase == "thinking":
            talk.page.evaluate("__voice.session.state = { ...__voice.session.state, phase: 'speaking' }")
        elif phase == "connecting":
            talk.page.evaluate("__voice.session.url = 'ws://127.0.0.1:9/'; __voice.session.dispatch({ type: 'start' })")
        talk.page.evaluate(f"__voice.session.dispatch({event})")
        talk.wait_for_phase(phase)
        picture(talk, f"talk-{phase}")
        talk.close()


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        output = folder / "launch.out"
        environment = {**os.environ, "VOICE_VAR_DIR": str(folder / "var"), "VOICE_PAGE_DEBUG": "1", "PORT": str(port)}
        with output.open("wb") as sink:
            launcher = subprocess.Popen([sys.executable, "manage.py", "launch"], cwd=ROOT, env=environment, stdout=sink)
        try:
            wait_until(lambda: "Talk at" in output.read_text(), 240, "the product to be ready")
            url = f"http://127.0.0.1:{port}/"
            inference_url = json.loads((folder / "var" / "run" / "launch.json").read_text())["inference_url"]
            executable = require("Chromium")
            clips = [browser.synthetic_speech(folder / f"{n}.wav", words) for n, words in enumerate(QUESTIONS)]
            wav = browser.write_microphone(folder / "mic.wav", clips, silence_s=4.5)
            with browser.chromium(executable, *browser.with_microphone(wav)) as running:
                live_pictures(running, url)
                found = re.search(r"password: (\S+)", output.read_text())
                assert found is not None, "the launcher prints the operator's password at its first start"
                admin_pictures(running, url, found[1])
            with browser.chromium(executable, *browser.FAKE_DEVICE) as running:
                other_pictures(running, url)
            with browser.chromium(executable, *browser.with_microphone(wav)) as running:
                waiting_pictures(running, url, inference_url)
        finally:
            launcher.send_signal(signal.SIGINT)
            launcher.wait(60)


if __name__ == "__main__":
    main()
