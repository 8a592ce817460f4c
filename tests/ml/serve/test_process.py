"""The server as a process: ready line, signals, stale sockets, and starts that must fail with one line."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ml.codec import CodecConfig, TeluCodec, export_codec
from ml.serve import wire
from ml.serve.cli import app
from ml.serve.sockets import ListenError, bind
from tests.ml.serve.client import DEADLINE_S, Client, frames_of, noise

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(7)
    codec = TeluCodec(CodecConfig.named("tiny"))
    export_codec(codec, folder / "codec-hifi.safetensors", {"version": "test-1"}, dtype=torch.float32)
    return folder


class Process:
    """``python -m ml serve`` as it is started in earnest."""

    def __init__(self, path: Path, weights: Path) -> None:
        self.address = wire.Address(path=str(path))
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "ml", "serve", "--listen", str(self.address), "--weights", str(weights)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> dict[str, object]:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, self.popen.stderr.read() if self.popen.stderr else ""
        return dict(json.loads(line))

    def end(self) -> tuple[int, str]:
        _, errors = self.popen.communicate(timeout=DEADLINE_S)
        return self.popen.returncode, errors


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(processes: ExitStack, path: Path, weights: Path) -> Process:
    process = Process(path, weights)
    processes.callback(process.popen.communicate)
    processes.callback(process.popen.kill)
    return process


async def test_life_of_a_server(processes: ExitStack, tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "run" / "inference.sock"
    first = start(processes, path, weights)
    ready = first.ready()
    assert ready["event"] == "ready"
    assert ready["listen"] == [str(first.address)]
    assert ready["models"] == {"codec": json.loads(json.dumps((await wire.probe(first.address)).models["codec"]))}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    second = start(processes, path, weights)
    code, errors = second.end()
    assert code == 2
    assert "another server lives on" in errors.strip().splitlines()[-1]
    await wire.probe(first.address)  # it has not been disturbed

    first.popen.send_signal(signal.SIGKILL)
    first.end()
    assert path.is_socket()
    third = start(processes, path, weights)
    third.ready()
    client = await Client.connect(third.address)
    opened = await client.open()
    assert opened.models["codec"]["version"] == "test-1"
    await client.send(*frames_of(noise(0.2, 1)))
    for _ in range(10):
        await client.expect(wire.AudioDown)
    third.popen.send_signal(signal.SIGTERM)
    assert [type(message) for message in await client.rest()] == [wire.Draining]
    await client.close()
    code, errors = third.end()
    assert (code, "Traceback" in errors) == (0, False)
    assert not path.exists()


@pytest.fixture
def broken(weights: Path, tmp_path: Path) -> Path:
    """Weights that do not match their card."""
    for file in weights.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    target = tmp_path / "codec-hifi.safetensors"
    target.write_bytes(target.read_bytes()[:-100])
    return tmp_path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--weights", "{broken}"], "codec-hifi.safetensors"),
        (["--weights", "{missing}"], "missing"),
        (["--weights", "{weights}", "--device", "abacus"], "auto, cpu, cuda"),
        (["--weights", "{weights}", "--device", "cuda:7"], "auto or cpu"),
        (["--weights", "{weights}", "--listen", "carrier-pigeon"], "unix:///absolute/path.sock or tcp://host:port"),
        (["--weights", "{weights}", "--listen", "unix://{occupied}"], "no socket"),
        (["--weights", "{weights}", "--listen", "tcp://192.0.2.1:9"], "choose another"),
        (["--weights", "{weights}", "--log-level", "loud"], "debug, info"),
    ],
)
def test_a_start_that_cannot_be_says_so_in_one_line(
    options: list[str], said: str, weights: Path, broken: Path, tmp_path: Path
) -> None:
    occupied = tmp_path / "notes.txt"
    occupied.write_text("keep me")
    places = {"broken": broken, "missing": tmp_path / "none", "weights": weights, "occupied": occupied}
    arguments = [option.format(**places) for option in options]
    result = CliRunner().invoke(app, ["--listen", f"unix://{tmp_path}/ok.sock", *arguments])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert said in result.stderr
    assert occupied.read_text() == "keep me"
    assert not (tmp_path / "ok.sock").exists()


def test_a_socket_that_another_program_answers_on_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "foreign.sock"
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(path))
        foreign.listen(1)
        with pytest.raises(ListenError, match="another server"):
            bind(wire.Address(path=str(path)))
    listener = bind(wire.Address(path=str(path)))  # now nobody answers: stale
    assert os.stat(path).st_mode & 0o777 == 0o600
    listener.close()
    assert not path.exists()


def test_nobody_can_connect_before_the_server_is_warm(tmp_path: Path) -> None:
    listener = bind(wire.Address(path=str(tmp_path / "early.sock")))
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(tmp_path / "early.sock"))
    listener.close()
