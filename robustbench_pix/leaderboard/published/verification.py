"""Verify a published folder from its files alone: forms, facts, hashes, and every aggregate derived again."""

from pathlib import Path

import pandas as pd

from robustbench_pix.leaderboard.published.csv_text import as_published
from robustbench_pix.leaderboard.published.image_verification import verify_images
from robustbench_pix.leaderboard.published.publishing import (
    PROVENANCE,
    published_board,
    read_costs,
    read_pictures,
    read_provenance,
    read_table,
)
from robustbench_pix.leaderboard.published.schema import violations
from robustbench_pix.results.checks.addresses import wrong_addresses
from robustbench_pix.results.checks.consistency import inconsistencies
from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.checks.picture_checks import false_pictures
from robustbench_pix.results.checks.rederivation import disagreements
from robustbench_pix.results.columns import (
    ACROSS,
    COMPARISONS,
    COSTS,
    MEASUREMENTS,
    PICTURES,
    RECIPE_COSTS,
    ROBUSTNESS,
    names,
)
from robustbench_pix.results.frames import KEY, leaderboard_columns
from robustbench_pix.results.merging import asked_rows
from robustbench_pix.results.statistics.across import across
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.comparisons import build_comparisons
from robustbench_pix.results.statistics.recipe_costs import recipe_costs
from robustbench_pix.results.statistics.robustness import build_robustness
from robustbench_pix.runs.store import EXAMPLES, Store


def verify(folder: Path, store: Store | None = None) -> list[Finding]:
    """Return everything that is wrong with a published folder; nothing of it is run, and no torch is needed.

    With the store of the runs it was published from, queries and worst cases are derived again, too.

    Raises:
        UserError: nothing is published there, or a file is damaged or has other columns than it should.
    """
    measurements, leaderboard = published_board(folder)
    costs, pictures, provenance = read_costs(folder), read_pictures(folder), read_provenance(folder)
    columns = leaderboard_columns(leaderboard.columns)
    findings = violations("measurements.csv", measurements, MEASUREMENTS)
    findings += violations("leaderboard.csv", leaderboard, columns)
    findings += violations("costs.csv", costs, COSTS)
    findings += violations("pictures.csv", pictures, PICTURES)
    if findings:  # what has the wrong form need not be reckoned with
        return findings
    findings = inconsistencies(measurements)
    findings += _leaderboard(measurements, leaderboard)
    findings += derived_again(folder, measurements, leaderboard, costs)
    findings += false_pictures(pictures, measurements)
    if (folder / EXAMPLES).exists():
        from robustbench_pix.leaderboard.published.examples import contradictions

        findings += contradictions(folder, measurements)
    if provenance is None:
        return [*findings, Finding(PROVENANCE, None, "", "there is none; rbp publish writes it")]
    return findings + wrong_addresses(measurements, provenance) + verify_images(folder, measurements, provenance, store)


def _leaderboard(measurements: pd.DataFrame, leaderboard: pd.DataFrame) -> list[Finding]:
    columns = leaderboard_columns(leaderboard.columns)
    measured = measurements[KEY].apply(tuple, axis="columns")
    known = set(leaderboard[KEY].itertuples(index=False, name=None))
    stopped = set(leaderboard.loc[leaderboard["status"] == "not run", KEY].itertuples(index=False, name=None))
    findings = found(
        "measurements.csv",
        measurements,
        ~measured.isin(known),
        "recipe",
        lambda row: f"{row['recipe']} has no row in leaderboard.csv",
    )
    findings += found(
        "measurements.csv",
        measurements,
        measured.isin(stopped),
        "recipe",
        lambda row: f"{row['recipe']} was measured, but leaderboard.csv says that it was not run",
    )
    derived = build_leaderboard(measurements, asked_rows(leaderboard, measurements))
    derived = as_published(derived.reindex(columns=[column.name for column in columns]), columns)
    return findings + disagreements("leaderboard.csv", leaderboard, derived, columns, KEY)


def derived_again(
    folder: Path, measurements: pd.DataFrame, leaderboard: pd.DataFrame, costs: pd.DataFrame
) -> list[Finding]:
    """Check the published tables that follow from measurements and costs: robustness, comparisons, across, costs."""
    asked = asked_rows(leaderboard, measurements)
    derived = {
        "robustness.csv": (ROBUSTNESS, build_robustness(measurements, asked)),
        "comparisons.csv": (COMPARISONS, build_comparisons(measurements, asked)),
        "across.csv": (ACROSS, across(measurements, asked)),
        "recipe-costs.csv": (RECIPE_COSTS, recipe_costs(measurements, costs)),
    }
    findings = []
    for file, (columns, again) in derived.items():
        if (folder / file).exists():
            published = read_table(folder / file, columns)
            key = [name for name in (*KEY, "attack", "role", "reference") if name in names(columns)]
            findings += disagreements(file, published, as_published(again, columns), columns, key)
        elif len(again):
            findings.append(Finding(file, None, "", "there is none; rbp publish writes it"))
    return findings
