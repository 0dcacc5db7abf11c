"""The rows of the page's tables as the template takes them: cells, what they sort by, and provenance."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.leaderboard.cells import ABSENT, best, distance, strength
from robustbench_pix.leaderboard.cells import share as share_of_terminal
from robustbench_pix.results.columns import DISTANCE_PREFIX, RETAINED_PREFIX, ROBUSTNESS_PREFIX
from robustbench_pix.runs.request import GIVEN_SEED

NUMBERS = {"clean_accuracy": "clean", "score": "score", "gain": "gain"}
REACH = 44
"""Half the width of the drawn interval of a gain, in the units of its view box."""


def share(value: float, *, signed: bool = False) -> str:
    """Return a number as the terminal shows it, with a real minus sign."""
    return share_of_terminal(value, signed=signed).replace("-", "−")


class Cell(NamedTuple):
    """A cell: its text, half of its interval, what it sorts by ("" for absent), and its marks."""

    text: str
    half: str
    value: str
    best: bool
    flags: str


class AttackColumn(NamedTuple):
    """A column of a table: its name in the published file, the attack, and what that sees."""

    column: str
    attack: str
    access: str
    distance: bool


def attack_columns(rows: pd.DataFrame, measured: pd.DataFrame) -> list[AttackColumn]:
    """Return the attacks' columns that have a number in the block."""
    access = dict(zip(measured["attack"], measured["access"], strict=True))
    found = []
    for name in rows.columns:
        for prefix in (ROBUSTNESS_PREFIX, DISTANCE_PREFIX):
            if name.startswith(prefix) and rows[name].notna().any():
                attack = name.removeprefix(prefix)
                found.append(AttackColumn(name, attack, access.get(attack, ""), prefix == DISTANCE_PREFIX))
    return found


