"""From measurements to a leaderboard: seeds are paired, recipes are compared within a setting, and gaps are stated."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import KEY, typed
from robustbench_pix.results.derived_columns import (
    AUC_PREFIX,
    DISTANCE_PREFIX,
    RELATIVE_AUC_PREFIX,
    leaderboard_columns,
)
from robustbench_pix.results.gradient_masking import doubt, summary
from robustbench_pix.results.statistics.convergence import StillFalling, not_converged, still_falling
from robustbench_pix.results.statistics.intervals import estimate, of_one_model, sign_flip_p_value, wilson_interval
from robustbench_pix.results.statistics.measured import (
    BASELINE,
    EFFECTIVE,
    RecipeResults,
    Setting,
    effective_robustness,
    listed,
    normalized_areas,
    paired,
)
from robustbench_pix.results.statistics.sampling import CLEAN_ACCURACY, MEAN_AUC, Sampling, SettingSampling
from robustbench_pix.results.statistics.verdicts import ranks, verdicts
from robustbench_pix.runs.request import EXTERNAL_SEED

OVER_BOTH = "Student's t over seeds and test images"
OVER_SEEDS = "Student's t over seeds"
ONE_SEED = "one seed"
OF_GIVEN = "over test images (Wilson for the clean accuracy): an external model"
OF_GIVEN_ALONE = "Wilson over test images for the clean accuracy, none for the rest: an external model"
"""What the column ``interval`` says."""


def build_leaderboard(
    found: Sequence[Setting], sampling: pd.DataFrame | None = None, trainings: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the leaderboard: a row a recipe and setting, ranked within the setting.

    - Robustness of a seed under an attack: the AUC, which is the area from ``range_from`` to the largest strength,
      divided by their difference.
    - Mean AUC of a seed: mean AUC over threat groups (``attack_weights``); only seeds with all attacks that have
      strengths enter the row. Where none does, clean accuracy and AUCs are means over what there is, without intervals.
    - Gain: mean AUC minus that of ``unregularized``, over the seeds that entered both rows.
    - Verdict, rank, its interval and its group: see ``verdicts``. Intervals: see ``intervals``.
    - Queries and the worst case are means over the seeds that entered; a seed without a worst case leaves it empty.

    Args:
        found: The settings of a board, as ``settings`` returns them.
        sampling: The columns ``SAMPLING``; where a setting is absent, intervals are over seeds alone.
        trainings: The columns ``TRAININGS``; where a model is absent, only its clean accuracy says that it did not
            converge.

    Returns:
        The columns ``LEADERBOARD``, ``auc_<attack>`` and ``distance_<attack>``. Settings come in the order of
        ``found``; rows without a mean AUC come last in their setting.
    """
    built: list[dict[str, Any]] = []
    with_strengths: set[str] = set()
    with_distance: set[str] = set()
    known, falling = Sampling(sampling), still_falling(trainings)
    for setting in found:
        for recipe in setting.recipes:
            with_strengths |= set(recipe.aucs.columns)
            with_distance |= set(recipe.distances)
        built += _setting_rows(setting, known.of(setting), falling)
    order = list(dict.fromkeys(attack for setting in found for recipe in setting.recipes for attack in recipe.attacks))
    prefixes = (AUC_PREFIX, RELATIVE_AUC_PREFIX)
    columns = [prefix + attack for prefix in prefixes for attack in order if attack in with_strengths]
    columns += [DISTANCE_PREFIX + attack for attack in order if attack in with_distance]
    return typed(pd.DataFrame(built), leaderboard_columns(columns))


def _state(recipe: RecipeResults, gradients: str, training: str) -> tuple[str, str]:
    """Return the status of a row and its note: the reason given, what is missing, what was flagged."""
    requested, taken = recipe.requested, recipe.taken
    if requested.status:
        return requested.status, requested.note
    if taken.empty:
        status, reason = ("failed", requested.note) if requested.note else ("incomplete", "nothing measured yet")
        return status, "; ".join(filter(None, [requested.remark, reason]))
    notes = [text for text in (requested.remark, requested.note) if text]
    there = set(zip(taken["attack"], taken["seed"], strict=True))
    seeds = recipe.aucs.index
    gaps = {attack: [str(seed) for seed in seeds if (attack, seed) not in there] for attack in recipe.attacks}
    missing = [f"{attack}{_seeds(absent)}" for attack, absent in gaps.items() if absent]
    notes += [f"missing: {', '.join(missing)}"] if missing else []
    notes += [f"gradients: {gradients}"] if doubt(gradients) else []
    notes += [training] if training else []
    for attack in recipe.attacks:
        flags = listed(taken.loc[taken["attack"] == attack, "flags"], separator="; ")
        notes += [f"{attack}: {'; '.join(flags)}"] if flags else []
    return "incomplete" if missing else "complete", "; ".join(notes)


