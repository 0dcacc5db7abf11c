"""Robustness of a setting as LaTeX: beyond the clean accuracy and in the worst case, then attack by attack."""

import pandas as pd

from robustbench_pix.leaderboard.display import NOTHING, Cell, best, decimals, eps50, fixed, number, records
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import attack_name
from robustbench_pix.leaderboard.paper.latex_columns import MEASURED, TEXT, Column, table
from robustbench_pix.leaderboard.paper.latex_settings import BEST, HALF, SettingRows, kind_name
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.derived_columns import AUC_PREFIX

ATTACKS_A_TABLE = 3
"""More do not fit into a page's width."""

SUMMARY = {"clean_accuracy": "clean", "mean_auc": "mean AUC", "effective_robustness": "effective"}
SUMMARY_LEGEND = (
    "clean: accuracy without attack",
    "mean AUC: mean over threat groups of the AUC, where AUC is the mean accuracy over the range of strengths",
    "effective: effective robustness, the mean AUC minus what the clean accuracy predicts on a line through the best "
    "constant answer and unregularized",
    "worst case: robustness to all attacks at once, an image being correct if it is so under each",
    HALF,
    BEST,
)
LEGEND = (
    "robustness: mean accuracy over the attack's range of strengths",
    "eps50: strength at which the accuracy is half of the clean one; > the largest where no seed falls that far, "
    "and how many do where only some do",
    HALF,
    BEST,
)


def auc_tables(setting: SettingRows, aucs: pd.DataFrame) -> str:
    """Return the tables of a setting; nothing where nothing was measured at several strengths.

    Args:
        setting: Whose tables.
        robustness: The columns ``ROBUSTNESS``, of all settings.
    """
    rows = setting.of(aucs).rename(columns={"low": "auc_low", "high": "auc_high"})
    if rows.empty:
        return ""
    parts = [_summary(setting, rows[rows["attack"] == WORST_CASE])]
    columns = map(str, setting.rows.columns)
    named = [name.removeprefix(AUC_PREFIX) for name in columns if name.startswith(AUC_PREFIX)]
    attacks = [attack for attack in named if attack in set(rows["attack"])]
    shown = [attacks[start : start + ATTACKS_A_TABLE] for start in range(0, len(attacks), ATTACKS_A_TABLE)]
    parts += [_by_attack(setting, rows, some, place) for place, some in enumerate(shown, start=1)]
    return "\n".join(parts)


def _summary(setting: SettingRows, worst: pd.DataFrame) -> str:
    """Return the table of what stands beside the mean AUC, and of the worst case where all attacks were made."""
    board = setting.of(setting.rows)
    board = board[board["clean_accuracy"].notna()]
    shown = dict(SUMMARY) | ({"worst_case": "worst case"} if len(worst) else {})
    columns = [Column("", TEXT), *(Column(heading, MEASURED) for heading in shown.values())]
    columns += [Column("eps50", MEASURED)] if len(worst) else []
    tops = {name: best(setting.scored(board)[name]) for name in shown}
    ends = worst[["recipe", "auc_low", "auc_high"]].rename(columns=lambda name: name.replace("auc", "worst_case"))
    board = board.merge(ends, on="recipe", how="left")
    halves = _eps50_cells(setting, worst, 1.0)
    body = []
    for row in records(board):
        cells = [setting.name(row["recipe"]), *(number(row, name, top) for name, top in tops.items())]
        body.append([*cells, *([halves.get(row["recipe"], NOTHING)] if len(worst) else [])])
    told = [*SUMMARY_LEGEND, *(["eps50: share of every attack's range"] if len(worst) else [])]
    caption = setting.caption("Robustness beside clean accuracy", told)
    return table(caption, setting.label("effective-robustness"), columns, body)


def _by_attack(setting: SettingRows, rows: pd.DataFrame, attacks: list[str], place: int) -> str:
    """Return the table of some attacks: AUC under each, and the strength at which the accuracy has halved."""
    columns = [Column("", TEXT), *(Column(name, MEASURED) for _ in attacks for name in ("AUC", "eps50"))]
    groups, cells = [("", 1)], []
    for attack in attacks:
        of = rows[rows["attack"] == attack]
        strengths = setting.measured.loc[setting.measured["attack"] == attack, "strength"]
        groups.append((latex.escaped(attack_name(attack)), 2))
        top = best(setting.scored(of)["auc"])
        areas = {row["recipe"]: number(row, "auc", top) for row in records(of)}
        cells.append((areas, _eps50_cells(setting, of, float(strengths.max()))))
    body = [
        [setting.name(recipe), *(found.get(recipe, NOTHING) for both in cells for found in both)]
        for recipe in rows["recipe"].unique()
    ]
    kinds = dict(zip(rows["attack"], rows["strength_kind"], strict=True))
    caption = setting.caption("Robustness by attack", LEGEND)
    caption += f" Strengths: {'; '.join(f'{_escaped_name(attack)}: {kind_name(kinds[attack])}' for attack in attacks)}."
    return table(caption, setting.label("auc", place), columns, body, groups=groups)


def _eps50_cells(setting: SettingRows, rows: pd.DataFrame, strongest: float) -> dict[str, Cell]:
    """Return the eps50 cells by recipe; none is the best where a scored recipe may lie above all."""
    scored = setting.scored(rows)["eps50"]
    places = decimals(strongest)
    top = fixed(best(scored) if scored.notna().all() else float("nan"), places)
    cells = {row["recipe"]: eps50(row, strongest, places) for row in records(rows)}
    return {recipe: cell._replace(best=cell.text == top) for recipe, cell in cells.items()}


def _escaped_name(attack: str) -> str:
    return latex.escaped(attack_name(attack))
