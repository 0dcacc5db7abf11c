"""From measurements to a leaderboard: seeds are paired, recipes are compared within a block, and gaps are told."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import DISTANCE_PREFIX, MEASUREMENTS, RETAINED_PREFIX, ROBUSTNESS_PREFIX
from robustbench_pix.results.frames import BLOCK, KEY, ROWS, leaderboard_columns, typed
from robustbench_pix.results.masking import summary
from robustbench_pix.results.statistics import sign_flip_p_value, student_interval, wilson_interval
from robustbench_pix.runs.request import GIVEN_SEED

BASELINE = "unregularized"
ENTERING = ["seed", "attack", "strength", "n", "repetitions", "correct", "area", "median_squared_l2_per_pixel"]
ENTERING += ["flags", "gradients"]
"""The columns of measurements that enter a row: picking a recipe's rows out of all columns would take twice as long."""


class _Recipe(NamedTuple):
    """What was measured of one recipe of a block: a row a seed, a column an attack."""

    asked: Any
    robustness: pd.DataFrame
    distance: pd.DataFrame
    clean: pd.DataFrame
    scores: "pd.Series[float]"
    status: str
    note: str
    gradients: str


def build_leaderboard(measurements: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the leaderboard: a row a recipe and block, ranked within the block.

    - Robustness of a seed under an attack: the area at the largest strength, divided by that strength.
    - Score of a seed: mean robustness over the suite's attacks that have strengths; only seeds with all of them enter
      the row. Where no seed does, clean accuracy and robustness are means over what there is, without intervals.
    - Gain: score minus that of ``unregularized``, over the seeds that entered both rows.
    - Rank: 1 + the number of recipes whose score minus this one's, paired by seed, has an interval wholly above 0.
      Where others have a score, a row that shares no seed with any of them has no rank. Given models have no seed.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        rows: A row a recipe and block, measured or not: the columns ``ROWS``.

    Returns:
        The columns ``LEADERBOARD``, ``robustness_<attack>`` and ``distance_<attack>``. Blocks come in the order of
        ``rows``; rows without a score come last in their block.
    """
    measurements, rows = typed(measurements, MEASUREMENTS), typed(rows, ROWS)
    measured = dict(iter(measurements.groupby(BLOCK, sort=False)))
    built: list[dict[str, Any]] = []
    with_strengths: set[str] = set()
    with_distance: set[str] = set()
    for block, asked in rows.groupby(BLOCK, sort=False):
        within = measured.get(block, measurements.iloc[:0])
        distances = set(within["attack"]) - set(within.loc[within["strength"].notna(), "attack"])
        with_distance |= distances
        with_strengths |= set(_listed(asked["attacks"])) - distances
        built += _block_rows([_recipe(row, within, distances) for row in asked.itertuples()])
    order = _listed(rows["attacks"])
    prefixes = (ROBUSTNESS_PREFIX, RETAINED_PREFIX)
    columns = [prefix + attack for prefix in prefixes for attack in order if attack in with_strengths]
    columns += [DISTANCE_PREFIX + attack for attack in order if attack in with_distance]
    return typed(pd.DataFrame(built), leaderboard_columns(columns))


def _listed(texts: Iterable[str], separator: str = ",") -> list[str]:
    """Return the distinct parts of texts, in the order of their first appearance."""
    return list(dict.fromkeys(part.strip() for text in texts for part in text.split(separator) if part.strip()))


def _recipe(asked: Any, within: pd.DataFrame, distances: set[str]) -> _Recipe:
    """Pick one recipe's measurements out of its block."""
    attacks = _listed([asked.attacks])
    seeds = [int(seed) for seed in _listed([asked.seed_list])]
    chosen = (within["recipe"] == asked.recipe) & within["seed"].isin(seeds) & within["attack"].isin(attacks)
    taken = within.loc[chosen & (asked.status != "not run"), ENTERING].sort_values("strength", kind="stable")
    curves = taken[taken["strength"].notna()]
    ends = curves.drop_duplicates(["seed", "attack"], keep="last")
    ends = ends.assign(robustness=ends["area"] / ends["strength"])
    robustness = _by_seed(ends, "robustness", seeds, [attack for attack in attacks if attack not in distances])
    alone = taken[taken["attack"].isin(distances)]
    distance = _by_seed(alone, "median_squared_l2_per_pixel", seeds, [name for name in attacks if name in distances])
    starts = curves[curves["strength"] == 0]
    place = starts["attack"].map(attacks.index)
    once = {name: starts[name] // starts["repetitions"] for name in ("correct", "n")}
    starts = starts.assign(place=place, **once).sort_values(["n", "place"], ascending=[False, True])
    clean = starts.drop_duplicates("seed").set_index("seed")[["correct", "n"]].sort_index()
    scores = robustness.dropna().mean(axis="columns").dropna()
    gradients = summary(taken.drop_duplicates("seed")["gradients"])
    state = _state(asked, taken, attacks, seeds, gradients)
    return _Recipe(asked, robustness, distance, clean, scores, *state, gradients)


def _by_seed(taken: pd.DataFrame, value: str, seeds: list[int], attacks: list[str]) -> pd.DataFrame:
    table = taken.pivot(index="seed", columns="attack", values=value)
    return table.reindex(index=seeds, columns=attacks).astype(float)


def _state(asked: Any, taken: pd.DataFrame, attacks: list[str], seeds: list[int], gradients: str) -> tuple[str, str]:
    """Return the status of a row and its note: the reason given, what is missing, what was flagged."""
    if asked.status:
        return asked.status, asked.note
    if taken.empty:
        status, reason = ("failed", asked.note) if asked.note else ("incomplete", "nothing measured yet")
        return status, "; ".join(filter(None, [asked.remark, reason]))
    notes = [text for text in (asked.remark, asked.note) if text]
    there = set(zip(taken["attack"], taken["seed"], strict=True))
    gaps = {attack: [str(seed) for seed in seeds if (attack, seed) not in there] for attack in attacks}
    missing = [f"{attack}{_seeds(absent)}" for attack, absent in gaps.items() if absent]
    notes += [f"missing: {', '.join(missing)}"] if missing else []
    notes += [f"gradients: {gradients}"] if gradients.startswith("masked") else []
    for attack in attacks:
        flags = _listed(taken.loc[taken["attack"] == attack, "flags"], separator="; ")
        notes += [f"{attack}: {'; '.join(flags)}"] if flags else []
    return "incomplete" if missing else "complete", "; ".join(notes)


def _seeds(seeds: list[str]) -> str:
    if seeds == [str(GIVEN_SEED)]:
        return ""
    return f" (seed {seeds[0]})" if len(seeds) == 1 else f" (seeds {', '.join(seeds)})"


def _block_rows(recipes: list[_Recipe]) -> list[dict[str, Any]]:
    """Return the rows of a block: by rank, then score, those without a score last."""
    baselines = [recipe for recipe in recipes if recipe.asked.recipe == BASELINE]
    rows, scored = [], [recipe for recipe in recipes if len(recipe.scores)]
    for recipe in recipes:
        row = _own_numbers(recipe)
        if recipe.asked.recipe != BASELINE and baselines:
            row |= _gain(recipe, baselines[0])
        paired = any(len(_paired(other, recipe)) for other in scored if other is not recipe)
        if len(recipe.scores) and (paired or len(scored) == 1):
            row["rank"] = 1 + sum(student_interval(_paired(other, recipe))[0] > 0 for other in recipes)
        rows.append(row)
    return sorted(rows, key=lambda row: (row.get("rank", len(rows) + 1), -row["score"] if row["seeds"] else 0.0))


def _own_numbers(recipe: _Recipe) -> dict[str, Any]:
    """Return what a row says about its recipe alone: clean accuracy, score, robustness and distances."""
    seeds = recipe.scores.index
    shown = recipe.robustness.index if seeds.empty else seeds
    clean = recipe.clean[recipe.clean.index.isin(shown)]
    accuracies = (clean["correct"] / clean["n"]).to_numpy(float)
    row = {name: getattr(recipe.asked, name) for name in (*KEY, "controls")}
    row |= {"status": recipe.status, "note": recipe.note, "clean_accuracy": _mean(accuracies)}
    row |= {"gradients": recipe.gradients}
    row |= {"seeds": None if recipe.status == "not run" else len(seeds)}
    row |= {"seed_list": ",".join(map(str, seeds)), "score": _mean(recipe.scores.to_numpy(float))}
    row |= {f"{ROBUSTNESS_PREFIX}{attack}": mean for attack, mean in recipe.robustness.loc[shown].mean().items()}
    retained = recipe.robustness.loc[clean.index].div(accuracies, axis="index")
    row |= {f"{RETAINED_PREFIX}{attack}": mean for attack, mean in retained.mean().items()}
    row |= {f"{DISTANCE_PREFIX}{attack}": mean for attack, mean in recipe.distance.loc[shown].mean().items()}
    if len(seeds) > 1:
        row["interval"] = "Student's t over seeds"
        row["clean_low"], row["clean_high"] = student_interval(accuracies)
        row["score_low"], row["score_high"] = student_interval(recipe.scores.to_numpy())
    elif len(seeds) == 1:
        what = "a given model" if seeds[0] == GIVEN_SEED else "one seed"
        row["interval"] = f"Wilson for the clean accuracy, none for the rest: {what}"
        row["clean_low"], row["clean_high"] = wilson_interval(*clean.iloc[0].astype(int))
    return row


def _gain(recipe: _Recipe, baseline: _Recipe) -> dict[str, float]:
    differences = _paired(recipe, baseline)
    low, high = student_interval(differences)
    p_value = sign_flip_p_value(differences)
    return {"gain": _mean(differences), "gain_low": low, "gain_high": high, "p_value": p_value}


def _paired(recipe: _Recipe, other: _Recipe) -> NDArray[np.float64]:
    """Return the differences in score, recipe - other, over the seeds that both have; a given model has none."""
    mine: dict[Any, float] = recipe.scores.to_dict()
    theirs: dict[Any, float] = other.scores.to_dict()
    common = sorted(mine.keys() & theirs.keys() - {GIVEN_SEED})
    # Scores that are equal on paper differ by rounding; unanimous differences of 1e-17 would count as certain.
    return np.round(np.array([mine[seed] - theirs[seed] for seed in common], dtype=float), 12)


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean()) if values.size else float("nan")
