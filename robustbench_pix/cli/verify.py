"""``rbp verify`` and ``rbp diff``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import data_root_option, device_option, format_option

if TYPE_CHECKING:
    from robustbench_pix.runs.store import Store


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("leaderboard"))
@click.option(
    "--runs", "runs", metavar="WORKSPACE", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Also derive every measurement again from this workspace's runs/, and attack a sample of its models again.",
)  # fmt: skip
@click.option(
    "--sample", metavar="COUNT", type=click.IntRange(min=1), default=8, show_default=True,
    help="How many models x attacks; chosen by their hashes.",
)  # fmt: skip
@data_root_option
@device_option
@click.pass_context
def verify(
    context: click.Context, folder: Path, runs: Path | None, sample: int, data_root: Path | None, device: str | None
) -> None:
    """Verify a published folder: print one sentence for each problem, and exit with 1 if there are any.

    Checked are the types of all columns, the invariants of counts, every aggregate from measurements.csv, and every
    hash from provenance.json. With the outcome of every image (examples.parquet, or --runs), measurements, queries and
    worst cases are derived again. --runs also repeats attacks on stored models, which runs code of the workspace.

    \b
    Examples:
    $ rbp verify leaderboard/
    $ rbp verify leaderboard/ --runs . --sample 20
    """
    from robustbench_pix.results.published.schema import underivable
    from robustbench_pix.results.published.verification import not_derived
    from robustbench_pix.results.published.verification import verify as verify_files
    from robustbench_pix.runs.store import EXAMPLES, Store

    store = None if runs is None else Store(Workspace(runs).runs)
    findings = [str(finding) for finding in verify_files(folder, store)]
    for finding in findings:
        click.echo(finding)
    if not findings:
        click.echo(f"{folder}: the files agree with each other.")
    if left := not_derived(folder, store):
        click.echo(left)
    for text in underivable(outcomes=(folder / EXAMPLES).exists(), runs=store is not None):
        click.echo(f"Nothing here confirms {text}.")
    if store is not None:
        findings += _repeat(folder, store, sample, data_root, device)
    if findings:
        context.exit(1)


def _repeat(folder: Path, store: "Store", count: int, data_root: Path | None, device: str | None) -> list[str]:
    """Attack a sample of the published models again, say how each attack agrees, and return what does not.

    Raises:
        UserError: none of the published attacks is among the runs, or the device is not there.
    """
    import torch

    from robustbench_pix.devices import resolve_device
    from robustbench_pix.errors import UserError
    from robustbench_pix.foreign import lent_to_others
    from robustbench_pix.results.checks.repeating import attack_again, sample
    from robustbench_pix.results.published.reading import read_published

    measurements, _ = read_published(folder)
    chosen = sample(measurements, store, count)
    if not chosen:
        raise UserError(f"None of the attacks published in {folder} is among the runs in {store.root}.")
    where, wrong = resolve_device(device), []
    if where == "cpu":
        torch.set_num_threads(1)
    for attack_id in chosen:
        rows = measurements[measurements["attack_id"] == attack_id]
        try:
            with lent_to_others():
                agreement = attack_again(attack_id, rows, store, data_root=data_root, device=where)
        except UserError as error:
            wrong.append(str(error))
            click.echo(error)
        else:
            wrong += [] if agreement.holds else [str(agreement)]
            click.echo(agreement)
    click.echo(f"{len(chosen) - len(wrong)} of {len(chosen)} attacks made again agree with what is published.")
    return wrong


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
    from robustbench_pix.results.board import published_board
    from robustbench_pix.results.differences import differences, file_differences

    rows = differences(published_board(first), published_board(second)) + file_differences(first, second)
    if style == "table":
        _write_settings(rows)
    else:
        write_rows(rows, style)
    click.echo(f"{len(rows)} difference{'s'[: len(rows) > 1]}." if rows else "Nothing differs.", err=style != "table")
    if rows:
        context.exit(1)


def _write_settings(rows: Sequence[dict[str, Any]]) -> None:
    """Write a table for each setting and one for the files, without the columns that say nothing there."""
    from robustbench_pix.cli.output import write_rows
    from robustbench_pix.leaderboard.captions import setting_title

    settings: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        settings.setdefault(setting_title(row) if row["task"] else "Files", []).append(_in_short(row))
    for heading, setting in settings.items():
        shown = [name for name in setting[0] if any(row[name] not in ("", None) for row in setting)]
        click.echo(heading)
        write_rows([{name: row[name] for name in shown} for row in setting], "table")
        click.echo()


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
