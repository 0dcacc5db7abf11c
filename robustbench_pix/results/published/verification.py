"""Verify a published folder from its files alone.

Forms, hashes, a few invariants, and two levels of derivation: every aggregate from the measurements, and these from the
outcome of every image, where it is at hand (``image_verification``).
"""

from pathlib import Path

import pandas as pd

from robustbench_pix.results.board import DERIVED, Board, published_board
from robustbench_pix.results.checks.consistency import inconsistencies, not_requested
from robustbench_pix.results.checks.findings import Finding, disagreements, found
from robustbench_pix.results.checks.origins import contradicting_origins
from robustbench_pix.results.checks.picture_checks import false_pictures
from robustbench_pix.results.checks.provenance_checks import false_commands, wrong_addresses
from robustbench_pix.results.columns import COSTS, MEASUREMENTS, PICTURES, REQUESTED, SAMPLING, names
from robustbench_pix.results.derived_columns import leaderboard_columns
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.published.image_verification import verify_images
from robustbench_pix.results.published.reading import BESIDE, OPTIONAL, PROVENANCE, read_provenance
from robustbench_pix.results.published.schema import violations
from robustbench_pix.results.published.writing import changed_files
from robustbench_pix.results.published.writing import findings as unexplained
from robustbench_pix.runs.store import EXAMPLES, Store


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
        *_repeated("leaderboard.csv", board.leaderboard),
        *_repeated("requested.csv", board.requested),
    ]
    if findings:  # what has the wrong form need not be reckoned with
        return findings + unexplained(changed, findings)
    findings = inconsistencies(measurements) + not_requested(measurements, board.requested)
    findings += derived_again(board)
    findings += false_pictures(board.pictures, measurements)
    if provenance is None:
        findings.append(Finding(PROVENANCE, None, "", "there is none; rbp publish writes it"))
        return findings + unexplained(changed, findings)
    if (folder / EXAMPLES).exists():
        from robustbench_pix.results.published.examples import contradictions

        findings += contradictions(folder, measurements, provenance)
    findings += contradicting_origins(measurements, board.costs, provenance)
    findings += wrong_addresses(measurements, provenance)
    findings += false_commands(provenance)
    findings += verify_images(board, folder, store)
    return findings + unexplained(changed, findings)


def _repeated(file: str, table: pd.DataFrame) -> list[Finding]:
    return found(file, table, table.duplicated(KEY), "recipe", lambda row: f"{row['recipe']} stands there twice")


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
