"""Two processes train one codec: the same weights and codebooks in both, files by the first alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.audio.io import write_audio

SCRIPT = """
import dataclasses, sys
from pathlib import Path
import torch
from ml.codec.discriminators import DiscriminatorConfig
from ml.train.codec import CodecTrainer, Stop
from ml.train.config import RECIPES, LossWeights
from ml.train.data import ClipBank, find_audio
from ml.train.workers import Workers

torch.set_num_threads(1)
small = dataclasses.replace(RECIPES["tiny"].codec, codebook_size=32, revival=0.5)
config = dataclasses.replace(
    RECIPES["tiny"], codec=small, steps=6, quantize_from=2, validate_every=3, adversarial_from=3,
    loss=LossWeights(adversarial=1.0, feature=1.0),
    discriminators=DiscriminatorConfig(periods=(2,), n_ffts=(512,), period_width=4, stft_width=4),
)
folder = Path(sys.argv[1])
workers = Workers.from_environment("cpu")
bank = ClipBank.load(find_audio([folder / "clips"]))
trainer = CodecTrainer(config, folder / f"run{workers.rank}", "cpu", workers)
trainer.fit(bank, bank, lambda row: None, Stop(), 60)
state = {k: v for k, v in trainer.codec.state_dict().items() if v.is_floating_point()}
sums = {k: float(v.double().sum()) for k, v in state.items()}
import json
(folder / f"sums{workers.rank}.json").write_text(json.dumps(sums))
workers.leave()
"""


def test_processes_agree_and_the_first_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    for i in range(3):
        write_audio(tmp_path / "clips" / f"{i}.wav", (0.1 * rng.standard_normal(12_000)).astype(np.float32))
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, tmp_path],
        capture_output=True,
        text=True,
        timeout=240,
        env={
            **os.environ,
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "OMP_NUM_THREADS": "1",
        },
    )
    assert done.returncode == 0, done.stderr[:4_000]
    first, second = (json.loads((tmp_path / f"sums{rank}.json").read_text()) for rank in (0, 1))
    assert first == pytest.approx(second, rel=1e-4, abs=1e-3)
    assert (tmp_path / "run0" / "best.safetensors").exists()
    assert list((tmp_path / "run0" / "checkpoints").iterdir())
    assert not list((tmp_path / "run1").iterdir())
