"""Read the published board with pandas, and print each gain with its interval, its verdict and its controls.

python examples/read_published_board.py [FOLDER]
"""

import sys
from pathlib import Path

import pandas as pd

PUBLISHED = Path(__file__).parent.parent / "leaderboard"


def gains(folder: Path = PUBLISHED) -> pd.DataFrame:
    """Return the recipes that were measured, by their gain over the baseline."""
    board = pd.read_csv(folder / "leaderboard.csv")
    measured = board[board["gain"].notna()].sort_values("gain", ascending=False)
    return measured[["task", "recipe", "controls", "gain", "gain_low", "gain_high", "verdict"]].fillna("")


def against_controls(folder: Path = PUBLISHED) -> pd.DataFrame:
    """Return each claim beside its controls: a gain that a control shares is no evidence."""
    comparisons = pd.read_csv(folder / "comparisons.csv")
    controls = comparisons[comparisons["role"] == "control"]
    return controls[["task", "recipe", "reference", "difference", "low", "high", "p_adjusted", "verdict"]]


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED
    for title, table in (("Gains", gains(folder)), ("Claims beside their controls", against_controls(folder))):
        print(f"{title}\n{table.round(3).to_string(index=False)}\n")
