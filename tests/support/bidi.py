"""Firefox as Debian has it, by WebDriver BiDi: Playwright drives only a Firefox of its own, which no package brings."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.waiting import wait_until

PREFERENCES = {
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,  # a microphone that hums a tone
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "intl.accept_languages": "te",
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
START_S = 90.0
ANSWER_S = 60.0


class FirefoxPage:
    """A tab. ``complaints`` collects what the console called an error, and exceptions."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.complaints: list[str] = []
        self.version = str(self._ask("session.new", capabilities={})["capabilities"]["browserVersion"])
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._context = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def goto(self, url: str) -> None:
        """Load the address to its end."""
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, script: str) -> Any:
        """The script's value, which has to be JSON, after its promise; RuntimeError with what it threw."""
        wrapped = f"Promise.resolve({script}).then((value) => JSON.stringify(value ?? null))"
        found = self._ask(
            "script.evaluate",
            expression=wrapped,
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if found["type"] != "success":
            raise RuntimeError(found["exceptionDetails"]["text"])
        return json.loads(found["result"]["value"])

    def press(self, key: str) -> None:
        """A key, as a keyboard sends it."""
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        self._ask("input.performActions", context=self._context, actions=[source])

    def wait_for(self, script: str, what: str) -> Any:
        """Wait until the script's value is true."""
        wait_until(lambda: bool(self.evaluate(script)), ANSWER_S, what)

    def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(ANSWER_S))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.complaints.append(str(message["params"]["text"]))
            if message.get("id") != number:
                continue
            if message["type"] == "error":
                raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
            return message["result"]


@contextmanager
def firefox(executable: str, folder: Path) -> Iterator[FirefoxPage]:
    """A headless Firefox with a fresh profile in ``folder``."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (folder / "user.js").write_text("\n".join(lines))
    log = folder / "firefox.log"
    with log.open("wb") as sink:
        command = [executable, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0"]
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env={"HOME": str(folder), "MOZ_HEADLESS": "1"})
    try:
        told = re.compile(r"BiDi listening on (ws://\S+)")
        wait_until(lambda: told.search(log.read_text()) is not None, START_S, "Firefox to listen")
        address = told.search(log.read_text())
        assert address is not None
        with connect(f"{address[1]}/session", max_size=None, compression=None) as socket:
            yield FirefoxPage(socket)
    finally:
        process.kill()
        process.wait()
