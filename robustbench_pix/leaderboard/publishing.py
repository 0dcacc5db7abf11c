"""Publish a board as files that anybody can diff: merged with what is published, sorted, and written together."""

import json
from collections.abc import Collection
from dataclasses import replace as changed
from pathlib import Path

import pandas as pd

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.page.page import TEMPLATES, page
from robustbench_pix.leaderboard.terminal.detail import svg
from robustbench_pix.results.board import Board, published_board
from robustbench_pix.results.checks.outcomes import of_images
from robustbench_pix.results.columns import (
    COSTS,
    EXAMPLES,
    KEY,
    MEASUREMENTS,
    PICTURES,
    QUERIES,
    REQUESTED,
    SAMPLING,
    SETTING,
    TRAININGS,
    Column,
)
from robustbench_pix.results.costs import costs
from robustbench_pix.results.derived_columns import AGGREGATES, AUCS, COMPARISONS, RECIPE_COSTS, leaderboard_columns
from robustbench_pix.results.from_runs import board_of, measured, picture_table
from robustbench_pix.results.merging import (
    REPLACED,
    Standing,
    merge,
    refuse_other_protocols,
    refuse_other_recipes,
    standing,
    without,
)
from robustbench_pix.results.provenance import Provenance, merged, provenance
from robustbench_pix.results.published.csv_io import as_published, to_csv_text
from robustbench_pix.results.published.reading import OPTIONAL, PROVENANCE, is_published
from robustbench_pix.results.published.schema import schema, underivable
from robustbench_pix.results.published.writing import write_sums, write_together
from robustbench_pix.results.queries import query_table
from robustbench_pix.results.statistics.measured import settings
from robustbench_pix.results.statistics.sampling import Areas, merged_sampling, sampling_table
from robustbench_pix.results.trainings import training_table
from robustbench_pix.runs.plan_store import Rows, saved_rows
from robustbench_pix.runs.scratch import ALONE, locked
from robustbench_pix.runs.store import EXAMPLES as EXAMPLES_FILE
from robustbench_pix.runs.store import Store


def publish_runs(
    workspace: Workspace, *, examples: bool, replace: Collection[str] = ()
) -> tuple[list[Path], list[Standing]]:
    """Publish the workspace's runs beside the rows already published there; two at once wait for each other.

    The outcome of every image is written on request, and where it is published already. Gains, ranks and everything
    else that compares are made anew over all recipes of a setting.

    Args:
        workspace: whose runs/ and leaderboard/.
        examples: whether to write the outcome of every image.
        replace: the recipes and external models that may take the place of others of their name.

    Returns:
        The files written, and which published rows stay although the runs have one of their name.

    Raises:
        UserError: there are no runs, rows were published under another protocol or by others under a name that is used
            here for another recipe, or the folder cannot be written.
    """
    store = Store(workspace.runs)
    rows = saved_rows(store)
    if not rows:
        raise UserError(f"There are no runs in {workspace.runs} to publish; begin with rbp run.")
    folder = workspace.published
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.") from error
    with locked(folder, ALONE):
        if is_published(folder):
            board, rows, kept = _merged(published_board(folder), rows, store, workspace, replace)
        else:
            board, kept = board_of(rows, store, workspace), []
        files = publish(folder, board)
        if examples or (folder / EXAMPLES_FILE).exists():
            from robustbench_pix.results.published.examples import write_examples

            files.append(write_examples(folder, rows, store, set(board.measurements["attack_id"])))
            write_sums(folder, [file.name for file in files])
    return files, kept


def _merged(
    earlier: Board, rows: Rows, store: Store, workspace: Workspace, replace: Collection[str]
) -> tuple[Board, Rows, list[Standing]]:
    """Return the published board with rows replaced by runs of their names, the rows used, and those that stay."""
    folder, found = workspace.published, measured(rows, store)
    refuse_other_recipes(earlier.measurements, found.measurements, found.requested, folder=folder, replace=replace)
    kept = standing(earlier.measurements, found.measurements, found.requested, ours=store.has_model)
    if kept:
        rows = without(rows, kept)
        found = measured(rows, store)
    origins = provenance(rows, store, workspace)
    tasks = earlier.provenance["tasks"] | origins["tasks"]
    refuse_other_protocols(earlier.measurements, found.measurements, folder, tasks)
    origins = merged(earlier.provenance, origins)
    measurements = merge(earlier.measurements, found.measurements)
    requested = merge(earlier.requested, found.requested)
    areas = {**_published_areas(folder, measurements, origins), **found.areas}
    sampling = as_published(sampling_table(settings(measurements, requested), areas), SAMPLING)
    replaced = set(found.requested[REPLACED].itertuples(index=False, name=None))
    loaders = {
        "queries": lambda: merge(earlier.queries, query_table(rows, store)),
        "pictures": lambda: merge(earlier.pictures, picture_table(rows, store)),
        "trainings": lambda: merge(earlier.trainings, training_table(rows, store)),
        "costs": lambda: merge(earlier.costs, costs(rows, store), on=("kind", "id")),
    }
    sampling = merged_sampling(earlier.sampling, sampling, replaced)
    return Board(measurements, requested, sampling, loaders, origins=lambda: origins), rows, kept


