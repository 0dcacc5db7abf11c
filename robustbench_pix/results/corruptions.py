"""Mean accuracy under corruptions, over all of them and over those of low, medium and high frequency."""

import math
from typing import Any

import pandas as pd

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.corruptions.corruption import Corruption
from robustbench_pix.attacks.corruptions.spectrum import GROUPS, Grouping, grouping
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.data.base import load_dataset
from robustbench_pix.errors import UserError
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.statistics.intervals import student_interval

Rows = list[dict[str, Any]]
Groupings = dict[tuple[str, str], Grouping]
"""Of a task in a colour."""


def of_corruptions(measurements: pd.DataFrame, workspace: Workspace) -> tuple[pd.DataFrame, dict[str, Corruption]]:
    """Return the measurements under corruptions, and the corruptions by the names of their entries.

    Raises:
        UserError: there are none.
    """
    there = [name for name in measurements["attack"].unique() if name in workspace.names(FOLDERS["attack"])]
    built = {name: build_attack(spec) for name in there if (spec := workspace.attack(name)).attack == "corruption"}
    corruptions = {name: attack for name, attack in built.items() if isinstance(attack, Corruption)}
    if not corruptions:
        raise UserError("No corruption was measured here; begin with rbp run --suite corruptions.")
    return measurements[measurements["attack"].isin(list(corruptions))], corruptions


def groupings(
    measurements: pd.DataFrame, corruptions: dict[str, Corruption], workspace: Workspace, data_root: Any
) -> Groupings:
    """Return the groups of the measured corruptions on the test images of each task and colour.

    Raises:
        UserError: the data of a task is not there.
    """
    found: Groupings = {}
    for (task, colour), rows in measurements.groupby(["task", "colour"], sort=False):
        task, colour = str(task), str(colour)
        spec = workspace.task(task)
        data = load_dataset(spec.dataset, spec.folder, root=data_root, colour=colour)
        if data.test_images is None or data.test_labels is None:
            raise UserError(f"The task {task} has no test images any more.")
        measured = {name: corruptions[name] for name in rows["attack"].unique()}
        for corruption in measured.values():
            corruption.file = corruption.find_file(spec.dataset, data.test_labels, data_root)
        found[task, colour] = grouping(measured, data.test_images.float() / 255, task)
    return found


def group_rows(found: Groupings) -> Rows:
    """Return a row a corruption, from low to high frequencies, with the cut-offs between the groups."""
    return [
        {
            "task": task,
            "colour": colour,
            "attack": name,
            "centroid": groups.centroids[name],
            "group": groups.group(name),
            "low_up_to": groups.cut_offs[0],
            "high_above": groups.cut_offs[1],
        }
        for (task, colour), groups in found.items()
        for name in sorted(groups.centroids, key=lambda name: groups.centroids[name])
    ]


def cut_offs(found: Groupings) -> list[str]:
    """Return a sentence for each task and colour: where its groups are divided."""
    return [
        f"{task}, {colour}: low up to {groups.cut_offs[0]:.3f} of the Nyquist frequency, high above "
        f"{groups.cut_offs[1]:.3f}"
        for (task, colour), groups in found.items()
    ]


def accuracy_rows(measurements: pd.DataFrame, found: Groupings) -> Rows:
    """Return a row a recipe and setting: accuracy without attack, and its mean over corruptions and severities above 0.

    Means are over the seeds under which all corruptions of the row were measured; ``from`` and ``to`` are Student's 95%
    interval; ``low``, ``medium`` and ``high`` are the means over the corruptions of these frequencies.
    """
    rows: Rows = []
    for key, taken in measurements.groupby(KEY, sort=False):
        facts: dict[str, Any] = dict(zip(KEY, key, strict=True))
        corrupted = taken[taken["strength"] > 0].pivot_table(index="seed", columns="attack", values="accuracy").dropna()
        clean = taken[(taken["strength"] == 0) & taken["seed"].isin(corrupted.index)]
        means = corrupted.mean(axis="columns")
        low, high = student_interval(means.to_numpy(float))
        row = {**facts, "seeds": len(corrupted), "corruptions": corrupted.shape[1]}
        row |= {"clean": _number(clean["accuracy"].mean()), "mean": _number(means.mean())}
        row |= {"from": _number(low), "to": _number(high)}
        groups = found[facts["task"], facts["colour"]]
        for group in GROUPS:
            members = [name for name in corrupted.columns if groups.group(name) == group]
            row[group] = _number(corrupted[members].mean(axis="columns").mean())
        rows.append(row)
    return rows


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
