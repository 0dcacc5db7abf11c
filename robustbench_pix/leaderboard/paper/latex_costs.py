"""What recipes cost as LaTeX: seconds of training and of attacks, a table a setting."""

import pandas as pd

from robustbench_pix.leaderboard.display import Cell, decimals, fixed_cell
from robustbench_pix.leaderboard.paper.latex_columns import TEXT, WHOLE, Column, table
from robustbench_pix.leaderboard.paper.latex_settings import SettingRows
from robustbench_pix.results.statistics.measured import BASELINE

SECONDS = {"training_seconds": "training (s)", "attack_seconds": "attacks (s)", "seconds": "together (s)"}
LEGEND = (
    "wall-clock seconds of one model, mean over models",
    "training: without the source models of transfer attacks",
    "times: training, in multiples of unregularized",
)


def cost_table(setting: SettingRows, costs: pd.DataFrame) -> str:
    """Return the table of a setting; nothing where no cost is known.

    Args:
        setting: Whose table.
        costs: The columns ``RECIPE_COSTS``, of all settings.
    """
    rows = setting.of(costs)
    if rows[list(SECONDS)].isna().all(axis=None):
        return ""
    places = {name: decimals(rows[name].max()) for name in SECONDS}
    baseline = rows.loc[rows["recipe"] == BASELINE, "training_seconds"]
    times = rows["training_seconds"] / baseline.iloc[0] if len(baseline) else baseline.reindex(rows.index)
    body = [
        [
            setting.name(row["recipe"]),
            Cell(str(row["seeds"])),
            *(fixed_cell(row[name], places[name]) for name in SECONDS),
            fixed_cell(ratio, 1),
        ]
        for row, ratio in zip(rows.to_dict("records"), times, strict=True)
    ]
    columns = [Column("", TEXT), *(Column(heading, WHOLE) for heading in ("models", *SECONDS.values(), "times"))]
    return table(setting.caption("Cost", LEGEND), setting.label("costs"), columns, body)