def _published_areas(folder: Path, measurements: pd.DataFrame, origins: Provenance) -> Areas:
    """Return the areas of the images whose outcomes are published."""
    if not (folder / EXAMPLES_FILE).exists():
        return {}
    from robustbench_pix.results.published.examples import published_outcomes

    return of_images(measurements, origins, published_outcomes(folder))[1]


def publish(folder: Path, board: Board) -> list[Path]:
    """Write a board: its tables, provenance, picture, page, README and schema; return the files.

    Tables that are ``OPTIONAL`` are written where they have rows, or had some.

    Raises:
        UserError: The folder cannot be written to.
    """
    board = changed(
        board,
        measurements=_sorted(board.measurements, [*KEY, "seed", "attack", "strength"]),
        requested=_sorted(board.requested, KEY),
    ).derived_again()
    columns = leaderboard_columns(board.leaderboard.columns)
    mean_aucs = board.leaderboard["mean_auc"]
    leaderboard = _sorted(board.leaderboard.assign(loss=-mean_aucs), [*SETTING, "rank", "loss", "recipe"])
    leaderboard = leaderboard.drop(columns="loss")
    places = {key: place for place, key in enumerate(leaderboard[KEY].itertuples(index=False, name=None))}

    def ranked(table: pd.DataFrame, *before: str, recipe: str = "recipe") -> pd.DataFrame:
        order = [places[key] for key in table[[*SETTING, recipe]].itertuples(index=False, name=None)]
        return _sorted(table.assign(place=order), [*before, "place"]).drop(columns="place")

    queries = _sorted(board.queries, [*KEY, "attack", "strength"])
    # Those of attacks that were measured anew by other means are gone with their measurements.
    pictures = board.pictures[board.pictures["attack_id"].isin(board.measurements["attack_id"])]
    pictures = _sorted(pictures, [*KEY, "attack", "index"])
    trainings = board.trainings[board.trainings["model_id"].isin(board.measurements["model_id"])]
    tables = {
        "measurements.csv": (board.measurements, MEASUREMENTS),
        "requested.csv": (ranked(board.requested), REQUESTED),
        "leaderboard.csv": (leaderboard, columns),
        "aucs.csv": (ranked(board.aucs), AUCS),
        "comparisons.csv": (ranked(ranked(board.comparisons, recipe="reference"), *SETTING, "role"), COMPARISONS),
        "sampling.csv": (_sorted(board.sampling, [*KEY, "other", "measure"]), SAMPLING),
        "costs.csv": (_sorted(board.costs, ["kind", "id"]), COSTS),
        "recipe-costs.csv": (board.recipe_costs, RECIPE_COSTS),
        "queries.csv": (queries, QUERIES),
        "aggregates.csv": (board.aggregates, AGGREGATES),
        "pictures.csv": (pictures, PICTURES),
        "trainings.csv": (_sorted(trainings, [*KEY, "seed"]), TRAININGS),
    }
    of = {name: declared for name, (_, declared) in tables.items()}
    texts = {
        name: to_csv_text(table, declared)
        for name, (table, declared) in tables.items()
        if name not in OPTIONAL or len(table) or (folder / name).exists()
    }
    texts |= {
        "leaderboard.svg": svg(leaderboard, board.measurements, board.aucs),
        "index.html": page(leaderboard, board.measurements, queries, pictures, board.aucs, board.provenance),
        "README.md": readme({**of, "examples.parquet": EXAMPLES}),
        "schema.json": json.dumps(schema(of), indent=1) + "\n",
        PROVENANCE: json.dumps(board.provenance, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    return write_together(folder, texts)


def _sorted(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return frame.sort_values(by, kind="stable", na_position="last", ignore_index=True)


def readme(tables: dict[str, tuple[Column, ...]]) -> str:
    """Return the README of published tables; ``tables`` gives the columns of each file."""
    head = (TEMPLATES / "published_readme.md").read_text(encoding="utf-8")
    parts = [head.replace("{underivable}", "\n".join(f"- {text}" for text in underivable(outcomes=False, runs=False)))]
    for file, columns in tables.items():
        lines = [f"| `{column.name}` | {column.kind} | {_cell(column.meaning)} |" for column in columns]
        parts.append("\n".join([f"## {file}\n", "| column | kind | meaning |", "|---|---|---|", *lines, ""]))
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
