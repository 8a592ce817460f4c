"""The set-up script: done once, safe to interrupt, one line when it cannot go on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import setup as script

ROOT = Path(script.__file__).resolve().parent.parent


@pytest.fixture
def setup(tmp_path: Path) -> script.Setup:
    return script.Setup(tmp_path / "venv", tmp_path / "setup.log")


def test_a_step_runs_once_and_again_when_its_inputs_change(setup: script.Setup) -> None:
    ran: list[str] = []
    for inputs in (["a==1"], ["a==1"], ["a==2"], ["a==2"]):
        setup.step("base", inputs, "installing", lambda inputs=inputs: ran.append(inputs[0]))
    assert ran == ["a==1", "a==2"]


def test_a_cut_off_installation_is_begun_anew(setup: script.Setup) -> None:
    def interrupted() -> None:
        (setup.venv / "half-copied").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        setup.step("torch", ["1"], "installing", interrupted)
    setup.discard_if_cut_off()
    assert not (setup.venv / "half-copied").exists()
    assert setup.step("torch", ["1"], "installing", lambda: None)
    setup.discard_if_cut_off()
    assert not setup.step("torch", ["1"], "installing", lambda: pytest.fail("done already"))


def test_a_failed_step_keeps_what_was_installed_before_it(setup: script.Setup) -> None:
    def unreachable() -> None:
        raise script.SetupError("no network")

    setup.step("torch", ["1"], "installing", lambda: None)
    with pytest.raises(script.SetupError):
        setup.step("base", ["1"], "installing", unreachable)
    setup.discard_if_cut_off()
    assert not setup.step("torch", ["1"], "installing", lambda: pytest.fail("done already"))


def test_a_failed_program_ends_in_one_line_with_the_log(setup: script.Setup) -> None:
    code = "import sys; print('ERROR: No matching distribution found for x'); sys.exit(1)"
    with pytest.raises(script.SetupError, match=r"installing x failed: ERROR: No matching .*setup\.log"):
        setup.call([sys.executable, "-c", code], "installing x")


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying ... NewConnectionError('... Connection refused')\nERROR: No matching", "network"),
        ("npm error code ENOTFOUND", "network"),
    ],
)
def test_causes_are_told_with_a_remedy(output: str, remedy: str) -> None:
    assert remedy in script.diagnose(output)


def torchaudio(tmp_path: Path, version: str) -> Path:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text(version)
    lib = tmp_path / "torchaudio" / "lib"
    lib.mkdir(parents=True)
    (lib / "_torchaudio.so").write_text("cuda")
    return tmp_path


def test_torchaudio_is_arranged_for_the_build_of_torch_and_back(tmp_path: Path) -> None:
    packages = torchaudio(
        tmp_path, "__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n"
    )
    assert script.torch_is_cpu_build(packages)
    assert script.arrange_torchaudio(packages, cpu=True) == 1
    assert script.arrange_torchaudio(packages, cpu=True) == 1
    assert not list((packages / "torchaudio" / "lib").glob("*.so"))
    script.arrange_torchaudio(packages, cpu=False)
    assert (packages / "torchaudio" / "lib" / "_torchaudio.so").read_text() == "cuda"


def test_a_cuda_build_is_recognised(tmp_path: Path) -> None:
    packages = torchaudio(tmp_path, "cuda: Optional[str] = '12.9'\nhip: Optional[str] = None\n")
    assert not script.torch_is_cpu_build(packages)


def test_an_environment_without_pip_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    assert script.usable(Path(sys.executable))
    assert not script.usable(tmp_path / "bin" / "python")


def test_this_environment_is_complete_without_a_network() -> None:
    """The second run: every stamp fits, so nothing is asked of an index (there is none at the address given)."""
    closed = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1", "npm_config_registry": "http://127.0.0.1:9/"}
    command = [sys.executable, str(ROOT / "scripts" / "setup.py"), "--dev"]
    if not (ROOT / ".venv" / "stamps" / "dev").exists():
        pytest.skip("this environment was not made by scripts/setup.py")
    done = subprocess.run(command, env={**os.environ, **closed}, capture_output=True, text=True, check=True)
    assert "installing" not in done.stdout


def test_lock_files_pin_everything_and_name_no_index_nor_torch() -> None:
    for name in ("base.txt", "dev.txt"):
        lines = [line for line in (ROOT / "requirements" / name).read_text().splitlines() if line.strip()]
        pins = [line for line in lines if not line.lstrip().startswith("#")]
        assert all("==" in line for line in pins)
        assert not any(line.startswith(("torch", "nvidia", "--")) for line in pins)
        assert "://" not in "\n".join(lines)


def test_a_package_that_is_not_to_be_had_keeps_no_other_out(
    setup: script.Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: list[str] = []

    def install(_: script.Setup, packages: list[str]) -> None:
        if "festival" in packages:
            raise script.SetupError("no installation candidate for festival")
        installed.extend(packages)

    monkeypatch.setattr(script, "missing_system", lambda: {"Redis": "redis-server", "Festival": "festival festival-te"})
    monkeypatch.setattr(script, "may_apt", lambda: True)
    monkeypatch.setattr(script, "apt_install", install)
    script.system_tools(setup)
    assert installed == ["redis-server"]
    assert "no installation candidate for festival" in capsys.readouterr().err
