"""Mean accuracy under corruptions as LaTeX, over all of them and by frequency."""

import pandas as pd

from robustbench_pix.leaderboard.cells import best
from robustbench_pix.leaderboard.paper.latex_blocks import BEST, HALF, Block
from robustbench_pix.leaderboard.paper.latex_columns import (
    MEASURED,
    TEXT,
    Column,
    measured_share,
    share_cell,
    table,
)

GROUPS = ("low", "medium", "high")
PREFIX = "corruption-"


def corruption_table(block: Block, accuracies: pd.DataFrame, groups: pd.DataFrame) -> str:
    """Return the table of a block; nothing where no corruption was measured.

    Args:
        block: Whose table.
        accuracies: What ``results.corruptions.accuracy_rows`` returns, of all blocks.
        groups: What ``results.corruptions.group_rows`` returns.
    """
    rows = block.of(accuracies)
    if rows.empty:
        return ""
    numbers = {name: pd.to_numeric(rows[name]) for name in ("clean", "mean", "from", "to", *GROUPS)}
    rows = rows.assign(**numbers)
    tops = {name: best(block.scored(rows)[name]) for name in ("clean", "mean", *GROUPS)}
    body = [
        [
            block.name(row["recipe"]),
            share_cell(row["clean"], best=tops["clean"]),
            measured_share(row["mean"], row["from"], row["to"], best=tops["mean"]),
            *(share_cell(row[name], best=tops[name]) for name in GROUPS),
        ]
        for row in rows.to_dict("records")
    ]
    columns = [Column("", TEXT), Column("clean"), Column("corrupted", MEASURED), *(Column(name) for name in GROUPS)]
    first = block.rows.iloc[0]
    within = groups[(groups["task"] == first["task"]) & (groups["colour"] == first["colour"])]
    counts = sorted(set(rows["corruptions"]))
    told = [
        "clean: accuracy without corruption",
        f"corrupted: mean accuracy over {' or '.join(map(str, counts))} corruptions and severities 1 to 5",
        *_members(within),
        HALF,
        BEST,
    ]
    head = [("", 3), ("by frequency", len(GROUPS))]
    return table(block.caption("Corruptions", told), block.label("corruptions"), columns, body, groups=head)


def _members(groups: pd.DataFrame) -> list[str]:
    """Return which corruptions are of low, medium and high frequency, and where the groups are divided."""
    by_group = {str(name): rows for name, rows in groups.groupby("group")}
    told = [
        f"{name}: {', '.join(attack.removeprefix(PREFIX) for attack in by_group[name]['attack'])}"
        for name in GROUPS
        if name in by_group
    ]
    low, high = groups.iloc[0][["low_up_to", "high_above"]]
    return [*told, f"low up to {low:.2f} and high above {high:.2f} of the Nyquist frequency, at severity 3"]
