#!/usr/bin/env python3
"""Make or complete the environment: `.venv` from the lock files, and with --dev / --system what the tests need.

Standard library only, since it runs before anything is installed. Every step leaves a stamp holding the hash of what
it was made from; the stamp is written last, so an interrupted step is simply done again, and a finished one costs a
file comparison. Nothing here asks the network once the stamps fit.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
DISK_NEEDED_GB = 3.0


class SetupError(Exception):
    """What went wrong and what to do about it, on one line."""


def fail_line(text: str) -> str:
    return f"setup: {' '.join(text.split())}"


class Setup:
    """One environment under ``venv``, with its stamps in ``venv/stamps`` and the installers' output in ``log``."""

    def __init__(self, venv: Path, log: Path) -> None:
        self.venv = venv
        self.log = log
        self.python = venv / "bin" / "python"
        self.stamps = venv / "stamps"

    # -- stamps -----------------------------------------------------------------------------------------------------

    def step(self, name: str, inputs: list[str], say: str, work: Callable[[], None]) -> bool:
        """Run ``work`` unless the stamp ``name`` already carries the hash of ``inputs``. True when it ran."""
        digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()
        stamp = self.stamps / name
        with contextlib.suppress(OSError):
            if stamp.read_text() == digest:
                return False
        print(f"· {say}", flush=True)
        began = time.monotonic()
        marker = stamp.with_suffix(".begun")
        self.stamps.mkdir(parents=True, exist_ok=True)
        marker.touch()
        try:
            work()
        except SetupError:  # the installer ended by itself and tidied up; a cut-off one leaves the marker
            marker.unlink(missing_ok=True)
            raise
        self.stamps.mkdir(parents=True, exist_ok=True)  # making the environment anew removes them
        fresh = stamp.with_suffix(".new")
        fresh.write_text(digest)
        os.replace(fresh, stamp)
        marker.unlink(missing_ok=True)
        print(f"  done in {time.monotonic() - began:.0f} s", flush=True)
        return True

    def discard_if_cut_off(self) -> None:
        """Start anew when an installer was killed: it may take a half-copied package for an installed one."""
        if any(self.stamps.glob("*.begun")):
            print(f"· an earlier set-up was cut off: making {self.venv.name} anew", flush=True)
            shutil.rmtree(self.venv)

    # -- running other programs -------------------------------------------------------------------------------------

    def call(self, command: list[str], what: str, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
        """Run ``command`` with its output in the log; raise SetupError with a remedy when it fails."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as sink:
            sink.write(f"\n$ {' '.join(command)}\n".encode())
            sink.flush()
            try:
                code = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=cwd, env=env)
            except OSError as error:
                raise SetupError(f"{what}: cannot run {command[0]} ({error.strerror})") from error
        if code:
            with self.log.open("rb") as source:
                source.seek(start)
                output = source.read().decode(errors="replace")
            raise SetupError(f"{what} failed: {diagnose(output)} (whole output: {shown(self.log)})")

    def pip(self, what: str, *arguments: str) -> None:
        self.call([str(self.python), "-m", "pip", "--no-input", "install", *arguments], what)


def shown(path: Path) -> str:
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)


def diagnose(output: str) -> str:
    """The cause and the remedy that an installer's output speaks of."""
    if "No space left on device" in output:
        return "the disk is full; free some gigabytes and run the same command again"
    network = (
        "NewConnectionError",
        "Temporary failure in name resolution",
        "Connection refused",
        "Failed to establish a new connection",
        "Network is unreachable",
        "ReadTimeoutError",
        "ProxyError",
        "Temporary failure resolving",
        "ENOTFOUND",
        "ECONNREFUSED",
        "EAI_AGAIN",
    )
    if any(word in output for word in network):
        return "the package index cannot be reached; connect to the network once and run the same command again"
    errors = [line for line in output.splitlines() if re.match(r"\s*(ERROR|E|error|npm (ERR!|error))\b", line)]
    return errors[-1].strip() if errors else (output.strip().splitlines() or ["no output"])[-1]


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """`make run` and `make test` may be started together: the second waits for the first one's installation."""
    try:
        import fcntl
    except ImportError:  # not on this platform; then two at once are the user's own risk
        yield
        return
    with (ROOT / "requirements" / "torch.txt").open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("· waiting for another set-up of this folder to finish", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# -- the steps ------------------------------------------------------------------------------------------------------


def text(*names: str) -> list[str]:
    return [(ROOT / "requirements" / name).read_text() for name in names]


def usable(python: Path) -> bool:
    """Whether an environment made earlier still works: it has pip, is of this Python, and lies where it was made."""
    with contextlib.suppress(OSError):
        made = re.search(r"^command = .* (\S+)$", (python.parent.parent / "pyvenv.cfg").read_text(), re.M)
        if made and Path(made[1]) != python.parent.parent:  # moved: the scripts in bin/ name an interpreter elsewhere
            return False
    probe = "import pip, sys; print(sys.version_info[:2])"
    try:
        found = subprocess.run([str(python), "-c", probe], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return found.strip() == str(tuple(sys.version_info[:2]))


def make_environment(setup: Setup) -> None:
    if usable(setup.python):
        return
    free = shutil.disk_usage(setup.venv.parent).free / 1e9
    if free < DISK_NEEDED_GB:
        raise SetupError(f"only {free:.1f} GB are free here and the environment needs {DISK_NEEDED_GB:.0f}; free some")
    try:
        import ensurepip  # noqa: F401  (Debian ships Python without it)
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        if not may_apt():
            raise SetupError(
                f"this Python cannot make environments; install it by: apt-get install {package}"
            ) from None
        apt_install(setup, [package])
    setup.call([sys.executable, "-m", "venv", "--clear", str(setup.venv)], "making the virtual environment")


def install_torch(setup: Setup) -> None:
    wanted = dict(re.findall(r"^(torch|torchaudio)==(\S+)", "\n".join(text("torch.txt")), re.M))
    constraints = str(ROOT / "requirements" / "base.txt")
    setup.pip("installing torch", f"torch=={wanted['torch']}", "-c", constraints)
    # torchaudio pins no torch, but its dependency resolution would fetch a second, other build
    setup.pip("installing torchaudio", "--no-deps", f"torchaudio=={wanted['torchaudio']}")
    packages = Path(
        subprocess.run(
            [str(setup.python), "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    cpu = torch_is_cpu_build(packages)
    moved = arrange_torchaudio(packages, cpu=cpu)
    if cpu:
        print(
            f"  torch is a CPU build: torchaudio's {moved} CUDA libraries are set aside (its transforms are pure torch)"
        )
    setup.call(
        [str(setup.python), "-W", "ignore", "-c", "import torch, torchaudio.transforms"],
        "importing torch and torchaudio",
    )


def torch_is_cpu_build(packages: Path) -> bool:
    """Whether the torch in ``packages`` (site-packages) was built without CUDA and ROCm, read without importing it."""
    source = (packages / "torch" / "version.py").read_text()
    return not re.search(r"^(cuda|hip)\b[^=\n]*=\s*['\"]", source, re.M)


def arrange_torchaudio(packages: Path, *, cpu: bool) -> int:
    """Set torchaudio's CUDA-linked libraries aside for a CPU torch, or put them back. Number of those set aside."""
    lib = packages / "torchaudio" / "lib"
    aside = lib / "set-aside"
    source, target = (lib, aside) if cpu else (aside, lib)
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for library in source.glob("*.so"):
            os.replace(library, target / library.name)
    return len(list(aside.glob("*.so"))) if aside.is_dir() else 0


def install_dev(setup: Setup) -> None:
    lock = ROOT / "requirements" / "dev.txt"
    if lacks(setup, "pesq") and not compiler_at_hand() and may_apt():
        with contextlib.suppress(SetupError):
            apt_install(setup, ["build-essential", "python3-dev"])
    if not lacks(setup, "pesq") or compiler_at_hand():
        setup.pip("installing the tools for tests", "--no-deps", "-r", str(lock))
        return
    # pesq exists as source only; everything else is a wheel
    print(
        "  no C compiler with Python headers: PESQ figures are left out (apt-get install build-essential python3-dev)"
    )
    reduced = setup.stamps / "dev-without-pesq.txt"
    reduced.parent.mkdir(parents=True, exist_ok=True)
    reduced.write_text("".join(line for line in lock.read_text().splitlines(True) if not line.startswith("pesq==")))
    setup.pip("installing the tools for tests", "--no-deps", "-r", str(reduced))


def lacks(setup: Setup, package: str) -> bool:
    return subprocess.call([str(setup.python), "-c", f"import {package}"], stderr=subprocess.DEVNULL) != 0


def compiler_at_hand() -> bool:
    import sysconfig

    return bool(shutil.which("gcc") or shutil.which("cc")) and Path(sysconfig.get_path("include"), "Python.h").exists()


# -- system binaries and node, for the tests ------------------------------------------------------------------------


def find_binary(*names: str) -> str | None:
    """A program on PATH or where Debian keeps PostgreSQL's server programs."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
        versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        if versions:
            return str(versions[-1])
    return None


SYSTEM = {  # what it is for the user: (Debian package, program names, any of which will do)
    "PostgreSQL": ("postgresql", ("initdb",)),
    "Redis": ("redis-server", ("redis-server", "valkey-server")),
    "Chromium": ("chromium", ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")),
    # voices for making data (ml/data/synthesis); the product runs without
    "Festival": ("festival festival-te festvox-te-nsk", ("festival",)),
    "espeak-ng": ("espeak-ng", ("espeak-ng",)),
}


def missing_system() -> dict[str, str]:
    return {label: package for label, (package, names) in SYSTEM.items() if not find_binary(*names)}


def may_apt() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(setup: Setup, packages: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    setup.call(["apt-get", "-q", "update"], "refreshing apt's lists", env=environment)
    command = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages]
    setup.call(command, f"installing {', '.join(packages)}", env=environment)


def system_tools(setup: Setup) -> None:
    """Install what the tests need of the system, or say what is missing; the tests then skip (in CI: fail)."""
    missing = missing_system()
    if missing and may_apt():
        print(f"· installing {', '.join(missing)} by apt", flush=True)
        try:
            apt_install(setup, " ".join(missing.values()).split())
        except SetupError:  # one that this release does not have must not keep the others out
            for packages in missing.values():
                try:
                    apt_install(setup, packages.split())
                except SetupError as error:
                    print(fail_line(str(error)), file=sys.stderr)
        missing = missing_system()
    if missing:
        print(
            f"! not found: {', '.join(missing)}. Tests that need them will not run. "
            f"As root: apt-get install {' '.join(missing.values())}",
            file=sys.stderr,
        )


def node_tools(setup: Setup) -> None:
    """TypeScript's checker, where node is there; the product itself needs no node."""
    lock = ROOT / "package-lock.json"
    if not lock.exists():
        return
    if not shutil.which("npm") or not shutil.which("node"):
        print("! node is not installed: the JavaScript checks and tests are left out (apt-get install nodejs npm)")
        return
    if not (ROOT / "node_modules").is_dir():
        (setup.stamps / "node").unlink(missing_ok=True)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    setup.step("node", [lock.read_text()], "installing the JavaScript checker", lambda: setup.call(command, "npm ci"))


def clients(setup: Setup) -> None:
    """Unmodified clients that tests talk to us with, in an environment of their own inside ours."""
    inner = Setup(setup.venv / "clients", setup.log)
    setup.call([str(setup.python), "-m", "venv", "--clear", str(inner.venv)], "making the clients' environment")
    inner.pip("installing others' clients", "--no-deps", "-r", str(ROOT / "requirements" / "clients.txt"))


def run(setup: Setup, *, dev: bool, system: bool) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    setup.discard_if_cut_off()
    setup.step("environment", [version, str(setup.venv)], f"making {setup.venv.name}", lambda: make_environment(setup))
    renewed = setup.step(
        "torch",
        [version, *text("torch.txt")],
        "installing torch and torchaudio (the largest download)",
        lambda: install_torch(setup),
    )
    base = str(ROOT / "requirements" / "base.txt")
    renewed |= setup.step(
        "base",
        [version, *text("base.txt")],
        "installing the locked packages",
        lambda: setup.pip("installing the locked packages", "--no-deps", "-r", base),
    )
    if dev:
        setup.step(
            "dev", [version, *text("dev.txt")], "installing the tools for tests and linting", lambda: install_dev(setup)
        )
        node_tools(setup)
    if system:
        system_tools(setup)
        setup.step("clients", [version, *text("clients.txt")], "installing others' clients", lambda: clients(setup))
    if renewed:
        print("· environment complete; from here on no network is needed", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also what tests and linting need")
    parser.add_argument("--system", action="store_true", help="also Postgres, Redis and Chromium (apt, when root)")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where the environment is (default: .venv)")
    options = parser.parse_args(arguments)
    log = Path(os.environ.get("VOICE_VAR_DIR", ROOT / "var")) / "log" / "setup.log"
    try:
        with one_at_a_time():
            run(Setup(options.venv.absolute(), log), dev=options.dev, system=options.system)
    except SetupError as error:
        print(fail_line(str(error)), file=sys.stderr)
        return 1
    except OSError as error:
        print(fail_line(f"{error.strerror or error}: {error.filename or ''}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"setup: Python 3.11 or newer is needed and this is {sys.version.split()[0]}; install it "
            "(e.g. apt-get install python3.11 python3.11-venv) and run: make run PYTHON=python3.11"
        )
    sys.exit(main())
