"""The tables of corruptions that ``rbp figures`` writes, where their frequencies can be measured."""

from pathlib import Path

import pandas as pd

from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.errors import UserError


def corruption_tables(
    measurements: pd.DataFrame, workspace: Workspace, data_root: Path | None
) -> tuple[tuple[pd.DataFrame, pd.DataFrame] | None, list[str]]:
    """Return accuracies and groups of corruptions, None where there are none, and sentences for what is left out."""
    there = set(measurements["attack"]) & set(workspace.names(FOLDERS["attack"]))
    if not any(workspace.attack(name).attack == "corruption" for name in there):
        return None, []  # without importing torch

    from robustbench_pix.data.base import default_root
    from robustbench_pix.results.corruptions import accuracy_rows, group_rows, groupings, of_corruptions

    measured, named = of_corruptions(measurements, workspace)
    try:
        groups = groupings(measured, named, workspace, data_root or default_root())
    except UserError as error:
        return None, [f"No table of corruptions, whose frequencies need the images: {error}"]
    return (pd.DataFrame(accuracy_rows(measured, groups)), pd.DataFrame(group_rows(groups))), []
