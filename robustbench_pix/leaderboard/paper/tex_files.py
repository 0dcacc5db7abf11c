"""The tables of a board as LaTeX files for a paper: most have the name of the CSV file that holds the same numbers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard import captions, latex
from robustbench_pix.leaderboard.attack_tables import corruption_table, query_table, transfer_table
from robustbench_pix.leaderboard.captions import attack_name, setting_name
from robustbench_pix.leaderboard.display import MASKED, NOTHING, Cell, at_middle_strength, share
from robustbench_pix.leaderboard.display_table import Column, DisplayTable, SettingRows, settings_of
from robustbench_pix.leaderboard.recipe_tables import (
    aggregate_table,
    comparison_table,
    cost_table,
    leaderboard_table,
    robustness_table,
)
from robustbench_pix.results.board import Board
from robustbench_pix.results.columns import SETTING
from robustbench_pix.results.published.writing import write_whole
from robustbench_pix.results.published_curves import PRECISION, sources_of
from robustbench_pix.results.statistics.aggregates import SUITE

INDENTED = "indented: control of the recipe above"
BEST = "bold: of a mean AUC, no recipe is better; elsewhere the highest, without a verdict"


def write_tables(
    board: Board, folder: Path, corruptions: tuple[pd.DataFrame, pd.DataFrame] | None = None
) -> list[Path]:
    """Write the tables of each suite into a folder of its own, those that have rows, and return the files.

    Args:
        board: The board.
        folder: The folder; files of the same name are replaced.
        corruptions: The tables that ``corruption_table`` takes, where corruptions were measured and can be grouped.

    Raises:
        UserError: The folder cannot be written to.
    """
    files = []
    for suite, rows in board.leaderboard.groupby("suite", sort=False):
        parts: dict[str, list[str]] = {}
        for setting in settings_of(rows, board.measurements):
            for name, table in _tables(setting, board, corruptions):
                if table.lines and len(table.columns) > table.stub:
                    parts.setdefault(name, []).append(setting_table(setting, table, name))
            parts["queries"] = [*parts.get("queries", []), *query_tables(setting, board.queries)]
        parts["aggregates"] = list(aggregate_tables(board.aggregates[board.aggregates["suite"] == suite], rows))
        for name, texts in parts.items():
            if texts:
                files.append(write_whole(folder / f"{suite}/{name}.tex", "\n".join(texts).encode()))
    return files


def _tables(
    setting: SettingRows, board: Board, corruptions: tuple[pd.DataFrame, pd.DataFrame] | None
) -> Iterator[tuple[str, DisplayTable]]:
    """Yield the tables of a setting by the names of their files; some have no rows or no columns."""
    yield "leaderboard", leaderboard_table(setting, board.aucs)
    yield "comparisons", comparison_table(setting, board.comparisons)
    yield "aucs", robustness_table(setting, board.aucs)
    yield "recipe-costs", cost_table(setting, board.recipe_costs)
    if corruptions is not None and len(setting.of(corruptions[0])):
        yield "corruptions", corruption_table(setting, *corruptions)


def setting_table(setting: SettingRows, table: DisplayTable, *name: str, told: str = "") -> str:
    """Return a table of a setting as LaTeX; its caption states how the setting was measured.

    Args:
        setting: The setting.
        table: The table.
        name: The name of its file, and further parts of its label.
        told: A last sentence, LaTeX already.
    """
    marked = any(cell.best and not cell.words for cells in table.lines for cell in cells)
    notes = [*table.notes, *([BEST] if marked else []), *([INDENTED] if setting.rows["below"].any() else [])]
    sentences = [f"{table.caption} on {setting_name(setting.first)[0]}: {'; '.join(notes)}."]
    sentences += [f"Verdicts: {'; '.join(said)}."] if (said := captions.verdicts(setting.rows)) else []
    sentences += [f"Measured: {'; '.join(captions.measuring_facts(setting.rows, setting.measured))}."]
    sentences += captions.mixtures(setting.measured)
    sentences += [f"Notes: {'; '.join(doubts)}."] if (doubts := _doubts(setting.rows)) else []
    units = {column.attack: _strength(column.attack, column.unit) for column in table.columns if column.unit}
    told += f" Perturbation sizes: {'; '.join(units.values())}." if units else ""
    label = latex.label("tab", name[0], *setting.key, *name[1:])
    return latex.tables(table, latex.escaped(" ".join(sentences)) + told, label)


def _doubts(rows: pd.DataFrame) -> list[str]:
    """Return the rows without numbers, and the remarks on the others."""
    told = [f"{recipe} {status}: {reason}" for recipe, status, reason in captions.stopped(rows)]
    told += [f"{recipes}: {remark}" for recipes, remark in captions.remarks(rows)]
    masked = rows.loc[rows["gradients"].str.startswith("masked"), "recipe"]
    return [*told, *([f"{MASKED}: {', '.join(masked)}"] if len(masked) else [])]


def query_tables(setting: SettingRows, queries: pd.DataFrame) -> Iterator[str]:
    """Yield a table an attack, at the middle perturbation size; ``queries`` are of all settings."""
    for attack, rows in setting.of(queries).groupby("attack", sort=False):
        rows = at_middle_strength(rows)
        table, first = query_table(rows, setting.name), rows.iloc[0]
        here = f" Here: {_strength(str(attack), first['strength_kind'])} {first['strength']:.3g}; {table.caption}."
        yield setting_table(setting, replace(table, caption="Queries"), "queries", str(attack), told=here)


def aggregate_tables(aggregates: pd.DataFrame, leaderboard: pd.DataFrame) -> Iterator[str]:
    """Yield a table a suite, size and precision; none where no recipe has two combinations.

    Args:
        aggregates: The columns ``AGGREGATES``.
        leaderboard: The leaderboard of these recipes.
    """
    controls = dict(zip(leaderboard["recipe"], leaderboard["controls"], strict=True))
    for key, rows in aggregates.groupby(list(SUITE), sort=False):
        table = aggregate_table(rows, controls)
        named = dict(zip(SUITE, key, strict=True))
        settings = leaderboard[(leaderboard[list(SUITE)] == list(key)).all(axis="columns")]
        there = settings.loc[settings["mean_auc"].notna(), ["task", "regularization_data"]].drop_duplicates()
        told = [*table.notes, BEST, *([INDENTED] if settings["controls"].any() else [])]
        told += [f"combinations: {', '.join(f'{task}:{data}' for task, data in there.itertuples(index=False))}"]
        told += [*captions.seeds(settings), f"suite {named['suite']} {named['suite_version']}"]
        told += [captions.protocol(str(named["protocol"]))]
        told += [str(named[name]) for name in ("size", "precision") if named[name] not in ("full", "float32")]
        yield latex.tables(
            table, latex.escaped(f"{table.caption}: {'; '.join(told)}."), latex.label("tab", "aggregates", *key)
        )


def matrix_tables(matrix: pd.DataFrame, attack: str, combination: str, facts: list[str]) -> str:
    """Return the matrix of a transfer attack, over several tables where it has many victims.

    Args:
        matrix: As ``results.transfer_matrix.matrix`` returns it.
        attack: The name of the attack.
        combination: The combination of sources and victims.
        facts: Further notes.
    """
    table = transfer_table(matrix, facts)
    caption = latex.escaped(f"Transfer: {attack_name(attack)} on {combination}: {'; '.join(table.notes)}.")
    return latex.tables(table, caption, latex.label("tab", "transfer", attack, combination))


def published_table(setting: "pd.Series[str]", attack: str, kind: str, rows: pd.DataFrame) -> str:
    """Return our accuracies, the published ones and the differences at each perturbation size.

    Args:
        setting: The facts that the rows share.
        attack: The name of the attack.
        kind: The unit of its perturbation sizes.
        rows: As ``compared`` returns them.
    """
    strengths = sorted(rows["strength"].unique())
    by_strength = dict(rows.set_index(["strength", "recipe"]).iterrows())
    columns = [Column(("size",), tuple(Cell(f"{strength:.3f}") for strength in strengths))]
    for recipe in dict.fromkeys(rows["recipe"]):
        body = zip(*(_compared(by_strength.get((strength, recipe))) for strength in strengths), strict=True)
        columns += [
            Column((heading,), cells, group=recipe)
            for heading, cells in zip(("ours", "published", "difference"), body, strict=True)
        ]
    name, network = setting_name(setting)
    seeds = " or ".join(str(count) for count in sorted(set(rows["seeds"])))
    how = f"{seeds} seeds; suite {setting['suite']} {setting['suite_version']}, {setting['protocol']} protocol"
    caption = (
        f"{latex.escaped(f'{name} ({network})')}, {_strength(attack, kind)}: accuracy of ours "
        rf"(mean $\pm$ standard error; {latex.escaped(how)}) and as published "
        f"({latex.escaped(sources_of(rows))}; full size, paper protocol; read off the figure to ${share(PRECISION)}$)."
    )
    return latex.tables(
        DisplayTable(tuple(columns)), caption, latex.label("tab", "published", *setting[SETTING], attack)
    )


def _compared(row: "pd.Series[Any] | None") -> list[Cell]:
    if row is None:
        return [NOTHING] * 3
    error = "" if pd.isna(row["standard_error"]) else share(row["standard_error"])
    ours = Cell(share(row["accuracy"]), half=error)
    return [ours, Cell(share(row["published"])), Cell(share(row["difference"], signed=True))]


def figure_caption(attack: str, kind: str, measured: pd.DataFrame, sources: str) -> str:
    """Return the caption of a figure, as LaTeX.

    Args:
        attack: The name of the attack.
        kind: The unit of its perturbation sizes; empty where it reports a distance only.
        measured: The measurements behind the figure.
        sources: The source of the dashed curves; empty where there are none.
    """
    versions = " and ".join(str(version) for version in sorted(set(measured["suite_version"])))
    protocols = "; ".join(captions.protocol(name) for name in sorted(set(measured["protocol"])))
    what = (
        f"Accuracy against perturbation size ({_strength(attack, kind)})"
        if kind
        else latex.escaped(attack_name(attack))
    )
    said = f" Suite {measured['suite'].iloc[0]} {versions}; {protocols}."
    two_sets = bool((measured["task"] != measured["regularization_data"]).any())
    said += " The regularization data are named after a comma." if two_sets else ""
    said += f" Dashed: {sources} (full size, paper protocol)." if sources else ""
    flags = sorted({flag for text in measured["flags"] for flag in text.split("; ") if flag})
    said += f" Of some rows: {'; '.join(flags)}." if flags else ""
    return f"{what}: mean and standard error over seeds." + latex.escaped(said)


def _strength(attack: str, kind: str) -> str:
    return f"{latex.escaped(attack_name(attack))}, {latex.kind_name(kind)}"
