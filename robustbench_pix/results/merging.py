"""Put what is published beside new measurements: which rows stay, which go, and what cannot stand together."""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.results.columns import KEY, row_keys
from robustbench_pix.runs.plan_store import Rows, combination_name

REPLACED = [name for name in KEY if name != "suite_version"]
"""A published row gives way to a new one that shares these: the recipe measured again, perhaps under a newer suite."""


def merge(published: pd.DataFrame, new: pd.DataFrame, on: Sequence[str] = tuple(REPLACED)) -> pd.DataFrame:
    """Return the published rows whose key is not among the new ones, then the new ones.

    The key is a recipe and its setting whatever the suite's version, for all tables alike; costs merge
    ``on=("kind", "id")``.
    """
    replaced = set(row_keys(new, on))
    kept = [key not in replaced for key in row_keys(published, on)]
    parts = [part for part in (published[kept], new) if not part.empty]
    return pd.concat(parts, ignore_index=True) if parts else new.reset_index(drop=True)


def refuse_other_protocols(
    published: pd.DataFrame, new: pd.DataFrame, folder: Path, tasks: dict[str, dict[str, Any]]
) -> None:
    """Refuse new rows beside published ones of the same setting that were measured by other means.

    A setting is a suite on a combination here, whatever the suite's version. Rows that are measured again are replaced.
    ``tasks`` are the tasks of the provenance by their hashes, so that it can be said what of a task differs.

    Raises:
        UserError: names the setting and what differs: the suite's version, an attack, its list of attacks, the protocol
            or the data of the task.
    """
    replaced = set(row_keys(new, REPLACED))
    kept = [key not in replaced for key in row_keys(published, REPLACED)]
    within = [name for name in REPLACED if name != "recipe"]
    fresh = dict(iter(new.groupby(within, sort=False)))
    for setting, rows in published[kept].groupby(within, sort=False):
        what = _other(rows, fresh[setting], tasks) if setting in fresh else ""
        if what:
            values = dict(zip(within, setting, strict=True))
            recipes = ", ".join(rows["recipe"].unique())
            raise UserError(
                f"{folder} holds rows of {combination_name(values)} under the suite {values['suite']} "
                f"({recipes}) that were measured with {what}; move them away, or measure those recipes again."
            )


def _other(published: pd.DataFrame, new: pd.DataFrame, tasks: dict[str, dict[str, Any]]) -> str:
    """Return in words what published rows of a setting were measured with and new ones were not, or nothing."""
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


MEASURED = ("suite_version", "task_hash", "suite_hash")
"""Where one of these differs, both rows cannot stand in one setting: see ``merging.refuse_other_protocols``."""

Key = tuple[Any, ...]
"""The values of ``merging.REPLACED``."""


class Standing(NamedTuple):
    """A published row that stays although the runs have one of the same recipe and setting, and why."""

    key: Key
    reason: str

    def __str__(self) -> str:
        row = dict(zip(REPLACED, self.key, strict=True))
        return f"{row['recipe']} on {combination_name(row)} under {row['suite']} stays as published: {self.reason}."


def refuse_other_recipes(
    published: pd.DataFrame, new: pd.DataFrame, lines: pd.DataFrame, *, folder: Path, replace: Collection[str]
) -> None:
    """Refuse new rows that bear the name of a published row and are another recipe or model, whoever published it.

    Args:
        published, new, lines: as in ``standing``.
        folder: what is published, for the error.
        replace: the names whose published rows may go.

    Raises:
        UserError: names the first such row.
    """
    theirs, measured = (dict(iter(table.groupby(REPLACED, sort=False)["recipe_hash"])) for table in (published, new))
    for key in row_keys(lines, REPLACED):
        row = dict(zip(REPLACED, key, strict=True))
        both = key in theirs and key in measured and row["recipe"] not in replace
        if both and set(theirs[key]) != set(measured[key]):
            raise UserError(
                f"{folder} holds another {row['recipe']} on {combination_name(row)} under {row['suite']} "
                f"(recipe_hash {min(theirs[key])}, here {min(measured[key])}); give yours another name, move that one "
                f"away, or let it go with rbp publish --replace {row['recipe']}."
            )


def standing(
    published: pd.DataFrame, new: pd.DataFrame, lines: pd.DataFrame, *, ours: Callable[[str], bool]
) -> list[Standing]:
    """Return the published rows that stay: those of others that measured what the new row of their name did not.

    A row is of others where one of its models is not in the runs at hand.

    Args:
        published, new: the columns ``MEASUREMENTS``.
        lines: the new rows, measured or not: the columns ``REQUESTED``.
        ours: whether the runs have the model of this ``model_id``.
    """
    theirs, measured = (dict(iter(table.groupby(REPLACED, sort=False))) for table in (published, new))
    found = []
    for key in row_keys(lines, REPLACED):
        before, now = theirs.get(key), measured.get(key)
        if before is None or all(ours(model) for model in before["model_id"].unique()):
            continue
        if now is None:
            found.append(Standing(key, "nothing was measured here"))
        elif not any(set(before[name]) != set(now[name]) for name in MEASURED):
            lacking = _cells(before) - _cells(now)
            if lacking:
                listed = ", ".join(str(seed) for seed in sorted({seed for seed, _ in lacking}))
                found.append(Standing(key, f"its attacks on seeds {listed} were not all measured here"))
    return found


def _cells(measured: pd.DataFrame) -> set[tuple[int, str]]:
    return set(row_keys(measured, ["seed", "attack"]))


def without(rows: Rows, kept: list[Standing]) -> Rows:
    """Return the rows of plans but for those whose published row stays."""
    keys = {row.key for row in kept}
    return [row for row in rows if tuple(row.facts[name] for name in REPLACED) not in keys]
