"""The rows of the page's tables as the template takes them: cells, sort keys, and provenance."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.leaderboard.display import DOUBTS, HEADINGS, best, eps50, number, ranks, records
from robustbench_pix.leaderboard.display import share as share_of_terminal
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX, RELATIVE_AUC_PREFIX
from robustbench_pix.results.gradient_masking import doubt
from robustbench_pix.results.statistics.verdicts import BETTER, WORSE
from robustbench_pix.runs.request import EXTERNAL_SEED

REACH = 44
"""Half the width of the drawn interval of a gain, in the units of its view box."""


def share(value: float, *, signed: bool = False) -> str:
    """Return a number as the terminal shows it, with a real minus sign."""
    return share_of_terminal(value, signed=signed).replace("-", "−")


class Cell(NamedTuple):
    """A cell: its text, half of its interval, its sort key ("" for absent), and its marks."""

    text: str
    half: str
    value: str
    best: bool
    flags: str


class AttackColumn(NamedTuple):
    """A column of a table: its name in the published file, the attack, and its threat model."""

    column: str
    attack: str
    access: str
    distance: bool


def attack_columns(rows: pd.DataFrame, measured: pd.DataFrame) -> list[AttackColumn]:
    """Return the attacks' columns that have a number in the setting."""
    access = dict(zip(measured["attack"], measured["access"], strict=True))
    found = []
    for name in rows.columns:
        for prefix in (AUC_PREFIX, DISTANCE_PREFIX):
            if name.startswith(prefix) and rows[name].notna().any():
                attack = name.removeprefix(prefix)
                found.append(AttackColumn(name, attack, access.get(attack, ""), prefix == DISTANCE_PREFIX))
    return found


