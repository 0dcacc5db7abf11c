"""The tables of a board as LaTeX: a leaderboard a block, and our curves beside the published ones."""

import textwrap
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard import facts
from robustbench_pix.leaderboard.cells import best, distance, share
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import attack_name, block_name
from robustbench_pix.leaderboard.paper.latex_blocks import kind_name
from robustbench_pix.results.columns import DISTANCE_PREFIX, ROBUSTNESS_PREFIX
from robustbench_pix.results.frames import BLOCK
from robustbench_pix.results.published_curves import PRECISION, sources_of

NUMBERS = {"clean_accuracy": "clean", "score": "score", "gain": "gain"}
ATTACKS_A_TABLE = 5
"""More do not fit into a page's width."""

HEADING_WIDTH = 12


def leaderboard_tables(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> str:
    """Return a table a block, or several where it has many attacks; the best of a column is bold."""
    measured = dict(iter(measurements.groupby(BLOCK, sort=False)))
    parts = []
    for block, rows in leaderboard.groupby(BLOCK, sort=False):
        within = measured.get(block, measurements.iloc[:0])
        columns = [name for name in rows.columns if name.startswith((ROBUSTNESS_PREFIX, DISTANCE_PREFIX))]
        columns = [name for name in columns if rows[name].notna().any()]
        for start in range(0, max(len(columns), 1), ATTACKS_A_TABLE):
            shown = columns[start : start + ATTACKS_A_TABLE]
            name = latex.label("tab", *block, *([start // ATTACKS_A_TABLE + 1] if start else []))
            parts.append(_block_table(rows, within, shown, name))
    return "\n".join(parts)


def comparison_table(block: pd.Series, attack: str, kind: str, rows: pd.DataFrame) -> str:
    """Return our accuracies, the published ones and the differences at each strength, three columns a recipe.

    Args:
        block: What the rows share.
        attack: Its name.
        kind: The kind of its strengths.
        rows: As ``compared`` returns them.
    """
    recipes = list(dict.fromkeys(rows["recipe"]))
    groups = [rf"\multicolumn{{3}}{{c}}{{{latex.escaped(recipe)}}}" for recipe in recipes]
    rules = " ".join(rf"\cmidrule(lr){{{3 * place + 2}-{3 * place + 4}}}" for place in range(len(recipes)))
    head = [["", *groups], [rules], ["strength", *(["ours", "published", "difference"] * len(recipes))]]
    by_strength = dict(rows.set_index(["strength", "recipe"]).iterrows())
    body = [
        [f"{strength:.3f}", *(cell for recipe in recipes for cell in _compared(by_strength.get((strength, recipe))))]
        for strength in sorted(rows["strength"].unique())
    ]
    name, network = block_name(block)
    seeds = " or ".join(str(count) for count in sorted(set(rows["seeds"])))
    how = f"{seeds} seeds; suite {block['suite']} {block['suite_version']}, {block['protocol']} protocol"
    caption = (
        f"{latex.escaped(f'{name} ({network})')}, {_strength(attack, kind)}: accuracy of ours "
        rf"(mean $\pm$ standard error; {latex.escaped(how)}) and as published "
        f"({latex.escaped(sources_of(rows))}; full size, paper protocol; read off the figure to ${share(PRECISION)}$)."
    )
    return latex.table(
        caption,
        latex.label("tab", "published", *block[BLOCK], attack),
        "l" + "rrr" * len(recipes),
        head,
        body,
    )


def figure_caption(attack: str, kind: str, measured: pd.DataFrame, sources: str) -> str:
    """Return the caption of a figure, as LaTeX: what it shows, how it was measured, and what a reader must know.

    Args:
        attack: Its name.
        kind: The kind of its strengths; empty where it reports a distance only.
        measured: The measurements behind the figure.
        sources: Where the dashed curves come from; empty where there are none.
    """
    versions = " and ".join(str(version) for version in sorted(set(measured["suite_version"])))
    protocols = "; ".join(facts.protocol(name) for name in sorted(set(measured["protocol"])))
    what = f"Accuracy against strength ({_strength(attack, kind)})" if kind else latex.escaped(attack_name(attack))
    said = f" Suite {measured['suite'].iloc[0]} {versions}; {protocols}."
    said += " Images named after a comma are those that the regularizer looks at." if _two_sets(measured) else ""
    said += f" Dashed: {sources} (full size, paper protocol)." if sources else ""
    flags = sorted({flag for text in measured["flags"] for flag in text.split("; ") if flag})
    said += f" Of some rows: {'; '.join(flags)}." if flags else ""
    return f"{what}: mean and standard error over seeds." + latex.escaped(said)


def _two_sets(measured: pd.DataFrame) -> bool:
    return bool((measured["task"] != measured["images"]).any())


def _block_table(rows: pd.DataFrame, measured: pd.DataFrame, attacks: list[str], name: str) -> str:
    scored = rows[rows["score"].notna()]
    marked = {column: best(scored[column]) for column in (*NUMBERS, *attacks)}
    names = [column.removeprefix(ROBUSTNESS_PREFIX).removeprefix(DISTANCE_PREFIX) for column in attacks]
    head = [["", "recipe", *NUMBERS.values(), *(_heading(attack) for attack in names)]]
    body = []
    for line in rows.to_dict("records"):
        row = {str(key): value for key, value in line.items()}
        rank = "" if pd.isna(row["rank"]) else str(row["rank"])
        cells = [_cell(row, column, marked[column]) for column in (*NUMBERS, *attacks)]
        body.append([rank, latex.escaped(row["recipe"]), *cells])
    told = [block_name(rows.iloc[0])[0], *facts.controls(rows), *facts.measuring_facts(rows, measured)]
    told += [f"{recipe} {status}: {reason}" for recipe, status, reason in facts.stopped(rows)]
    told += [f"{recipes}: {remark}" for recipes, remark in facts.remarks(rows)]
    told += ["robustness under an attack: mean accuracy from no attack to the strongest; score: its mean over attacks"]
    columns = "rl" + "r" * (len(NUMBERS) + len(attacks))
    return latex.table(latex.escaped("; ".join(told) + "."), name, columns, head, body)


def _heading(attack: str) -> str:
    lines = [latex.escaped(line) for line in textwrap.wrap(attack_name(attack), HEADING_WIDTH)]
    return rf"\shortstack[r]{{{latex.LINE_END.join(lines)}}}"


def _cell(row: dict[str, Any], column: str, marked: float) -> str:
    value = row[column]
    if pd.isna(value):
        return "--"
    if column.startswith(DISTANCE_PREFIX):
        mantissa, exponent = distance(value).split("e")
        return rf"${mantissa} \times 10^{{{exponent}}}$"
    text = share(value, signed=column == "gain")
    text = rf"\mathbf{{{text}}}" if text == share(marked, signed=column == "gain") else text
    low, high = (row.get(f"{column.removesuffix('_accuracy')}_{end}") for end in ("low", "high"))
    half = "" if column not in NUMBERS or pd.isna(low) else rf" \pm {share((high - low) / 2)}"
    return f"${text}{half}$"


def _compared(row: "pd.Series[Any] | None") -> list[str]:
    if row is None:
        return ["--"] * 3
    error = "" if pd.isna(row["standard_error"]) else rf" \pm {share(row['standard_error'])}"
    return [f"${share(row['accuracy'])}{error}$", share(row["published"]), f"${share(row['difference'], signed=True)}$"]


def _strength(attack: str, kind: str) -> str:
    return f"{latex.escaped(attack_name(attack))}, {kind_name(kind)}"
