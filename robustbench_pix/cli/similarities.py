"""Figure 1 for ``rbp figures``: which combinations it can be drawn of, and why not of the others."""

from pathlib import Path
from typing import Any

import pandas as pd
import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import lent_to_others
from robustbench_pix.leaderboard.paper.figure_style import setting_name
from robustbench_pix.leaderboard.paper.similarity_figure import write_similarities
from robustbench_pix.results.provenance import command_of
from robustbench_pix.results.representations import Similarities, trained_models
from robustbench_pix.results.statistics.measured import BASELINE
from robustbench_pix.runs.plan_store import combination_name
from robustbench_pix.runs.store import Store


def draw_similarities(
    leaderboard: pd.DataFrame,
    measurements: pd.DataFrame,
    folder: Path,
    workspace: Workspace,
    data_root: Path | None,
    device: str | None,
) -> None:
    """Draw Figure 1 of the combinations of a board whose models and images are there; say it and say why not.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    found, missing, store = list[Similarities](), list[str](), Store(workspace.runs)
    for setting, models in trained_models(measurements):
        name = f"Figure 1 of {combination_name(setting)} ({setting_name(setting)[1]})"
        there = models[[store.damage(f"train-{model}") is None for model in models["model_id"]]]
        try:
            if there.empty:
                raise UserError(f"None of its trained models is in {store.root}; {_command(models, workspace)}")
            found.append(_measured(setting, there, store, workspace, data_root, device))
        except UserError as error:
            missing.append(f"{name} is not drawn. {error}")
        else:
            missing += [f"{name} lacks a target. {sentence}" for sentence in found[-1].left_out]
            if lost := len(models) - len(there):
                missing.append(
                    f"{name} lacks {lost} of {len(models)} models: {store.root} has them no more, or damaged."
                )
    for path in write_similarities(found, leaderboard, measurements, folder):
        click.echo(f"wrote {path}")
    for sentence in missing:
        click.echo(sentence)


def _measured(
    setting: "pd.Series[str]",
    models: pd.DataFrame,
    store: Store,
    workspace: Workspace,
    data_root: Path | None,
    device: str | None,
) -> Similarities:
    """Ask the models of a combination; torch is imported only here, where there are some."""
    import torch

    from robustbench_pix.devices import current, resolve_device
    from robustbench_pix.results.representations import measure_similarities

    where = resolve_device(device)
    if where == "cpu":
        torch.set_num_threads(1)
    with current(where), lent_to_others():
        return measure_similarities(setting, models, store, workspace, data_root, where)


def _command(models: pd.DataFrame, workspace: Workspace) -> str:
    """Return how to get the models of a combination."""
    recipes = [name for name in models["recipe"].unique() if name != BASELINE] or [BASELINE]
    facts: dict[str, Any] = {**models.iloc[0], "recipe": recipes[0]}
    seeds = sorted(set(models["seed"].astype(int)))
    checked = bool((models["gradients"] != "").any())
    command = command_of(facts, seeds, checked=checked, given=None, catalogue=workspace, others=recipes[1:])
    return f"{command} trains them."
