"""Resolve requirements/*.in into fully pinned lock files (needs the network; run by `make lock`).

torch and torchaudio are kept out by overrides.txt: which build of them is right depends on the machine.
"""

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def lock(name: str) -> int:
    """Resolve ``name``.in into ``name``.txt for every platform, naming no package index."""
    return subprocess.call(
        [
            str(Path(sys.executable).parent / "uv"),
            *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
            *("--no-emit-index-url", "--no-emit-find-links", "--no-emit-package", "torch"),
            *("--overrides", "overrides.txt", "--custom-compile-command", "make lock"),
            *("-o", f"{name}.txt", f"{name}.in"),
        ],
        cwd=REQUIREMENTS,
    )


if __name__ == "__main__":
    sys.exit(lock("base") or lock("dev") or lock("clients"))
