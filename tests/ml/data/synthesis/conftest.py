"""Engines for tests of synthesis. They only make data, so a machine without them skips, in CI too, and says why."""

import pytest

from ml.data.synthesis import festival
from scripts.setup import SYSTEM, find_binary


def _need(label: str) -> None:
    package, names = SYSTEM[label]
    if find_binary(*names) is None:
        pytest.skip(f"{label} is not installed (apt-get install {package})")


@pytest.fixture(scope="session")
def diphones() -> None:
    """Festival with its Telugu voice."""
    _need("Festival")
    if not festival.installed():
        pytest.skip("Festival's Telugu voice is not installed (apt-get install festival-te festvox-te-nsk)")


@pytest.fixture(scope="session")
def formants() -> None:
    """espeak-ng with its library."""
    _need("espeak-ng")