def page_rows(
    rows: pd.DataFrame,
    measured: pd.DataFrame,
    robustness: pd.DataFrame,
    columns: list[AttackColumn],
    commands: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return what the template needs of every row of a block, in the order of the leaderboard.

    ``commands`` make the rows again, by the names of the recipes.
    """
    marks = {name: best(rows[name]) for name in (*NUMBERS, *(column.column for column in columns))}
    flags = measured[measured["flags"] != ""].groupby(["recipe", "attack"])["flags"].first().to_dict()
    by_recipe = dict(iter(measured.groupby("recipe", sort=False)))
    halving = {(row["recipe"], row["attack"]): _halving(row) for row in _records(robustness)}
    widest = _reach_of_gains(rows)
    told = []
    records = _records(rows)
    for row in records:
        own = by_recipe.get(row["recipe"], measured.iloc[:0])
        told.append(
            {
                **row,
                "numbers": [_number(row, name, marks[name]) for name in NUMBERS],
                "whisker": _whisker(row, widest),
                "attacks": [_attack(row, of, marks[of.column], flags) for of in columns],
                "masked": row["gradients"].startswith("masked"),
                "tested_by": [_control(other) for other in records if other["controls"] == row["recipe"]],
                "gain_words": _difference_words(row, "gain"),
                "excess_words": _difference_words(row, "excess"),
                "worst_words": "" if pd.isna(row["worst_case"]) else share(row["worst_case"]),
                "ranks": "" if pd.isna(row["rank"]) else rank_words(row),
                "ties": [other["recipe"] for other in records if other is not row and _tied(row, other)],
                "command": commands.get(row["recipe"], ""),
                "models": _models(own),
                "facts": {name: _distinct(own[name]) for name in _FACTS},
                "under": _under(row, own, halving),
            }
        )
    return told


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


_FACTS = ("recipe_hash", "task_hash", "suite_hash", "version", "torch", "device")


def _number(row: dict[str, Any], name: str, best_value: float) -> Cell:
    value, interval = row[name], name.removesuffix("_accuracy")
    if pd.isna(value):
        return Cell(ABSENT, "", "", False, "")
    low, high, signed = row[f"{interval}_low"], row[f"{interval}_high"], name == "gain"
    half = "" if pd.isna(low) else f"±{share((high - low) / 2)}"
    return Cell(share(value, signed=signed), half, _sortable(value), share(value) == share(best_value), "")


def _attack(row: dict[str, Any], of: AttackColumn, best_value: float, flags: Mapping[Any, str]) -> Cell:
    value = row[of.column]
    if pd.isna(value):
        return Cell(ABSENT, "", "", False, "")
    text = distance(value) if of.distance else share(value)
    marked = not of.distance and share(value) == share(best_value)
    return Cell(text, "", _sortable(value), marked, flags.get((row["recipe"], of.attack), ""))


def _sortable(value: float) -> str:
    return f"{value + 0.0:.6g}"


def _reach_of_gains(rows: pd.DataFrame) -> float:
    """Return the gain at the ends of the drawn scale: the largest end of an interval in the block."""
    ends = rows[["gain_low", "gain_high", "gain"]].abs().to_numpy(float)
    return float(pd.Series(ends.ravel()).max())


def _whisker(row: dict[str, Any], widest: float) -> dict[str, Any] | None:
    """Return a gain and its interval as places between -REACH and REACH, and whether the interval excludes 0."""
    if pd.isna(row["gain"]) or not widest > 0:
        return None
    low, high = (row["gain"] if pd.isna(row[name]) else row[name] for name in ("gain_low", "gain_high"))
    places = {name: round(REACH * value / widest, 1) for name, value in (("low", low), ("high", high))}
    told = "better" if row["gain_low"] > 0 else "worse" if row["gain_high"] < 0 else "untold"
    return {**places, "middle": round(REACH * row["gain"] / widest, 1), "told": told}


def _control(row: dict[str, Any]) -> str:
    return f"{row['recipe']} ({_difference_words(row, 'gain') or row['status']})"


def _difference_words(row: dict[str, Any], name: str) -> str:
    """Return a gain or an excess in words, with its interval and, of a gain, its test.

    >>> _difference_words({"gain": 0.017, "gain_low": 0.002, "gain_high": 0.032, "p_value": math.nan}, "gain")
    '+.017, 95% interval +.002 to +.032'
    """
    if pd.isna(row[name]):
        return ""
    words = share(row[name], signed=True)
    if not pd.isna(row[f"{name}_low"]):
        ends = (share(row[f"{name}_{end}"], signed=True) for end in ("low", "high"))
        words += ", 95% interval {} to {}".format(*ends)
    tested = name == "gain" and not math.isnan(row["p_value"])
    return f"{words}, sign-flip p {share(row['p_value'])}" if tested else words


def rank_words(row: dict[str, Any]) -> str:
    """Return the ranks that are possible.

    >>> rank_words({"rank_low": 1, "rank_high": 4}), rank_words({"rank_low": 2, "rank_high": 2})
    ('1–4', '2')
    """
    low, high = row["rank_low"], row["rank_high"]
    return str(low) if low == high else f"{low}–{high}"


def _tied(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two rows share the letter of a group."""
    return bool({*filter(None, row["group"].split(","))} & {*other["group"].split(",")})


def _halving(row: dict[str, Any]) -> str:
    """Return at which strength the accuracy halves, of a row of robustness.csv."""
    if not row["halved_seeds"]:
        return "not reached"
    if row["halved_seeds"] < row["seeds"]:
        return f"{row['halved_seeds']} of {row['seeds']} seeds"
    return strength(row["halving"], (row["halving_high"] - row["halving_low"]) / 2).plain.replace("\n", " ")


def _models(own: pd.DataFrame) -> list[tuple[str, str]]:
    models = own.drop_duplicates(["seed", "model_id"]).sort_values(["seed", "model_id"])
    names = ["given" if seed == GIVEN_SEED else f"seed {seed}" for seed in models["seed"]]
    return list(zip(names, models["model_id"], strict=True))


def _distinct(values: "pd.Series[str]") -> str:
    return ", ".join(sorted(filter(None, values.unique())))


def _under(row: dict[str, Any], own: pd.DataFrame, halving: Mapping[tuple[Any, Any], str]) -> list[dict[str, Any]]:
    """Return one line an attack: what it saw, how hard it tried, on how many images, and the hash of it."""
    lines = []
    for attack, cells in own.groupby("attack", sort=False):
        at_end = cells[cells["strength"].isna() | (cells["strength"] == cells["strength"].max())]
        retained = row.get(f"{RETAINED_PREFIX}{attack}", math.nan)
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
                "halving": halving.get((row["recipe"], attack), ""),
                "retained": "" if pd.isna(retained) else share(retained),
                "hash": _distinct(cells["attack_hash"]),
                "flags": _distinct(cells["flags"]),
            }
        )
    return lines
