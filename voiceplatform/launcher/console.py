"""What the launcher tells people: few lines, plain where the output is no terminal."""

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel


class Reporter:
    """Progress on standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)

    def done(self, text: str) -> None:
        self._console.print(f"[green]✓[/green] {escape(text)}")

    def event(self, text: str) -> None:
        self._console.print(f"[yellow]![/yellow] {escape(text)}")

    def quote(self, lines: list[str]) -> None:
        for line in lines:
            self._console.print(f"  [dim]{escape(line)}[/dim]")

    def account(self, name: str, password: str) -> None:
        self._box(
            f"Operator account: [bold]{name}[/bold]   password: [bold]{escape(password)}[/bold]",
            "shown only this once; change it with: .venv/bin/python manage.py changepassword operator",
        )

    def address(self, url: str) -> None:
        self._box(f"Talk at [bold]{url}[/bold]", f"operators: {url}admin/   stop: Ctrl-C")

    def _box(self, headline: str, note: str) -> None:
        if self._console.is_terminal:
            self._console.print(Panel(f"{headline}\n[dim]{escape(note)}[/dim]", expand=False))
        else:
            self._console.print(headline)
            self._console.print(escape(note))
