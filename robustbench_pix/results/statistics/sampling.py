"""The variance that the choice of test images adds: covariances between recipes, which share the images.

The influence of image i on the mean of one attack is (a_i - mean) / sqrt(m (m - 1)), with a_i its own normalized area
(``image_areas``) and m images judged, 0 where the attack did not judge it; on a mean AUC it is the sum of these over
attacks, times their weights in it, linear at the attacks that count. The covariance of two means is the sum over images
of the products of influences, each the mean over seeds: images are independent, attacks may judge different
ones. A draw of noise belongs to its image; source models of transfer attacks are taken as given.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import KEY, SAMPLING, SETTING, WORST_CASE, row_keys, typed
from robustbench_pix.results.derived_columns import AUC_PREFIX
from robustbench_pix.results.statistics.intervals import Sampled
from robustbench_pix.results.statistics.measured import EFFECTIVE, RecipeResults, Setting, slopes
from robustbench_pix.results.statistics.worst_case import AUC, CLEAN

MEAN_AUC, CLEAN_ACCURACY = "mean_auc", "clean_accuracy"

Areas = Mapping[str, pd.DataFrame]
"""From an attack_id to what ``image_areas`` returns of its outcomes; of a worst case ``worst_case_areas``."""


class Influence(NamedTuple):
    """The influence of every image of a setting on one number of each seed of a recipe.

    Attributes:
        seeds: (S,), which.
        values: (S, N), over the images of the setting; 0 where an image was not judged.
        images: how many images were judged, by the attack that judged the fewest.
    """

    seeds: list[int]
    values: NDArray[np.float64]
    images: int


class SettingSampling:
    """The covariances of one setting, found by measure and recipe; empty where they are not known."""

    def __init__(self, rows: pd.DataFrame | None = None) -> None:
        self._found: dict[tuple[str, str, str], Sampled] = {}
        if rows is not None:
            for measure, one, other, *numbers in row_keys(rows, _ROW):
                self._found[measure, one, other] = self._found[measure, other, one] = Sampled(*numbers)

    def own(self, measure: str, recipe: str) -> Sampled | None:
        """Return what images add to the variance of a recipe's mean."""
        return self._found.get((measure, recipe, recipe))

    def difference(self, measure: str, one: str, other: str) -> Sampled | None:
        """Return what images add to the variance of a difference of means.

        Two recipes that were not measured together have no covariance here. It then counts as 0, which is too wide
        rather than too narrow, since the same images are hard for most models.
        """
        of_one, of_other = self.own(measure, one), self.own(measure, other)
        if of_one is None or of_other is None:
            return None
        both = self._found.get((measure, one, other), Sampled(0.0, 0))
        variance = of_one.variance + of_other.variance - 2 * both.variance
        return Sampled(max(variance, 0.0), min(of_one.images, of_other.images))


_KEY = [*KEY, "other", "measure"]
_ROW = ["measure", "recipe", "other", "covariance", "images_judged"]


class Sampling:
    """The covariances of all settings of a board; ``None`` knows none."""

    def __init__(self, table: pd.DataFrame | None = None) -> None:
        self._settings: dict[Any, SettingSampling] = {}
        if table is not None:
            known = typed(table, SAMPLING)
            self._settings = {key: SettingSampling(rows) for key, rows in known.groupby(SETTING, sort=False)}

    def of(self, setting: Setting) -> SettingSampling:
        """Return those of one setting."""
        return self._settings.get(setting.key) or SettingSampling()


def sampling_table(settings: Sequence[Setting], areas: Areas) -> pd.DataFrame:
    """Return the columns ``SAMPLING`` for whatever has the outcomes of all its images at hand, as ``areas``."""
    built: list[dict[str, Any]] = []
    for setting in settings:
        by_measure: dict[str, dict[str, Influence]] = {}
        for recipe in setting.recipes:
            for measure, influence in _influences(recipe, setting, areas):
                by_measure.setdefault(measure, {})[recipe.name] = influence
        for measure, found in by_measure.items():
            built += [setting.facts | {"measure": measure} | row for row in covariances(found, measure)]
    return typed(pd.DataFrame(built), SAMPLING)


def merged_sampling(published: pd.DataFrame, new: pd.DataFrame, replaced: Collection[tuple[Any, ...]]) -> pd.DataFrame:
    """Return the new covariances, and those published ones of which neither recipe was measured anew.

    Args:
        published, new: the columns ``SAMPLING``.
        replaced: the rows that were measured anew, the values of ``merging.REPLACED``.
    """
    within = [name for name in KEY if name not in ("suite_version", "recipe")]
    known = set(row_keys(new, _KEY))
    recipes, others = (row_keys(published, [*within, name]) for name in ("recipe", "other"))
    kept = [
        one not in replaced and other not in replaced and key not in known
        for one, other, key in zip(recipes, others, row_keys(published, _KEY), strict=True)
    ]
    return typed(pd.concat([published[kept], new]), SAMPLING).sort_values(_KEY, ignore_index=True)


