"""What the train commands share: configuration by name or file with `--set`, and a run followed with logs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml.train.loop import LoopTrainer


def configured(kind: str, config: str, steps: int | None, overrides: list[str]) -> Any:
    """The configuration of a kind of training by recipe name or JSON file, with overrides. Raises ConfigError."""
    from ml.codec.config import ConfigError
    from ml.train.schema import trainer

    config_class, recipes = trainer(kind)
    if config in recipes:
        chosen = recipes[config]
    elif Path(config).is_file():
        try:
            chosen = config_class.from_dict(json.loads(Path(config).read_text(encoding="utf-8")))
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{config} is no training configuration: {error}") from None
    else:
        raise ConfigError(f"no recipe or file {config!r}; recipes: {', '.join(recipes)}")
    chosen = overridden(chosen, overrides)
    return chosen if steps is None else dataclasses.replace(chosen, steps=steps)


def overridden(chosen: Any, overrides: list[str]) -> Any:
    """A configuration with settings replaced, each as `name=value` (JSON, or a plain word). Raises ConfigError."""
    from ml.codec.config import ConfigError

    values = chosen.to_dict()
    for item in overrides:
        name, _, text = item.partition("=")
        *parents, leaf = name.split(".")
        target: Any = values
        for parent in parents:
            target = target.get(parent, {})
        if leaf not in target:
            raise ConfigError(f"--set {item}: no setting {name!r}")
        held = target[leaf]
        value = _value(text)
        if isinstance(held, int | float) and (
            not isinstance(value, int | float) or isinstance(held, bool) != isinstance(value, bool)
        ):
            raise ConfigError(f"--set {item}: give {'true or false' if isinstance(held, bool) else 'a number'}")
        target[leaf] = value
    return type(chosen).from_dict(values)


def _value(text: str) -> Any:
    """As JSON, else as a number that JSON writes otherwise (.5), else as it stands."""
    for read in (json.loads, float):
        with contextlib.suppress(ValueError):
            return read(text)
    return text


def device_of(name: str, threads: int) -> str:
    """`auto` as cuda where there is one, else cpu; also sets torch's threads when `threads` is not 0."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def follow(
    trainer: LoopTrainer[Any],
    *,
    resume: bool,
    max_minutes: float,
    tensorboard: bool,
    about: str,
    validated: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Run `trainer` to its end with a progress line, RUN/metrics.jsonl, RUN/config.json and TensorBoard logs."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ml.train.codec import Stop

    run, config = trainer.run, trainer.config
    resumed = trainer.resume() if resume else False
    (run / "config.json").write_text(json.dumps(config.to_dict(), indent=2), encoding="utf-8")
    parameters = sum(p.numel() for p in trainer.model.parameters()) / 1e6
    typer.echo(
        f"{'resuming' if resumed else 'starting'} {config.name} at step {trainer.step}: "
        f"{parameters:.1f} M parameters, {about}, on {trainer.device}"
    )
    if trainer.left_out:
        typer.echo(f"not in {config.init}: {', '.join(trainer.left_out[:5])} and so on ({len(trainer.left_out)})")
    writer = None
    if tensorboard and trainer.workers.first:
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(run / "tensorboard"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, disable=not trainer.workers.first) as progress, (run / "metrics.jsonl").open("a") as log:
        total = None if config.schedule_minutes else config.steps
        task = progress.add_task("training", total=total, completed=trainer.step)

        def report(row: dict[str, Any]) -> None:
            if not trainer.workers.first:
                return
            figures = {k: v for k, v in row.items() if k.startswith("valid_")}
            if row["step"] % 10 == 0 or figures:
                log.write(json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}) + "\n")
                log.flush()
                if writer is not None:
                    for key, value in row.items():
                        writer.add_scalar(key, value, row["step"])
            if figures:
                told = ", ".join(f"{k.removeprefix('valid_')} {v:.3f}" for k, v in figures.items())
                progress.console.print(f"step {row['step']}, {row['seconds'] / 60:.1f} min: {told}")
                if validated is not None:
                    validated(row)
            progress.update(task, completed=row["step"], description=f"loss {row['loss']:.3f}")

        reason = trainer.fit(report, Stop().listen(), max_minutes)
    if writer is not None:
        writer.close()
    typer.echo(f"{reason} at step {trainer.step}; best validation score {trainer.best:.4f}")
