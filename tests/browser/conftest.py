"""Browsers for the tests of this folder. Playwright's loop runs in a fixture's scope: a module, then it is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support import browser
from tests.support.browser import Audio, TalkPage
from tests.support.stack import Stack

CLIPS = 3


@pytest.fixture(scope="module")
def clips(shared_folder: Path | None, tmp_path_factory: pytest.TempPathFactory) -> list[Audio]:
    """Telugu speech: recordings of a person where the shared folder is there, else synthetic."""
    if shared_folder is None:
        return [browser.synthetic_speech(tmp_path_factory.mktemp("espeak") / "te.wav")]
    recordings = sorted((shared_folder / "common_voice_te").rglob("*.mp3"))[:CLIPS]
    return [browser.read_speech(path) for path in recordings]


@pytest.fixture(scope="module")
def shared_folder() -> Path | None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="module")
def chromium(chromium_path: str, clips: list[Audio], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium that grants its microphone, which says ``clips`` over and over."""
    wav = browser.write_microphone(tmp_path_factory.mktemp("microphone") / "te.wav", clips)
    with browser.chromium(chromium_path, *browser.with_microphone(wav)) as running:
        yield running


@pytest.fixture
def talk(chromium: Browser, stack: Stack) -> Iterator[TalkPage]:
    """The talk page, opened, in Telugu, on one's own voice."""
    page = TalkPage(chromium, stack.url + "?mode=reconstruct").open()
    yield page
    page.close()


@pytest.fixture
def conversation(chromium: Browser, stack: Stack) -> Iterator[TalkPage]:
    """The talk page as it opens where conversations are served."""
    page = TalkPage(chromium, stack.url).open()
    yield page
    page.close()
