"""Mean accuracy under corruptions as LaTeX, over all of them and by frequency."""

import pandas as pd

from robustbench_pix.leaderboard.display import best, number, records
from robustbench_pix.leaderboard.paper.latex_columns import MEASURED, TEXT, Column, table
from robustbench_pix.leaderboard.paper.latex_settings import BEST, HALF, SettingRows

GROUPS = ("low", "medium", "high")
PREFIX = "corruption-"


def corruption_table(setting: SettingRows, accuracies: pd.DataFrame, groups: pd.DataFrame) -> str:
    """Return the table of a setting; nothing where no corruption was measured.

    Args:
        setting: Whose table.
        accuracies: What ``results.corruptions.accuracy_rows`` returns, of all settings.
        groups: What ``results.corruptions.group_rows`` returns.
    """
    rows = setting.of(accuracies)
    if rows.empty:
        return ""
    numbers = {name: pd.to_numeric(rows[name]) for name in ("clean", "mean", "from", "to", *GROUPS)}
    rows = rows.assign(**numbers).rename(columns={"from": "mean_low", "to": "mean_high"})
    tops = {name: best(setting.scored(rows)[name]) for name in ("clean", "mean", *GROUPS)}
    body = [
        [setting.name(row["recipe"]), *(number(row, name, top) for name, top in tops.items())] for row in records(rows)
    ]
    columns = [Column("", TEXT), Column("clean"), Column("corrupted", MEASURED), *(Column(name) for name in GROUPS)]
    first = setting.rows.iloc[0]
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
    return table(setting.caption("Corruptions", told), setting.label("corruptions"), columns, body, groups=head)


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
