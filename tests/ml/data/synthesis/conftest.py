"""Engines for tests of synthesis: skipped with the reason where they are not installed, required in CI."""

import os

import pytest

from ml.data.synthesis import festival
from tests.support.servers import require


@pytest.fixture(scope="session")
def diphones() -> None:
    """Festival with its Telugu voice."""
    require("Festival")
    if not festival.installed():
        message = "Festival's Telugu voice is not installed (apt-get install festival-te festvox-te-nsk)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


@pytest.fixture(scope="session")
def formants() -> None:
    """espeak-ng with its library."""
    require("espeak-ng")
