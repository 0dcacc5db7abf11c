"""The terminal's tables of queries hold the numbers of queries.csv."""

import io

import numpy as np
from rich.console import Console

from robustbench_pix.attacks.recorded import CHECKPOINTS
from robustbench_pix.leaderboard.terminal.rich_tables import render_queries
from tests.leaderboard.paper_board import queries

BLOCKS = "▁▂▃▄▅▆▇█"


def shown(table):
    """Return (recipe, cells of the first line, cells of the second) of every row, over all attacks."""
    console = Console(file=io.StringIO(), width=100)
    console.print(render_queries(table, 100))
    lines = console.file.getvalue().splitlines()
    named = set(table["recipe"])
    places = [place for place, line in enumerate(lines) if line.split()[:1] and line.split()[0] in named]
    return [(lines[place].split(), lines[place + 1].split() if place + 1 not in places else []) for place in places]


def test_cells_are_those_at_the_middle_strength():
    table = queries()
    rows = table[table["strength"] == 1.0].sort_values("attack", kind="stable").to_dict("records")
    for row, (first, second) in zip(rows, shown(table), strict=True):
        successes = [f"{row[f'success_at_{count}']:.3f}".lstrip("0") for count in (100, 1_000)]
        budget = f"{row['query_budget']:,}"
        median = f">{budget}" if np.isnan(row["median_queries"]) else "700"
        end = f"{row['found'] / row['n']:.3f}".lstrip("0")
        known = [row[f"distance_at_{count}"] for count in (100, 1_000) if row["attack"] == "boundary"]
        distances = ["–" if np.isnan(distance) else f"{distance:.2f}" for distance in known]
        assert first[:-1] == [row["recipe"], f"{row['n']:,}", *successes, end, *distances, median, "600"]
        high = f">{budget}" if np.isnan(row["median_high"]) else "1,000"
        assert second == ([] if median.startswith(">") else [f"500–{high}"])
        known = [count for count in CHECKPOINTS if count <= 1_000]
        even = np.geomspace(known[0], known[-1], 12)
        values = np.interp(np.log(even), np.log(known), [row[f"success_at_{count}"] for count in known])
        assert first[-1] == "".join(BLOCKS[max(round(8 * value), 1) - 1] for value in values)
