"""Verify what only the outcome of every image gives: measurements, queries.csv, sampling.csv, the worst case.

The outcomes are those of the runs, else those of examples.parquet. What has none at hand is said not to be derived.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from robustbench_pix.results.board import Board, published_board
from robustbench_pix.results.checks.findings import Finding, disagreements, found
from robustbench_pix.results.checks.outcomes import (
    MODEL,
    Outcomes,
    measured_rows,
    of_images,
    query_attacks,
    query_rows,
    stored_outcomes,
)
from robustbench_pix.results.columns import MEASUREMENTS, QUERIES, SAMPLING, WORST_CASE, Column
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.published.reading import PROVENANCE
from robustbench_pix.results.published.schema import violations
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
    expected = set(query_attacks(measurements)[key].itertuples(index=False, name=None))
    there = list(queries[key].itertuples(index=False, name=None))
    wrong = partial(found, "queries.csv", queries)
    return [
        *wrong(queries.duplicated(key), "strength", lambda row: f"the row of {row['attack']} stands there twice"),
        *wrong(
            [row not in expected for row in there],
            "attack",
            lambda row: f"no measurement leads to a row of {row['attack']}",
        ),
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
        again = set(sampling_table(board.settings, areas)[COVARIANCE].itertuples(index=False, name=None))
        absent = sum(key not in again for key in sampling[COVARIANCE].itertuples(index=False, name=None))
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
    file: str, published: pd.DataFrame, again: pd.DataFrame, columns: tuple[Column, ...], key: list[str], of: list[str]
) -> list[Finding]:
    """Compare those published rows that share the columns ``of`` with one that was derived again."""
    derived = as_published(again, columns)
    known = set(derived[of].itertuples(index=False, name=None))
    chosen = np.array([name in known for name in published[of].itertuples(index=False, name=None)], dtype=bool)
    places = published.index[chosen]
    findings = disagreements(file, published[chosen].reset_index(drop=True), derived, columns, key, of="images")
    return [one if one.row is None else one._replace(row=int(places[one.row - 1]) + 1) for one in findings]
