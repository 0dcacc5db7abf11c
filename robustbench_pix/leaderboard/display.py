"""The cells of a table: one format for each kind of number, one rule for the best of a column, one order of rows."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.results.derived_columns import DISTANCE_PREFIX
from robustbench_pix.results.statistics.verdicts import BETTER, WORSE

ABSENT = "–"
MASKED = "masked gradients"
DOUBTS = {"": "", "masked": MASKED, "failed": "failed check"}
"""The mark of a recipe, by the outcome of its gradient check."""

HEADINGS = {"clean_accuracy": "clean", "mean_auc": "mean AUC", "gain": "gain"}
"""Headings of the numbers that every table of recipes shows."""

SIGNED = ("gain", "effective_robustness")
"""Differences: with a sign."""

QUERY_COUNTS = (100, 1_000, 10_000)
"""Numbers of queries after which success and distance are shown."""

COLOURS = {BETTER: "green", WORSE: "red"}
"""Colours of a gain, by its verdict."""


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: A number as it is written, perhaps after <, > or =; or words.
        half: Half of its interval, "" without one.
        ends: Those of an interval that need not lie around the number evenly; empty without one.
        best: Whether it is marked.
        words: Whether it is no number.
        style: Of a terminal that has colours.
        indent: Whether it is the name of a control below its claim.
        below: Further lines in a terminal, with their styles, in place of the interval.
    """

    text: str
    half: str = ""
    ends: tuple[str, ...] = ()
    best: bool = False
    words: bool = False
    style: str = ""
    indent: bool = False
    below: tuple[tuple[str, str], ...] = ()


NOTHING = Cell(ABSENT, words=True, style="dim")
"""Where there is no number."""


def share(value: float, *, signed: bool = False) -> str:
    """Return a number between -1 and 1 with three decimals and no leading zero.

    >>> share(0.8123), share(1.0), share(-0.0124, signed=True), share(0.045, signed=True)
    ('.812', '1.00', '-.012', '+.045')
    """
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text[:-1] if abs(round(value, 3)) >= 1 else text.replace("0.", ".", 1)


def distance(value: float) -> str:
    """Return a small number with one decimal and a short exponent.

    >>> distance(0.00283)
    '2.8e-3'
    """
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def decimals(largest: float) -> int:
    """Return how many decimals show three digits of the largest of some numbers.

    >>> decimals(0.19), decimals(1.8), decimals(1234.5), decimals(float("nan"))
    (3, 2, 0, 0)
    """
    return 0 if math.isnan(largest) or largest == 0 else max(2 - math.floor(math.log10(largest)), 0)


def fixed(value: float, places: int) -> str:
    """Return a number with so many decimals, commas between thousands and no leading zero.

    >>> fixed(0.1844, 3), fixed(1234.5, 0), fixed(0.0, 0)
    ('.184', '1,234', '0')
    """
    text = f"{value:,.{places}f}"
    return text.removeprefix("0") if places else text


def best(values: "pd.Series[float]") -> float:
    """Return the highest value, if there is a choice and, for differences, if it is above 0; it is no verdict."""
    known = values.dropna()
    marked = len(known) > 1 and not str(values.name).startswith(DISTANCE_PREFIX)
    return float(known.max()) if marked and (values.name not in SIGNED or known.max() > 0) else float("nan")


def leads(row: Mapping[str, Any], name: str, best: float) -> bool:
    """Return whether a number is marked: a mean AUC if no recipe is better, others if they are the highest.

    A gain is never marked: its verdict is.
    """
    if name in ("mean_auc", "gain"):
        return name == "mean_auc" and not pd.isna(row["rank"]) and row["rank"] == 1
    return share(row[name]) == share(best)


def share_cell(value: float, low: float = math.nan, high: float = math.nan, *, signed: bool = False) -> Cell:
    """Return a number between -1 and 1 with half of its interval, which lies around it evenly.

    >>> share_cell(0.678, 0.661, 0.695)[:2], share_cell(float("nan")).text
    (('.678', '.017'), '–')
    """
    if math.isnan(value):
        return NOTHING
    return Cell(share(value, signed=signed), "" if math.isnan(low) else share((high - low) / 2))


def fixed_cell(value: float, places: int) -> Cell:
    """Return a number with so many decimals."""
    return NOTHING if pd.isna(value) else Cell(fixed(value, places))


