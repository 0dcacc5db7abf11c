"""Put what is published beside new measurements: what its rows asked for, and whether both may be compared at all."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.results.columns import DISTANCE_PREFIX, ROBUSTNESS_PREFIX
from robustbench_pix.results.frames import BLOCK, KEY, ROWS, typed

REPLACED = [name for name in KEY if name != "suite_version"]
"""A published row gives way to a new one that shares these: the recipe measured again, perhaps under a newer suite."""

MISSING = re.compile(r"(?:^|; )missing: ((?:[^\s;,(]+(?: \(seeds? [\d, ]+\))?(?:, )?)+)")
"""What a note says of an incomplete row, ``missing: uniform (seeds 1, 2), boundary (seed 2)``."""

ONE_MISSING = re.compile(r"([^\s;,(]+)(?: \(seeds? ([\d, ]+)\))?")

FOUND_OUT = ("missing: ", "gradients: ", "nothing measured yet")
"""How those parts of a note begin that follow from the measurements; so do flags, with the name of their attack."""


def asked_rows(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a published leaderboard answers, as ``build_leaderboard`` wants them.

    Whatever was measured of a row was asked for, and so was what its note calls missing.
    """
    prefixes = (ROBUSTNESS_PREFIX, DISTANCE_PREFIX)
    columns = [str(name) for name in leaderboard.columns]
    order = [name.removeprefix(prefix) for prefix in prefixes for name in columns if name.startswith(prefix)]
    gaps = [_missing(note) for note in leaderboard["note"]]
    blocks = list(leaderboard[BLOCK].itertuples(index=False, name=None))
    known: dict[tuple[object, ...], set[str]] = {}
    for block, attacks in measurements.groupby(BLOCK, sort=False)["attack"].agg(set).items():
        known.setdefault(tuple(block), set()).update(attacks)  # type: ignore[arg-type]
    for block, gap in zip(blocks, gaps, strict=True):
        known.setdefault(block, set()).update(gap)
    seeds = measurements.groupby(KEY, sort=False)["seed"].agg(set).to_dict()
    keys = leaderboard[KEY].itertuples(index=False, name=None)
    unmeasured = leaderboard["status"].isin(["not run", "failed"])
    return typed(
        leaderboard[[*KEY, "controls"]].assign(
            seed_list=[
                _seed_list(text, seeds.get(key, ()), gap)
                for key, text, gap in zip(keys, leaderboard["seed_list"], gaps, strict=True)
            ],
            attacks=[",".join(attack for attack in order if attack in known[block]) for block in blocks],
            status=leaderboard["status"].where(leaderboard["status"] == "not run", ""),
            note=leaderboard["note"].where(unmeasured, ""),
            remark=[_remark(text, order) for text in leaderboard["note"].where(~unmeasured, "")],
        ),
        ROWS,
    )


def _missing(note: str) -> dict[str, list[int]]:
    """Return the attacks that a note calls missing, with the seeds.

    >>> _missing("given: net.py; missing: uniform (seeds 1, 2), boundary; uniform: not converged")
    {'uniform': [1, 2], 'boundary': []}
    """
    said = MISSING.search(note)
    parts = ONE_MISSING.findall(said[1]) if said else []
    return {attack: [int(seed) for seed in seeds.split(",") if seed.strip()] for attack, seeds in parts}


def _seed_list(stated: str, measured: Iterable[int], gaps: dict[str, list[int]]) -> str:
    seeds = {int(seed) for seed in stated.split(",") if seed} | {int(seed) for seed in measured}
    return ",".join(map(str, sorted(seeds.union(*gaps.values()))))


def _remark(note: str, attacks: Sequence[str]) -> str:
    """Return what a note says that does not follow from the measurements, which comes first.

    >>> _remark("given: net.py:small, weights 01234567; boundary: not converged", ["boundary"])
    'given: net.py:small, weights 01234567'
    """
    derived = (*FOUND_OUT, *(f"{attack}: " for attack in attacks))
    parts = note.split("; ")
    own = next((place for place, part in enumerate(parts) if part.startswith(derived)), len(parts))
    return "; ".join(parts[:own])


def refuse_other_protocols(
    published: pd.DataFrame, new: pd.DataFrame, folder: Path, tasks: dict[str, dict[str, Any]]
) -> None:
    """Refuse new rows beside published ones of the same block that were measured by other means.

    A block is a suite on a combination here, whatever the suite's version. Rows that are measured again are replaced.
    ``tasks`` are the tasks of the provenance by their hashes, so that it can be said what of a task differs.

    Raises:
        UserError: names the block and what differs: the suite's version, an attack, its list of attacks, the protocol
            or the data of the task.
    """
    replaced = set(new[REPLACED].itertuples(index=False, name=None))
    kept = [key not in replaced for key in published[REPLACED].itertuples(index=False, name=None)]
    within = [name for name in REPLACED if name != "recipe"]
    fresh = dict(iter(new.groupby(within, sort=False)))
    for block, rows in published[kept].groupby(within, sort=False):
        what = _other(rows, fresh[block], tasks) if block in fresh else ""
        if what:
            values = dict(zip(within, block, strict=True))
            recipes = ", ".join(rows["recipe"].unique())
            raise UserError(
                f"{folder} holds rows of {values['task']}:{values['images']} under the suite {values['suite']} "
                f"({recipes}) that were measured with {what}; move them away, or measure those recipes again."
            )


def _other(published: pd.DataFrame, new: pd.DataFrame, tasks: dict[str, dict[str, Any]]) -> str:
    """Return in words what published rows of a block were measured with and new ones were not, or nothing."""
    versions = [sorted(rows["suite_version"].unique()) for rows in (published, new)]
    if versions[0] != versions[1]:
        return f"version {_listed(versions[0])} of the suite and not {_listed(versions[1])}"
    hashes = [set(rows["task_hash"]) for rows in (published, new)]
    if hashes[0] != hashes[1]:
        return _other_task(*(tasks.get(min(names), {}) for names in hashes))
    if set(published["suite_hash"]) == set(new["suite_hash"]):
        return ""
    before, now = (rows.groupby("attack", sort=False)["attack_hash"].agg(set) for rows in (published, new))
    common = [attack for attack in before.index if attack in now.index]
    changed = [attack for attack in common if before[attack] != now[attack]]
    return f"another {_listed(changed)}" if changed else "another list of attacks in the suite"


def _other_task(published: dict[str, Any], new: dict[str, Any]) -> str:
    """Return in words how two tasks of a provenance differ; ``{}`` is one of which nothing is known.

    >>> _other_task({"task": {"dataset": "01", "colour": "gray"}}, {"task": {"dataset": "02", "colour": "gray"}})
    'other data (digest 01 and not 02)'
    """
    if not published or not new:
        return "another protocol of the task, or other data"
    before, now = published["task"], new["task"]
    if before["dataset"] != now["dataset"]:
        return f"other data (digest {before['dataset']} and not {now['dataset']})"
    fields = {**before, **before.get("training", {})}, {**now, **now.get("training", {})}
    changed = [name for name in fields[1] if fields[0].get(name) != fields[1][name] and name != "training"]
    return f"another protocol of the task ({_listed(changed) or 'another numerics version of the engine'})"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
