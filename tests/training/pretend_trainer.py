"""A trainer without a model, for tests of its supervisor: counts, leaves checkpoints, resumes, stops when asked.

``python pretend_trainer.py RUN STEPS [fail=CODE|full|crash]``; a step takes a hundredth of a second.
"""

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType

run, steps = Path(sys.argv[1]), int(sys.argv[2])
trouble = sys.argv[3] if len(sys.argv) > 3 else ""
asked: list[int] = []


def note(number: int, _frame: FrameType | None) -> None:
    asked.append(number)


signal.signal(signal.SIGTERM, note)
checkpoint = run / "checkpoint"
step = int(checkpoint.read_text()) if checkpoint.exists() else 0
(run / "starts").open("a").write(f"{step}\n")
if trouble.startswith("fail="):
    print("error: crop_seconds 0.3 is not a whole number of hops", file=sys.stderr)
    raise SystemExit(int(trouble.removeprefix("fail=")))
if trouble == "crash":
    signal.raise_signal(signal.SIGKILL)
metrics = Path("/dev/full") if trouble == "full" else run / "metrics.jsonl"
with metrics.open("a") as log:
    while step < steps:
        time.sleep(0.01)
        step += 1
        log.write(json.dumps({"step": step, "seconds": step / 100, "loss": 1 / step, "epoch": 1}) + "\n")
        log.flush()
        if step % 10 == 0:
            checkpoint.write_text(str(step))
        if asked:
            break
checkpoint.write_text(str(step))
print(f"{'stopped' if asked else 'finished'} at step {step}")
