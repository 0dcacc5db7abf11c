"""``rbp leaderboard``, ``queries``, ``corruptions`` and ``publish``."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import data_root_option, format_option, workspace_option
from robustbench_pix.cli.output import write_rows


@click.command()
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option(
    "--on", "combinations", metavar="TASK:DATA", multiple=True, help="Only this combination, in detail. Repeatable."
)
@click.option("--published", is_flag=True, help="Show what is published, even where there are runs.")
@click.option("--measurements", is_flag=True, help="The rows behind the table: one a model, attack and strength.")
@workspace_option
@format_option
def leaderboard(
    suite: str | None,
    combinations: tuple[str, ...],
    published: bool,
    measurements: bool,
    workspace: Workspace,
    style: str,
) -> None:
    """Show the table of the workspace's runs, else of what is published, and say which.

    Several combinations are shown in an overview; with --on, one by one with curves, intervals and notes.

    \b
    Examples:
    $ rbp leaderboard
    $ rbp leaderboard --on digits
    $ rbp leaderboard --on digits --format csv
    """
    from robustbench_pix.cli.tables import board_at, show_board, show_measurements

    board = board_at(workspace, suite, combinations, published=published)
    click.echo(f"{board.origin}\n" if style == "table" else board.origin, err=style != "table")
    if measurements:
        show_measurements(board.measurements, style)
    else:
        show_board(board, style, detailed=bool(combinations))


@click.command()
@click.option("--examples", is_flag=True, help="Also write examples.parquet: what became of every image.")
@click.option(
    "--replace", metavar="NAME", multiple=True,
    help="A recipe or external model that may take the place of another one of its name. Repeatable.",
)  # fmt: skip
@workspace_option
def publish(examples: bool, replace: tuple[str, ...], workspace: Workspace) -> None:
    """Write the tables of the workspace's runs into leaderboard/, and keep the other rows that are published there.

    A row replaces the published row of the same recipe, task and suite, unless others published that one with more
    seeds or attacks. A row of another protocol than its setting is refused, and so is another recipe or model of a
    published name.

    \b
    Examples:
    $ rbp publish
    $ rbp publish --examples
    """
    from robustbench_pix.leaderboard.publishing import publish_runs

    files, kept = publish_runs(workspace, examples=examples, replace=replace)
    for path in files:
        click.echo(f"wrote {path}")
    for row in kept:
        click.echo(row, err=True)


@click.command()
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option("--on", "combinations", metavar="TASK:IMAGES", multiple=True, help="Only this combination. Repeatable.")
@workspace_option
@format_option
def queries(suite: str | None, combinations: tuple[str, ...], workspace: Workspace, style: str) -> None:
    """Show success and distance against queries, of the workspace's decision and score attacks.

    A table shows one strength of each attack; csv and json hold them all, and the points of the curves.

    \b
    Examples:
    $ rbp queries
    $ rbp queries --suite decision --format csv
    """
    from robustbench_pix.cli.tables import show_queries
    from robustbench_pix.errors import UserError
    from robustbench_pix.results.board import combinations_of
    from robustbench_pix.results.queries import query_table
    from robustbench_pix.runs.plan_store import saved_rows
    from robustbench_pix.runs.request import parse_combination
    from robustbench_pix.runs.store import Store

    store = Store(workspace.runs)
    table = query_table(saved_rows(store), store)
    table = table if suite is None else table[table["suite"] == suite]
    if combinations:
        table = table[combinations_of(table).isin([str(parse_combination(text)) for text in combinations])]
    if table.empty:
        raise UserError(
            f"No decision or score attack was run in {workspace.runs} for that; begin with rbp run --suite decision."
        )
    show_queries(table, style)


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
    import pandas as pd

    from robustbench_pix.cli.tables import board_at, show_tables
    from robustbench_pix.data.base import default_root
    from robustbench_pix.leaderboard.attack_tables import corruption_table
    from robustbench_pix.leaderboard.captions import setting_title
    from robustbench_pix.leaderboard.display_table import settings_of
    from robustbench_pix.results.corruptions import accuracy_rows, cut_offs, group_rows, groupings, of_corruptions

    board = board_at(workspace, None, combinations, published=False)
    measurements, named = of_corruptions(board.measurements, workspace)
    groups = groupings(measurements, named, workspace, data_root or default_root())
    table, rows_of_groups = style == "table", group_rows(groups)
    click.echo(f"{board.origin}\n" if table else board.origin, err=not table)
    if not only_groups:
        accuracies = accuracy_rows(measurements, groups)
        if not table:
            write_rows(accuracies, style)
            return
        frames = pd.DataFrame(accuracies), pd.DataFrame(rows_of_groups)
        settings = {setting_title(it.first): it for it in settings_of(board.leaderboard, measurements)}
        shown = [(title, settings[title]) for title in sorted(settings) if len(settings[title].of(frames[0]))]
        show_tables([(title, corruption_table(setting, *frames)) for title, setting in shown])
    write_rows([{name: row[name] for name in GROUPS} for row in rows_of_groups] if table else rows_of_groups, style)
    if table:
        click.echo("\n" + "\n".join(cut_offs(groups)))
