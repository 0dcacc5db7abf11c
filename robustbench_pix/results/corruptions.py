"""Mean accuracy under corruptions, over all of them and over those of low, medium and high frequency.

Yin et al. 2019 (arXiv 1906.08988) show that robustness to a corruption depends on its frequencies; Li et al. 2023
("Robust deep learning object recognition models rely on low frequency information in natural images") compare groups of
low, medium and high frequency. Here the groups are computed from the changes that a corruption makes.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.corruptions.corruption import Corruption
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.data.base import load_dataset
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import ImageKey
from robustbench_pix.results.columns import KEY
from robustbench_pix.results.statistics.intervals import student_interval

Group = Literal["low", "medium", "high"]
GROUPS: tuple[Group, ...] = ("low", "medium", "high")

SEVERITY = 3
IMAGES = 500
"""Largest number of test images used, the first ones."""


class Grouping(NamedTuple):
    """Centroids of corruptions, as a share of the Nyquist frequency, and the two cut-offs between the groups."""

    centroids: dict[str, float]
    cut_offs: tuple[float, float]

    def group(self, name: str) -> Group:
        """Return the group of a corruption."""
        return GROUPS[sum(self.centroids[name] > cut_off for cut_off in self.cut_offs)]


def grouping(corruptions: Mapping[str, Corruption], images: Tensor, task: str) -> Grouping:
    """Return the groups of corruptions on the test images of a task, float32 (N, C, H, W): tertiles of the centroids.

    So each group has as many corruptions as the others, or nearly.
    """
    images = images[:IMAGES]
    keys = [ImageKey(task, index, 0, 0) for index in range(len(images))]
    centroids = {
        name: centroid(radial_energy(corruption.corrupted(images, SEVERITY, corruption.draws(keys, images)) - images))
        for name, corruption in corruptions.items()
    }
    low, high = np.quantile(list(centroids.values()), [1 / 3, 2 / 3]).tolist()
    return Grouping(centroids, (low, high))


def radial_energy(changes: Tensor) -> Tensor:
    """Return the energy of changes (N, C, H, W) in rings around frequency 0, mean over images and channels.

    Ring b of 0 to half the shorter side holds the frequencies that are rounded to b / (side / 2) of the Nyquist
    frequency; corners beyond are left out. Rings are summed, not averaged: averaged, the one coefficient of frequency 0
    would count as much as all of a ring, and noise on a black background, which can only brighten, as low. Float64
    (side // 2 + 1,).
    """
    power = torch.fft.fft2(changes.double()).abs().square().mean(dim=(0, 1))
    height, width = power.shape
    down, right = (2 * torch.fft.fftfreq(size, dtype=torch.float64, device=power.device) for size in (height, width))
    half = min(height, width) / 2
    ring = (torch.hypot(down[:, None], right[None]) * half).round().long()
    inside = ring <= half
    energy: Tensor = power.new_zeros(int(half) + 1).index_add_(0, ring[inside], power[inside])
    return energy


def centroid(energy: Tensor) -> float:
    """Return the mean frequency under the energy of rings, as a share of the Nyquist frequency.

    >>> centroid(torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]))
    0.375
    """
    frequency = torch.linspace(0, 1, len(energy), dtype=torch.float64, device=energy.device)
    return float((frequency * energy).sum() / energy.sum())


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
