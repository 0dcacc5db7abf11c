"""``rbp diff``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from robustbench_pix.cli.options import format_option

SHORT = {"a": "A", "b": "B", "difference": "B - A", "covered": "covered"}
FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command()
@click.argument("first", metavar="A", type=FOLDER)
@click.argument("second", metavar="B", type=FOLDER)
@format_option
@click.pass_context
def diff(context: click.Context, first: Path, second: Path, style: str) -> None:
    """Compare two published folders: rows, numbers, hashes, files. Exits with 1 if they differ.

    covered says whose 95% interval holds the other's number: both, A, B or neither. Of a file that holds something else
    the lines are counted that the other one lacks; times and what is drawn from the tables are not compared.

    \b
    Example:
    $ rbp diff leaderboard/ ../theirs/leaderboard/
    """
    from robustbench_pix.cli.output import write_rows
    from robustbench_pix.leaderboard.published.file_differences import file_differences
    from robustbench_pix.leaderboard.published.publishing import published_board, read_provenance
    from robustbench_pix.results.differences import differences
    from robustbench_pix.results.provenance import empty

    boards = [(*published_board(folder), read_provenance(folder) or empty()) for folder in (first, second)]
    rows = differences(*boards) + file_differences(first, second)
    if style == "table":
        _write_blocks(rows)
    else:
        write_rows(rows, style)
    click.echo(f"{len(rows)} difference{'s'[: len(rows) > 1]}." if rows else "Nothing differs.", err=style != "table")
    if rows:
        context.exit(1)


def _write_blocks(rows: Sequence[dict[str, Any]]) -> None:
    """Write a table for each block and one for the files, without the columns that say nothing there."""
    from robustbench_pix.cli.output import write_rows

    blocks: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        blocks.setdefault(_heading(row), []).append(_in_short(row))
    for heading, block in blocks.items():
        shown = [name for name in block[0] if any(row[name] not in ("", None) for row in block)]
        click.echo(heading)
        write_rows([{name: row[name] for name in shown} for row in block], "table")
        click.echo()


def _heading(row: dict[str, Any]) -> str:
    if not row["task"]:
        return "Files"
    block = [f"{row['task']}:{row['images']}", f"{row['suite']} {row['suite_version']}", f"network {row['network']}"]
    block += [row["colour"], *([f"size {row['size']}"] if row["size"] != "full" else [])]
    return ", ".join(block + ([row["precision"]] if row["precision"] != "float32" else []))


def _in_short(row: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of a row below its heading: what differs of whom, and numbers with four digits."""
    named = {"recipe": row["recipe"], "what": row["column"] or row["what"]}
    if not row["task"]:
        named = {"file": row["column"], "what": "" if row["what"] == "file" else row["what"]}
    cells = {SHORT[name]: row[name] for name in SHORT}
    for side in ("A", "B"):
        if row["what"] == "number" and cells[side]:
            cells[side] = f"{float(cells[side]):.4g}"
    return named | cells
