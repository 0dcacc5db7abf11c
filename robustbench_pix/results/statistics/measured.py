"""What was measured of the recipes of a setting, seed by seed: whatever is aggregated or compared starts here."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.catalogue.specs import NO_ACCESS
from robustbench_pix.results.columns import MEASUREMENTS, REQUESTED, SETTING, WORST_CASE, typed
from robustbench_pix.runs.request import EXTERNAL_SEED


class Threat(NamedTuple):
    """What an attack may see, and what its strength means: those of ``measurements.csv``."""

    access: str
    strength_kind: str


def attack_weights(auc: pd.DataFrame, threats: Mapping[str, Threat]) -> pd.DataFrame:
    """Return the weight of each attack in the mean AUC of each seed; the weights of a seed add up to 1.

    The mean AUC is over threat groups, one for each access. In the group without access every attack counts the same:
    nobody chooses among noises. An adversary takes the attack that works best, so that within each other group only the
    attack with the lowest AUC counts, of each kind of strength by itself (an l2 and a linf distance cannot be
    compared), and these kinds count the same. Where two attacks tie, the first counts.

    Args:
        auc: of the accuracy under attack, a row a seed, a column an attack; no NaN.
        threats: of every attack among the columns.
    """
    if auc.empty:  # an attack that nobody measured has no threat model
        return pd.DataFrame(0.0, index=auc.index, columns=auc.columns)
    groups = list(dict.fromkeys(threats[attack].access for attack in auc.columns))
    weights = pd.DataFrame(0.0, index=auc.index, columns=auc.columns)
    for access in groups:
        attacks = [attack for attack in auc.columns if threats[attack].access == access]
        if access == NO_ACCESS:
            weights[attacks] = 1 / len(groups) / len(attacks)
            continue
        kinds = list(dict.fromkeys(threats[attack].strength_kind for attack in attacks))
        for kind in kinds:
            rivals = [attack for attack in attacks if threats[attack].strength_kind == kind]
            lowest = auc[rivals].to_numpy(float).argmin(axis=1)
            share = np.eye(len(rivals))[lowest] / len(groups) / len(kinds)
            weights[rivals] = share.reshape(len(auc), len(rivals))
    return weights


def mean_aucs(auc: pd.DataFrame, threats: Mapping[str, Threat]) -> "pd.Series[float]":
    """Return the mean AUC of each seed that has every attack: the AUC of its attacks, weighted by ``attack_weights``.

    Arguments as there; ``auc`` is NaN where it was not measured.
    """
    complete = auc.dropna()
    if complete.empty:
        return pd.Series(dtype=float, index=complete.index[:0])
    return (complete * attack_weights(complete, threats)).sum(axis="columns")


BASELINE = "unregularized"


class RecipeResults(NamedTuple):
    """What was measured of one recipe in one setting.

    Attributes:
        requested: its row of ``REQUESTED``.
        attacks: the suite's, in its order, those that report a distance only among them.
        taken: the measurements of the seeds and attacks that were requested, by strength.
        aucs: AUC, a row a seed, a column an attack that has strengths.
        threats: of each attack that was measured in the setting.
        clean: ``correct`` and ``n`` without attack, a row a seed, of the attack that judged the most images; its
            ``attack_id``, and its ``chance``.
        mean_aucs: of each seed that has every attack, the mean AUC over threat groups; see ``mean_aucs``.
        chances: the accuracy of the best constant answer, a row a seed, a column an attack.
        worst: the measurements of the pointwise worst case of the seeds that were requested, by strength.
    """

    requested: Any
    attacks: list[str]
    taken: pd.DataFrame
    aucs: pd.DataFrame
    threats: dict[str, Threat]
    clean: pd.DataFrame
    mean_aucs: "pd.Series[float]"
    chances: pd.DataFrame
    worst: pd.DataFrame

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.requested.recipe)

    @property
    def distances(self) -> list[str]:
        """The attacks that report a distance only."""
        return [attack for attack in self.attacks if attack not in self.aucs.columns]

    @property
    def clean_accuracy(self) -> "pd.Series[float]":
        """The share of the images that are correct without attack, by seed."""
        return (self.clean["correct"] / self.clean["n"]).astype(float)

    @property
    def chance(self) -> "pd.Series[float]":
        """The clean accuracy of the best constant answer, by seed."""
        return self.clean["chance"].astype(float)

    @property
    def chance_mean_auc(self) -> "pd.Series[float]":
        """The mean AUC of the best constant answer on the same images, by seed: no perturbation changes it."""
        return mean_aucs(self.chances.loc[self.mean_aucs.index], self.threats)

    @property
    def weights(self) -> pd.DataFrame:
        """The weight of each attack in the mean AUC, a row a seed that has a mean AUC."""
        return attack_weights(self.aucs.loc[self.mean_aucs.index], self.threats)

    @property
    def shown(self) -> pd.Index:
        """The seeds that a row shows: those with every attack, else all that were requested."""
        return self.aucs.index if self.mean_aucs.empty else self.mean_aucs.index

    def by_seed(self, attacks: list[str], value: str) -> pd.DataFrame:
        """Return a column of the measurements at the largest strength: a row a seed requested, a column an attack."""
        ends = self.taken[self.taken["attack"].isin(attacks)].drop_duplicates(["seed", "attack"], keep="last")
        table = ends.pivot(index="seed", columns="attack", values=value)
        return table.reindex(index=self.aucs.index, columns=attacks).astype(float)


class Setting(NamedTuple):
    """What recipes share that may be compared, and their results in the order in which they were requested."""

    key: tuple[Any, ...]
    """The values of ``SETTING``."""

    recipes: list[RecipeResults]

    @property
    def facts(self) -> dict[str, Any]:
        """The values of ``SETTING`` by name."""
        return dict(zip(SETTING, self.key, strict=True))

    @property
    def baseline(self) -> RecipeResults | None:
        """The results of ``unregularized``, if it was requested."""
        return next((recipe for recipe in self.recipes if recipe.name == BASELINE), None)


def listed(texts: Iterable[str], separator: str = ",") -> list[str]:
    """Return the distinct parts of texts, in the order of their first appearance."""
    return list(dict.fromkeys(part.strip() for text in texts for part in text.split(separator) if part.strip()))


def settings(measurements: pd.DataFrame, requested: pd.DataFrame) -> list[Setting]:
    """Return the settings of a board with the results of their recipes, in the order of ``requested``.

    Of the columns ``MEASUREMENTS`` and ``REQUESTED``, the latter with a row a recipe and setting, measured or not.
    """
    measurements, requested = typed(measurements, MEASUREMENTS), typed(requested, REQUESTED)
    measured = dict(iter(measurements.groupby(SETTING, sort=False)))
    found = []
    for key, rows in requested.groupby(SETTING, sort=False):
        within = measured.get(key, measurements.iloc[:0])
        known = within.drop_duplicates("attack")[["attack", *Threat._fields]].itertuples(index=False, name=None)
        threats = {str(attack): Threat(*threat) for attack, *threat in known}
        distances = set(within["attack"]) - set(within.loc[within["strength"].notna(), "attack"])
        by_recipe = {str(name): part for name, part in within.groupby("recipe", sort=False)}
        nothing = within.iloc[:0]
        recipes = [
            _recipe(row, by_recipe.get(str(row.recipe), nothing), distances, threats) for row in rows.itertuples()
        ]
        found.append(Setting(key, recipes))
    return found


def paired(recipe: RecipeResults, other: RecipeResults) -> NDArray[np.float64]:
    """Return the differences in mean AUC, recipe - other, over the seeds that both have; an external model has none."""
    return differences(recipe.mean_aucs, other.mean_aucs)


def differences(values: "pd.Series[float]", others: "pd.Series[float]") -> NDArray[np.float64]:
    """Return values - others over the seeds that both have; an external model has none."""
    one, other = values.to_dict(), others.to_dict()
    common = [seed for seed in one if seed in other and seed != EXTERNAL_SEED]
    # Mean AUCs that are equal on paper differ by rounding; unanimous differences of 1e-17 would count as certain.
    return np.round([one[seed] - other[seed] for seed in common], 12).astype(float)


def normalized_areas(curves: pd.DataFrame, *by: str) -> "pd.Series[float]":
    """Return the AUC of each seed (and more): the area at the largest strength, divided by the range up to there.

    Args:
        curves: the columns ``MEASUREMENTS``, rows ascending by strength.
        by: columns beside the seed that distinguish the curves.
    """
    ends = curves.drop_duplicates(["seed", *by], keep="last").set_index(["seed", *by])
    return ends["area"] / (ends["strength"] - ends["range_from"])


_OF_CURVES = [
    "seed", "attack", "strength", "range_from", "area", "correct", "n", "repetitions", "attack_id", "chance",
]  # fmt: skip


def _recipe(requested: Any, measured: pd.DataFrame, distances: set[str], threats: dict[str, Threat]) -> RecipeResults:
    """Pick what was requested out of what was measured of one recipe."""
    attacks = listed([requested.attacks])
    seeds = [int(seed) for seed in listed([requested.seed_list])]
    chosen = measured["seed"].isin(seeds) & (requested.status != "not run")
    of_seeds = measured[chosen].sort_values("strength", kind="stable")
    taken = of_seeds[of_seeds["attack"].isin(attacks)]
    curves = taken.loc[taken["strength"].notna(), _OF_CURVES]
    table = normalized_areas(curves, "attack").unstack("attack")
    curved = [attack for attack in attacks if attack not in distances]
    aucs = table.reindex(index=seeds, columns=curved).astype(float)
    starts = curves[curves["strength"] == 0]
    place = starts["attack"].map(attacks.index)
    once = {name: starts[name] // starts["repetitions"] for name in ("correct", "n")}
    starts = starts.assign(place=place, **once).sort_values(["n", "place"], ascending=[False, True])
    clean = starts.drop_duplicates("seed").set_index("seed")[["correct", "n", "attack_id", "chance"]].sort_index()
    chances = starts.drop_duplicates(["seed", "attack"]).pivot(index="seed", columns="attack", values="chance")
    return RecipeResults(
        requested=requested,
        attacks=attacks,
        taken=taken,
        aucs=aucs,
        threats=threats,
        clean=clean,
        mean_aucs=mean_aucs(aucs, threats),
        chances=chances.reindex(index=seeds, columns=curved).astype(float),
        worst=of_seeds[of_seeds["attack"] == WORST_CASE],
    )


EFFECTIVE = "effective_robustness"


def effective_robustness(recipe: RecipeResults, baseline: RecipeResults) -> NDArray[np.float64]:
    """Return (S - c) - (K - k) (S_u - c) / (K_u - k) of each seed that both recipes have: the effective robustness.

    As of Taori et al. 2020 (arXiv 2007.00644), but predicted by the line through two classifiers, since a setting has
    few models: the best constant answer and ``unregularized``.

    S is the mean AUC, K the clean accuracy, c and k what the best constant answer gets of either on the same images; u
    marks the baseline. A model that gives the best constant answer for any share of the images, and else the baseline's
    answer, has exactly 0 where all attacks judge the same images; where some judge fewer, c is that of the class most
    frequent among those, so that it has at most 0.
    """
    expected = (recipe.chance_mean_auc + _retained(baseline) * (recipe.clean_accuracy - recipe.chance)).dropna()
    return differences(recipe.mean_aucs, expected)


def slopes(recipe: RecipeResults, baseline: RecipeResults) -> pd.DataFrame:
    """Return the derivatives by S, K, S_u and K_u, a row a seed of both; for the variance over test images."""
    retained = _retained(baseline)
    lift = (recipe.clean_accuracy - recipe.chance) / (baseline.clean_accuracy - baseline.chance)
    found = pd.DataFrame({"S": 1.0, "K": -retained, "S_u": -lift, "K_u": lift * retained})
    return found.loc[found.index.intersection(recipe.mean_aucs.index)].dropna()


def _retained(baseline: RecipeResults) -> "pd.Series[float]":
    """Return the share of what lies above chance that the baseline retains; NaN where its accuracy is at chance."""
    above = baseline.clean_accuracy - baseline.chance
    return (baseline.mean_aucs - baseline.chance_mean_auc) / above.where(above > 0)
