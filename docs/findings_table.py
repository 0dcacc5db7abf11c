"""The table of findings in README.md, from leaderboard/: ``python docs/findings_table.py`` prints it."""

import csv
from pathlib import Path

from robustbench_pix.catalogue.workspace import Workspace

PUBLISHED = Path(__file__).parent.parent / "leaderboard" / "comparisons.csv"


def findings(task: str, suite: str = "blackbox") -> list[dict[str, str]]:
    """Return the comparisons with the unregularized network on a task, best first."""
    with PUBLISHED.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["task"], row["suite"]) == (task, suite)]
    found = [row for row in rows if row["role"] == "baseline" and row["difference"]]
    return sorted(found, key=lambda row: -float(row["difference"]))


def table(task: str) -> str:
    """Return one row a recipe in Markdown: gain with its interval, adjusted p-value, detectable effect, verdict."""
    workspace = Workspace(Path(__file__).parent)
    lines = [
        "| recipe | what it adds to training | gain | p | detectable | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in findings(task):
        gain, low, high = (f"{float(row[name]):+.3f}" for name in ("difference", "low", "high"))
        p_value = "" if not row["p_adjusted"] else _p(float(row["p_adjusted"]))
        detectable = f"{float(row['detectable']):.3f}" if row["detectable"] else ""
        interval = f"{gain} [{low.removeprefix('+')}, {high.removeprefix('+')}]"
        summary = workspace.recipe(row["recipe"]).summary
        lines.append(f"| `{row['recipe']}` | {summary} | {interval} | {p_value} | {detectable} | {row['verdict']} |")
    return "\n".join(lines) + "\n"


def _p(value: float) -> str:
    return f"{value:.0e}" if value < 0.0001 else f"{value:.4f}" if value < 0.001 else f"{value:.3f}"


if __name__ == "__main__":
    print(table("digits"), end="")
