"""``rbp compare``."""

from shutil import get_terminal_size
from textwrap import fill
from typing import Any

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import format_option, workspace_option
from robustbench_pix.cli.output import write_rows

INTERVALS = ("difference", "standard_error", "low", "high", "seeds_low", "seeds_high")
LINE = ("measure", "seeds", "first", "second", *INTERVALS, "p_value", "detectable")


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option("--on", "combinations", metavar="TASK:DATA", multiple=True, help="Only this combination. Repeatable.")
@click.option("--sensitivity", is_flag=True, help="How the difference changes with other weights and ranges.")
@click.option("--published", is_flag=True, help="Compare what is published, even where there are runs.")
@workspace_option
@format_option
def compare(
    first: str,
    second: str,
    suite: str | None,
    combinations: tuple[str, ...],
    sensitivity: bool,
    published: bool,
    workspace: Workspace,
    style: str,
) -> None:
    """Compare two recipes: difference in mean AUC, 95% interval, verdict, and the numbers by attack.

    Differences are paired by seed. The verdict is the board's: on the mean AUC, from six seeds on, corrected for all
    pairs of recipes in the setting. Attacks have no verdict of their own.

    \b
    Examples:
    $ rbp compare thresholded unregularized
    $ rbp compare thresholded shuffled --on digits --format csv
    $ rbp compare thresholded unregularized --sensitivity
    """
    import pandas as pd

    from robustbench_pix.cli.tables import PIPED_WIDTH, board_at
    from robustbench_pix.errors import UserError, unknown
    from robustbench_pix.leaderboard.captions import setting_title
    from robustbench_pix.leaderboard.terminal.comparison_text import attack_rows, sentences
    from robustbench_pix.results.inflation import comparison_sentences
    from robustbench_pix.results.statistics.comparisons import pairs, two_of

    board = board_at(workspace, suite, combinations, published=published)
    recipes = set(board.requested["recipe"])
    for name in (first, second):
        if name not in recipes:
            raise unknown("recipe on this board", name, recipes, list_with="rbp leaderboard")
    if first == second:
        raise UserError(f"{first} cannot be compared with itself.")
    compared = pairs(board.settings, first, second, board.sampling)
    if not compared:
        raise UserError(f"No combination and suite on this board has both {first} and {second}.")
    if sensitivity:
        both = [(setting.facts, *two) for setting in board.settings if (two := two_of(setting, first, second))]
        _sensitivity(board.origin, both, style)
        return
    click.echo(f"{board.origin}\n" if style == "table" else board.origin, err=style != "table")
    for number, pair in enumerate(compared if style == "table" else []):
        click.echo("\n" * (number > 0) + setting_title(pair.setting) + "\n")
        here = board.measurements[list(pair.setting)] == pd.Series(pair.setting)
        measured = board.measurements[here.all(axis="columns")]
        for sentence in [*sentences(pair, first, second), *comparison_sentences(measured, first, second)]:
            click.echo(fill(sentence, get_terminal_size((PIPED_WIDTH, 24)).columns))
        if pair.lines:
            click.echo()
            write_rows(attack_rows(pair, first, second), style)
    if style != "table":
        write_rows([_record(pair, line, first, second) for pair in compared for line in pair.lines], style)


def _sensitivity(origin: str, found: list[Any], style: str) -> None:
    """Write the difference of two recipes in every view, setting by setting."""
    from robustbench_pix.cli.tables import PIPED_WIDTH
    from robustbench_pix.leaderboard.captions import setting_title
    from robustbench_pix.leaderboard.terminal.comparison_text import stability, view_rows
    from robustbench_pix.results.statistics.comparisons import sensitivity

    viewed = [(setting, first, second, sensitivity(first, second)) for setting, first, second in found]
    click.echo(f"{origin}\n" if style == "table" else origin, err=style != "table")
    if style != "table":
        names = [
            setting | {"first_recipe": first.name, "second_recipe": second.name} | _known(view)
            for setting, first, second, views in viewed
            for view in views
        ]
        write_rows(names, style)
        return
    for number, (setting, first, second, views) in enumerate(viewed):
        click.echo("\n" * (number > 0) + setting_title(setting) + "\n")
        click.echo(fill(stability(views, first.name, second.name), get_terminal_size((PIPED_WIDTH, 24)).columns))
        if views:
            click.echo()
            write_rows(view_rows(views), style)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """Return values, None where absent."""
    return {name: None if value != value else value for name, value in values.items()}


def _record(pair: Any, line: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    """Return a row for other programs; its p_value is of the sign-flip test; absent values are None.

    ``p_adjusted`` and ``verdict`` are those of the board, of the mean AUC alone.
    """
    names = {"first_recipe": first, "second_recipe": second}
    known = {name: line[name] for name in LINE} | {"p_adjusted": float("nan"), "verdict": ""}
    if line["measure"] == "mean_auc" and pair.comparison is not None:
        known |= {"p_adjusted": pair.comparison.p_adjusted, "verdict": pair.comparison.verdict}
    return pair.setting | names | _known(known)