def _seeds(seeds: list[str]) -> str:
    if seeds == [str(EXTERNAL_SEED)]:
        return ""
    return f" (seed {seeds[0]})" if len(seeds) == 1 else f" (seeds {', '.join(seeds)})"


def _setting_rows(setting: Setting, sampling: SettingSampling, falling: StillFalling) -> list[dict[str, Any]]:
    """Return the rows of a setting: by rank, then mean AUC, those without a mean AUC last."""
    recipes, baseline = setting.recipes, setting.baseline
    compared = verdicts(recipes, sampling)
    ranked = ranks({recipe.name: recipe.mean_aucs for recipe in recipes}, compared)
    rows = []
    for recipe in recipes:
        row = _own_numbers(recipe, sampling, not_converged(recipe, baseline, falling))
        if baseline is not None and recipe is not baseline:
            row |= _against(recipe, baseline, sampling)
        if comparison := compared.get((recipe.name, BASELINE)):
            row |= {"gain": comparison.difference.mean, "verdict": comparison.verdict}
            row |= comparison.difference.named("gain")
        rows.append(row | (ranked[recipe.name]._asdict() if recipe.name in ranked else {}))
    return sorted(rows, key=lambda row: (row.get("rank", len(rows) + 1), -row["mean_auc"] if row["seeds"] else 0.0))


def _own_numbers(recipe: RecipeResults, sampling: SettingSampling, training: str) -> dict[str, Any]:
    """Return what a row says about its recipe alone; ``training`` is the remark on its trainings."""
    seeds, shown = recipe.mean_aucs.index, recipe.shown
    clean = recipe.clean[recipe.clean.index.isin(shown)]
    accuracies = recipe.clean_accuracy[clean.index].to_numpy(float)
    mean_aucs = recipe.mean_aucs.to_numpy(float)
    gradients = summary(recipe.taken.drop_duplicates("seed")["gradients"])
    row = {name: getattr(recipe.requested, name) for name in (*KEY, "controls")}
    row["status"], row["note"] = _state(recipe, gradients, training)
    row |= {"gradients": gradients, "clean_accuracy": _mean(accuracies), "mean_auc": _mean(mean_aucs)}
    row |= {"seeds": None if row["status"] == "not run" else len(seeds), "seed_list": ",".join(map(str, seeds))}
    row |= {f"{AUC_PREFIX}{attack}": mean for attack, mean in recipe.aucs.loc[shown].mean().items()}
    retained = recipe.aucs.loc[clean.index].div(accuracies, axis="index")
    row |= {f"{RELATIVE_AUC_PREFIX}{attack}": mean for attack, mean in retained.mean().items()}
    distance = recipe.by_seed(recipe.distances, "median_squared_l2_per_pixel").loc[shown]
    row |= {f"{DISTANCE_PREFIX}{attack}": mean for attack, mean in distance.mean().items()}
    if len(seeds):
        row["queries"] = recipe.by_seed(recipe.attacks, "mean_queries").loc[seeds].sum(axis="columns").mean()
        row["worst_case"] = _mean(normalized_areas(recipe.worst).reindex(seeds).to_numpy(float))
    of_score, of_clean = (sampling.own(measure, recipe.name) for measure in (MEAN_AUC, CLEAN_ACCURACY))
    if len(seeds) > 1:
        found = estimate(mean_aucs, of_score)
        row["interval"] = OVER_SEEDS if of_score is None else OVER_BOTH
        row |= estimate(accuracies, of_clean).named("clean_accuracy") | found.named("mean_auc")
        row["standard_error"] = found.standard_error
    elif len(seeds) == 1:
        correct, n = clean[["correct", "n"]].iloc[0].astype(int)
        row["clean_accuracy_low"], row["clean_accuracy_high"] = wilson_interval(correct, n)
        row["interval"] = f"Wilson over test images for the clean accuracy, none for the rest: {ONE_SEED}"
        if seeds[0] == EXTERNAL_SEED:
            row |= of_one_model(float(mean_aucs[0]), of_score).named("mean_auc")
            row["interval"] = OF_GIVEN if of_score else OF_GIVEN_ALONE
    return row


def _against(recipe: RecipeResults, baseline: RecipeResults, sampling: SettingSampling) -> dict[str, float]:
    """Return what a row says about its recipe beside unregularized, paired by seed, apart from the verdict."""
    found = estimate(effective_robustness(recipe, baseline), sampling.own(EFFECTIVE, recipe.name))
    row = {"p_value": sign_flip_p_value(paired(recipe, baseline)), EFFECTIVE: found.mean}
    return row | found.named(EFFECTIVE)


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean()) if values.size else float("nan")
