"""``manage.py launch`` as a process: one line when it cannot start, a killed child comes back, nothing stays behind."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.support.stack import Stack, make_tiny_weights
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """Embedded defaults (SQLite, nothing else) in a folder of its own."""
    return {
        **{
            key: value
            for key, value in os.environ.items()
            if key not in ("DATABASE_URL", "REDIS_URL", "INFERENCE_URLS")
        },
        "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.dev",
        "VOICE_VAR_DIR": str(tmp_path / "var"),
        "PORT": str(free_port()),
        **more,
    }


def launch(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "launch"]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)


def test_a_port_in_use_ends_it_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = launch(environment(tmp_path, PORT=str(taken.getsockname()[1])))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "is in use" in done.stderr


def test_missing_weights_end_it_with_one_line(tmp_path: Path) -> None:
    done = launch(environment(tmp_path, VOICE_WEIGHTS_DIR=str(tmp_path)))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"no codec weights in {tmp_path}" in done.stderr


def test_a_broken_weight_file_ends_it_with_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    weights = make_tiny_weights(tmp_path / "weights") / "codec-hifi.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0xFF
    weights.write_bytes(content)
    done = launch(environment(tmp_path, VOICE_WEIGHTS_DIR=str(weights.parent)))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(weights) in done.stderr
    assert "restore" in done.stderr


def test_a_bad_variable_ends_it_with_one_line(tmp_path: Path) -> None:
    done = launch(environment(tmp_path, PORT="eighty"))
    assert done.returncode != 0
    assert done.stderr.strip().count("\n") == 0
    assert "PORT" in done.stderr


@pytest.mark.integration
def test_a_killed_inference_server_comes_back_and_pages_go_on(stack: Stack) -> None:
    web = stack.pid("web")
    old = stack.kill("inference")
    stack.wait_back("inference", old)
    assert stack.pid("web") == web
    assert "the inference server was ended by SIGKILL; restarting it now" in stack.output


@pytest.mark.integration
def test_a_second_launch_in_the_same_folder_is_refused(stack: Stack) -> None:
    done = launch({**stack.environment, "PORT": str(free_port())})
    assert done.returncode == 1
    assert "already running here" in done.stderr
    assert stack.ready()


@pytest.mark.integration
def test_embedded_launch_makes_everything_once_and_leaves_nothing_running(tmp_path: Path) -> None:
    """SQLite, in-memory events, filesystem broker; stopped by SIGTERM; the second start has no password to show."""
    weights = make_tiny_weights(tmp_path / "weights")
    environ = environment(tmp_path, VOICE_WEIGHTS_DIR=str(weights))
    outputs = []
    for _ in range(2):
        out = tmp_path / "out"
        with out.open("wb") as sink:
            command = [sys.executable, "manage.py", "launch"]
            process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=sink, stderr=sink)

            def up(process: subprocess.Popen[bytes] = process, out: Path = out) -> bool:
                assert process.poll() is None, out.read_text()
                return "Talk at" in out.read_text()

            wait_until(up, 120, "the launch")
            group = [int(pid) for pid in _children(process.pid)]
            process.terminate()
            assert process.wait(60) == 0, out.read_text()
        outputs.append(out.read_text())
        assert len(group) == 3
        assert not [pid for pid in group if Path(f"/proc/{pid}").exists()]
    assert "password: " in outputs[0]
    assert "password: " not in outputs[1]
    assert (tmp_path / "var" / "db.sqlite3").exists()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
