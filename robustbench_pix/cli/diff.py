"""``rbp diff``."""

from pathlib import Path

import rich_click as click

from robustbench_pix.cli.options import format_option

NARROW = ("recipe", "what", "column", "a", "b", "difference", "covered")
FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command()
@click.argument("first", metavar="A", type=FOLDER)
@click.argument("second", metavar="B", type=FOLDER)
@format_option
@click.pass_context
def diff(context: click.Context, first: Path, second: Path, style: str) -> None:
    """Compare two published folders: rows, numbers, hashes. Exits with 1 if they differ.

    covered says whose 95% interval holds the other's number: both, A, B or neither.

    \b
    Example:
    $ rbp diff leaderboard/ ../theirs/leaderboard/
    """
    from robustbench_pix.cli.output import write_rows
    from robustbench_pix.leaderboard.publishing import published_board
    from robustbench_pix.results.differences import differences
    from robustbench_pix.results.frames import BLOCK

    rows = differences(published_board(first), published_board(second))
    several = [name for name in BLOCK if len({row[name] for row in rows}) > 1]
    shown = (*several, *NARROW)
    write_rows([{name: row[name] for name in shown} for row in rows] if style == "table" else rows, style)
    click.echo(f"{len(rows)} difference{'s'[: len(rows) > 1]}." if rows else "Nothing differs.", err=style != "table")
    if rows:
        context.exit(1)
