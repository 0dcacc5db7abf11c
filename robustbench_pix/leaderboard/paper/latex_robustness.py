"""Robustness of a block as LaTeX: beyond the clean accuracy and in the worst case, then attack by attack."""

from typing import Any

import pandas as pd

from robustbench_pix.leaderboard.cells import best
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import attack_name
from robustbench_pix.leaderboard.paper.latex_blocks import BEST, HALF, Block, kind_name
from robustbench_pix.leaderboard.paper.latex_columns import (
    MEASURED,
    TEXT,
    Column,
    absent,
    decimals,
    fixed,
    measured_share,
    table,
    with_half,
)
from robustbench_pix.results.columns import ROBUSTNESS_PREFIX, WORST_CASE

ATTACKS_A_TABLE = 3
"""More do not fit into a page's width."""

SUMMARY = {"clean_accuracy": "clean", "score": "score", "excess": "excess"}
SUMMARY_LEGEND = (
    "clean: accuracy without attack",
    "score: mean robustness over the attacks, where robustness is the mean accuracy from no attack to the strongest",
    "excess: score minus what the clean accuracy predicts, which is the share of it that unregularized retains",
    "worst case: robustness to all attacks at once, an image being correct if it is so under each",
    HALF,
    BEST,
)
LEGEND = (
    "robustness: mean accuracy from no attack to the strongest",
    "halved at: strength at which the accuracy is half of the clean one; > the largest where no seed falls that far, "
    "and how many do where only some do",
    HALF,
    BEST,
)


def robustness_tables(block: Block, robustness: pd.DataFrame) -> str:
    """Return the tables of a block; nothing where nothing was measured at several strengths.

    Args:
        block: Whose tables.
        robustness: The columns ``ROBUSTNESS``, of all blocks.
    """
    rows = block.of(robustness)
    if rows.empty:
        return ""
    parts = [_summary(block, rows[rows["attack"] == WORST_CASE])]
    columns = map(str, block.rows.columns)
    named = [name.removeprefix(ROBUSTNESS_PREFIX) for name in columns if name.startswith(ROBUSTNESS_PREFIX)]
    attacks = [attack for attack in named if attack in set(rows["attack"])]
    shown = [attacks[start : start + ATTACKS_A_TABLE] for start in range(0, len(attacks), ATTACKS_A_TABLE)]
    parts += [_by_attack(block, rows, some, number) for number, some in enumerate(shown, start=1)]
    return "\n".join(parts)


def _summary(block: Block, worst: pd.DataFrame) -> str:
    """Return the table of what stands beside the score, and of the worst case where all attacks were made."""
    board = block.of(block.rows)
    board = board[board["clean_accuracy"].notna()]
    shown = dict(SUMMARY) | ({"worst_case": "worst case"} if len(worst) else {})
    columns = [Column("", TEXT), *(Column(heading, MEASURED) for heading in shown.values())]
    columns += [Column("halved at", MEASURED)] if len(worst) else []
    tops = {name: best(block.scored(board)[name]) for name in shown}
    of_worst = {row["recipe"]: (row["low"], row["high"]) for row in worst.to_dict("records")}
    halved = _halvings(block, worst, 1.0)
    body = []
    for row in board.to_dict("records"):
        cells = [block.name(row["recipe"])]
        for name in SUMMARY:
            ends = (row[f"{name.removesuffix('_accuracy')}_{end}"] for end in ("low", "high"))
            cells.append(measured_share(row[name], *ends, best=tops[name], signed=name == "excess"))
        if len(worst):
            low, high = of_worst.get(row["recipe"], (float("nan"),) * 2)
            cells.append(measured_share(row["worst_case"], low, high, best=tops["worst_case"]))
            cells.append(halved.get(row["recipe"], absent(MEASURED)))
        body.append(cells)
    told = [*SUMMARY_LEGEND, *(["halved at: share of every attack's largest strength"] if len(worst) else [])]
    return table(block.caption("Robustness beside clean accuracy", told), block.label("excess"), columns, body)


def _by_attack(block: Block, rows: pd.DataFrame, attacks: list[str], number: int) -> str:
    """Return the table of some attacks: robustness under each, and the strength at which the accuracy has halved."""
    columns = [Column("", TEXT), *(Column(name, MEASURED) for _ in attacks for name in ("robustness", "halved at"))]
    groups, cells = [("", 1)], []
    for attack in attacks:
        of = rows[rows["attack"] == attack]
        strengths = block.measured.loc[block.measured["attack"] == attack, "strength"]
        groups.append((latex.escaped(attack_name(attack)), 2))
        top = best(block.scored(of)["robustness"])
        areas = {
            row["recipe"]: measured_share(row["robustness"], row["low"], row["high"], best=top)
            for row in of.to_dict("records")
        }
        cells.append((areas, _halvings(block, of, float(strengths.max()))))
    body = [
        [block.name(recipe), *(found.get(recipe, absent(MEASURED)) for both in cells for found in both)]
        for recipe in rows["recipe"].unique()
    ]
    kinds = dict(zip(rows["attack"], rows["strength_kind"], strict=True))
    caption = block.caption("Robustness by attack", LEGEND)
    caption += f" Strengths: {'; '.join(f'{_escaped_name(attack)}: {kind_name(kinds[attack])}' for attack in attacks)}."
    return table(caption, block.label("robustness", number), columns, body, groups=groups)


def _halvings(block: Block, rows: pd.DataFrame, strongest: float) -> dict[str, str]:
    """Return the cells of halving strengths by recipe; none is the best where a scored recipe may lie above all."""
    scored = block.scored(rows)["halving"]
    top = best(scored) if scored.notna().all() else float("nan")
    places = decimals(pd.Series([strongest]))
    return {row["recipe"]: _halving(row, places, top, strongest) for row in rows.to_dict("records")}


def _halving(row: dict[Any, Any], places: int, top: float, strongest: float) -> str:
    if row["halved_seeds"] == 0:
        return with_half(f">{fixed(strongest, places)}", "")
    if pd.isna(row["halving"]):
        return absent(MEASURED, f"{row['halved_seeds']} of {row['seeds']}")
    text = fixed(row["halving"], places)
    half = "" if pd.isna(row["halving_low"]) else fixed((row["halving_high"] - row["halving_low"]) / 2, places)
    return with_half(text, half, bold=text == fixed(top, places))


def _escaped_name(attack: str) -> str:
    return latex.escaped(attack_name(attack))
