"""``rbp corruptions``."""

from itertools import groupby
from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import data_root_option, format_option, workspace_option
from robustbench_pix.cli.output import write_rows

ACCURACIES = ("recipe", "seeds", "clean", "mean", "from", "to", "low", "medium", "high")
GROUPS = ("task", "attack", "centroid", "group")


@click.command()
@click.option("--on", "combinations", metavar="TASK:DATA", multiple=True, help="Only this combination. Repeatable.")
@click.option("--groups", "only_groups", is_flag=True, help="Only which corruption belongs to which group, and why.")
@data_root_option
@workspace_option
@format_option
def corruptions(
    combinations: tuple[str, ...], only_groups: bool, data_root: Path | None, workspace: Workspace, style: str
) -> None:
    """Show the mean accuracy under corruptions, and under those of low, medium and high frequency.

    The mean is over corruptions and severities 1 to 5, then over seeds; from and to are its 95% interval over seeds.

    A corruption's group follows from its own spectrum on the task's test images, at severity 3: low, medium and high
    are thirds by the mean frequency of what it changes, its centroid, as a share of the Nyquist frequency.

    \b
    Examples:
    $ rbp run --suite corruptions
    $ rbp corruptions
    $ rbp corruptions --groups --format csv
    """
    from robustbench_pix.cli.tables import board_at, selected
    from robustbench_pix.data.base import default_root
    from robustbench_pix.leaderboard.terminal.comparison_text import title
    from robustbench_pix.results.corruptions import accuracy_rows, cut_offs, group_rows, groupings, of_corruptions

    board = selected(board_at(workspace, published=False), None, combinations)
    measurements, named = of_corruptions(board.measurements, workspace)
    groups = groupings(measurements, named, workspace, data_root or default_root())
    table = style == "table"
    click.echo(f"{board.origin}\n" if table else board.origin, err=not table)
    if not only_groups:
        rows = accuracy_rows(measurements, groups)
        for setting, of_setting in groupby(sorted(rows, key=title), key=title) if table else []:
            click.echo(f"{setting}\n")
            write_rows(_only(list(of_setting), ACCURACIES), style)
            click.echo()
        if not table:
            write_rows(rows, style)
    if only_groups or table:
        rows = group_rows(groups)
        write_rows(_only(rows, GROUPS) if table else rows, style)
    if table:
        click.echo("\n" + "\n".join(cut_offs(groups)))


def _only(rows: list[dict[str, object]], names: tuple[str, ...]) -> list[dict[str, object]]:
    return [{name: row[name] for name in names} for row in rows]
