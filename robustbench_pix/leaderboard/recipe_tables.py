"""Tables of the recipes of a setting: robustness beside clean accuracy, cost, comparisons; and of several settings."""

import math
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard.captions import HALF
from robustbench_pix.leaderboard.display import (
    HEADINGS,
    NOTHING,
    Cell,
    beside_claims,
    best,
    eps50,
    fixed_cell,
    number,
    number_with_ends,
    ranks,
    records,
    share,
    share_cell,
)
from robustbench_pix.leaderboard.display_table import Column, DisplayTable, SettingRows, columns_of
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX
from robustbench_pix.results.statistics.measured import BASELINE
from robustbench_pix.results.statistics.verdicts import BETTER, WORSE

LEADERBOARD_NOTES = (
    "rank: ranks that are possible with 95% confidence, for all rows at once; recipes that share a letter do not "
    "differ significantly",
    "mean AUC: mean over threat models of the AUC, in an adversarial one that of the strongest attack",
    "gain: over unregularized, paired by seed",
    "under an attack: its AUC, the mean accuracy over its range of perturbation sizes",
    HALF,
)

ROBUSTNESS_NOTES = (
    "effective: effective robustness, the mean AUC beyond what the clean accuracy predicts, paired by seed",
    "worst case: AUC under all attacks at once, image by image",
    "eps50: perturbation size at which the accuracy is half of the clean accuracy; in the worst case a share of the "
    "range of each attack",
    "> stays above half up to there",
    "2 of 3: only so many seeds reach it",
    HALF,
)
COST_NOTES = (
    "seconds: of one model, mean over models; training without the source models of transfer attacks",
    "times: training, in multiples of unregularized",
)
COMPARISON_NOTES = (
    "difference: in mean AUC, paired by seed",
    HALF,
    "adjusted p: paired t test, the variance over test images added, after Holm's correction for all pairs of recipes "
    "of the setting",
    "sign-flip p: exact sign-flip test of the pair alone; both two-sided",
    "detectable: minimum detectable effect, the smallest true difference that an uncorrected t test at 5% finds in 80% "
    "of cases with this number of seeds and this spread",
    "verdict: by the adjusted p, from six seeds on",
)
AGGREGATE_NOTES = (
    "IQM: interquartile mean of the mean AUC over the models of all combinations",
    "P(higher): probability that the mean AUC of a model exceeds that of one of unregularized, mean over combinations",
    "95% intervals: bootstrap over seeds within combinations (Agarwal et al. 2021)",
)
COLLAPSE_NOTES = (
    "layer: the largest learned weight in the last epoch, if it is at least half of all, layers counted from 0; clean "
    "and mean AUC are means over its models",
)
SMALLEST_P_VALUE = 0.001
"""Smaller p-values are not written out."""

SECONDS = {"training_seconds": "training", "attack_seconds": "attack", "seconds": "total"}


def leaderboard_table(setting: SettingRows, aucs: pd.DataFrame) -> DisplayTable:
    """Return the ranks, the mean AUC and the AUC under each attack; attacks without a number are left out.

    Args:
        setting: The setting.
        aucs: The columns ``AUCS``, of all settings; for the intervals.
    """
    rows = setting.rows
    for attack, part in setting.of(aucs).groupby("attack"):
        rows = rows.join(part.set_index("recipe")[["low", "high"]].add_prefix(f"{AUC_PREFIX}{attack}_"))
    attacks = [str(name) for name in setting.rows if str(name).startswith((AUC_PREFIX, DISTANCE_PREFIX))]
    scored = setting.scored(rows)
    lines = records(rows)
    ranked = tuple(Cell(f"{possible} {row['group']}" if (possible := ranks(row)) else "", words=True) for row in lines)
    columns = [Column(("rank",), ranked), setting.names(list(rows["recipe"]))]
    for name in [*HEADINGS, *(name for name in attacks if rows[name].notna().any())]:
        top = best(scored[name])
        heading = tuple(HEADINGS.get(name, "distance" * name.startswith(DISTANCE_PREFIX)).split())
        attack = "" if name in HEADINGS else name.removeprefix(AUC_PREFIX).removeprefix(DISTANCE_PREFIX)
        columns.append(Column(heading, tuple(number(row, name, top) for row in lines), name=name, attack=attack))
    return DisplayTable(tuple(columns), stub=2, caption="Leaderboard", notes=LEADERBOARD_NOTES)


