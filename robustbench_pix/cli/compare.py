"""``rbp compare``."""

from shutil import get_terminal_size
from textwrap import fill
from typing import Any

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import format_option, workspace_option
from robustbench_pix.cli.output import write_rows

INTERVAL = ("difference", "standard_error", "low", "high")
LINE = ("measure", "seeds", "first", "second", *INTERVAL, "p_value", "detectable", "verdict")


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option("--on", "combinations", metavar="TASK:IMAGES", multiple=True, help="Only this combination. Repeatable.")
@click.option("--published", is_flag=True, help="Compare what is published, even where there are runs.")
@workspace_option
@format_option
def compare(
    first: str,
    second: str,
    suite: str | None,
    combinations: tuple[str, ...],
    published: bool,
    workspace: Workspace,
    style: str,
) -> None:
    """Say whether recipe A is more robust than recipe B, by how much, how sure that is, and under which attacks not.

    Differences are paired by seed. Better and worse are said where the 95% interval excludes 0: of one comparison, by
    itself. Who looks for the best of many comparisons finds them corrected in comparisons.csv.

    \b
    Examples:
    $ rbp compare thresholded unregularized
    $ rbp compare thresholded shuffled --on digits --format csv
    """
    from robustbench_pix.cli.tables import PIPED_WIDTH, boards_of, select
    from robustbench_pix.errors import UserError, unknown
    from robustbench_pix.leaderboard.terminal.pair_text import attack_rows, sentences, title
    from robustbench_pix.results.merging import asked_rows
    from robustbench_pix.results.statistics.pair import pairs

    found = boards_of(workspace, published=published)
    leaderboard, measurements = select(found, suite, combinations)
    for name in (first, second):
        if name not in set(leaderboard["recipe"]):
            raise unknown("recipe on this board", name, set(leaderboard["recipe"]), list_with="rbp leaderboard")
    if first == second:
        raise UserError(f"{first} cannot be compared with itself.")
    compared = pairs(measurements, asked_rows(leaderboard, measurements), first, second)
    if not compared:
        raise UserError(f"No combination and suite on this board has both {first} and {second}.")
    click.echo(f"{found.origin}\n" if style == "table" else found.origin, err=style != "table")
    for number, pair in enumerate(compared if style == "table" else []):
        click.echo("\n" * (number > 0) + title(pair.block) + "\n")
        for sentence in sentences(pair, first, second):
            click.echo(fill(sentence, get_terminal_size((PIPED_WIDTH, 24)).columns))
        if pair.lines:
            click.echo()
            write_rows(attack_rows(pair, first, second), style)
    if style != "table":
        write_rows([_record(pair, line, first, second) for pair in compared for line in pair.lines], style)


def _record(pair: Any, line: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    """Return a row for other programs; its p-value is of the sign-flip test, and what is absent is None."""
    names = {"first_recipe": first, "second_recipe": second}
    known = {name: line[name] for name in LINE}
    return pair.block | names | {name: None if value != value else value for name, value in known.items()}
