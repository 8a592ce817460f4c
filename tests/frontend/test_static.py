"""What a first visit loads in production (that every import is hashed: tests/voiceplatform/test_pages.py)."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

HASHED = re.compile(r"\.[0-9a-f]{12}\.(js|css|svg|woff2)$")


@pytest.fixture
def collected(settings: Any, tmp_path: Path) -> Path:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "voiceplatform.storage.HashedStaticFilesStorage"},
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    return tmp_path


def test_styles_find_their_fonts(collected: Path) -> None:
    [style] = [path for path in (collected / "css").glob("base.*.css") if HASHED.search(path.name)]
    fonts = re.findall(r'url\("([^"]+)"\)', style.read_text())
    assert len(set(fonts)) == 3
    assert all(HASHED.search(font) and (style.parent / font).is_file() for font in fonts)


def test_a_first_visit_is_small(collected: Path) -> None:
    """Under 200 kB as sent, without audio: every script, style, picture and font that the page may ask for."""
    total = 0
    for folder in ("voice", "css", "fonts", "img"):
        for path in (collected / folder).rglob("*"):
            if HASHED.search(path.name):
                packed = path.with_name(path.name + ".gz")
                total += (packed if packed.exists() else path).stat().st_size
    assert 50_000 < total < 200_000, f"{total} bytes"
