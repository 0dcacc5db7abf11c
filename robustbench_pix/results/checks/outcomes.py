"""What became of every image under published attacks, and the rows that no count of measurements.csv gives back."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from robustbench_pix.results.columns import MEASUREMENTS, QUERIES, WORST_CASE
from robustbench_pix.results.frames import KEY, typed
from robustbench_pix.results.provenance import Provenance
from robustbench_pix.results.queries import ACCESSES, attack_lines
from robustbench_pix.results.statistics.worst_case import outcome, worst_case
from robustbench_pix.results.tables import measure
from robustbench_pix.runs.store import EXAMPLES, Store

Outcomes = Mapping[str, Callable[[], pd.DataFrame]]
"""From an attack_id to what reads its examples, as ``evaluate`` returns them."""

MODEL = [*KEY, "seed"]
OF_MODEL = [*MODEL, "gradients", "model_id", "recipe_hash", "task_hash", "suite_hash"]


def stored_outcomes(attack_ids: Iterable[str], store: Store) -> Outcomes:
    """Return the outcomes of those attacks that a store has, undamaged."""
    there = [name for name in attack_ids if store.has(f"attack-{name}") and store.damage(f"attack-{name}") is None]
    return {name: partial(pd.read_parquet, store.folder(f"attack-{name}") / EXAMPLES) for name in there}


def asked_attacks(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements of decision and score attacks at strengths above 0: each is counted in queries.csv."""
    kinds = measurements["access"].isin(ACCESSES) & (measurements["attack"] != WORST_CASE)
    return measurements[kinds & (measurements["strength"] > 0)]


def suite_attacks(measurements: pd.DataFrame, provenance: Provenance) -> pd.DataFrame:
    """Return the first row of every attack on the models that all attacks of their suite attacked.

    They are sorted by model, those of a model in the order of the suite. Nothing is said of suites that the provenance
    does not hold.
    """
    orders = {name: suite["attacks"] for name, suite in provenance["suites"].items()}
    single = (measurements["attack"] != WORST_CASE) & measurements["suite_hash"].isin(orders)
    cells = measurements[single].drop_duplicates([*MODEL, "attack"])
    pairs = list(zip(cells["suite_hash"], cells["attack_hash"], strict=True))
    cells = cells[[attack in orders[suite] for suite, attack in pairs]]
    places = [orders[suite].index(attack) for suite, attack in pairs if attack in orders[suite]]
    cells = cells.assign(place=places).sort_values([*MODEL, "place"], kind="stable").drop(columns="place")
    there = cells.groupby(MODEL)["attack"].transform("size")
    return cells[there == cells["suite_hash"].map({name: len(order) for name, order in orders.items()})]


def query_rows(measurements: pd.DataFrame, provenance: Provenance, outcomes: Outcomes) -> pd.DataFrame:
    """Return the rows of queries.csv for the attacks of which all outcomes are at hand."""
    lines: list[dict[str, Any]] = []
    for key, rows in asked_attacks(measurements).groupby([*KEY, "attack"], sort=False):
        runs, spec = rows["attack_id"].unique(), provenance["attacks"].get(rows["attack_hash"].iloc[0])
        if spec is not None and all(name in outcomes for name in runs):
            named = dict(zip([*KEY, "attack"], key, strict=True))
            lines += [named | line for line in attack_lines([outcomes[name]() for name in runs], spec)]
    return typed(pd.DataFrame(lines, columns=[column.name for column in QUERIES]), QUERIES)


def measured_rows(measurements: pd.DataFrame, store: Store) -> pd.DataFrame:
    """Return the rows of measurements.csv of the attacks that a store has, but for the worst case.

    What is said of the model (its hashes, and whether it hides gradients) is repeated.
    """
    lines: list[dict[str, Any]] = []
    attacks = measurements[measurements["attack"] != WORST_CASE].drop_duplicates([*MODEL, "attack"])
    outcomes = stored_outcomes(attacks["attack_id"].unique(), store)
    for row in attacks[attacks["attack_id"].isin(set(outcomes))].to_dict("records"):
        named = {name: row[name] for name in (*OF_MODEL, "attack")}
        spec = store.spec(f"attack-{row['attack_id']}")
        lines += [named | line for line in measure(outcomes[row["attack_id"]](), spec)]
    return typed(pd.DataFrame(lines, columns=[column.name for column in MEASUREMENTS]), MEASUREMENTS)


def worst_case_rows(measurements: pd.DataFrame, provenance: Provenance, outcomes: Outcomes) -> pd.DataFrame:
    """Return the worst-case rows of measurements.csv for the models of which all outcomes are at hand."""
    lines: list[dict[str, Any]] = []
    for _, cells in suite_attacks(measurements, provenance).groupby(MODEL, sort=False):
        rows: list[dict[Any, Any]] = cells.to_dict("records")
        if all(row["attack_id"] in outcomes and row["attack_hash"] in provenance["attacks"] for row in rows):
            named = {name: rows[0][name] for name in OF_MODEL}
            found = [
                outcome(row, outcomes[row["attack_id"]](), provenance["attacks"][row["attack_hash"]]) for row in rows
            ]
            lines += [named | line for line in worst_case(found)]
    return typed(pd.DataFrame(lines, columns=[column.name for column in MEASUREMENTS]), MEASUREMENTS)