def robustness_table(setting: SettingRows, aucs: pd.DataFrame) -> DisplayTable:
    """Return the table beside the mean AUC: effective robustness, worst case, and eps50 under each attack.

    Columns without a value are left out, and attacks under which no recipe reaches eps50.

    Args:
        setting: The setting.
        aucs: The columns ``AUCS``, of all settings.
    """
    rows = setting.rows[setting.rows["clean_accuracy"].notna()]
    by_attack = {str(attack): part.set_index("recipe") for attack, part in setting.of(aucs).groupby("attack")}
    if WORST_CASE in by_attack:
        rows = rows.join(by_attack[WORST_CASE][["low", "high"]].add_prefix("worst_case_"))
    columns = [setting.names(list(rows["recipe"]))]
    for name, heading in (("effective_robustness", ("effective",)), ("worst_case", ("worst", "case"))):
        top = best(setting.scored(rows)[name])
        columns.append(Column(heading, tuple(number(row, name, top) for row in records(rows))))
    attacks = [str(name).removeprefix(AUC_PREFIX) for name in rows if str(name).startswith(AUC_PREFIX)]
    for attack in (WORST_CASE, *attacks):
        part = by_attack.get(attack)
        if part is not None and part["eps50_seeds"].any():
            columns.append(_eps50(setting, attack, part.reindex(rows.index)))
    return DisplayTable(tuple(columns), caption="Robustness beside clean accuracy", notes=ROBUSTNESS_NOTES).known()


def _eps50(setting: SettingRows, attack: str, part: pd.DataFrame) -> Column:
    """Return the perturbation sizes at which the accuracy is half of the clean accuracy.

    None is marked as the best where one of a recipe with a mean AUC is unknown, since that may lie above all.

    Args:
        setting: The setting.
        attack: The name of the attack.
        part: Of ``AUCS``, a row a recipe, empty where it was not measured.
    """
    strengths = setting.measured.loc[setting.measured["attack"] == attack, "strength"]
    scored = setting.scored(part.assign(recipe=part.index).dropna(subset="seeds"))["eps50"]
    top = best(scored) if scored.notna().all() else math.nan
    cells = [NOTHING if pd.isna(row["seeds"]) else eps50(row, float(strengths.max())) for row in records(part)]
    shown = {cell.text for cell, value in zip(cells, part["eps50"], strict=True) if value == top}
    marked = tuple(cell._replace(best=cell.text in shown) for cell in cells)
    return Column(("eps50",), marked, attack=attack, unit=str(part["strength_kind"].dropna().iloc[0]))


def cost_table(setting: SettingRows, costs: pd.DataFrame) -> DisplayTable:
    """Return the table of seconds and queries, without columns in which nothing is known.

    Args:
        setting: The setting.
        costs: The columns ``RECIPE_COSTS``, of all settings.
    """
    rows = setting.rows[setting.rows["clean_accuracy"].notna()]
    paid = setting.of(costs).set_index("recipe").reindex(rows.index).assign(queries=rows["queries"])
    trained = paid["training_seconds"]
    times = trained / trained.get(BASELINE, math.nan)
    columns = [
        setting.names(list(rows["recipe"])),
        Column(("models",), tuple(fixed_cell(count, 0) for count in paid["seeds"])),
    ]
    columns += [Column((heading, "seconds"), tuple(map(_amount, paid[name]))) for name, heading in SECONDS.items()]
    columns += [Column(("times",), tuple(fixed_cell(ratio, 1) for ratio in times))]
    columns += [Column(("queries", "/ image"), tuple(fixed_cell(count, 0) for count in paid["queries"]))]
    return DisplayTable(tuple(columns), caption="Cost", notes=COST_NOTES).known()


def _amount(seconds: float) -> Cell:
    return NOTHING if pd.isna(seconds) else Cell(f"{seconds:,.1f}" if seconds < 100 else f"{seconds:,.0f}")


