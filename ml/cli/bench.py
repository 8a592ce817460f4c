"""`python -m ml bench`: measurements of speed."""

import typer

from ml.serve.bench import bench_serve

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Measure speed."""


app.command("serve")(bench_serve)