def covariances(found: dict[str, Influence], measure: str) -> Iterator[dict[str, Any]]:
    """Yield a row a pair of recipes, each with itself among them; of an effective robustness only these."""
    names = sorted(found)
    means = {name: found[name].values.mean(axis=0) for name in names}
    for place, name in enumerate(names):
        for other in names[place:] if measure != EFFECTIVE else [name]:
            yield {
                "recipe": name,
                "other": other,
                "covariance": float(means[name] @ means[other]),
                "images_judged": min(found[name].images, found[other].images),
            }


def _influences(recipe: RecipeResults, setting: Setting, areas: Areas) -> Iterator[tuple[str, Influence]]:
    """Yield the influence on each number of a recipe of which all outcomes are at hand."""
    if recipe.taken.empty:
        return
    size = _images(setting, areas)
    for attack in recipe.aucs.columns:
        seeds = [int(seed) for seed in recipe.aucs.loc[recipe.shown, attack].dropna().index]
        if found := _stacked(recipe, attack, AUC, seeds, areas, size):
            yield AUC_PREFIX + attack, found
    worst = recipe.worst[recipe.worst["seed"].isin(recipe.shown)]
    if found := _stacked(recipe, WORST_CASE, AUC, sorted(set(worst["seed"])), areas, size):
        yield AUC_PREFIX + WORST_CASE, found
    if clean := _clean(recipe, areas, size):
        yield CLEAN_ACCURACY, clean
    if not (mean_auc := _score(recipe, areas, size)):
        return
    yield MEAN_AUC, mean_auc
    baseline = setting.baseline
    if baseline is None or baseline is recipe or not clean:
        return
    base, clean_base = _score(baseline, areas, size), _clean(baseline, areas, size)
    if base and clean_base:
        yield from _effective(recipe, baseline, (mean_auc, clean, base, clean_base))


def _effective(
    recipe: RecipeResults, baseline: RecipeResults, parts: tuple[Influence, Influence, Influence, Influence]
) -> Iterator[tuple[str, Influence]]:
    slope = slopes(recipe, baseline)
    if len(slope):
        seeds = [int(seed) for seed in slope.index]
        values = sum(
            slope[name].to_numpy(float)[:, None] * part.values[[part.seeds.index(seed) for seed in seeds]]
            for name, part in zip(slope.columns, parts, strict=True)
        )
        yield EFFECTIVE, Influence(seeds, np.asarray(values), min(part.images for part in parts))


def _score(recipe: RecipeResults, areas: Areas, size: int) -> Influence | None:
    """Return the influence on the mean AUCs: those of the attacks that count, times their weights."""
    seeds = [int(seed) for seed in recipe.mean_aucs.index]
    weights = recipe.weights
    values, fewest = np.zeros((len(seeds), size)), []
    for attack in weights.columns[(weights > 0).any()] if len(seeds) else []:
        found = _stacked(recipe, str(attack), AUC, seeds, areas, size)
        if found is None:
            return None
        values += weights[attack].to_numpy(float)[:, None] * found.values
        fewest.append(found.images)
    return Influence(seeds, values, min(fewest)) if fewest else None


def _clean(recipe: RecipeResults, areas: Areas, size: int) -> Influence | None:
    clean = recipe.clean[recipe.clean.index.isin(recipe.shown)]
    ids = dict(zip(map(int, clean.index), clean["attack_id"], strict=True))
    return _of_ids(ids, CLEAN, areas, size)


def _stacked(
    recipe: RecipeResults, attack: str, what: str, seeds: list[int], areas: Areas, size: int
) -> Influence | None:
    rows = recipe.worst if attack == WORST_CASE else recipe.taken[recipe.taken["attack"] == attack]
    ids = dict(zip(map(int, rows["seed"]), rows["attack_id"], strict=True))
    return _of_ids({seed: ids[seed] for seed in seeds}, what, areas, size)


def _of_ids(ids: dict[int, str], what: str, areas: Areas, size: int) -> Influence | None:
    """Return the influence on a mean over images; None where there is no seed, one is not at hand, or one image."""
    if not ids or any(name not in areas for name in ids.values()):
        return None
    values, judged = np.zeros((len(ids), size)), 0
    for place, name in enumerate(ids.values()):
        of_images = areas[name][what]
        judged = len(of_images)
        if judged < 2 or of_images.isna().any():
            return None
        numbers = of_images.to_numpy(float)
        values[place, of_images.index] = (numbers - numbers.mean()) / np.sqrt(judged * (judged - 1))
    return Influence(list(ids), values, judged)


def _images(setting: Setting, areas: Areas) -> int:
    """Return a number above every test index that was judged in a setting."""
    ids = {name for recipe in setting.recipes for name in recipe.taken["attack_id"].unique()}
    return max((int(areas[name].index.max()) + 1 for name in ids if name in areas), default=0)
