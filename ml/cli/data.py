"""`python -m ml data`: speech data and the dialogue corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)
corpus_app = typer.Typer(no_args_is_help=True, help="The Telugu dialogue corpus.")
app.add_typer(corpus_app, name="corpus")

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "corpus.md"


@app.callback()
def _data() -> None:
    """Speech data and the dialogue corpus."""


@corpus_app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(help="Folder of corpus files; the shipped one by default.")] = None,
) -> None:
    """Tell every problem of a corpus, or how much it holds."""
    from ml.data.corpus.loader import CORPUS_DIR, load_corpus
    from ml.data.corpus.schema import SPLITS

    counts = load_corpus(folder or CORPUS_DIR).counts()
    typer.echo(f"{counts.intents} intents in {counts.topics} topics")
    for name, held in (("phrasings", counts.phrasings), ("chains", counts.chains)):
        typer.echo(f"{sum(held.values())} {name}: " + ", ".join(f"{held.get(s, 0)} {s}" for s in SPLITS))
    typer.echo(f"{counts.turns} turns in chains, {counts.longest_chain} in the longest; {counts.fallbacks} fallbacks")
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
