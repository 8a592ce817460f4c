"""Run the tests or the linters, all of them even when one fails, and end with one plain line on the outcome."""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TEST_LIMIT_S = 2400
"""A run that hangs (a thread that a test left behind) ends as failed instead of holding CI for good."""


def run(command: Sequence[str | Path], env: dict[str, str] | None = None, limit_s: float | None = None) -> int:
    """Run one tool in the repository's root with its output on ours; its exit status, 124 when ``limit_s`` passed."""
    sys.stdout.flush()
    words = [str(part) for part in command]
    try:
        return subprocess.call(words, cwd=ROOT, env={**os.environ, **(env or {})}, timeout=limit_s)
    except subprocess.TimeoutExpired:
        print(f"{words[0]} was ended: it ran for more than {limit_s:.0f} s", flush=True)
        return 124


# -- tests -----------------------------------------------------------------------------------------------------------


def count(report: Path) -> tuple[int, int, int]:
    """(passed, failed, skipped) of a JUnit report; an error counts as failed."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def javascript_tests() -> list[Path]:
    return sorted((ROOT / "frontend" / "tests").glob("*.test.js")) + sorted(
        (ROOT / "frontend" / "tests").glob("*.test.mjs")
    )


def test(arguments: list[str]) -> int:
    """Python's tests, then JavaScript's where node is there; the exit status is that of the first that failed."""
    with tempfile.TemporaryDirectory() as folder:
        reports = [Path(folder) / "python.xml"]
        status = run([sys.executable, "-m", "pytest", f"--junitxml={reports[0]}", *arguments], limit_s=TEST_LIMIT_S)
        scripts = javascript_tests()
        if scripts and not arguments:
            if shutil.which("node"):
                reports.append(Path(folder) / "javascript.xml")
                reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"]
                reporters += ["--test-reporter=junit", f"--test-reporter-destination={reports[1]}"]
                status = run(["node", "--test", *reporters, *scripts]) or status
            else:
                print("JavaScript tests: left out, node is not installed (apt-get install nodejs)")
        totals = [sum(numbers) for numbers in zip(*(count(r) for r in reports if r.exists()), strict=True)]
    if totals:
        passed, failed, skipped = totals
        print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return status


# -- linters -----------------------------------------------------------------------------------------------------------


def production_environment(folder: str) -> dict[str, str]:
    """Values with which a production deployment would pass its own checks; nothing is connected to."""
    return {
        "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.production",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "voice.example.org",
        "CSRF_TRUSTED_ORIGINS": "https://voice.example.org",
        "DATABASE_URL": "postgres://voice:secret@db.example.org:5432/voice",
        "REDIS_URL": "redis://redis.example.org:6379/0",
        "INFERENCE_URLS": "tcp://inference.example.org:9000",
        "VOICE_VAR_DIR": folder,
    }


def lint() -> int:
    """Every linter once; the names of those that complain."""
    manage = [sys.executable, "manage.py"]
    with tempfile.TemporaryDirectory() as folder:
        local = {"DJANGO_SETTINGS_MODULE": "voiceplatform.settings.test", "VOICE_VAR_DIR": folder, "DATABASE_URL": ""}
        checks: list[tuple[str, list[str | Path], dict[str, str]]] = [
            ("ruff check", [BIN / "ruff", "check", "--quiet", "."], {}),
            ("ruff format", [BIN / "ruff", "format", "--check", "--quiet", "."], {}),
            ("import rules", [BIN / "lint-imports", "--no-logo"], {}),
            ("migrations", [*manage, "makemigrations", "--check", "--dry-run"], local),
            (
                "production checks",
                [*manage, "check", "--deploy", "--fail-level", "WARNING"],
                production_environment(folder),
            ),
            ("mypy", [BIN / "mypy"], local),
        ]
        tsc = ROOT / "node_modules" / ".bin" / "tsc"
        if tsc.exists() and shutil.which("node"):
            checks.append(("tsc", [tsc, "-p", "tsconfig.json"], {}))
        else:
            print("tsc: left out, node is not installed (apt-get install nodejs npm)")
        failed = []
        for name, command, environment in checks:
            began = time.monotonic()
            status = run(command, environment)
            print(f"{'ok    ' if status == 0 else 'FAILED'} {name} ({time.monotonic() - began:.1f} s)", flush=True)
            if status:
                failed.append(name)
    print(f"lint: {', '.join(failed)} failed" if failed else "lint: clean")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["test", "lint"])
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    options = parser.parse_args()
    return test(options.arguments) if options.what == "test" else lint()


if __name__ == "__main__":
    sys.exit(main())
