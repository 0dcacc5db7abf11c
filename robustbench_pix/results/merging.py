"""Put what is published beside new measurements: what its rows asked for, and whether both may be compared at all."""

from pathlib import Path

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.results.columns import DISTANCE_PREFIX, ROBUSTNESS_PREFIX
from robustbench_pix.results.frames import BLOCK, KEY, ROWS, typed

PROTOCOL_HASHES = ["task_hash", "suite_hash"]


def asked_rows(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a published leaderboard answers, as ``build_leaderboard`` wants them."""
    prefixes = (ROBUSTNESS_PREFIX, DISTANCE_PREFIX)
    columns = [str(name) for name in leaderboard.columns]
    order = [name.removeprefix(prefix) for prefix in prefixes for name in columns if name.startswith(prefix)]
    measured = measurements.groupby(BLOCK, sort=False)["attack"].agg(set)
    attacks = [
        ",".join(attack for attack in order if attack in measured.get(block, ()))
        for block in leaderboard[BLOCK].itertuples(index=False, name=None)
    ]
    unmeasured = leaderboard["status"].isin(["not run", "failed"])
    return typed(
        leaderboard[[*KEY, "controls", "seed_list"]].assign(
            attacks=attacks,
            status=leaderboard["status"].where(leaderboard["status"] == "not run", ""),
            note=leaderboard["note"].where(unmeasured, ""),
            remark=[_remark(text) for text in leaderboard["note"].where(~unmeasured, "")],
        ),
        ROWS,
    )


def _remark(note: str) -> str:
    """Return what a note says of a given model; it comes first, and all else in a note is found out anew.

    >>> _remark("given: net.py:small, weights 01234567; boundary: not converged"), _remark("boundary: not converged")
    ('given: net.py:small, weights 01234567', '')
    """
    first = note.partition("; ")[0]
    return first if first.startswith("given: ") else ""


def refuse_other_protocols(published: pd.DataFrame, new: pd.DataFrame, folder: Path) -> None:
    """Refuse new rows of a block whose task or suite is not what the published rows of that block were measured with.

    Raises:
        UserError: names the block and what differs.
    """
    replaced = set(new[KEY].itertuples(index=False, name=None))
    kept = [key not in replaced for key in published[KEY].itertuples(index=False, name=None)]
    for block, rows in pd.concat([published[kept], new]).groupby(BLOCK, sort=False):
        for name in PROTOCOL_HASHES:
            if rows[name].nunique() > 1:
                values = dict(zip(BLOCK, block, strict=True))
                what = "task or its data" if name == "task_hash" else "suite"
                raise UserError(
                    f"{folder} holds rows of {values['task']}:{values['images']} under the suite {values['suite']} "
                    f"that were measured with another {what}; move them away, or measure those recipes again."
                )
