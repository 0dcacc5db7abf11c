"""The board of the rows of plans: what their runs measured, and the example images that they kept."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.results.board import Board
from robustbench_pix.results.columns import KEY, MEASUREMENTS, REQUESTED, SAMPLING, names, typed
from robustbench_pix.results.columns import PICTURES as COLUMNS
from robustbench_pix.results.costs import costs
from robustbench_pix.results.gradient_masking import verdict
from robustbench_pix.results.inflation import attack_inflation
from robustbench_pix.results.measuring import measure
from robustbench_pix.results.provenance import empty, provenance
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.queries import query_table
from robustbench_pix.results.statistics.measured import settings
from robustbench_pix.results.statistics.sampling import sampling_table
from robustbench_pix.results.statistics.worst_case import Outcome, image_areas, outcome, worst_case, worst_case_areas
from robustbench_pix.results.trainings import training_table
from robustbench_pix.runs.plan_store import CHECK, NEAREST, PlannedRow, PlannedRun, Rows
from robustbench_pix.runs.store import EVIDENCE, EXAMPLES, NEAREST_KNOWN, PICTURES, Store


class Measured(NamedTuple):
    """The columns ``MEASUREMENTS`` and ``REQUESTED``, and ``image_areas`` of attacks and worst cases by attack_id."""

    measurements: pd.DataFrame
    requested: pd.DataFrame
    areas: dict[str, pd.DataFrame]


def board_of(rows: Rows, store: Store, catalogue: Workspace | None = None) -> Board:
    """Return the board of the rows of plans; ``catalogue`` is needed for its provenance alone."""
    found = measured(rows, store)
    sampling = sampling_table(settings(found.measurements, found.requested), found.areas)
    return Board(
        found.measurements,
        found.requested,
        as_published(sampling, SAMPLING),
        loaders={
            "queries": partial(query_table, rows, store),
            "costs": partial(costs, rows, store),
            "pictures": partial(picture_table, rows, store),
            "trainings": partial(training_table, rows, store),
        },
        origins=partial(provenance, rows, store, catalogue) if catalogue else empty,
        origin=f"From the runs in {store.root}.",
    )


def measured(rows: Rows, store: Store) -> Measured:
    """Return the measurements that are there for the cells of rows, with ten significant digits."""
    measurements: list[dict[str, Any]] = []
    areas: dict[str, pd.DataFrame] = {}
    lines = []
    for row in rows:
        reasons, gradients, nearest = [], _gradients(row, store), _nearest(row, store)
        outcomes: dict[str, list[Outcome]] = {}
        for run in row.runs:
            broken = run.damage(store)
            if broken:
                reasons.append(f"{broken}; run it again")
            elif store.has(run.run) and run.is_attack:
                measured, found, of_images = _measured(run, store, nearest.get(run.model))
                areas[measured[0]["attack_id"]] = of_images
                measurements += [_facts(row, run, gradients) | line for line in measured]
                outcomes.setdefault(run.model, []).append(found)
            elif run.run in row.failed:
                reasons.append(row.failed[run.run])
        for run in {run.model: run for run in row.runs}.values():
            all_attacks = outcomes.get(run.model, [])
            if len(all_attacks) == len(row.attacks):
                worst, of_worst = worst_case(all_attacks), worst_case_areas(all_attacks)
                measurements += [_facts(row, run, gradients) | line for line in worst]
                areas |= {} if of_worst is None else {worst[0]["attack_id"]: of_worst}
        lines.append({**row.facts, "note": row.facts["note"] or "; ".join(dict.fromkeys(reasons))})
    table = pd.DataFrame(measurements, columns=names(MEASUREMENTS))
    return Measured(as_published(table, MEASUREMENTS), as_published(pd.DataFrame(lines), REQUESTED), areas)


def _gradients(row: PlannedRow, store: Store) -> dict[str, str]:
    """Return what the checks of a row's models say, or why they failed, by the names of the models."""
    checks = [run for run in row.runs if run.attack == CHECK]
    failed = {run.model: f"failed: {row.failed[run.run]}" for run in checks if run.run in row.failed}
    there = {run.model: run.run for run in checks if run.finished(store)}
    return failed | {model: verdict(pd.read_parquet(store.file(run, EVIDENCE))) for model, run in there.items()}


def _nearest(row: PlannedRow, store: Store) -> dict[str, pd.DataFrame]:
    """Return the smallest known distances of a row's models, by the names of the models."""
    searches = [run for run in row.runs if run.attack == NEAREST and run.finished(store)]
    return {run.model: pd.read_parquet(store.file(run.run, NEAREST_KNOWN)) for run in searches}


def _facts(row: PlannedRow, run: PlannedRun, gradients: dict[str, str]) -> dict[str, Any]:
    return {
        **row.facts,
        "seed": run.seed,
        "attack": run.attack,
        "gradients": gradients.get(run.model, ""),
        "model_id": run.model.partition("-")[2],
    }


def _measured(
    run: PlannedRun, store: Store, nearest: pd.DataFrame | None
) -> tuple[list[dict[str, Any]], Outcome, pd.DataFrame]:
    spec = store.spec(run.run)
    examples = pd.read_parquet(store.file(run.run, EXAMPLES))
    attack = spec["identity"]["attack"]
    rows = measure(examples, spec, attack_inflation(examples, attack, nearest))
    return rows, outcome(rows[0], examples, attack), image_areas(examples, attack)


def picture_table(rows: Rows, store: Store) -> pd.DataFrame:
    """Return the pictures of every row, under each attack of the lowest seed that has some.

    Runs of data sets whose pictures are not ours to publish have none, and neither have those of earlier versions.
    """
    lines = [line for row in rows for line in _pictures_of(row, store)]
    return typed(pd.DataFrame(lines), COLUMNS)


def _pictures_of(row: PlannedRow, store: Store) -> Iterator[dict[str, Any]]:
    shared, done = {name: row.facts[name] for name in KEY}, set[str]()
    for run in sorted(row.finished(store), key=lambda run: run.seed):
        if not run.is_attack or run.attack in done or not store.holds(run.run, PICTURES):
            continue
        done.add(run.attack)
        of = {"seed": run.seed, "attack": run.attack, "attack_id": run.run.partition("-")[2]}
        for line in pd.read_parquet(store.file(run.run, PICTURES)).to_dict("records"):
            yield {**shared, **of, **{str(name): value for name, value in line.items()}}
