"""Whether what is said of where numbers come from agrees: in measurements.csv, costs.csv and provenance.json.

Nothing in the files says whether it is true; but one of these places cannot be changed alone.
"""

from functools import partial
from typing import Any

import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.costs import titles
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.provenance import Provenance

SOFTWARE = ("version", "torch", "device")
MACHINE = ("device", "processor")


def contradicting_origins(measurements: pd.DataFrame, costs: pd.DataFrame, provenance: Provenance) -> list[Finding]:
    """Return where versions, devices, processors and names of runs contradict each other.

    Costs of runs that no measurement names (source models, checks, rows that were replaced) are not looked at.
    """
    software, machines = ({_key(row): _made(row, names) for row in provenance["rows"]} for names in (SOFTWARE, MACHINE))
    keys = measurements[KEY].itertuples(index=False, name=None)
    stated = measurements[list(SOFTWARE)].itertuples(index=False, name=None)
    other = [key in software and one not in software[key] for key, one in zip(keys, stated, strict=True)]
    findings = found(
        "measurements.csv",
        measurements,
        other,
        SOFTWARE[0],
        lambda row: f"{row['recipe']} was not made with {_listed(row, SOFTWARE)}, as provenance.json has it",
    )
    return findings + _costs(measurements, costs, machines)


def _costs(
    measurements: pd.DataFrame, costs: pd.DataFrame, machines: dict[tuple[Any, ...], set[tuple[str, ...]]]
) -> list[Finding]:
    single = measurements[measurements["attack"] != WORST_CASE]
    called: dict[tuple[str, str], set[str]] = {}
    made: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    cells = single.drop_duplicates([*KEY, "seed", "attack"])
    records: list[dict[Any, Any]] = cells.to_dict("records")
    for cell in records:
        names, on = titles(cell, cell["seed"], cell["attack"]), machines.get(_key(cell))
        for kind, identifier in (("train", "model_id"), ("given", "model_id"), ("attack", "attack_id")):
            called.setdefault((kind, cell[identifier]), set()).update(names[kind])
            if on is not None:
                made.setdefault((kind, cell[identifier]), set()).update(on)
    attacked = {("attack", name): device for name, device in zip(cells["attack_id"], cells["device"], strict=True)}
    runs = list(costs[["kind", "id"]].itertuples(index=False, name=None))
    rows = list(zip(runs, costs["what"], costs[list(MACHINE)].itertuples(index=False, name=None), strict=True))
    wrong = partial(found, "costs.csv", costs)
    return [
        *wrong(
            [run in called and what not in called[run] for run, what, _ in rows],
            "what",
            lambda row: f"{row['what']!r} is not what measurements.csv says of {row['kind']} {row['id']}",
        ),
        *wrong(
            [run in made and machine not in made[run] for run, _, machine in rows],
            "processor",
            lambda row: f"{row['what']} did not run on {_listed(row, MACHINE)}, as provenance.json has it",
        ),
        *wrong(
            [attacked.get(run, machine[0]) != machine[0] for run, _, machine in rows],
            "device",
            lambda row: f"{row['what']} ran on another device than {row['device']}, as measurements.csv has it",
        ),
    ]


def _key(row: Any) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def _made(row: dict[str, Any], names: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {tuple(one.get(name, "") for name in names) for one in row["made_with"]}


def _listed(row: dict[str, Any], names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {row[name]}" for name in names)
