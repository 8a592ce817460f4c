"""Remove what can be made again: the environment, node modules, caches and the run-time folder var/."""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHES = [".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache", "node_modules", ".venv"]


def main() -> int:
    remove = [ROOT / name for name in CACHES]
    database = ROOT / "var" / "db.sqlite3"
    answer = "y"
    if database.exists():
        if not sys.stdin.isatty():
            answer = "n"
            print("clean: var/ is kept, it holds your conversations (delete it by hand: rm -r var)")
        else:
            answer = input("var/ holds your conversations and the operator account. Delete it too? [y/N] ")
    if answer.strip().lower().startswith("y"):
        remove.append(ROOT / "var")
    for cache in ROOT.rglob("__pycache__"):
        if not {".venv", "node_modules", ".git"} & set(cache.relative_to(ROOT).parts):
            remove.append(cache)
    for path in remove:
        shutil.rmtree(path, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
