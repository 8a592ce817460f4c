"""What ``manage.py bench live`` says of the processes' memory, and of what else the machine was doing."""

import subprocess
import sys

from benchmarks.conversation import _growth
from benchmarks.elsewhere import Moment, Spent, by_minute, spent


def test_growth_is_told_by_tenths_and_a_new_start_is_counted() -> None:
    samples = [
        {
            "inference": {"resident_mb": 100.0 + n, "files": 15, "pid": 7},
            "web": {"resident_mb": 50.0, "files": 9, "pid": n // 15},
        }
        for n in range(30)
    ]
    del samples[20]["inference"]
    told = _growth(samples)
    assert told["inference"]["resident_mb"] == [104.5, 125.0]
    assert told["inference"]["resident_mb_by_tenth"][0] == 101.0
    assert told["inference"]["resident_mb_by_tenth"][-1] == 128.0
    assert told["inference"]["absent"] == 1
    assert (told["inference"]["started_anew"], told["web"]["started_anew"]) == (0, 1)
    assert told["web"]["resident_mb_by_tenth"] == [50.0] * 10


def test_late_ticks_stand_beside_what_else_was_busy_in_their_minute() -> None:
    moments = [
        Moment(15.0 * n, 100 * n, 3 * (n > 5), Spent(20.0 * n, 10.0 * min(n, 4) + 20.0 * max(0, n - 4), 3.0 * n))
        for n in range(9)
    ]
    assert by_minute(moments) == [
        {"seconds": 60.0, "ticks": 400, "late_ticks": 0, "busy_elsewhere": 0.667, "stolen": 0.2},
        {"seconds": 60.0, "ticks": 400, "late_ticks": 3, "busy_elsewhere": 0.0, "stolen": 0.2},
    ]
    half, last = by_minute(moments[:6]), {"seconds": 15.0, "ticks": 100, "late_ticks": 0}
    assert half[0] == by_minute(moments)[0]
    assert half[1] == last | {"busy_elsewhere": 0.0, "stolen": 0.2}, "what is left at the end is told too"
    assert by_minute(moments[:1]) == []


def test_processor_time_of_children_is_ours_and_a_strangers_is_not() -> None:
    before = spent()
    work = "sum(i * i for i in range(3_000_000))"
    subprocess.run([sys.executable, "-c", work], check=True)
    after = spent()
    used = after.ours - before.ours
    assert used > 0.05
    assert after.machine - before.machine >= used - 0.05
