"""``rbp figures``: a board as figures and tables for a paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.cli.options import data_root_option, device_option, workspace_option
from robustbench_pix.errors import UserError
from robustbench_pix.runs.plan_store import combination_name

if TYPE_CHECKING:
    import pandas as pd

    from robustbench_pix.results.board import Board
    from robustbench_pix.results.representations import Similarities
    from robustbench_pix.runs.store import Store


@click.command()
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option("--on", "combinations", metavar="TASK:DATA", multiple=True, help="Only this combination. Repeatable.")
@click.option("--published", is_flag=True, help="Draw what is published, even where there are runs.")
@click.option(
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    show_default="figures in the workspace",
    help="Where the files go, a folder a suite.",
)
@workspace_option
@data_root_option
@device_option
def figures(
    suite: str | None,
    combinations: tuple[str, ...],
    published: bool,
    output: Path | None,
    workspace: Workspace,
    data_root: Path | None,
    device: str | None,
) -> None:
    """Draw the paper's figures from the workspace's runs, else from what is published, beside the published curves.

    A figure an attack, as SVG, PDF and PNG; figures.tex shows them. The tables as LaTeX: leaderboard.tex, and
    comparison.tex for ours beside the published curves; comparisons.tex, aucs.tex, recipe-costs.tex, queries.tex and
    aggregates.tex for the published CSV files of these names; corruptions.tex. They need booktabs.
    Figure 1, a figure a combination, queries the stored models with their regularization data: runs/ and the data
    must be there; similarity.csv holds its correlations.

    \b
    Examples:
    $ rbp figures
    $ rbp figures --suite paper --on cifar10:natural --output paper/figures
    """
    from robustbench_pix.cli.tables import board_at
    from robustbench_pix.leaderboard.paper.figures import not_drawn, write_figures
    from robustbench_pix.leaderboard.paper.tex_files import write_tables

    board = board_at(workspace, suite, combinations, published=published)
    click.echo(board.origin)
    folder = output or workspace.root / "figures"
    corruptions, missing = _corruption_tables(board.measurements, workspace, data_root)
    files = write_figures(board.leaderboard, board.measurements, folder)
    for path in [*files, *write_tables(board, folder, corruptions)]:
        click.echo(f"wrote {path}")
    _draw_similarities(board, folder, workspace, data_root, device)
    for sentence in [*not_drawn(board.measurements), *missing]:
        click.echo(sentence)


def _corruption_tables(
    measurements: "pd.DataFrame", workspace: Workspace, data_root: Path | None
) -> "tuple[tuple[pd.DataFrame, pd.DataFrame] | None, list[str]]":
    """Return accuracies and groups of corruptions, None without any, and sentences on tables left out."""
    there = set(measurements["attack"]) & set(workspace.names(FOLDERS["attack"]))
    if not any(workspace.attack(name).attack == "corruption" for name in there):
        return None, []  # without importing torch

    import pandas as pd

    from robustbench_pix.data.base import default_root
    from robustbench_pix.results.corruptions import accuracy_rows, group_rows, groupings, of_corruptions

    measured, named = of_corruptions(measurements, workspace)
    try:
        groups = groupings(measured, named, workspace, data_root or default_root())
    except UserError as error:
        return None, [f"No table of corruptions, whose frequencies need the images: {error}"]
    return (pd.DataFrame(accuracy_rows(measured, groups)), pd.DataFrame(group_rows(groups))), []


def _draw_similarities(
    board: "Board", folder: Path, workspace: Workspace, data_root: Path | None, device: str | None
) -> None:
    """Draw Figure 1 of the combinations of a board whose models and images are there; say why not of the others.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    from robustbench_pix.leaderboard.captions import setting_name
    from robustbench_pix.leaderboard.paper.similarity_figure import write_similarities
    from robustbench_pix.results.representations import trained_models
    from robustbench_pix.runs.store import Store

    found, missing, store = list["Similarities"](), list[str](), Store(workspace.runs)
    for setting, models in trained_models(board.measurements):
        name = f"Figure 1 of {combination_name(setting)} ({setting_name(setting)[1]})"
        there = models[[store.damage(f"train-{model}") is None for model in models["model_id"]]]
        try:
            if there.empty:
                raise UserError(f"None of its trained models is in {store.root}; {_command(models, workspace)}")
            found.append(_similarities(setting, there, store, workspace, data_root, device))
        except UserError as error:
            missing.append(f"{name} is not drawn. {error}")
        else:
            missing += [f"{name} lacks a target. {sentence}" for sentence in found[-1].left_out]
            if lost := len(models) - len(there):
                missing.append(f"{name} lacks {lost} of {len(models)} models: missing or damaged in {store.root}.")
    for path in write_similarities(found, board.leaderboard, board.measurements, folder):
        click.echo(f"wrote {path}")
    for sentence in missing:
        click.echo(sentence)


def _similarities(
    setting: Any,
    models: "pd.DataFrame",
    store: "Store",
    workspace: Workspace,
    data_root: Path | None,
    device: str | None,
) -> "Similarities":
    """Query the models of a combination; torch is imported only here, where there are some."""
    import torch

    from robustbench_pix.devices import current, resolve_device
    from robustbench_pix.foreign import lent_to_others
    from robustbench_pix.results.representations import measure_similarities

    where = resolve_device(device)
    if where == "cpu":
        torch.set_num_threads(1)
    with current(where), lent_to_others():
        return measure_similarities(setting, models, store, workspace, data_root, where)


def _command(models: "pd.DataFrame", workspace: Workspace) -> str:
    """Return how to get the models of a combination."""
    from robustbench_pix.results.provenance import command_of
    from robustbench_pix.results.statistics.measured import BASELINE

    recipes = [name for name in models["recipe"].unique() if name != BASELINE] or [BASELINE]
    facts: dict[str, Any] = {**models.iloc[0], "recipe": recipes[0]}
    seeds = sorted(set(models["seed"].astype(int)))
    checked = bool((models["gradients"] != "").any())
    command = command_of(facts, seeds, checked=checked, given=None, catalogue=workspace, others=recipes[1:])
    return f"{command} trains them."
