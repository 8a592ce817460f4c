"""Every example of docs/api.md, run as it stands against the running product."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import soundfile
from django.test import override_settings
from django.utils import timezone

from tests.support.factories import draft, make_user
from tests.support.live_client import telugu_speech
from tests.support.stack import ROOT, Stack

pytestmark = pytest.mark.integration

EXAMPLES = re.findall(r"^```(bash|python)\n(.*?)^```", (ROOT / "docs/api.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where examples run; ``question.wav`` lies there."""
    where = tmp_path_factory.mktemp("examples")
    speech = telugu_speech(where)
    with soundfile.SoundFile(where / "question.wav", "w", 16_000, 1, "PCM_16") as file:
        file.buffer_write(speech, dtype="int16")
    return where


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    """Of somebody who has spoken once, and may what an operator and a trainer may."""

    def make() -> str:
        from django.contrib.auth.models import Group

        from apps.accounts.services import token_create
        from apps.voice.services import session_open, turn_record

        user = make_user("examples")
        user.groups.set(Group.objects.filter(name__in=["Operator", "Trainer"]))
        opened = session_open(
            user=user,
            guest_key="",
            mode="reconstruct",
            turn_taking="stream",
            speaker=None,
            emotion=None,
            quantizers=8,
        )
        with override_settings(MEDIA_ROOT=stack.folder / "media"):
            turn_record(session_id=opened.session.pk, draft=draft())
        expires_at = timezone.now() + timedelta(hours=1)
        scopes = ["read", "config:write", "chat", "train"]
        return token_create(user=user, name="examples", scopes=scopes, expires_at=expires_at)[1]

    return stack.query(make)


@pytest.mark.parametrize(("language", "text"), EXAMPLES, ids=[f"{i}-{lang}" for i, (lang, _) in enumerate(EXAMPLES)])
def test_an_example_runs(stack: Stack, token: str, folder: Path, language: str, text: str) -> None:
    if language == "bash" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOST": stack.origin, "TOKEN": token}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{text}\n--- out\n{done.stdout}\n--- err\n{done.stderr}"
    assert done.stdout or "-o turn.flac" in text


def test_the_page_has_examples_of_both_kinds() -> None:
    kinds = [language for language, _ in EXAMPLES]
    assert kinds.count("bash") >= 4
    assert kinds.count("python") >= 4