def page_rows(
    rows: pd.DataFrame,
    measured: pd.DataFrame,
    aucs: pd.DataFrame,
    columns: list[AttackColumn],
    commands: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return what the template needs of every row of a setting, in the order of the leaderboard.

    ``commands`` make the rows again, by the names of the recipes.
    """
    marks = {name: best(rows[name]) for name in (*HEADINGS, *(column.column for column in columns))}
    flags = measured[measured["flags"] != ""].groupby(["recipe", "attack"])["flags"].first().to_dict()
    by_recipe = dict(iter(measured.groupby("recipe", sort=False)))
    halved = {(row["recipe"], row["attack"]): _eps50(row) for row in records(aucs)}
    widest = _reach_of_gains(rows)
    told = []
    lines = records(rows)
    for row in lines:
        own = by_recipe.get(row["recipe"], measured.iloc[:0])
        told.append(
            {
                **row,
                "numbers": [_cell(row, name, marks[name]) for name in HEADINGS],
                "whisker": _whisker(row, widest),
                "attacks": [
                    _cell(row, of.column, marks[of.column], flags.get((row["recipe"], of.attack), "")) for of in columns
                ],
                "doubt": DOUBTS[doubt(row["gradients"])],
                "tested_by": [_control(other) for other in lines if other["controls"] == row["recipe"]],
                "gain_words": _difference_words(row, "gain"),
                "effective_words": _difference_words(row, "effective_robustness"),
                "worst_words": "" if pd.isna(row["worst_case"]) else share(row["worst_case"]),
                "ranks": ranks(row),
                "ties": [other["recipe"] for other in lines if other is not row and _tied(row, other)],
                "command": commands.get(row["recipe"], ""),
                "models": _models(own),
                "facts": {name: _distinct(own[name]) for name in _FACTS},
                "under": _under(row, own, halved),
            }
        )
    return told


_FACTS = ("recipe_hash", "task_hash", "suite_hash", "version", "torch", "device")


def _cell(row: dict[str, Any], name: str, best_value: float, flags: str = "") -> Cell:
    value, cell = row[name], number(row, name, best_value)
    if pd.isna(value):
        return Cell(cell.text, "", "", False, "")
    text = cell.text if name.startswith(DISTANCE_PREFIX) else cell.text.replace("-", "−")
    return Cell(text, cell.half and f"±{cell.half}", f"{value + 0.0:.6g}", cell.best, flags)


def _reach_of_gains(rows: pd.DataFrame) -> float:
    """Return the gain at the ends of the drawn scale: the largest end of an interval in the setting."""
    ends = rows[["gain_low", "gain_high", "gain"]].abs().to_numpy(float)
    return float(pd.Series(ends.ravel()).max())


def _whisker(row: dict[str, Any], widest: float) -> dict[str, Any] | None:
    """Return a gain and its interval as places between -REACH and REACH, and its verdict as a name of a style."""
    if pd.isna(row["gain"]) or not widest > 0:
        return None
    low, high = (row["gain"] if pd.isna(row[name]) else row[name] for name in ("gain_low", "gain_high"))
    places = {name: round(REACH * value / widest, 1) for name, value in (("low", low), ("high", high))}
    told = row["verdict"] if row["verdict"] in (BETTER, WORSE) else "untold"
    return {**places, "middle": round(REACH * row["gain"] / widest, 1), "told": told}


def _control(row: dict[str, Any]) -> str:
    return f"{row['recipe']} ({_difference_words(row, 'gain') or row['status']})"


def _difference_words(row: dict[str, Any], name: str) -> str:
    """Return a gain or an effective robustness in words, with its interval and, of a gain, its verdict.

    >>> row = {"gain": 0.017, "gain_low": 0.002, "gain_high": 0.032, "verdict": "not significant"}
    >>> _difference_words(row, "gain")
    '+.017, 95% interval +.002 to +.032: not significant'
    """
    if pd.isna(row[name]):
        return ""
    words = share(row[name], signed=True)
    if not pd.isna(row[f"{name}_low"]):
        ends = (share(row[f"{name}_{end}"], signed=True) for end in ("low", "high"))
        words += ", 95% interval {} to {}".format(*ends)
    return f"{words}: {row['verdict']}" if name == "gain" and row["verdict"] else words


def _tied(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two rows share the letter of a group."""
    return bool({*filter(None, row["group"].split(","))} & {*other["group"].split(",")})


def _eps50(row: dict[str, Any]) -> str:
    """Return the eps50 of a row of aucs.csv."""
    if not row["eps50_seeds"]:
        return "not reached"
    cell = eps50(row, math.nan)
    return f"{cell.text} seeds" if cell.words else cell.text + (cell.half and f" ±{cell.half}")


def _models(own: pd.DataFrame) -> list[tuple[str, str]]:
    models = own.drop_duplicates(["seed", "model_id"]).sort_values(["seed", "model_id"])
    names = ["given" if seed == EXTERNAL_SEED else f"seed {seed}" for seed in models["seed"]]
    return list(zip(names, models["model_id"], strict=True))


def _distinct(values: "pd.Series[str]") -> str:
    return ", ".join(sorted(filter(None, values.unique())))


def _under(row: dict[str, Any], own: pd.DataFrame, halved: Mapping[tuple[Any, Any], str]) -> list[dict[str, Any]]:
    """Return one line an attack: threat model, largest perturbation size, images, queries, eps50 and hash."""
    lines = []
    for attack, cells in own.groupby("attack", sort=False):
        at_end = cells[cells["strength"].isna() | (cells["strength"] == cells["strength"].max())]
        retained = row.get(f"{RELATIVE_AUC_PREFIX}{attack}", math.nan)
        queries = at_end["mean_queries"].mean()
        strongest = at_end["strength"].max()
        lines.append(
            {
                "attack": attack,
                "access": cells["access"].iloc[0],
                "strongest": "" if pd.isna(strongest) else f"{cells['strength_kind'].iloc[0]} {strongest:.3g}",
                "images": f"{int(at_end['n'].sum()):,}",
                "failed": f"{int(at_end['failed'].sum()):,}",
                "queries": "" if pd.isna(queries) else f"{queries:,.0f}",
                "eps50": halved.get((row["recipe"], attack), ""),
                "retained": "" if pd.isna(retained) else share(retained),
                "hash": _distinct(cells["attack_hash"]),
                "flags": _distinct(cells["flags"]),
            }
        )
    return lines
