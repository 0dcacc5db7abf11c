"""Verify a published folder from its files alone: forms, hashes, a few invariants, and two levels of derivation.

Every aggregate is derived from the measurements, and these, queries.csv, sampling.csv and worst cases from the outcome
of every image: those of the runs, else of examples.parquet. What has no outcome at hand is said not to be derived.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from robustbench_pix.results.board import DERIVED, Board, published_board
from robustbench_pix.results.checks.consistency import false_pictures, inconsistencies, not_requested
from robustbench_pix.results.checks.findings import Finding, disagreements, found
from robustbench_pix.results.checks.outcomes import (
    Outcomes,
    measured_rows,
    of_images,
    query_attacks,
    query_rows,
    stored_outcomes,
)
from robustbench_pix.results.checks.provenance_checks import contradicting_origins, false_commands, wrong_addresses
from robustbench_pix.results.checks.trainings import false_trainings, trainings_again
from robustbench_pix.results.columns import (
    COSTS,
    KEY,
    MEASUREMENTS,
    MODEL,
    PICTURES,
    QUERIES,
    REQUESTED,
    SAMPLING,
    TRAININGS,
    WORST_CASE,
    Column,
    names,
    row_keys,
)
from robustbench_pix.results.derived_columns import leaderboard_columns
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.published.reading import BESIDE, OPTIONAL, PROVENANCE, read_provenance
from robustbench_pix.results.published.schema import violations
from robustbench_pix.results.published.writing import changed_files
from robustbench_pix.results.published.writing import findings as unexplained
from robustbench_pix.results.statistics.sampling import sampling_table
from robustbench_pix.runs.store import EXAMPLES, Store

COVARIANCE = [*KEY, "other", "measure"]
"""What names a row of sampling.csv."""


def verify_images(board: Board, folder: Path, store: Store | None) -> list[Finding]:
    """Return what is wrong with queries.csv, sampling.csv and the worst-case rows of measurements.csv.

    With the store of the runs all measurements of its attacks are derived again.

    Raises:
        UserError: queries.csv or examples.parquet is damaged or has other columns than it should.
    """
    queries, measurements, provenance = board.queries, board.measurements, board.provenance
    findings = violations("queries.csv", queries, QUERIES)
    if findings:
        return findings
    findings = _other_rows(queries, measurements)
    outcomes = _outcomes(folder, measurements, store)
    again = query_rows(measurements, provenance, outcomes)
    findings += _compared("queries.csv", queries, again, QUERIES, [*KEY, "strength", "attack"], [*KEY, "attack"])
    worst = measurements[measurements["attack"] == WORST_CASE]
    again, areas = of_images(measurements, provenance, outcomes)
    findings += _compared("measurements.csv", worst, again, MEASUREMENTS, [*MODEL, "strength", "attack"], MODEL)
    again = sampling_table(board.settings, areas)
    if len(again) and board.sampling.empty:
        findings.append(Finding("sampling.csv", None, "", "there is none; rbp publish writes it"))
    else:
        findings += _compared("sampling.csv", board.sampling, again, SAMPLING, COVARIANCE, COVARIANCE)
    return findings + (_measured(measurements, store) if store else [])


def _other_rows(queries: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    """Check that queries.csv has one row for every decision and score attack of a recipe and strength."""
    key = [*KEY, "attack", "strength"]
    expected = set(row_keys(query_attacks(measurements), key))
    there = row_keys(queries, key)
    wrong = partial(found, "queries.csv", queries)
    return [
        *wrong(queries.duplicated(key), "strength", "the row of {attack} stands there twice"),
        *wrong([row not in expected for row in there], "attack", "no measurement leads to a row of {attack}"),
        *(
            Finding("queries.csv", None, "", f"the row of {', '.join(map(str, row))} is missing")
            for row in sorted(expected - set(there), key=str)
        ),
    ]


def _measured(measurements: pd.DataFrame, store: Store) -> list[Finding]:
    """Derive the measurements again of which a store has the images; an attack without strengths has one row."""
    tables = measurements[measurements["attack"] != WORST_CASE], measured_rows(measurements, store)
    published, again = (table.assign(strength=table["strength"].fillna(-1.0)) for table in tables)
    key = [*MODEL, "strength", "attack"]
    return _compared("measurements.csv", published, again, MEASUREMENTS, key, [*MODEL, "attack"])


def verify_trainings(board: Board, store: Store) -> list[Finding]:
    """Return what of trainings.csv is not what the logs of a store say."""
    again = trainings_again(board.measurements, store)
    if len(again) and board.trainings.empty:
        return [Finding("trainings.csv", None, "", "there is none; rbp publish writes it")]
    return _compared("trainings.csv", board.trainings, again, TRAININGS, MODEL, MODEL, said_by="logs")


def not_derived(folder: Path, store: Store | None) -> str:
    """Return in a sentence what was not derived again for want of outcomes, and how it would be; "" if all was.

    Raises:
        UserError: nothing is published there, or a file is damaged or has other columns than it should.
    """
    board = published_board(folder)
    measurements, sampling = board.measurements, board.sampling
    outcomes = _outcomes(folder, measurements, store)
    models = measurements.loc[measurements["attack"] == WORST_CASE, MODEL].drop_duplicates()
    parts = []
    single = measurements[measurements["attack"] != WORST_CASE]
    for what, rows, of in (
        ("{} of {} attacks in measurements.csv", single, [*MODEL, "attack"]),
        ("{} of {} in queries.csv", query_attacks(measurements), [*KEY, "attack"]),
        ("{} of {} worst cases", single.merge(models, on=MODEL), MODEL),
    ):
        known = rows["attack_id"].isin(set(outcomes)).groupby([rows[name] for name in of], sort=False).all()
        parts += [what.format((~known).sum(), len(known))] if not known.all() else []
    if (folder / PROVENANCE).exists() and len(sampling):
        areas = of_images(measurements, board.provenance, outcomes)[1]
        again = set(row_keys(sampling_table(board.settings, areas), COVARIANCE))
        absent = sum(key not in again for key in row_keys(sampling, COVARIANCE))
        parts += [f"{absent} of {len(sampling)} covariances in sampling.csv"] if absent else []
    if not parts:
        return ""
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return (
        f"Not derived again, for want of the outcome of every image: {listed}. Give --runs WORKSPACE, or publish "
        f"{EXAMPLES} with rbp publish --examples."
    )


def _outcomes(folder: Path, measurements: pd.DataFrame, store: Store | None) -> Outcomes:
    """Return the outcomes of images that are at hand, those of runs before published ones."""
    found: Outcomes = {}
    if (folder / EXAMPLES).exists():
        from robustbench_pix.results.published.examples import published_outcomes

        found = published_outcomes(folder)
    return {**found, **(stored_outcomes(measurements["attack_id"].unique(), store) if store else {})}


def _compared(
    file: str,
    published: pd.DataFrame,
    again: pd.DataFrame,
    columns: tuple[Column, ...],
    key: list[str],
    of: list[str],
    said_by: str = "images",
) -> list[Finding]:
    """Compare those published rows that share the columns ``of`` with one that was derived again, from ``said_by``."""
    derived = as_published(again, columns)
    known = set(row_keys(derived, of))
    chosen = np.array([name in known for name in row_keys(published, of)], dtype=bool)
    places = published.index[chosen]
    findings = disagreements(file, published[chosen].reset_index(drop=True), derived, columns, key, of=said_by)
    return [one if one.row is None else one._replace(row=int(places[one.row - 1]) + 1) for one in findings]


def verify(folder: Path, store: Store | None = None) -> list[Finding]:
    """Return everything that is wrong with a published folder; nothing of it is run, and no torch is needed.

    With the store of the runs it was published from, queries and worst cases are derived again, too.

    Raises:
        UserError: nothing is published there, or a file is damaged or has other columns than it should.
    """
    board = published_board(folder)
    measurements, provenance = board.measurements, read_provenance(folder)
    changed = changed_files(folder)
    absent = [name for name in BESIDE if name not in OPTIONAL and not (folder / name).exists()]
    if absent:
        return [Finding(name, None, "", "there is none; rbp publish writes it") for name in absent]
    findings = [
        *violations("measurements.csv", measurements, MEASUREMENTS),
        *violations("requested.csv", board.requested, REQUESTED),
        *violations("leaderboard.csv", board.leaderboard, leaderboard_columns(board.leaderboard.columns)),
        *violations("costs.csv", board.costs, COSTS),
        *violations("pictures.csv", board.pictures, PICTURES),
        *violations("sampling.csv", board.sampling, SAMPLING),
        *violations("trainings.csv", board.trainings, TRAININGS),
        *_repeated("leaderboard.csv", board.leaderboard),
        *_repeated("requested.csv", board.requested),
    ]
    if findings:  # what has the wrong form need not be reckoned with
        return findings + unexplained(changed, findings)
    findings = inconsistencies(measurements) + not_requested(measurements, board.requested)
    findings += derived_again(board)
    findings += false_pictures(board.pictures, measurements) + false_trainings(board.trainings, measurements)
    if provenance is None:
        findings.append(Finding(PROVENANCE, None, "", "there is none; rbp publish writes it"))
        return findings + unexplained(changed, findings)
    if (folder / EXAMPLES).exists():
        from robustbench_pix.results.published.examples import contradictions

        findings += contradictions(folder, measurements, provenance)
    findings += contradicting_origins(measurements, board.costs, provenance)
    findings += wrong_addresses(measurements, provenance)
    findings += false_commands(provenance)
    findings += verify_images(board, folder, store) + (verify_trainings(board, store) if store else [])
    return findings + unexplained(changed, findings)


def _repeated(file: str, table: pd.DataFrame) -> list[Finding]:
    return found(file, table, table.duplicated(KEY), "recipe", "{recipe} stands there twice")


def derived_again(board: Board) -> list[Finding]:
    """Check the published tables that follow from measurements, requested rows, sampling and costs."""
    again = board.derived_again()
    columns = leaderboard_columns(board.leaderboard.columns)
    derived = as_published(again.leaderboard.reindex(columns=names(columns)), columns)
    findings = disagreements("leaderboard.csv", board.leaderboard, derived, columns, KEY)
    for file, declared in BESIDE.items():
        name = file.removesuffix(".csv").replace("-", "_")
        if name in DERIVED:
            published, expected = getattr(board, name), getattr(again, name)
            key = [name for name in (*KEY, "attack", "role", "reference") if name in names(declared)]
            if published.empty and len(expected):
                findings.append(Finding(file, None, "", "there is none; rbp publish writes it"))
            else:
                findings += disagreements(file, published, expected, declared, key)
    return findings
