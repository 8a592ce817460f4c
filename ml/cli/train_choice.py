"""`python -m ml train choice`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.cli.train_options import CodecOption, Pairs, Threads


def choice(
    pairs: Pairs,
    weights: Annotated[Path, typer.Option(help="S2S weights whose encoder listens.")],
    out: Annotated[Path, typer.Option(help="Where the weights with the fitted choice are written; may be the same.")],
    codec: CodecOption = "dialogue",
    buckets: Annotated[int, typer.Option(help="Buckets of phone n-grams.")] = 32_768,
    width: Annotated[int, typer.Option(help="Dimension of an n-gram's vector.")] = 112,
    sentences: Annotated[
        Path | None, typer.Option(help="Text file, a sentence a line: what is none of the corpus's questions.")
    ] = None,
    corpus: Annotated[Path | None, typer.Option(help="Folder of corpus files; the shipped ones without it.")] = None,
    heard: Annotated[int, typer.Option(help="Training questions that the encoder hears.")] = 8_000,
    variants: Annotated[int, typer.Option(help="Ways in which each phrasing is misheard and reworded in a pass.")] = 8,
    epochs: Annotated[
        int,
        typer.Option(
            min=0, help="Passes; 0 keeps the n-grams, makes today's phrasings known and weighs the parts anew."
        ),
    ] = 10,
    fits: Annotated[
        int, typer.Option(min=1, help="Fits whose vectors are averaged; more than one with --go-on alone.")
    ] = 1,
    go_on: Annotated[bool, typer.Option(help="Begin with the n-grams that the weights have.")] = False,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Peak rate of the n-grams' vectors.")] = 2e-2,
    others: Annotated[
        int, typer.Option(help="Further training questions heard that are none: other languages, noise.")
    ] = 3_000,
    misheard: Annotated[
        float, typer.Option(help="Errors put into phrasings, in multiples of those made in words not learned.")
    ] = 2.4,
    threads: Threads = 0,
) -> None:
    """Fit the choice of answers on what a trained encoder hears; a few minutes on one core."""
    if fits > 1 and not go_on:
        raise typer.BadParameter(
            "vectors of fits that begin at random cannot be averaged: add --go-on", param_hint="--fits"
        )
    from rich.progress import track

    from ml.cli.train_run import device_of
    from ml.codec.checkpoint import WEIGHTS_DIR, load_codec, read_card
    from ml.data.corpus.loader import CORPUS_DIR, load_corpus
    from ml.data.pairs import PairSet, codes_key
    from ml.data.pairs.sources import find_sources, split_by_hash
    from ml.s2s.checkpoint import export_s2s, load_s2s
    from ml.s2s.model import S2SModel
    from ml.s2s.train.acts import acts_of, phrasings
    from ml.s2s.train.choice import ChoiceConfig, fit_choice
    from ml.s2s.train.data import Dialogues

    device_of("cpu", threads)
    voice = load_codec(Path(codec) if codec.endswith(".safetensors") else WEIGHTS_DIR / f"codec-{codec}.safetensors")
    card = read_card(weights)
    trained = load_s2s(weights)
    pair_set = PairSet.load(pairs, codes_key(voice))
    dialogues = Dialogues(pair_set, trained.config, card["plans"])
    written = load_corpus(corpus or CORPUS_DIR)
    acts = acts_of(written, {pair_set.texts[answer].text: plan for answer, plan in dialogues.plan_of.items()})
    known = sum(1 for _ in phrasings(written, acts, "train"))
    config = dataclasses.replace(trained.config, phrase_known=known, n_acts=len(acts.names))
    kept_grams = go_on or not epochs
    if not kept_grams:
        config = dataclasses.replace(config, phrase_buckets=buckets, phrase_width=width)
    elif trained.phrases is None or trained.config.n_acts != len(acts.names):
        hint = "--go-on" if go_on else "--epochs 0"
        raise typer.BadParameter("these weights choose among other acts, or none: fit anew", param_hint=hint)
    renewed = ("phrases.known",) if kept_grams else ("phrases.",)
    model = S2SModel(config)
    kept = {k: v for k, v in trained.state_dict().items() if not k.startswith(renewed)}
    model.load_state_dict(kept, strict=False)
    model.codec_sha256, model.codebooks_sha256 = trained.codec_sha256, trained.codebooks_sha256

    def progress(items: Iterable[Any], title: str) -> Iterable[Any]:
        return track(list(items), description=title)

    fitted = ChoiceConfig(
        heard=heard,
        others=others,
        misheard=misheard,
        epochs=epochs,
        variants=variants,
        learning_rate=learning_rate,
        fits=fits,
    )
    given = find_sources(sentences=sentences).sentences
    strangers = {split: [s for s in given if split_by_hash(s) == split] for split in ("train", "validation")}
    figures = fit_choice(
        model, dialogues, written, strangers["train"], fitted, progress, strangers=strangers["validation"]
    )
    metrics = {**card.get("metrics", {}), "choice": figures}
    told = {"choice": {**dataclasses.asdict(fitted), "go_on": go_on}} if epochs else {}
    export_s2s(model.eval(), out, {**card, **told, "metrics": metrics})
    typer.echo(json.dumps(figures))
