"""What the LaTeX tables of ``rbp figures`` need beside the board, of runs or as published."""

from pathlib import Path

import pandas as pd

from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.cli.tables import Found
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.paper.latex_files import PaperInputs
from robustbench_pix.leaderboard.published.publishing import read_costs, read_queries
from robustbench_pix.results.board import costs
from robustbench_pix.results.queries import query_table
from robustbench_pix.runs.plans import saved_rows
from robustbench_pix.runs.store import Store


def beside_board(
    found: Found, measurements: pd.DataFrame, workspace: Workspace, data_root: Path | None
) -> tuple[PaperInputs, list[str]]:
    """Return costs, queries and corruptions of a board, and a sentence for what cannot be shown."""
    if found.folder is None:
        store = Store(workspace.runs)
        rows = saved_rows(store)
        spent, queries = costs(rows, store), query_table(rows, store)
    else:
        spent, queries = read_costs(found.folder), read_queries(found.folder)
    if not _corrupted(measurements, workspace):
        return PaperInputs(spent, queries), []

    from robustbench_pix.data.base import default_root
    from robustbench_pix.results.corruptions import accuracy_rows, group_rows, groupings, of_corruptions

    measured, named = of_corruptions(measurements, workspace)
    try:
        groups = groupings(measured, named, workspace, data_root or default_root())
    except UserError as error:
        return PaperInputs(spent, queries), [f"No table of corruptions, whose frequencies need the images: {error}"]
    corruptions = pd.DataFrame(accuracy_rows(measured, groups)), pd.DataFrame(group_rows(groups))
    return PaperInputs(spent, queries, corruptions), []


def _corrupted(measurements: pd.DataFrame, workspace: Workspace) -> bool:
    """Return whether a corruption was measured; asked without importing torch."""
    there = set(measurements["attack"]) & set(workspace.names(FOLDERS["attack"]))
    return any(workspace.attack(name).attack == "corruption" for name in there)
