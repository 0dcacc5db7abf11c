"""What must hold between the worst case and the attacks that it is made of, whatever became of an image."""

from functools import partial
from typing import Any, get_args

import numpy as np
import pandas as pd

from robustbench_pix.catalogue.specs import Access
from robustbench_pix.identity import digest
from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.checks.outcomes import MODEL, suite_attacks
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.provenance import Provenance
from robustbench_pix.results.statistics.worst_case import SHARED, SHARES

FILE = "measurements.csv"
CELL = [*MODEL, "attack"]
FROM_ATTACKS = ("access", "attack_id", "attack_hash", *SHARED)


def contradicting_worst_cases(measurements: pd.DataFrame, provenance: Provenance) -> list[Finding]:
    """Return where worst cases contradict the attacks on the same model, or are missing.

    An image that is correct under all attacks is so under each; one that the worst case takes is taken by one of them.
    """
    expected = _expected(suite_attacks(measurements, provenance))
    table = measurements.merge(expected, how="left", on=MODEL, suffixes=("", "_expected"))
    table = table.merge(_bounds(measurements), how="left", on=[*MODEL, "strength"])
    worst = table["attack"] == WORST_CASE
    clean = table["correct"].where(table["strength"] == 0).groupby([table[name] for name in CELL], sort=False)
    kept = clean.transform("first").astype(float) - table["lost"]
    wrong = partial(found, FILE, table)
    unexplained = worst & table["n_expected"].isna()
    findings = wrong(unexplained, "attack", lambda row: f"{_model(row)} did not face two attacks or more of its suite")
    for column in ("n", *FROM_ATTACKS):
        other = worst & ~unexplained & (table[column] != table[f"{column}_expected"])
        findings += wrong(other, column, partial(_otherwise, column))
    findings += [
        *wrong(
            worst & (table["correct"].astype(float) > table["most"]),
            "correct",
            lambda row: f"{row['correct']} are more than an attack alone leaves of {_model(row)}",
        ),
        *wrong(
            worst & (table["correct"].astype(float) < kept),
            "correct",
            lambda row: f"{row['correct']} are fewer than all attacks together can leave of {_model(row)}",
        ),
    ]
    return findings + _gaps(table[worst], expected)


def _expected(cells: pd.DataFrame) -> pd.DataFrame:
    """Return what the worst case of each model has in common with its attacks; ``cells`` as ``suite_attacks`` gives."""
    cells = cells[cells["strength"].notna()]
    accesses = get_args(Access)
    models = cells.assign(n=cells["n"] // cells["repetitions"], rank=cells["access"].map(accesses.index)).groupby(
        MODEL, sort=False
    )
    told = models.agg(
        attacks=("attack", "size"),
        n=("n", "min"),
        rank=("rank", "max"),
        attack_id=("attack_id", lambda names: digest(list(names))),
        attack_hash=("attack_hash", lambda names: digest(list(names))),
        **{name: (name, "first") for name in SHARED},
    ).reset_index()
    told = told.assign(access=[accesses[rank] for rank in told["rank"]])
    return told.loc[told["attacks"] > 1, [*MODEL, "n", *FROM_ATTACKS]]


def _bounds(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return for each model and share how many images each attack leaves at most, and all together take at most.

    An attack is read at the strengths on both sides of the share: distances may fall anywhere between them.
    """
    cells = measurements[(measurements["attack"] != WORST_CASE) & measurements["strength"].notna()]
    clean = cells["correct"].where(cells["strength"] == 0).groupby([cells[name] for name in CELL], sort=False)
    lost = (cells["success_rate"].fillna(0.0) * clean.transform("first").astype(float)).round()
    cells = cells.assign(lost=lost, most=cells["correct"] // cells["repetitions"])
    largest = cells.groupby(CELL, sort=False)["strength"].transform("max")
    parts = []
    for share in SHARES:
        below = cells[cells["strength"] <= share * largest * (1 + 1e-9)].groupby(CELL, sort=False).last()
        above = cells[cells["strength"] >= share * largest * (1 - 1e-9)].groupby(CELL, sort=False).first()
        sides = below[["most", "lost"]].assign(lost=np.maximum(below["lost"], above["lost"].reindex(below.index)))
        models = sides.groupby(MODEL, sort=False).agg(most=("most", "min"), lost=("lost", "sum"))
        parts.append(models.assign(strength=share).reset_index())
    return pd.concat(parts, ignore_index=True)


def _gaps(worst: pd.DataFrame, expected: pd.DataFrame) -> list[Finding]:
    """Check that each model has its worst case at every share."""
    shares = worst.groupby(MODEL, sort=False)["strength"].agg(tuple).to_dict()
    models: list[dict[Any, Any]] = expected[MODEL].to_dict("records")
    wrong = [row for row in models if shares.get(tuple(row[name] for name in MODEL)) != SHARES]
    return [
        Finding(FILE, None, "attack", f"the worst case of {_model(row)} is not there at every share") for row in wrong
    ]


def _otherwise(column: str, row: dict[str, Any]) -> str:
    return f"{row[column]} is not what the attacks on {_model(row)} give: {row[f'{column}_expected']}"


def _model(row: dict[str, Any]) -> str:
    return f"{row['recipe']}, {row['task']}:{row['images']}, seed {row['seed']}"
