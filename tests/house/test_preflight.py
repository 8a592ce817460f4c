"""What stops a launch before anything is started."""

import socket
from pathlib import Path

import pytest

from voiceplatform.launcher import preflight
from voiceplatform.launcher.supervisor import LaunchError


def test_a_port_in_use_is_named_with_another_to_take() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=rf"port {port} on 127.0.0.1 is in use; .*PORT={port + 1}"):
            preflight.check_port("127.0.0.1", port)
    preflight.check_port("127.0.0.1", port)


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(LaunchError, match="HOST"):
        preflight.check_port("no.such.host.invalid", 8000)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="no codec weights in"):
        preflight.check_weights(tmp_path)
    (tmp_path / "codec-hifi.safetensors").touch()
    preflight.check_weights(tmp_path)


def test_one_run_time_folder_serves_one_launcher(tmp_path: Path) -> None:
    with (
        preflight.only_one(tmp_path),
        pytest.raises(LaunchError, match="already running here"),
        preflight.only_one(tmp_path),
    ):
        pass
    with preflight.only_one(tmp_path):
        pass


def test_a_deep_folder_gets_a_socket_path_that_the_system_takes(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    path = preflight.socket_path(deep)
    assert len(str(path)) < preflight.SOCKET_PATH_MAX
    assert path == preflight.socket_path(deep)
    assert preflight.socket_path(Path("/srv/v/run")) == Path("/srv/v/run/inference.sock")
