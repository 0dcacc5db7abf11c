"""Attack stored models again and compare with what is published of them."""

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from robustbench_pix.devices import current
from robustbench_pix.errors import UserError
from robustbench_pix.identity import digest
from robustbench_pix.results.measuring import measure
from robustbench_pix.runs.attack_job import run_attack
from robustbench_pix.runs.job import AttackJob, recorded_job
from robustbench_pix.runs.locations import moved
from robustbench_pix.runs.store import EXAMPLES, Store

TOLERATED_SHARE = 0.01
"""Of the images, at least one. On one machine and stack counts agree exactly, elsewhere rounding moves a few."""

DIGITS = 1e-9
"""Numbers are published with ten significant digits."""


class Agreement(NamedTuple):
    """By how much one attack made again differs from its published rows, and what is tolerated."""

    title: str
    difference: float
    tolerance: float
    of: str

    @property
    def holds(self) -> bool:
        """Whether the difference is tolerated."""
        return self.difference <= self.tolerance

    def __str__(self) -> str:
        if not self.difference:
            return f"{self.title}: exactly as published"
        return f"{self.title}: differs by {self.difference:.3g} {self.of}; {self.tolerance:.3g} tolerated"


def sample(measurements: pd.DataFrame, store: Store, count: int) -> list[str]:
    """Return the attack_ids of so many published attacks that the store has, chosen by their digests."""
    found = measurements.loc[measurements["attack_id"] != "", "attack_id"].unique()
    there = [str(name) for name in found if store.has(f"attack-{name}")]
    return sorted(there, key=lambda name: digest(["sample", name]))[:count]


def attack_again(
    attack_id: str, published: pd.DataFrame, store: Store, *, data_root: Path | None, device: str
) -> Agreement:
    """Attack the stored model of a published attack again, in a folder that is thrown away.

    Args:
        published: the rows of measurements.csv with this attack_id.
        data_root: where data sets lie now, or None where RBP_DATA says or where they lay.

    Raises:
        UserError: the run's folder is damaged or not what its name says, or its model or its data are not there.
    """
    spec = store.spec(f"attack-{attack_id}")
    job = recorded_job(spec)
    assert isinstance(job, AttackJob)
    for need in job.needs:
        if not store.has(need):
            raise UserError(f"{job.title}: the model {need} is not in {store.root}.")
    job = moved(job, store, data_root)
    with tempfile.TemporaryDirectory() as scratch, current(device):
        run_attack(job, store, Path(scratch), device=device, progress=lambda fraction: None)
        rows = pd.DataFrame(measure(pd.read_parquet(Path(scratch) / EXAMPLES), spec))
    before = published.drop_duplicates("strength").sort_values("strength", ignore_index=True)
    rows = rows.sort_values("strength", ignore_index=True)
    if len(rows) != len(before) or not (rows["n"].astype(int) == before["n"].astype(int)).all():
        raise UserError(f"{job.title}: the attack has other strengths or images than its published rows.")
    return _agreement(job.title, before, rows)


def _agreement(title: str, published: pd.DataFrame, again: pd.DataFrame) -> Agreement:
    """Compare counts of correct images; where an attack reports a distance only, that."""
    if published["correct"].isna().all():
        before, now = (float(rows["median_squared_l2_per_pixel"].iloc[0]) for rows in (published, again))
        shift = 0.0 if math.isclose(before, now, rel_tol=DIGITS) else abs(now / before - 1)
        return Agreement(title, shift, TOLERATED_SHARE, "of the median distance")
    images = int(published["n"].iloc[0])
    moved = int((again["correct"].astype(int) - published["correct"].astype(int)).abs().max())
    return Agreement(title, moved, max(1, int(TOLERATED_SHARE * images)), f"of {images} images at a strength")
