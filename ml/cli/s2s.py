"""`python -m ml s2s`: weights of a training run for shipping, and another model's answers to the same questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ml.codec.model import TeluCodec
    from ml.s2s.train.trainer import S2STrainer

app = typer.Typer(no_args_is_help=True)

Run = Annotated[Path, typer.Argument(help="Folder of a training run (with config.json).")]
Pairs = Annotated[Path, typer.Option(help="Folder of pairs that the run learns from, with codes.")]
Codec = Annotated[str, typer.Option(help="Codec preset whose codes are used, or its weights file.")]


@app.callback()
def _s2s() -> None:
    """Export weights of a run, compare models by ear."""


@app.command()
def export(
    run: Run,
    pairs: Pairs,
    weights: Annotated[Path, typer.Option(help="Folder to write s2s-PRESET.safetensors and its card to.")],
    version: Annotated[str, typer.Option(help="Version written into the card.")],
    hardware: Annotated[str, typer.Option(help="What trained it, in words, for the card.")],
    data: Annotated[list[str], typer.Option(help="A data source and its licence; may be repeated.")],
    codec: Codec = "dialogue",
) -> None:
    """Write a run's best weights for shipping, with their model card."""
    from ml.codec.checkpoint import read_card
    from ml.s2s.train.report import export_best
    from ml.shipped import write_json

    trainer, _voice = _trainer(run, pairs, codec)
    path = weights / f"s2s-{trainer.config.preset}.safetensors"
    figures = export_best(trainer, path)
    words = {"version": version, "training": {"hardware": hardware, "data": data}}
    write_json(path.with_suffix(".json"), {**read_card(path), **words})
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {figures}")


@app.command()
def strengthen(
    weights: Annotated[Path, typer.Option(help="S2S weights (.safetensors, its card beside it).")],
    out: Annotated[Path, typer.Option(help="Where the changed weights are written; may be the same.")],
    emotion: Annotated[list[str], typer.Option(help="Emotion and factor, `telugu_heavy=1.4`; may be repeated.")],
) -> None:
    """Let emotions that are heard too faintly stand further from neutral; the card says so."""
    from ml.codec.checkpoint import read_card
    from ml.s2s.checkpoint import export_s2s, load_s2s

    card, model = read_card(weights), load_s2s(weights)
    done = dict(card.get("strengthened", {}))
    for item in emotion:
        name, _, factor = item.partition("=")
        try:
            value = float(factor)
        except ValueError:
            raise typer.BadParameter(f"{item}: write emotion=factor, as in telugu_heavy=1.4") from None
        if name not in model.config.emotions[1:] or not 0.5 <= value <= 2.0:
            names = ", ".join(model.config.emotions[1:])
            raise typer.BadParameter(f"{item}: the emotion is one of {names}, the factor 0.5 to 2")
        model.style.strengthen(model.config.emotions.index(name), value)
        done[name] = round(done.get(name, 1.0) * value, 4)
    export_s2s(model, out, {**card, "strengthened": done})
    typer.echo(f"{out}: {done}")


@app.command()
def samples(
    run: Run,
    target: Annotated[Path, typer.Argument(help="Folder to write N.flac of each answer to; it appears whole.")],
    pairs: Pairs,
    weights: Annotated[Path, typer.Option(help="S2S weights that answer (.safetensors, its card beside it).")],
    codec: Codec = "dialogue",
) -> None:
    """Let another model answer the questions of a run's samples, to compare models by ear."""
    from ml.s2s.checkpoint import load_s2s
    from ml.s2s.train.report import write_answers_of
    from ml.train.data import find_audio

    trainer, voice = _trainer(run, pairs, codec)
    count = len(find_audio([run / "samples" / "target"]))
    write_answers_of(load_s2s(weights), trainer, voice, target, count)
    typer.echo(f"{count} answers in {target}")


def _trainer(run: Path, pairs: Path, codec: str) -> tuple[S2STrainer, TeluCodec]:
    """What trained `run`, at its beginning, and the voice of its codec. Raises ConfigError, CheckpointError."""
    from ml.cli.train_run import configured
    from ml.codec.checkpoint import WEIGHTS_DIR, CheckpointError, load_codec, sha256_of
    from ml.data.pairs import PairSet, codes_key
    from ml.s2s.train.data import Dialogues, model_config
    from ml.s2s.train.trainer import S2STrainer

    if not (run / "config.json").is_file():
        raise CheckpointError(f"{run} has nothing to export yet (no config.json); train until a validation has run")
    chosen = configured("s2s", str(run / "config.json"), None, ['init=""'])  # the run's own weights are what counts
    path = Path(codec) if codec.endswith(".safetensors") else WEIGHTS_DIR / f"codec-{codec}.safetensors"
    voice = load_codec(path)
    found = PairSet.load(pairs, codes_key(voice))
    dialogues = Dialogues(found, model_config(found, chosen.preset))
    return S2STrainer(chosen, run, "cpu", dialogues, voice.quantizer.codebooks, sha256_of(path)), voice
