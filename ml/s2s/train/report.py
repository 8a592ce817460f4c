"""What a run shows and ships: answers to be heard at each validation, and the best weights with their card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from ml.codec.config import ConfigError
from ml.codec.model import TeluCodec
from ml.evaluate.answers import Asked, answer_all, to_audio
from ml.s2s.checkpoint import export_s2s
from ml.s2s.model import S2SModel
from ml.s2s.train.data import Row, answer_ids
from ml.s2s.train.trainer import S2STrainer
from ml.train.checkpoints import ResumeError
from ml.train.samples import write_samples, write_samples_to

SOURCES = (
    "questions and answers synthesised with Festival (festvox-te-nsk) and espeak-ng from the project's own corpus; "
    "out-of-domain questions: Common Voice Telugu (CC0), LibriSpeech (CC BY 4.0), Picovoice (Apache-2.0), "
    "speechocean762, noises of ESC-10 (CC BY 3.0)"
)


def write_answers(trainer: S2STrainer, codec: TeluCodec, step: int, count: int) -> None:
    """Answers of the averaged model to `count` validation questions, and once the recordings, as `run/samples`."""
    samples = trainer.run / "samples"
    if not (samples / "target").exists():
        write_samples(trainer.run, "target", [to_audio(codec, row.answer.codes) for row in _shown(trainer, count)])
    model = trainer.averaged()
    assert isinstance(model, S2SModel)
    write_answers_of(model.to("cpu"), trainer, codec, samples / f"step-{step:08d}", count)


def write_answers_of(model: S2SModel, trainer: S2STrainer, codec: TeluCodec, folder: Path, count: int) -> None:
    """Answers of `model` to the `count` validation questions that the run's samples are of, as FLAC in `folder`.

    Raises:
        ConfigError: the model speaks another codec's codes.
    """
    if not model.speaks(codec.quantizer.codebooks):
        raise ConfigError("this model was trained for another codec than the run; choose one of the same codec")
    asked = []
    for row in _shown(trainer, count):
        assert row.question is not None
        asked.append(Asked(row.question, trainer.dialogues.conditions([row.answer], [True]), row.past))
    silent = np.zeros(1_600, np.float32)  # an answer without a frame is still a file
    heard = [to_audio(codec, a.codes) if a.codes.shape[1] else silent for a in answer_all(model, asked)]
    write_samples_to(folder, heard)


def _shown(trainer: S2STrainer, count: int) -> list[Row]:
    """The validation rows that are heard: spread over all."""
    spread = np.linspace(0, len(trainer.validation) - 1, min(count, len(trainer.validation))).round().astype(int)
    return [trainer.validation[i][1] for i in spread]


def export_best(trainer: S2STrainer, path: Path) -> dict[str, Any]:
    """Ship the run's best weights as `path` with a card; returns the figures in it. Raises ResumeError without any."""
    best = trainer.run / "best.safetensors"
    if not best.exists():
        raise ResumeError(f"{trainer.run} has no best.safetensors yet; train until its first validation")
    model = trainer.build()
    assert isinstance(model, S2SModel)
    model.load_state_dict(load_file(best))
    figures: dict[str, Any] = json.loads((trainer.run / "best.json").read_text(encoding="utf-8"))
    pairs = trainer.dialogues.set
    card = {
        "recipe": trainer.config.to_dict(),
        "data": {
            "sources": SOURCES,
            "questions": len(pairs.questions),
            "answers": len(pairs.answers),
            "pairs": sum(p.split == "train" for p in pairs.pairs),
        },
        "plans": answer_ids(pairs),
        "intents": list(pairs.intents),
        "metrics": {"validation": figures},
        "licence": "Apache-2.0",
    }
    export_s2s(model.eval(), path, card)
    return figures
