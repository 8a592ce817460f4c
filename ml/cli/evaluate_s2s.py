"""`python -m ml evaluate s2s`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

PARTS = ("groups", "style", "dials", "faults")


def s2s(
    pairs: Annotated[Path, typer.Option(help="Folder of pairs with codes of the model's codec.")],
    weights: Annotated[Path | None, typer.Option(help="S2S weights; the shipped ones by default.")] = None,
    codec: Annotated[str, typer.Option(help="Codec preset, or its weights file.")] = "dialogue",
    recogniser: Annotated[Path | None, typer.Option(help="Recogniser weights; the shipped ones by default.")] = None,
    split: Annotated[str, typer.Option(help="validation or test.")] = "test",
    limit: Annotated[int, typer.Option(help="Pairs measured per group.")] = 200,
    questions: Annotated[int, typer.Option(help="Questions asked per voice and emotion, and per dial setting.")] = 4,
    parts: Annotated[str, typer.Option(help="What to measure, comma-separated.")] = ",".join(PARTS),
    greedy: Annotated[bool, typer.Option(help="Always the likeliest code and answer.")] = False,
    seed: Annotated[int, typer.Option(help="Of choice and generation.")] = 0,
    card: Annotated[bool, typer.Option(help="Write the result into the model card.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Answers by group of pairs, judged by the recogniser; voices, emotions, dials; odd inputs."""
    from rich.console import Console
    from rich.progress import track

    from ml.cli.train_run import device_of
    from ml.codec.checkpoint import WEIGHTS_DIR, CheckpointError, load_codec, read_card
    from ml.data.pairs import PairSet, codes_key
    from ml.evaluate.s2s import ask_pair, measure_groups, measure_recogniser
    from ml.evaluate.s2s_faults import measure_faults
    from ml.evaluate.s2s_style import measure_dials, measure_style
    from ml.recogniser import Recogniser
    from ml.s2s.checkpoint import load_s2s
    from ml.s2s.sampling import Sampling
    from ml.s2s.train.data import Dialogues
    from ml.shipped import write_json

    chosen = [name for name in parts.split(",") if name]
    if unknown := sorted(set(chosen) - set(PARTS)):
        raise typer.BadParameter(f"unknown parts {unknown}; choose from {', '.join(PARTS)}")
    device = device_of(device, threads)
    path = weights or WEIGHTS_DIR / "s2s-cpu.safetensors"
    model = load_s2s(path, device)
    held = read_card(path)
    voice = load_codec(Path(codec) if codec.endswith(".safetensors") else WEIGHTS_DIR / f"codec-{codec}.safetensors")
    judge = Recogniser.load(recogniser)
    if not model.speaks(voice.quantizer.codebooks):
        raise CheckpointError(f"{path} was trained for another codec than {codec}; give its own with --codec")
    found = PairSet.load(pairs, codes_key(voice))
    dialogues = Dialogues(found, model.config, held.get("plans"))
    sampling = Sampling.greedy() if greedy else Sampling()
    console = Console(stderr=True)

    def progress(items: Sequence[Any], title: str) -> Iterable[Any]:
        return track(items, description=title, console=console)

    common: dict[str, Any] = {"sampling": sampling, "seed": seed}
    result: dict[str, Any] = {
        "split": split,
        "sampling": "greedy" if greedy else "default",
        "recogniser": measure_recogniser(judge, voice, dialogues, limit=min(400, 2 * limit), seed=seed),
    }
    if "groups" in chosen:
        result |= measure_groups(model, voice, judge, dialogues, split=split, limit=limit, progress=progress, **common)
    pool = [p for p in found.pairs if p.split == split and p.kind == "intent"]
    step = max(1, len(pool) // max(1, questions))
    asked = [ask_pair(dialogues, pair, seed) for pair in pool[::step][:questions]]
    if "style" in chosen:
        result["style"] = measure_style(model, voice, dialogues, asked, fitted_on=1_600, progress=progress, **common)
    if "dials" in chosen:
        result["dials"] = measure_dials(model, voice, asked, progress=progress, **common)
    if "faults" in chosen:
        fallbacks = {plan for answer, plan in dialogues.plan_of.items() if answer.startswith("fallback")}
        result["faults"] = measure_faults(model, voice, fallbacks, **common)
    if card:
        write_json(path.with_suffix(".json"), {**held, "metrics": {**held.get("metrics", {}), split: result}})
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    for name, row in result.get("groups", {}).items():
        typer.echo(f"{name:14s} " + "  ".join(f"{k} {v}" for k, v in row.items() if k != "about"))
    for name in ("recogniser", "style", "dials", "faults"):
        if name in result:
            typer.echo(f"{name}: {json.dumps(result[name], ensure_ascii=False)}")
