"""Progress that somebody else is writing, and curves of runs that were resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.utils import translation

from apps.training.supervisor.failures import tail, words_for
from apps.training.supervisor.progress import ProgressReader, columns


def write(path: Path, *rows: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in rows)


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reader = ProgressReader(path, total=100)
    assert not reader.read()  # no file yet
    write(path, {"step": 10, "seconds": 1.0, "loss": 2.0})
    with path.open("a") as file:
        file.write('{"step": 20, "sec')
    assert reader.read()
    assert (reader.step, reader.metrics, reader.eta_seconds()) == (10, {"loss": 2.0}, None)
    with path.open("a") as file:
        file.write('onds": 3.0, "loss": NaN, "snr_db_8": 4.5}\n')
    assert reader.read()
    assert (reader.step, reader.metrics, reader.eta_seconds()) == (20, {"loss": 2.0, "snr_db_8": 4.5}, 16)
    assert not reader.read()


def test_what_is_no_row_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_text('garbage\n[1]\n{"step": "x"}\n{"step": 3, "total": 9, "note": "decode", "result": {"clips": 2}}\n')
    reader = ProgressReader(path)
    assert reader.read()
    assert (reader.step, reader.total, reader.stage, reader.result) == (3, 9, "decode", {"clips": 2})


def test_a_last_row_with_a_result_alone(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    write(path, {"step": 3, "total": 3}, {"result": {"clips": 3}, "seconds": 2.6})
    reader = ProgressReader(path)
    reader.read()
    assert (reader.step, reader.result) == (3, {"clips": 3})
    assert columns(path)["step"] == [3.0]


def test_steps_done_again_replace_the_first_ones(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *({"step": n, "loss": float(n)} for n in (10, 20, 30, 40)))
    write(path, {"step": 30, "loss": 3.5}, {"step": 40, "loss": 4.5, "snr_db_8": 1.0})
    assert columns(path) == {
        "step": [10.0, 20.0, 30.0, 40.0],
        "loss": [10.0, 20.0, 3.5, 4.5],
        "snr_db_8": [None, None, None, 1.0],
    }


def test_long_curves_are_thinned_but_keep_every_validation_and_the_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *({"step": n, "loss": 1.0, **({"stoi": n / 1e4} if n % 1000 == 0 else {})} for n in range(1, 10_002)))
    found = columns(path, points=100)
    assert len(found["step"]) < 130
    assert [v for v in found["stoi"] if v is not None] == [n / 10 for n in range(1, 11)]
    assert found["step"][-1] == 10_001


def test_no_file_is_an_empty_chart(tmp_path: Path) -> None:
    assert columns(tmp_path / "none.jsonl") == {"step": []}


def test_a_progress_bar_in_the_log_is_its_last_state(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("starting\nloss 2.0 \x1b[32m━━\x1b[0m 1/9\rloss 1.0 ━━━━ 9/9\n\nfinished\n")
    assert tail(log) == ["starting", "loss 1.0 ━━━━ 9/9", "finished"]


@translation.override("en")  # as a worker writes them
def test_words_for_an_end(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("Traceback\nOSError: [Errno 28] No space left on device\n")
    assert words_for(1, log)[0] == "the disk is full"
    log.write_text("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n")
    assert "smaller batch" in words_for(1, log)[1]
    log.write_text("warming up\nerror: no audio files below /x; check the folder\nAborted\n")
    assert words_for(2, log)[0] == "no audio files below /x; check the folder"
    log.write_text("")
    assert words_for(-11, log)[0] == "it was ended by SIGSEGV"
    report = "Failures:\n  exitcode  : -15 (pid: 11)\n----\nRoot Cause (first observed failure):\n"
    report += "  exitcode  : {} (pid: 12)\n===="
    log.write_text(report.format(-6))
    assert words_for(1, log)[0] == "it was ended by SIGABRT", "torchrun itself ends with 1"
    log.write_text("error: batch must be positive\n" + report.format(2))
    assert words_for(1, log)[0] == "batch must be positive", "the other was only stopped by torchrun"
