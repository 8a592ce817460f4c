"""Datasets with a few clips, and jobs whose command is a pretended trainer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from apps.training import kinds, services
from apps.training.models import Dataset, Job
from apps.training.paths import dataset_folder, run_folder
from apps.training.supervisor import loop

PRETENDED = Path(__file__).with_name("pretend_trainer.py")


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path) -> None:
    """Files of a test are its own."""
    settings.VAR_DIR = tmp_path / "var"


def write_tone(path: Path, seconds: float = 1.0, frequency: float = 220.0, rate: int = 16_000) -> Path:
    """A recording with an extension that soundfile knows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * frequency * time), rate)
    return path


@pytest.fixture
def dataset(db: Any) -> Dataset:
    """Ready to be trained on: two clips."""
    made = services.dataset_create(name="Two tones", licence="CC0")
    folder = dataset_folder(made.pk)
    rows = []
    for number in range(2):
        write_tone(folder / "audio" / f"{number}.flac", 1.0 + number)
        rows.append({"audio": f"audio/{number}.flac", "seconds": 1.0 + number, "speaker": "s", "level_db": -14.0})
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return services.dataset_ingested(dataset_id=made.pk)


@pytest.fixture
def new_job(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Queues a training that runs the pretended trainer: ``new_job(steps, trouble)``."""
    troubles: dict[Any, str] = {}

    def command_of(job: Job) -> kinds.Command:
        run, steps = run_folder(job.pk), int(job.config["values"]["steps"])
        kinds.audio_folders(list(job.datasets.all()))
        return kinds.Command([str(PRETENDED), str(run), str(steps), troubles[job.pk]], run / "metrics.jsonl", steps)

    monkeypatch.setattr(loop.kinds, "command_of", command_of)
    monkeypatch.setattr(loop, "TICK_S", 0.02)
    monkeypatch.setattr(loop, "REPORT_S", 0.1)

    def make(steps: int = 30, trouble: str = "") -> Job:
        job = services.job_create(
            kind="train_codec", name="pretended", datasets=[dataset], config={"values": {"steps": steps}}
        )
        troubles[job.pk] = trouble
        return job

    return make
