"""Distance inflation: how far above the smallest known distances an attack ended, and what a reader is told of it."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robustbench_pix.attacks.recorded import INFLATION_IMAGES
from robustbench_pix.results.statistics.intervals import student_interval
from robustbench_pix.results.statistics.measured import differences

INFLATION_ALLOWED = 1.2
"""Above it the mean distance up to the largest strength is overstated by up to a fifth, more than what lies between
most recipes; an attack that has converged ends at 1.02 to 1.10 on average."""


def distance_inflation(examples: pd.DataFrame, nearest: pd.DataFrame) -> float:
    """Return the mean over images of the distance at which an attack ended, divided by the smallest known one.

    Of an image, the smallest known distance is the smaller one of what ``nearest`` states and of what the attack found,
    so no ratio is below 1. An image on which only the attack found nothing counts as found at the farthest image in
    [0, 1]; one on which nothing is known at all does not count. NaN where no image counts.

    Args:
        examples: of an attack of minimal l2 distance, as ``evaluate`` returns them.
        nearest: of the same model, as ``smallest_distances`` returns them.
    """
    right = examples[examples["label"] == examples["clean_prediction"]]
    both = right[["index", "l2"]].merge(nearest[["index", "l2", "farthest"]], on="index", suffixes=("_found", "_known"))
    found, known, farthest = (both[name].to_numpy(np.float64) for name in ("l2_found", "l2_known", "farthest"))
    counts = np.isfinite(known) | np.isfinite(found)
    ended = np.where(np.isfinite(found), found, farthest)[counts]
    smallest = np.minimum(ended, known[counts])
    return float((ended / smallest).mean()) if len(ended) else math.nan


def attack_inflation(examples: pd.DataFrame, attack: dict[str, Any], nearest: pd.DataFrame | None) -> float:
    """Return the distance inflation of an attack by its specification; NaN of any but decision attacks in l2.

    ``nearest`` is None where the smallest distances of the model were not searched.
    """
    measurable = "distance_at_half" in examples and (attack["access"], attack["strength"]) == ("decisions", "l2")
    return distance_inflation(examples, nearest) if measurable and nearest is not None else math.nan


class InflationPair(NamedTuple):
    """The distance inflation of one attack on two recipes of a setting.

    Attributes:
        attack: its name.
        first, second: means over the seeds that were measured.
        low, high: the 95% interval of first - second, Student's t over the seeds that both have; NaN below two.
        far: the recipes on a model of which the attack ended above ``INFLATION_ALLOWED``.
    """

    attack: str
    first: float
    second: float
    low: float
    high: float
    far: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference excludes 0."""
        return self.low > 0 or self.high < 0


def inflation_by_seed(measurements: pd.DataFrame, recipe: str) -> dict[str, "pd.Series[float]"]:
    """Return the distance inflation by attack and seed of one recipe of a setting, of what was measured."""
    rows = measurements[(measurements["recipe"] == recipe) & measurements["distance_inflation"].notna()]
    cells = rows.drop_duplicates(["seed", "attack"])
    return {
        str(attack): cell.set_index("seed")["distance_inflation"].astype(float)
        for attack, cell in cells.groupby("attack", sort=False)
    }


def inflation_pairs(measurements: pd.DataFrame, first: str, second: str) -> list[InflationPair]:
    """Return the inflations of the attacks that were measured on both recipes of a setting (``MEASUREMENTS``)."""
    by_recipe = {recipe: inflation_by_seed(measurements, recipe) for recipe in (first, second)}
    pairs = []
    for attack, one in by_recipe[first].items():
        if (other := by_recipe[second].get(attack)) is not None:
            low, high = student_interval(differences(one, other))
            far = tuple(name for name, of in by_recipe.items() if of[attack].max() > INFLATION_ALLOWED)
            pairs.append(InflationPair(attack, float(one.mean()), float(other.mean()), low, high, far))
    return pairs


def inflation_sentences(measurements: pd.DataFrame) -> list[str]:
    """Return one sentence for each attack of a setting that has a distance inflation, without a full stop."""
    by_attack: dict[str, dict[str, pd.Series[float]]] = {}
    for recipe in measurements["recipe"].unique():
        for attack, seeds in inflation_by_seed(measurements, recipe).items():
            by_attack.setdefault(attack, {})[recipe] = seeds
    return [_of_attack(attack, recipes) for attack, recipes in by_attack.items()]


def comparison_sentences(measurements: pd.DataFrame, first: str, second: str) -> list[str]:
    """Return a sentence for each attack measured on both recipes, with a warning where it may explain a gain."""
    return [_of_pair(pair, first, second) for pair in inflation_pairs(measurements, first, second)]


def _of_attack(attack: str, recipes: dict[str, "pd.Series[float]"]) -> str:
    means = {recipe: float(seeds.mean()) for recipe, seeds in recipes.items()}
    mean = float(pd.concat(list(recipes.values())).mean())
    said = f"{attack} ended at {mean:.2f} times the smallest known distance on average"
    lowest, highest = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    if f"{means[lowest]:.2f}" != f"{means[highest]:.2f}":
        said += f", from {means[lowest]:.2f} ({lowest}) to {means[highest]:.2f} ({highest})"
    return f"{said} (up to {INFLATION_IMAGES} images of each model)"


def _of_pair(pair: InflationPair, first: str, second: str) -> str:
    said = (
        f"{pair.attack} ended at {pair.first:.2f} times the smallest known distance on {first} "
        f"and at {pair.second:.2f} times on {second}"
    )
    reasons = []
    if pair.differs:
        reasons.append(f"the 95% interval of the difference, {pair.low:+.2f} to {pair.high:+.2f}, excludes 0")
    if pair.far:
        reasons.append(f"it ended above {INFLATION_ALLOWED:g} times on a model of {' and '.join(pair.far)}")
    warning = f"; {', and '.join(reasons)}: part of a difference under it may be its weakness" if reasons else ""
    return f"{said}{warning}."
