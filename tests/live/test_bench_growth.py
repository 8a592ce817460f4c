"""What ``manage.py bench live`` says of the processes' memory."""

from benchmarks.conversation import _growth


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
