"""`python -m ml data`: speech data and the dialogue corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli import ingest as ingest_cli
from ml.cli.voices import app as voices_app

app = typer.Typer(no_args_is_help=True)
corpus_app = typer.Typer(no_args_is_help=True, help="The Telugu dialogue corpus.")
app.add_typer(corpus_app, name="corpus")
app.add_typer(voices_app, name="voices")
app.command()(ingest_cli.ingest)
app.command()(ingest_cli.report)
app.command()(ingest_cli.speakers)

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "corpus.md"


@app.callback()
def _data() -> None:
    """Speech data and the dialogue corpus."""


@app.command()
def pairs(
    out: Annotated[Path, typer.Option(help="Folder of the pairs; made, or completed where it stopped.")],
    size: Annotated[str, typer.Option(help="tiny (seconds), base (fits CPU training) or full.")] = "base",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal pairs.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that render.")] = 1,
    corpus: Annotated[Path | None, typer.Option(help="Folder of corpus files; the shipped one by default.")] = None,
    more: Annotated[Path | None, typer.Option(help="Folder of further topics and chains, added to the corpus.")] = None,
    sentences: Annotated[
        Path | None, typer.Option(help="Text file, a sentence a line: questions to fall back on.")
    ] = None,
    human: Annotated[
        list[Path] | None, typer.Option(help="Folder of recordings of people; may be given again.")
    ] = None,
    noises: Annotated[Path | None, typer.Option(help="Folder of noise; synthesised noise without.")] = None,
    rooms: Annotated[Path | None, typer.Option(help="Folder of room impulse responses; synthesised without.")] = None,
    progress_jsonl: Annotated[Path | None, typer.Option(help="Append progress to this file as JSON lines.")] = None,
) -> None:
    """Speak the corpus: questions by many talkers, answers in four voices and nine emotions. Run again to go on."""
    from ml.data.corpus.loader import CORPUS_DIR, load_corpus
    from ml.data.pairs.make import make_pairs
    from ml.data.pairs.sources import find_sources
    from ml.data.progress import shown

    sources = find_sources(sentences=sentences, human=tuple(human or ()), noises=noises, rooms=rooms)
    with shown(progress_jsonl) as (tell, lines):
        report = make_pairs(
            out,
            size=size,
            seed=seed,
            workers=workers,
            sources=sources,
            corpus=load_corpus(corpus or CORPUS_DIR, more),
            tell=tell,
        )
        lines.result(report.as_dict())
    typer.echo(
        f"{report.pairs} pairs of {report.clips} clips in {out}; {report.rendered} rendered in {report.seconds:.0f} s"
    )
    for what, why in report.failed[:20]:
        typer.echo(f"not made: {what}: {why}", err=True)
    if report.failed:
        typer.echo(
            f"{len(report.failed)} clips could not be made; run the same command again to try them anew", err=True
        )


@app.command()
def codes(
    pairs: Annotated[Path, typer.Option(help="Folder of pairs, complete or still being rendered.")],
    codec: Annotated[str, typer.Option(help="Codec preset, or a .safetensors file.")] = "dialogue",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")] = 1,
    progress_jsonl: Annotated[Path | None, typer.Option(help="Append progress to this file as JSON lines.")] = None,
) -> None:
    """Encode every clip of a folder of pairs that has no codes yet. Run again after more was rendered."""
    import torch

    from ml.codec.checkpoint import load_codec, load_preset
    from ml.data.pairs.codes import make_codes
    from ml.data.progress import shown

    if threads:
        torch.set_num_threads(threads)
    loaded = load_codec(Path(codec), device) if codec.endswith(".safetensors") else load_preset(codec, device=device)
    with shown(progress_jsonl) as (tell, lines):
        report = make_codes(pairs, loaded, tell)
        lines.result({"clips": report.clips, "encoded": report.encoded, "seconds": round(report.seconds, 1)})
    typer.echo(f"{report.encoded} of {report.clips} clips encoded in {report.seconds:.0f} s; key {report.key[:12]}")


@corpus_app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(help="Folder of corpus files; the shipped one by default.")] = None,
    more: Annotated[Path | None, typer.Option(help="Folder of further topics and chains, added to the corpus.")] = None,
) -> None:
    """Tell every problem of a corpus, or how much it holds."""
    from ml.data.corpus.loader import CORPUS_DIR, load_corpus
    from ml.data.corpus.schema import SPLITS

    counts = load_corpus(folder or CORPUS_DIR, more).counts()
    typer.echo(f"{counts.intents} intents in {counts.topics} topics")
    for name, held in (("phrasings", counts.phrasings), ("phrasings of turns", counts.turn_phrasings)):
        typer.echo(f"{sum(held.values())} {name}: " + ", ".join(f"{held.get(s, 0)} {s}" for s in SPLITS))
    typer.echo(f"{counts.chains} chains of {counts.turns} turns, {counts.longest_chain} in the longest")
    typer.echo(f"{counts.fallbacks} fallbacks")
    typer.echo(f"{counts.answers} answers: " + ", ".join(f"{k} {v}" for k, v in counts.emotions.items()))


@corpus_app.command()
def page(
    folder: Annotated[Path | None, typer.Option(help="Folder of corpus files; the shipped one by default.")] = None,
    out: Annotated[Path, typer.Option(help="Page to write.")] = _PAGE,
) -> None:
    """Write the page that lists the corpus."""
    from ml.data.corpus.loader import CORPUS_DIR, load_corpus
    from ml.data.corpus.page import render_page

    out.write_text(render_page(load_corpus(folder or CORPUS_DIR)), encoding="utf-8")
    typer.echo(f"wrote {out}")