def collapse_table(setting: SettingRows, collapses: pd.DataFrame) -> DisplayTable:
    """Return the outcome of each recipe by the layer that its learned layer weights collapsed on.

    Args:
        setting: The setting.
        collapses: The columns ``COLLAPSES``, of all settings.
    """
    body: list[list[Cell]] = []
    before = None
    for row in records(setting.of(collapses)):
        name = setting.name(row["recipe"]) if row["recipe"] != before else Cell("", words=True)
        before = row["recipe"]
        words = (Cell(row["collapsed_on"], words=True), Cell(str(row["models"])), Cell(row["seed_list"], words=True))
        body.append([name, *words, share_cell(row["clean_accuracy"]), share_cell(row["mean_auc"])])
    headings, texts = ("recipe", "layer", "models", "seeds", "clean", "mean AUC"), ("recipe", "layer", "seeds")
    columns = tuple(columns_of(headings, body, texts))
    return DisplayTable(columns, stub=2, caption="Collapse of layer weights", notes=COLLAPSE_NOTES)


def comparison_table(setting: SettingRows, comparisons: pd.DataFrame) -> DisplayTable:
    """Return every recipe beside unregularized, then each claim beside its controls.

    Args:
        setting: The setting.
        comparisons: The columns ``COMPARISONS``, of all settings.
    """
    rows = setting.of(comparisons)
    against_baseline = rows["role"] == "baseline"
    sections: dict[int, str] = {}
    body: list[list[Cell]] = []
    for reference, of in rows[against_baseline].groupby("reference", sort=False):
        sections[len(body)] = f"compared with {reference}"
        body += [[setting.name(row["recipe"]), *_compared(row)] for row in of.to_dict("records")]
    for claim, of in rows[~against_baseline].groupby("recipe", sort=False):
        sections[len(body)] = f"{claim} compared with its controls"
        body += [[Cell(row["reference"], words=True), *_compared(row)] for row in of.to_dict("records")]
    headings = ("recipe", "seeds", "difference", "adjusted p", "sign-flip p", "detectable", "verdict")
    return DisplayTable(
        tuple(columns_of(headings, body, texts=("recipe", "verdict"))),
        sections=sections,
        caption="Comparisons",
        notes=COMPARISON_NOTES,
    )


def _compared(row: dict[Any, Any]) -> list[Cell]:
    return [
        Cell(str(row["seeds"])),
        share_cell(row["difference"], row["low"], row["high"], signed=True),
        _p_value(row["p_adjusted"]),
        _p_value(row["p_value"]),
        share_cell(row["detectable"]),
        Cell(row["verdict"], best=row["verdict"] in (BETTER, WORSE), words=True),
    ]


def _p_value(value: float) -> Cell:
    if math.isnan(value):
        return NOTHING
    return Cell(f"<{share(SMALLEST_P_VALUE)}" if value < SMALLEST_P_VALUE else share(value))


def aggregate_table(aggregates: pd.DataFrame, controls: dict[str, str]) -> DisplayTable:
    """Return the means over several combinations, the highest first and each claim with its controls below.

    Args:
        aggregates: The columns ``AGGREGATES``, of one suite, size and precision.
        controls: The claim that each recipe controls, or "".
    """
    ranked = aggregates.sort_values("mean", ascending=False, kind="stable").set_index("recipe", drop=False)
    tops = {name: best(ranked[name]) for name in ("mean", "probability_of_improvement")}
    rows = {str(row["recipe"]): row for row in records(ranked)}
    body = [
        [
            Cell(recipe, words=True, indent=below, style="dim" * bool(controls[recipe])),
            *(Cell(str(rows[recipe][name])) for name in ("combinations", "models")),
            *(number_with_ends(rows[recipe], name, top) for name, top in tops.items()),
        ]
        for recipe, below in beside_claims({name: controls[name] for name in rows})
    ]
    columns = columns_of(("recipe", "combinations", "models", "IQM", "P(higher)"), body)
    return DisplayTable(tuple(columns), caption="Over several combinations", notes=AGGREGATE_NOTES)
