"""Pictures of the talk page and of the admin for README and docs: ``python -m tests.support.screenshots``.

Starts the product on embedded defaults in a temporary folder, with synthetic Telugu (espeak-ng) as the microphone, and
writes ``docs/screenshots/*.png``. What the pictures show was measured while they were taken.
"""

from __future__ import annotations

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

from tests.support import browser
from tests.support.browser import TalkPage
from tests.support.servers import free_port, require
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "screenshots"
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
    print(f"docs/screenshots/{name}.png")


def speaking(talk: TalkPage, turns: int) -> None:
    """Bring the page into the middle of a sentence, with some turns said before."""
    talk.page.keyboard.press("Space")
    talk.wait_for_turns(turns)
    talk.wait_for_phase("listening")
    talk.wait_for_phase("speaking")
    talk.wait_for_level("heard", 40)
    talk.wait_for_level("spoken", 40)


def live_pictures(running: Browser, url: str) -> None:
    looks: list[tuple[str, str, dict[str, Any]]] = [
        ("talk", "te", {"viewport": DESKTOP, "device_scale_factor": 1.5}),
        ("talk-english-dark", "en", {"viewport": DESKTOP, "color_scheme": "dark"}),
        ("talk-phone", "te", {"viewport": PHONE, "device_scale_factor": 2, "color_scheme": "light"}),
    ]
    for name, language, context in looks:
        talk = TalkPage(running, url, language=language, **context).open()
        if name == "talk":
            picture(talk, "talk-idle", full_page=True)
        speaking(talk, turns=2 if context["viewport"] is DESKTOP else 1)
        picture(talk, name, full_page=context["viewport"] is DESKTOP)
        talk.close()


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
    talk = TalkPage(running, url, viewport=DESKTOP).open()
    talk.page.keyboard.press("Space")
    talk.wait_for_phase("refused")
    picture(talk, "talk-refused", full_page=True)
    talk.page.goto(f"{url}accounts/login/")
    picture(talk, "login")
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
            executable = require("Chromium")
            wav = browser.write_microphone(folder / "mic.wav", [browser.synthetic_speech(folder / "te.wav")])
            with browser.chromium(executable, *browser.with_microphone(wav)) as running:
                live_pictures(running, url)
                found = re.search(r"password: (\S+)", output.read_text())
                assert found is not None, "the launcher prints the operator's password at its first start"
                admin_pictures(running, url, found[1])
            with browser.chromium(executable, *browser.FAKE_DEVICE) as running:
                other_pictures(running, url)
        finally:
            launcher.send_signal(signal.SIGINT)
            launcher.wait(60)


if __name__ == "__main__":
    main()
