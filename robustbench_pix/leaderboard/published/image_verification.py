"""Verify what the counts of measurements.csv alone do not give: queries.csv and the worst case over the attacks.

Both are derived again where it is known what became of every image: from the runs, else from examples.parquet. What
holds between them and the counts is checked of all. Runs give every measurement again.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from robustbench_pix.leaderboard.published.csv_text import as_published
from robustbench_pix.leaderboard.published.publishing import published_board, read_queries
from robustbench_pix.leaderboard.published.schema import violations
from robustbench_pix.results.checks.findings import Finding
from robustbench_pix.results.checks.outcomes import (
    MODEL,
    Outcomes,
    asked_attacks,
    measured_rows,
    query_rows,
    stored_outcomes,
    worst_case_rows,
)
from robustbench_pix.results.checks.query_facts import contradicting_queries
from robustbench_pix.results.checks.rederivation import disagreements
from robustbench_pix.results.checks.worst_case_facts import contradicting_worst_cases
from robustbench_pix.results.columns import MEASUREMENTS, QUERIES, WORST_CASE, Column
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.provenance import Provenance
from robustbench_pix.runs.store import EXAMPLES, Store


def verify_images(
    folder: Path, measurements: pd.DataFrame, provenance: Provenance, store: Store | None
) -> list[Finding]:
    """Return what is wrong with queries.csv and with the worst-case rows of measurements.csv.

    With the store of the runs all measurements of its attacks are derived again.

    Raises:
        UserError: queries.csv or examples.parquet is damaged or has other columns than it should.
    """
    queries = read_queries(folder)
    findings = violations("queries.csv", queries, QUERIES)
    if findings:
        return findings
    findings = contradicting_queries(queries, measurements, provenance)
    findings += contradicting_worst_cases(measurements, provenance)
    outcomes = _outcomes(folder, measurements, store)
    again = query_rows(measurements, provenance, outcomes)
    findings += _compared("queries.csv", queries, again, QUERIES, [*KEY, "strength", "attack"], [*KEY, "attack"])
    worst = measurements[measurements["attack"] == WORST_CASE]
    again = worst_case_rows(measurements, provenance, outcomes)
    findings += _compared("measurements.csv", worst, again, MEASUREMENTS, [*MODEL, "strength", "attack"], MODEL)
    return findings + (_measured(measurements, store) if store else [])


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
    measurements, _ = published_board(folder)
    outcomes = _outcomes(folder, measurements, store)
    models = measurements.loc[measurements["attack"] == WORST_CASE, MODEL].drop_duplicates()
    parts = []
    for what, rows, of in (
        ("{} of {} attacks in queries.csv", asked_attacks(measurements), [*KEY, "attack"]),
        ("{} of {} worst cases", measurements[measurements["attack"] != WORST_CASE].merge(models, on=MODEL), MODEL),
    ):
        known = rows["attack_id"].isin(set(outcomes)).groupby([rows[name] for name in of], sort=False).all()
        parts += [what.format((~known).sum(), len(known))] if not known.all() else []
    if not parts:
        return ""
    return (
        f"Only compared with the counts, and not derived again: {' and '.join(parts)}. That takes what became of every "
        f"image: --runs WORKSPACE, or {EXAMPLES}, which rbp publish --examples writes."
    )


def _outcomes(folder: Path, measurements: pd.DataFrame, store: Store | None) -> Outcomes:
    """Return the outcomes of images that are at hand, those of runs before published ones."""
    found: Outcomes = {}
    if (folder / EXAMPLES).exists():
        from robustbench_pix.leaderboard.published.examples import published_outcomes

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
