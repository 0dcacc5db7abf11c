"""From measurements to a leaderboard: seeds are paired, recipes are compared within a block, and gaps are told."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import DISTANCE_PREFIX, RETAINED_PREFIX, ROBUSTNESS_PREFIX
from robustbench_pix.results.frames import KEY, leaderboard_columns, typed
from robustbench_pix.results.masking import summary
from robustbench_pix.results.statistics.excess import excess
from robustbench_pix.results.statistics.intervals import (
    sign_flip_p_value,
    standard_error,
    student_interval,
    wilson_interval,
)
from robustbench_pix.results.statistics.measured import BASELINE, Recipe, blocks, listed, normalized_areas, paired
from robustbench_pix.results.statistics.ranks import ranks
from robustbench_pix.runs.request import GIVEN_SEED


def build_leaderboard(measurements: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the leaderboard: a row a recipe and block, ranked within the block.

    - Robustness of a seed under an attack: the area at the largest strength, divided by that strength.
    - Score of a seed: mean robustness over the suite's attacks that have strengths; only seeds with all of them enter
      the row. Where no seed does, clean accuracy and robustness are means over what there is, without intervals.
    - Gain: score minus that of ``unregularized``, over the seeds that entered both rows.
    - Excess: see ``excess``. Rank, its interval and its group: see ``ranks``.
    - Queries and the worst case are means over the seeds that entered; a seed without a worst case leaves it empty.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        rows: A row a recipe and block, measured or not: the columns ``ROWS``.

    Returns:
        The columns ``LEADERBOARD``, ``robustness_<attack>`` and ``distance_<attack>``. Blocks come in the order of
        ``rows``; rows without a score come last in their block.
    """
    built: list[dict[str, Any]] = []
    with_strengths: set[str] = set()
    with_distance: set[str] = set()
    for _, recipes in blocks(measurements, rows):
        for recipe in recipes:
            with_strengths |= set(recipe.robustness.columns)
            with_distance |= set(recipe.distances)
        built += _block_rows(recipes)
    order = listed(rows["attacks"])
    prefixes = (ROBUSTNESS_PREFIX, RETAINED_PREFIX)
    columns = [prefix + attack for prefix in prefixes for attack in order if attack in with_strengths]
    columns += [DISTANCE_PREFIX + attack for attack in order if attack in with_distance]
    return typed(pd.DataFrame(built), leaderboard_columns(columns))


def _state(recipe: Recipe, gradients: str) -> tuple[str, str]:
    """Return the status of a row and its note: the reason given, what is missing, what was flagged."""
    asked, taken = recipe.asked, recipe.taken
    if asked.status:
        return asked.status, asked.note
    if taken.empty:
        status, reason = ("failed", asked.note) if asked.note else ("incomplete", "nothing measured yet")
        return status, "; ".join(filter(None, [asked.remark, reason]))
    notes = [text for text in (asked.remark, asked.note) if text]
    there = set(zip(taken["attack"], taken["seed"], strict=True))
    seeds = recipe.robustness.index
    gaps = {attack: [str(seed) for seed in seeds if (attack, seed) not in there] for attack in recipe.attacks}
    missing = [f"{attack}{_seeds(absent)}" for attack, absent in gaps.items() if absent]
    notes += [f"missing: {', '.join(missing)}"] if missing else []
    notes += [f"gradients: {gradients}"] if gradients.startswith("masked") else []
    for attack in recipe.attacks:
        flags = listed(taken.loc[taken["attack"] == attack, "flags"], separator="; ")
        notes += [f"{attack}: {'; '.join(flags)}"] if flags else []
    return "incomplete" if missing else "complete", "; ".join(notes)


def _seeds(seeds: list[str]) -> str:
    if seeds == [str(GIVEN_SEED)]:
        return ""
    return f" (seed {seeds[0]})" if len(seeds) == 1 else f" (seeds {', '.join(seeds)})"


def _block_rows(recipes: list[Recipe]) -> list[dict[str, Any]]:
    """Return the rows of a block: by rank, then score, those without a score last."""
    baselines = [recipe for recipe in recipes if recipe.name == BASELINE]
    ranked = ranks({recipe.name: recipe.scores for recipe in recipes})
    rows = []
    for recipe in recipes:
        row = _own_numbers(recipe)
        if recipe.name != BASELINE and baselines:
            row |= _against(recipe, baselines[0])
        rows.append(row | (ranked[recipe.name]._asdict() if recipe.name in ranked else {}))
    return sorted(rows, key=lambda row: (row.get("rank", len(rows) + 1), -row["score"] if row["seeds"] else 0.0))


def _own_numbers(recipe: Recipe) -> dict[str, Any]:
    """Return what a row says about its recipe alone: clean accuracy, score, robustness, distances, queries."""
    seeds, shown = recipe.scores.index, recipe.shown
    clean = recipe.clean[recipe.clean.index.isin(shown)]
    accuracies = recipe.clean_accuracy[clean.index].to_numpy(float)
    scores = recipe.scores.to_numpy(float)
    gradients = summary(recipe.taken.drop_duplicates("seed")["gradients"])
    row = {name: getattr(recipe.asked, name) for name in (*KEY, "controls")}
    row["status"], row["note"] = _state(recipe, gradients)
    row |= {"gradients": gradients, "clean_accuracy": _mean(accuracies), "score": _mean(scores)}
    row |= {"seeds": None if row["status"] == "not run" else len(seeds), "seed_list": ",".join(map(str, seeds))}
    row |= {f"{ROBUSTNESS_PREFIX}{attack}": mean for attack, mean in recipe.robustness.loc[shown].mean().items()}
    retained = recipe.robustness.loc[clean.index].div(accuracies, axis="index")
    row |= {f"{RETAINED_PREFIX}{attack}": mean for attack, mean in retained.mean().items()}
    distance = recipe.by_seed(recipe.distances, "median_squared_l2_per_pixel").loc[shown]
    row |= {f"{DISTANCE_PREFIX}{attack}": mean for attack, mean in distance.mean().items()}
    if len(seeds):
        row["queries"] = recipe.by_seed(recipe.attacks, "mean_queries").loc[seeds].sum(axis="columns").mean()
        row["worst_case"] = _mean(normalized_areas(recipe.worst).reindex(seeds).to_numpy(float))
    if len(seeds) > 1:
        row["interval"] = "Student's t over seeds"
        row["clean_low"], row["clean_high"] = student_interval(accuracies)
        row["score_low"], row["score_high"] = student_interval(scores)
        row["standard_error"] = standard_error(scores)
    elif len(seeds) == 1:
        what = "a given model" if seeds[0] == GIVEN_SEED else "one seed"
        row["interval"] = f"Wilson for the clean accuracy, none for the rest: {what}"
        row["clean_low"], row["clean_high"] = wilson_interval(*clean.iloc[0].astype(int))
    return row


def _against(recipe: Recipe, baseline: Recipe) -> dict[str, float]:
    """Return what a row says about its recipe beside unregularized, paired by seed."""
    gains, beyond = paired(recipe, baseline), excess(recipe, baseline)
    row = {"gain": _mean(gains), "p_value": sign_flip_p_value(gains), "excess": _mean(beyond)}
    row["gain_low"], row["gain_high"] = student_interval(gains)
    row["excess_low"], row["excess_high"] = student_interval(beyond)
    return row


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean()) if values.size else float("nan")
