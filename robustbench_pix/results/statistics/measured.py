"""What was measured of the recipes of a block, seed by seed: whatever is aggregated or compared starts here."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import MEASUREMENTS, WORST_CASE
from robustbench_pix.results.frames import BLOCK, ROWS, typed
from robustbench_pix.runs.request import GIVEN_SEED

BASELINE = "unregularized"

Block = tuple[Any, ...]
"""The values of ``frames.BLOCK``."""


class Recipe(NamedTuple):
    """What was measured of one recipe of a block.

    Attributes:
        asked: its row of ``frames.ROWS``.
        attacks: the suite's, in its order, those that report a distance only among them.
        taken: the measurements of the seeds and attacks that were asked for, by strength.
        robustness: normalized area under the accuracy, a row a seed, a column an attack that has strengths.
        clean: ``correct`` and ``n`` without attack, a row a seed, of the attack that judged the most images.
        scores: mean robustness of each seed that has every attack.
        worst: the measurements of the pointwise worst case of the seeds that were asked for, by strength.
    """

    asked: Any
    attacks: list[str]
    taken: pd.DataFrame
    robustness: pd.DataFrame
    clean: pd.DataFrame
    scores: "pd.Series[float]"
    worst: pd.DataFrame

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.asked.recipe)

    @property
    def distances(self) -> list[str]:
        """The attacks that report a distance only."""
        return [attack for attack in self.attacks if attack not in self.robustness.columns]

    @property
    def clean_accuracy(self) -> "pd.Series[float]":
        """The share of the images that are correct without attack, by seed."""
        return (self.clean["correct"] / self.clean["n"]).astype(float)

    @property
    def shown(self) -> pd.Index:
        """The seeds that a row shows: those with every attack, else all that were asked for."""
        return self.robustness.index if self.scores.empty else self.scores.index

    def by_seed(self, attacks: list[str], value: str) -> pd.DataFrame:
        """Return a column of the measurements at the largest strength: a row a seed asked for, a column an attack."""
        ends = self.taken[self.taken["attack"].isin(attacks)].drop_duplicates(["seed", "attack"], keep="last")
        table = ends.pivot(index="seed", columns="attack", values=value)
        return table.reindex(index=self.robustness.index, columns=attacks).astype(float)


def listed(texts: Iterable[str], separator: str = ",") -> list[str]:
    """Return the distinct parts of texts, in the order of their first appearance."""
    return list(dict.fromkeys(part.strip() for text in texts for part in text.split(separator) if part.strip()))


def blocks(measurements: pd.DataFrame, rows: pd.DataFrame) -> Iterator[tuple[Block, list[Recipe]]]:
    """Return the recipes of each block, in the order of rows.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        rows: A row a recipe and block, measured or not: the columns ``ROWS``.
    """
    measurements, rows = typed(measurements, MEASUREMENTS), typed(rows, ROWS)
    measured = dict(iter(measurements.groupby(BLOCK, sort=False)))
    for block, asked in rows.groupby(BLOCK, sort=False):
        within = measured.get(block, measurements.iloc[:0])
        distances = set(within["attack"]) - set(within.loc[within["strength"].notna(), "attack"])
        by_recipe = {str(name): part for name, part in within.groupby("recipe", sort=False)}
        nothing = within.iloc[:0]
        yield block, [_recipe(row, by_recipe.get(str(row.recipe), nothing), distances) for row in asked.itertuples()]


def paired(recipe: Recipe, other: Recipe) -> NDArray[np.float64]:
    """Return the differences in score, recipe - other, over the seeds that both have; a given model has none."""
    return differences(recipe.scores, other.scores)


def differences(values: "pd.Series[float]", others: "pd.Series[float]") -> NDArray[np.float64]:
    """Return values - others over the seeds that both have; a given model has none."""
    common = values.index.intersection(others.index).difference([GIVEN_SEED])
    # Scores that are equal on paper differ by rounding; unanimous differences of 1e-17 would count as certain.
    return np.round((values[common] - others[common]).to_numpy(float), 12)


def normalized_areas(curves: pd.DataFrame, *by: str) -> "pd.Series[float]":
    """Return the area at the largest strength, divided by that strength, of each seed (and more); rows by strength."""
    ends = curves.drop_duplicates(["seed", *by], keep="last").set_index(["seed", *by])
    return ends["area"] / ends["strength"]


def _recipe(asked: Any, measured: pd.DataFrame, distances: set[str]) -> Recipe:
    """Pick what was asked for out of what was measured of one recipe."""
    attacks = listed([asked.attacks])
    seeds = [int(seed) for seed in listed([asked.seed_list])]
    chosen = measured["seed"].isin(seeds) & (asked.status != "not run")
    of_seeds = measured[chosen].sort_values("strength", kind="stable")
    taken = of_seeds[of_seeds["attack"].isin(attacks)]
    curves = taken[taken["strength"].notna()]
    table = normalized_areas(curves, "attack").unstack("attack")
    curved = [attack for attack in attacks if attack not in distances]
    robustness = table.reindex(index=seeds, columns=curved).astype(float)
    starts = curves[curves["strength"] == 0]
    place = starts["attack"].map(attacks.index)
    once = {name: starts[name] // starts["repetitions"] for name in ("correct", "n")}
    starts = starts.assign(place=place, **once).sort_values(["n", "place"], ascending=[False, True])
    clean = starts.drop_duplicates("seed").set_index("seed")[["correct", "n"]].sort_index()
    scores = robustness.dropna().mean(axis="columns").dropna()
    return Recipe(asked, attacks, taken, robustness, clean, scores, of_seeds[of_seeds["attack"] == WORST_CASE])
