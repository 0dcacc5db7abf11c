"""What became of every image under published attacks, and the rows that no count of measurements.csv gives back."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.results.columns import KEY, MEASUREMENTS, MODEL, QUERIES, WORST_CASE, typed
from robustbench_pix.results.gradient_masking import verdict
from robustbench_pix.results.inflation import attack_inflation
from robustbench_pix.results.measuring import measure
from robustbench_pix.results.provenance import Provenance
from robustbench_pix.results.queries import ACCESSES, attack_lines
from robustbench_pix.results.statistics.worst_case import image_areas, outcome, worst_case, worst_case_areas
from robustbench_pix.runs.identities import AttackIdentity, NearestIdentity
from robustbench_pix.runs.store import EVIDENCE, EXAMPLES, NEAREST_KNOWN, Store

Outcomes = Mapping[str, Callable[[], pd.DataFrame]]
"""From an attack_id to what reads its examples, as ``evaluate`` returns them."""


class _Read(NamedTuple):
    """An attack on a model: its first row of measurements.csv, what became of every image, its specification."""

    row: dict[Any, Any]
    examples: pd.DataFrame
    spec: dict[str, Any]


OF_MODEL = [*MODEL, "gradients", "model_id", "recipe_hash", "task_hash", "suite_hash"]


def stored_outcomes(attack_ids: Iterable[str], store: Store) -> Outcomes:
    """Return the outcomes of those attacks that a store has, undamaged."""
    there = [name for name in attack_ids if store.has(f"attack-{name}") and store.damage(f"attack-{name}") is None]
    return {name: partial(pd.read_parquet, store.file(f"attack-{name}", EXAMPLES)) for name in there}


def query_attacks(measurements: pd.DataFrame) -> pd.DataFrame:
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
    for key, rows in query_attacks(measurements).groupby([*KEY, "attack"], sort=False):
        runs = rows.drop_duplicates("attack_id").to_dict("records")
        read = [one for run in runs if (one := _of_attack(run, provenance, outcomes)) is not None]
        if len(read) == len(runs):
            named = dict(zip([*KEY, "attack"], key, strict=True))
            lines += [named | line for line in attack_lines([one.examples for one in read], read[0].spec)]
    return typed(pd.DataFrame(lines), QUERIES)


def measured_rows(measurements: pd.DataFrame, store: Store) -> pd.DataFrame:
    """Return the rows of measurements.csv of the attacks that a store has, but for the worst case.

    The hashes of the model are repeated. So are the verdict on its gradients and the distance inflation, with the flag
    that follows from it, where the store has no check and no smallest known distances.
    """
    lines: list[dict[str, Any]] = []
    checked = _checked_gradients(store)
    attacks = measurements[measurements["attack"] != WORST_CASE].drop_duplicates([*MODEL, "attack"])
    outcomes = stored_outcomes(attacks["attack_id"].unique(), store)
    for row in attacks[attacks["attack_id"].isin(set(outcomes))].to_dict("records"):
        named = {name: row[name] for name in (*OF_MODEL, "attack")}
        if row["gradients"] and (verdicts := checked.get(row["model_id"])) and row["gradients"] not in verdicts:
            named["gradients"] = verdicts[0]
        spec = store.spec(f"attack-{row['attack_id']}")
        examples, attack = outcomes[row["attack_id"]](), spec["identity"]["attack"]
        search = f"nearest-{NearestIdentity.of(AttackIdentity(**spec['identity'])).id}"
        inflation = row["distance_inflation"]
        if store.has(search) and store.damage(search) is None:
            inflation = attack_inflation(examples, attack, pd.read_parquet(store.folder(search) / NEAREST_KNOWN))
        lines += [named | line for line in measure(examples, spec, inflation)]
    return typed(pd.DataFrame(lines), MEASUREMENTS)


def _checked_gradients(store: Store) -> dict[str, list[str]]:
    """Return the verdicts of the checks of gradients that a store has, by model; those with other radii may differ."""
    found: dict[str, list[str]] = {}
    for run in store.runs():
        if run.startswith("check-") and store.damage(run) is None:
            said = verdict(pd.read_parquet(store.file(run, EVIDENCE)))
            found.setdefault(store.spec(run)["identity"]["model"], []).append(said)
    return found


def of_images(
    measurements: pd.DataFrame, provenance: Provenance, outcomes: Outcomes
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return what follows from the outcomes that are at hand, each read once.

    Returns:
        The worst-case rows of measurements.csv, of the models of which all outcomes are at hand; and what
        ``image_areas`` says of attacks and worst cases, by their attack_id.
    """
    lines: list[dict[str, Any]] = []
    areas: dict[str, pd.DataFrame] = {}
    for read in _suites_at_hand(measurements, provenance, outcomes):
        found = [outcome(*one) for one in read]
        areas |= {row["attack_id"]: image_areas(examples, spec) for row, examples, spec in read}
        rows, of_worst = worst_case(found), worst_case_areas(found)
        lines += [{name: read[0].row[name] for name in OF_MODEL} | line for line in rows]
        areas |= {} if of_worst is None else {rows[0]["attack_id"]: of_worst}
    cells = measurements[measurements["attack"] != WORST_CASE].drop_duplicates("attack_id")
    for row in cells[~cells["attack_id"].isin(set(areas))].to_dict("records"):
        if (one := _of_attack(row, provenance, outcomes)) is not None:
            areas[row["attack_id"]] = image_areas(one.examples, one.spec)
    return typed(pd.DataFrame(lines), MEASUREMENTS), areas


def _suites_at_hand(measurements: pd.DataFrame, provenance: Provenance, outcomes: Outcomes) -> Iterator[list[_Read]]:
    """Yield all attacks of a suite on each model of which all outcomes are at hand."""
    for _, cells in suite_attacks(measurements, provenance).groupby(MODEL, sort=False):
        read = []
        for row in cells.to_dict("records"):
            one = _of_attack(row, provenance, outcomes)
            if one is None:
                break
            read.append(one)
        else:
            yield read


def _of_attack(row: dict[Any, Any], provenance: Provenance, outcomes: Outcomes) -> _Read | None:
    """Return an attack whose outcomes are at hand and at its strengths; others are found to be forged."""
    spec = provenance["attacks"].get(row["attack_hash"])
    if spec is None or row["attack_id"] not in outcomes:
        return None
    examples = outcomes[row["attack_id"]]()
    at_its_strengths = set(examples["strength"].dropna()) in (set(), set(spec["strengths"]))
    return _Read(row, examples, spec) if at_its_strengths else None
