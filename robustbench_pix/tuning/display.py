"""The outcomes of a search for people: rows of a table, a heat map of two parameters, the choice in a sentence."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard.terminal.overview import shade
from robustbench_pix.tuning.planner import BASELINE, in_words
from robustbench_pix.tuning.rule import Outcome, is_kept
from robustbench_pix.tuning.search import Found

CHOSEN, DROPPED, KEPT = "*", "x", " "
"""Marks of a cell of the heat map."""

LEGEND = "mean accuracy under noise; * chosen, x does not keep the clean accuracy, - not searched"


def rows(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return one row a point of each recipe, the best first, below that of ``unregularized``.

    Parameters that a recipe does not search are None.
    """
    names = list(dict.fromkeys(name for one in found for name in one.search))
    baselines = [_baseline(one, names) for one in found[:1]]
    return baselines + [_row(one, outcome, names) for one in found for outcome in one.outcomes]


def heat_map(found: Found) -> Table | None:
    """Return a table of the accuracy under noise, the first of two parameters down and the last across, or None.

    Its numbers and marks say all without colour. There is none for more parameters, or without a grid.
    """
    if len(found.search) > 2 or found.config.trials is not None:
        return None
    *downs, (across, acrosses) = found.search.items()
    outcomes = {tuple(repr(one.point[name]) for name in found.search): one for one in found.outcomes}
    values = [float(one.accuracy.noise) for one in found.outcomes if one.accuracy]
    table = Table(box=None, padding=(0, 0), pad_edge=False)
    table.add_column("".join(f"{down} (down), " for down, _ in downs) + across)
    for value in acrosses:
        table.add_column(f" {value} ", justify="right")
    for first in product(*(values_of for _, values_of in downs)):
        at = tuple(repr(value) for value in first)
        cells = [_cell(outcomes.get((*at, repr(second))), found, values) for second in acrosses]
        table.add_row(Text(", ".join(map(str, first)), justify="right"), *cells)
    return table


def sentence(found: Found) -> str:
    """Return the choice, or that no point keeps the clean accuracy, in one sentence."""
    share = f"{found.config.keep} of the clean accuracy of unregularized, {float(found.baseline.clean):.4f}"
    chosen, total = found.chosen, len(found.outcomes)
    if chosen is None or chosen.accuracy is None:
        return (
            f"{found.recipe.name}: none of {total} points keeps {share}, so nothing is chosen; a --grid of weaker "
            "parameters may hold one that does."
        )
    return (
        f"{found.recipe.name}: {in_words(chosen.point)} is chosen, with the largest mean accuracy under noise, "
        f"{float(chosen.accuracy.noise):.4f}, of the {len(found.kept)} of {total} points that keep {share}."
    )


def _baseline(found: Found, names: Sequence[str]) -> dict[str, Any]:
    accuracies = {"clean": float(found.baseline.clean), "noise": float(found.baseline.noise)}
    unsearched = dict.fromkeys(names)
    return {"recipe": BASELINE, **unsearched, **accuracies, "kept": True, "chosen": False, "note": "the reference"}


def _row(found: Found, outcome: Outcome, names: Sequence[str]) -> dict[str, Any]:
    accuracy = outcome.accuracy
    return {
        "recipe": found.recipe.name,
        **{name: outcome.point.get(name) for name in names},
        "clean": float(accuracy.clean) if accuracy else None,
        "noise": float(accuracy.noise) if accuracy else None,
        "kept": is_kept(outcome, found.baseline, found.config.keep),
        "chosen": outcome is found.chosen,
        "note": f"it {outcome.reason}" if outcome.reason else "",
    }


def _cell(outcome: Outcome | None, found: Found, values: Sequence[float]) -> Text:
    if outcome is None or outcome.accuracy is None:
        return Text(" - ", justify="right")
    noise = float(outcome.accuracy.noise)
    mark = CHOSEN if outcome is found.chosen else KEPT if outcome in found.kept else DROPPED
    return Text(f" {noise:.3f}{mark}", style=shade(noise, min(values), max(values)), justify="right")
