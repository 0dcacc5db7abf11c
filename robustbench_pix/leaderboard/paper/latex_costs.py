"""What recipes cost as LaTeX: seconds of training and of attacks, a table a block."""

import math

import pandas as pd

from robustbench_pix.leaderboard.paper.latex_blocks import Block
from robustbench_pix.leaderboard.paper.latex_columns import NOTHING, TEXT, WHOLE, Column, decimals, fixed, table, whole
from robustbench_pix.results.statistics.measured import BASELINE

SECONDS = {"training_seconds": "training (s)", "attack_seconds": "attacks (s)", "seconds": "together (s)"}
LEGEND = (
    "wall-clock seconds of one model, mean over models",
    "training: without the source models of transfer attacks",
    "times: training, in multiples of unregularized",
)


def cost_table(block: Block, costs: pd.DataFrame) -> str:
    """Return the table of a block; nothing where no cost is known.

    Args:
        block: Whose table.
        costs: The columns ``RECIPE_COSTS``, of all blocks.
    """
    rows = block.of(costs)
    if rows[list(SECONDS)].isna().all(axis=None):
        return ""
    places = {name: decimals(rows[name]) for name in SECONDS}
    baseline = rows.loc[rows["recipe"] == BASELINE, "training_seconds"]
    times = rows["training_seconds"] / baseline.iloc[0] if len(baseline) else baseline.reindex(rows.index)
    body = [
        [
            block.name(row["recipe"]),
            whole(str(row["seeds"])),
            *(_cell(row[name], places[name]) for name in SECONDS),
            _cell(ratio, 1),
        ]
        for row, ratio in zip(rows.to_dict("records"), times, strict=True)
    ]
    columns = [Column("", TEXT), *(Column(heading, WHOLE) for heading in ("models", *SECONDS.values(), "times"))]
    return table(block.caption("Cost", LEGEND), block.label("costs"), columns, body)


def _cell(value: float, places: int) -> str:
    return NOTHING if math.isnan(value) else whole(fixed(value, places))
