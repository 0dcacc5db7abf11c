"""Tables of attacks: success against queries, corruptions by frequency, and transfer from sources to victims."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from robustbench_pix.attacks.recorded import DISTANCE_AT
from robustbench_pix.leaderboard.captions import HALF
from robustbench_pix.leaderboard.display import (
    NOTHING,
    QUERY_COUNTS,
    Cell,
    best,
    decimals,
    fixed_cell,
    median_queries,
    number,
    records,
    share,
    share_cell,
)
from robustbench_pix.leaderboard.display_table import Column, DisplayTable, SettingRows, columns_of
from robustbench_pix.results.derived_columns import AUC_PREFIX
from robustbench_pix.results.transfer_matrix import ALL, MEAN, SOURCE

QUERY_NOTES = (
    "success: share of the images classified correctly without attack for which an adversarial within this distance "
    "was found after so many queries, and at the end of the attack",
    "distance: median over these images after so many queries, – where more than half have none yet",
    "median: queries to success (Kaplan-Meier; 95% interval, images taken as independent), > the budget where more "
    "than half did not succeed",
    "mean: failures counted at the budget",
    "images: of all seeds together",
)

FREQUENCIES = ("low", "medium", "high")
CORRUPTION = "corruption-"

SAME = "="
TRANSFER_NOTES = (
    "AUC of each victim (across) on images made on each source (down)",
    f"{SAME} victim trained with the recipe of its source",
    "mean: over the victims of a row, or over sources",
)


def query_table(
    rows: pd.DataFrame, name: Callable[[str], Cell] = lambda recipe: Cell(recipe, words=True)
) -> DisplayTable:
    """Return success and distance against queries under one attack; the caption states the query budget.

    Args:
        rows: The columns ``QUERIES``, of one setting, attack and perturbation size.
        name: The cell that names a recipe.
    """
    lines = records(rows)
    success, distance = ([f"{prefix}{count}" for count in QUERY_COUNTS] for prefix in ("success_at_", DISTANCE_AT))
    places = decimals(rows[distance].max().max())
    columns = [
        Column(("recipe",), tuple(name(row["recipe"]) for row in lines), text=True),
        Column(("images",), tuple(Cell(f"{row['n']:,}") for row in lines)),
    ]
    columns += [_at(count, "success", [share_cell(row[of]) for row in lines]) for count, of in _named(success)]
    ends = [row["found"] / row["n"] if row["n"] else float("nan") for row in lines]
    columns.append(Column(("end",), tuple(map(share_cell, ends)), group="success"))
    columns += [
        _at(count, "distance", [fixed_cell(row[of], places) for row in lines]) for count, of in _named(distance)
    ]
    columns.append(Column(("median",), tuple(map(median_queries, lines)), group="queries"))
    means = tuple(fixed_cell(row["restricted_mean_queries"], 0) for row in lines)
    columns.append(Column(("mean",), means, group="queries"))
    limits = [f"{limit:,}" for limit in sorted(rows["query_budget"].unique())]
    budget = f"at most {limits[0]}{f' to {limits[-1]}' if len(limits) > 1 else ''} queries an image"
    return DisplayTable(tuple(columns), caption=budget, notes=QUERY_NOTES).known()


def _named(columns: list[str]) -> list[tuple[str, str]]:
    return [(f"{count:,}", column) for count, column in zip(QUERY_COUNTS, columns, strict=True)]


def _at(count: str, group: str, cells: list[Cell]) -> Column:
    return Column((count,), tuple(cells), group=group)


def corruption_table(setting: SettingRows, accuracies: pd.DataFrame, groups: pd.DataFrame) -> DisplayTable:
    """Return the mean accuracy of each recipe under corruptions, over all and by frequency.

    Args:
        setting: The setting.
        accuracies: ``results.corruptions.accuracy_rows``, of all settings.
        groups: ``results.corruptions.group_rows``.
    """
    rows = setting.of(accuracies)
    numbers = {name: pd.to_numeric(rows[name]) for name in ("clean", "mean", "from", "to", *FREQUENCIES)}
    rows = rows.assign(**numbers).rename(columns={"from": "mean_low", "to": "mean_high"})
    lines = records(rows)
    columns = [setting.names(list(rows["recipe"])), Column(("seeds",), tuple(Cell(str(row["seeds"])) for row in lines))]
    for name, heading in {"clean": "clean", "mean": "corrupted", **{name: name for name in FREQUENCIES}}.items():
        top = best(setting.scored(rows)[name])
        group = "by frequency" * (name in FREQUENCIES)
        columns.append(Column((heading,), tuple(number(row, name, top) for row in lines), group=group))
    counts = " or ".join(map(str, sorted(set(rows["corruptions"]))))
    within = groups[(groups["task"] == setting.first["task"]) & (groups["colour"] == setting.first["colour"])]
    notes = [
        "clean: accuracy without corruption",
        f"corrupted: mean accuracy over {counts} corruptions and severities 1 to 5",
        *_members(within),
        HALF,
    ]
    return DisplayTable(tuple(columns), caption="Corruptions", notes=tuple(notes))


def _members(groups: pd.DataFrame) -> list[str]:
    """Return the corruptions of low, medium and high frequency, and where the groups are divided."""
    by_group = {str(name): rows["attack"].str.removeprefix(CORRUPTION) for name, rows in groups.groupby("group")}
    low, high = groups.iloc[0][["low_up_to", "high_above"]]
    return [
        *(f"{name}: {', '.join(by_group[name])}" for name in FREQUENCIES if name in by_group),
        f"low up to {low:.2f} and high above {high:.2f} of the Nyquist frequency, at severity 3",
    ]


def transfer_table(matrix: pd.DataFrame, facts: list[str]) -> DisplayTable:
    """Return the matrix of a transfer attack, a gap before each kind of source.

    Args:
        matrix: As ``results.transfer_matrix.matrix`` returns it.
        facts: Further notes.
    """
    victims = [str(name) for name in matrix.columns if str(name).startswith(AUC_PREFIX)]
    sections: dict[int, str] = {}
    body: list[list[Cell]] = []
    before = None
    for place, row in enumerate(records(matrix)):
        kind = row[SOURCE[0]], row[SOURCE[1]]
        if before not in (None, kind):
            sections[place] = ""
        named = kind if kind != before else ("", "")
        before = kind
        body.append([*(Cell(text, words=True) for text in named), _seed(row)])
        body[-1] += [_transferred(row, name) for name in (MEAN, *victims)]
    texts = ("source", "network", "seed")
    columns = columns_of((*texts, "mean"), body, texts)
    columns += [
        Column((name.removeprefix(AUC_PREFIX),), tuple(row[4 + place] for row in body))
        for place, name in enumerate(victims)
    ]
    return DisplayTable(tuple(columns), stub=4, sections=sections, notes=(*TRANSFER_NOTES, *facts))


def _seed(row: dict[str, Any]) -> Cell:
    if row["statistic"] == "auc":
        return Cell(str(row[SOURCE[2]]), words=True)
    text = "" if row[SOURCE[0]] == ALL else {"mean": "mean", "deviation": "±"}[row["statistic"]]
    return Cell(text, words=True, style="dim")


def _transferred(row: dict[str, Any], name: str) -> Cell:
    if pd.isna(row[name]):
        return NOTHING
    spread = row["statistic"] == "deviation"
    same = row["same_recipe"] == name.removeprefix(AUC_PREFIX) and not spread
    return Cell(f"{SAME * same}{share(row[name])}", style="dim" if spread else "bold" * same)
