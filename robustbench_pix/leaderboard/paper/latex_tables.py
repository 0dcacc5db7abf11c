"""The tables of a board as LaTeX: a leaderboard a setting, and our curves beside the published ones."""

import textwrap
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard import captions
from robustbench_pix.leaderboard.display import HEADINGS, NOTHING, Cell, best, number, ranks, records, share
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import attack_name, setting_name
from robustbench_pix.leaderboard.paper.latex_columns import TEXT, WHOLE, Column, table
from robustbench_pix.leaderboard.paper.latex_settings import BEST, kind_name, settings_of
from robustbench_pix.results.columns import SETTING
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX
from robustbench_pix.results.published_curves import PRECISION, sources_of

ATTACKS_A_TABLE = 5
"""More do not fit into a page's width."""

HEADING_WIDTH = 12


def leaderboard_tables(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> str:
    """Return a table a setting, or several where it has many attacks."""
    parts = []
    for setting in settings_of(leaderboard, measurements):
        rows = setting.rows
        columns = [name for name in rows.columns if name.startswith((AUC_PREFIX, DISTANCE_PREFIX))]
        columns = [name for name in columns if rows[name].notna().any()]
        for start in range(0, max(len(columns), 1), ATTACKS_A_TABLE):
            shown = columns[start : start + ATTACKS_A_TABLE]
            name = latex.label("tab", *setting.key, *([start // ATTACKS_A_TABLE + 1] if start else []))
            parts.append(_setting_table(rows, setting.measured, shown, name))
    return "\n".join(parts)


def comparison_table(setting: pd.Series, attack: str, kind: str, rows: pd.DataFrame) -> str:
    """Return our accuracies, the published ones and the differences at each strength, three columns a recipe.

    Args:
        setting: What the rows share.
        attack: Its name.
        kind: The kind of its strengths.
        rows: As ``compared`` returns them.
    """
    recipes = list(dict.fromkeys(rows["recipe"]))
    columns = [Column("strength", TEXT)]
    columns += [Column(heading, WHOLE) for heading in ("ours", "published", "difference")] * len(recipes)
    by_strength = dict(rows.set_index(["strength", "recipe"]).iterrows())
    body = [
        [
            Cell(f"{strength:.3f}"),
            *(cell for recipe in recipes for cell in _compared(by_strength.get((strength, recipe)))),
        ]
        for strength in sorted(rows["strength"].unique())
    ]
    name, network = setting_name(setting)
    seeds = " or ".join(str(count) for count in sorted(set(rows["seeds"])))
    how = f"{seeds} seeds; suite {setting['suite']} {setting['suite_version']}, {setting['protocol']} protocol"
    caption = (
        f"{latex.escaped(f'{name} ({network})')}, {_strength(attack, kind)}: accuracy of ours "
        rf"(mean $\pm$ standard error; {latex.escaped(how)}) and as published "
        f"({latex.escaped(sources_of(rows))}; full size, paper protocol; read off the figure to ${share(PRECISION)}$)."
    )
    groups = [("", 1), *((latex.escaped(recipe), 3) for recipe in recipes)]
    return table(caption, latex.label("tab", "published", *setting[SETTING], attack), columns, body, groups=groups)


def figure_caption(attack: str, kind: str, measured: pd.DataFrame, sources: str) -> str:
    """Return the caption of a figure, as LaTeX: what it shows, how it was measured, and what a reader must know.

    Args:
        attack: Its name.
        kind: The kind of its strengths; empty where it reports a distance only.
        measured: The measurements behind the figure.
        sources: Where the dashed curves come from; empty where there are none.
    """
    versions = " and ".join(str(version) for version in sorted(set(measured["suite_version"])))
    protocols = "; ".join(captions.protocol(name) for name in sorted(set(measured["protocol"])))
    what = f"Accuracy against strength ({_strength(attack, kind)})" if kind else latex.escaped(attack_name(attack))
    said = f" Suite {measured['suite'].iloc[0]} {versions}; {protocols}."
    said += " Images named after a comma are those that the regularizer looks at." if _two_sets(measured) else ""
    said += f" Dashed: {sources} (full size, paper protocol)." if sources else ""
    flags = sorted({flag for text in measured["flags"] for flag in text.split("; ") if flag})
    said += f" Of some rows: {'; '.join(flags)}." if flags else ""
    return f"{what}: mean and standard error over seeds." + latex.escaped(said)


def _two_sets(measured: pd.DataFrame) -> bool:
    return bool((measured["task"] != measured["regularization_data"]).any())


def _setting_table(rows: pd.DataFrame, measured: pd.DataFrame, attacks: list[str], name: str) -> str:
    scored = rows[rows["mean_auc"].notna()]
    marked = {column: best(scored[column]) for column in (*HEADINGS, *attacks)}
    names = [column.removeprefix(AUC_PREFIX).removeprefix(DISTANCE_PREFIX) for column in attacks]
    body = []
    for row in records(rows):
        possible = f"{ranks(row)} {row['group']}" if ranks(row) else ""
        cells = [number(row, column, top) for column, top in marked.items()]
        body.append([Cell(possible, words=True), Cell(row["recipe"]), *cells])
    told = [setting_name(rows.iloc[0])[0], *captions.controls(rows), *captions.measuring_facts(rows, measured)]
    told += [f"{recipe} {status}: {reason}" for recipe, status, reason in captions.stopped(rows)]
    told += [f"{recipes}: {remark}" for recipes, remark in captions.remarks(rows)]
    told += captions.verdicts(rows)
    told += [
        "rank: those possible with 95% confidence for all rows at once, and letters, which recipes share that do not"
    ]
    told[-1] += " differ significantly"
    told += ["under an attack: AUC, mean accuracy over the strengths; mean AUC: mean over threat groups of the AUC"]
    told += [BEST]
    headings = [*HEADINGS.values(), *(_heading(attack) for attack in names)]
    columns = [Column("rank", WHOLE), Column("recipe", TEXT), *(Column(heading, WHOLE) for heading in headings)]
    return table(latex.escaped("; ".join(told) + "."), name, columns, body)


def _heading(attack: str) -> str:
    lines = [latex.escaped(line) for line in textwrap.wrap(attack_name(attack), HEADING_WIDTH)]
    return rf"\shortstack[r]{{{latex.LINE_END.join(lines)}}}"


def _compared(row: "pd.Series[Any] | None") -> list[Cell]:
    if row is None:
        return [NOTHING] * 3
    error = "" if pd.isna(row["standard_error"]) else share(row["standard_error"])
    ours = Cell(share(row["accuracy"]), half=error)
    return [ours, Cell(share(row["published"]), words=True), Cell(share(row["difference"], signed=True))]


def _strength(attack: str, kind: str) -> str:
    return f"{latex.escaped(attack_name(attack))}, {kind_name(kind)}"
