"""``rbp diff``."""

from pathlib import Path
from typing import Any

import rich_click as click

from robustbench_pix.cli.options import format_option

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

    rows = differences(published_board(first), published_board(second))
    write_rows(_in_short(rows) if style == "table" else rows, style)
    click.echo(f"{len(rows)} difference{'s'[: len(rows) > 1]}." if rows else "Nothing differs.", err=style != "table")
    if rows:
        context.exit(1)


def _in_short(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows for a table: of the block what differs between them, numbers with four digits."""
    from robustbench_pix.results.frames import BLOCK

    several = [name for name in BLOCK if len({row[name] for row in rows}) > 1]
    short = []
    for row in rows:
        block = {"block": " ".join(str(row[name]) for name in several)} if several else {}
        number = row["what"] == "number"
        ends = {side.upper(): f"{float(row[side]):.4g}" if number and row[side] else row[side] for side in ("a", "b")}
        named = {"recipe": row["recipe"]} | block | {"what": row["column"] or row["what"]}
        short.append(named | ends | {"B - A": row["difference"], "covered": row["covered"]})
    return short