def number(row: Mapping[str, Any], name: str, best: float) -> Cell:
    """Return a number of a row: a distance, or a share with its interval; marked if it leads, a gain coloured."""
    if pd.isna(row[name]):
        return NOTHING
    if name.startswith(DISTANCE_PREFIX):
        return Cell(distance(row[name]))
    ends = (row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    style = COLOURS.get(row["verdict"], "") if name == "gain" else ""
    return share_cell(row[name], *ends, signed=name in SIGNED)._replace(best=leads(row, name, best), style=style)


def number_with_ends(row: Mapping[str, Any], name: str, best: float = math.nan) -> Cell:
    """Return a share of a row with its interval, which does not lie around it evenly; marked if it leads."""
    cell = number(row, name, best)
    return cell if cell.words else cell._replace(half="", ends=(share(row[f"{name}_low"]), share(row[f"{name}_high"])))


def eps50(row: Mapping[str, Any], strongest: float) -> Cell:
    """Return an eps50 with three digits, or how many seeds reach it, or that it lies above the largest perturbation.

    Args:
        row: The columns ``AUCS``.
        strongest: The largest perturbation size.

    >>> row = {"seeds": 3, "eps50_seeds": 3, "eps50": 3.456, "eps50_low": 3.356, "eps50_high": 3.556}
    >>> eps50(row, 5.0)[:2], eps50(row | {"eps50_seeds": 1}, 5.0).text, eps50(row | {"eps50_seeds": 0}, 0.5).text
    (('3.46', '.10'), '1 of 3', '>.5')
    """
    if not row["eps50_seeds"]:
        return Cell(f">{f'{strongest:.3g}'.removeprefix('0')}")
    if row["eps50_seeds"] < row["seeds"]:
        return Cell(f"{row['eps50_seeds']} of {row['seeds']}", words=True)
    places, half = decimals(row["eps50"]), (row["eps50_high"] - row["eps50_low"]) / 2
    return Cell(fixed(row["eps50"], places), "" if math.isnan(half) else fixed(half, places))


def whole(value: float) -> str:
    """Return a count with commas between thousands, or that there is none."""
    return ABSENT if math.isnan(value) else f"{value:,.0f}"


def median_queries(row: Mapping[str, Any]) -> Cell:
    """Return the median with the ends of its interval, or that it lies beyond the budget; columns ``QUERIES``."""
    beyond = f">{row['query_budget']:,}"
    if math.isnan(row["median_queries"]):
        return Cell(beyond) if row["n"] else Cell(ABSENT, words=True)
    low, high = (whole(row[f"median_{end}"]) for end in ("low", "high"))
    return Cell(whole(row["median_queries"]), ends=(low, beyond if math.isnan(row["median_high"]) else high))


def at_middle_strength(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at the middle perturbation size, the lower of two."""
    strengths = sorted(rows["strength"].unique())
    return rows[rows["strength"] == strengths[(len(strengths) - 1) // 2]]


def ranks(row: Mapping[str, Any], dash: str = "–") -> str:
    """Return the ranks that are possible; nothing without a verdict.

    >>> ranks({"rank": 1, "rank_low": 1, "rank_high": 4}), ranks({"rank": 2, "rank_low": 2, "rank_high": 2}, "-")
    ('1–4', '2')
    """
    low, high = row["rank_low"], row["rank_high"]
    return "" if pd.isna(row["rank"]) else str(low) if low == high else f"{low}{dash}{high}"


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows by the names of their columns."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def beside_claims(controls: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Return (recipe, whether it stands below its claim): each recipe in its order, then its controls in theirs.

    A control stands by itself where its claim does not, or is itself a control.

    Args:
        controls: The claim of each recipe, "" for none; in the order of the rows.

    >>> beside_claims({"shuffled": "ours", "plain": "", "lost": "other", "ours": "", "statistics": "ours"})
    [('plain', False), ('lost', False), ('ours', False), ('shuffled', True), ('statistics', True)]
    >>> beside_claims({"of a control": "control", "control": "ours", "ours": ""})
    [('of a control', False), ('ours', False), ('control', True)]
    """
    below: dict[str, list[str]] = {}
    for recipe, claim in controls.items():
        if claim in controls and controls[claim] not in controls:
            below.setdefault(claim, []).append(recipe)
    placed = {recipe for recipes in below.values() for recipe in recipes}
    return [
        (recipe, recipe != claim)
        for claim in controls
        if claim not in placed
        for recipe in (claim, *below.get(claim, ()))
    ]
