"""Every claim of a block beside its references: unregularized and, for a recipe with controls, each of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import COMPARISONS
from robustbench_pix.results.frames import BLOCK, typed
from robustbench_pix.results.statistics.intervals import (
    LEVEL,
    SMALLEST_SIGN_FLIP_SAMPLE,
    detectable_difference,
    holm,
    sign_flip_p_value,
    standard_error,
    student_interval,
    student_p_value,
)
from robustbench_pix.results.statistics.measured import BASELINE, Recipe, blocks, paired

ALPHA = 1 - LEVEL
HOLM = {"p_value": "p_holm", "p_student": "p_student_holm"}
NOT_TOLD_APART = "not told apart"


def build_comparisons(measurements: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``COMPARISONS``: a row a block, recipe and reference that have a seed in common.

    Holm's corrections are over all rows of a block that have a p-value, and over nothing else. The sign-flip test needs
    no assumption but has a smallest p of 2 / 2^n, which no correction for many comparisons survives; the verdict is
    therefore by Student's t, as the intervals are, and only where the sign-flip test could be made at all.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        rows: As ``build_leaderboard`` takes them.
    """
    built: list[dict[str, Any]] = []
    for block, recipes in blocks(measurements, rows):
        facts, pairs = [], []
        for recipe, reference, role in _pairs(recipes):
            if len(seeds := paired(recipe, reference)):
                facts.append({"recipe": recipe.name, "reference": reference.name, "role": role})
                pairs.append(seeds)
        for fact, row in zip(facts, compared(pairs), strict=True):
            built.append(dict(zip(BLOCK, block, strict=True)) | fact | row)
    return typed(pd.DataFrame(built), COMPARISONS)


def compared(block: Sequence[NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Return what the paired differences of a block say, corrected for how many comparisons there are."""
    rows = [difference(differences) for differences in block]
    for name in ("p_value", "p_student"):
        known = [row for row in rows if not np.isnan(row[name])]
        for row, corrected in zip(known, holm([row[name] for row in known]), strict=True):
            row[HOLM[name]] = float(corrected)
    tested = sum(row["seeds"] >= SMALLEST_SIGN_FLIP_SAMPLE for row in rows)
    return [row | {"test": _test(row["seeds"], tested), "verdict": _verdict(row)} for row in rows]


def difference(differences: NDArray[np.float64]) -> dict[str, Any]:
    """Return what paired differences say, under the names of ``COMPARISONS``; its p-values are not corrected."""
    low, high = student_interval(differences)
    return {
        "seeds": len(differences),
        "difference": float(differences.mean()),
        "standard_error": standard_error(differences),
        "low": low,
        "high": high,
        "p_value": sign_flip_p_value(differences),
        "p_student": student_p_value(differences),
        "detectable": detectable_difference(differences),
    }


def untestable(seeds: int) -> str:
    """Return why so few seeds allow no test, or nothing where they do.

    >>> untestable(3), untestable(6)
    ('no test: 3 seeds, smallest p would be .25', '')
    """
    said = f"no test: {seeds} {'seed' if seeds == 1 else 'seeds'}, smallest p would be {short(2 / 2**seeds)}"
    return said if seeds < SMALLEST_SIGN_FLIP_SAMPLE else ""


def _pairs(recipes: list[Recipe]) -> Iterator[tuple[Recipe, Recipe, str]]:
    """Return recipe, reference and role: first every recipe beside unregularized, then those that have controls."""
    baselines = [recipe for recipe in recipes if recipe.name == BASELINE]
    for baseline in baselines:
        yield from ((recipe, baseline, "baseline") for recipe in recipes if recipe is not baseline)
    for recipe in recipes:
        yield from ((recipe, other, "control") for other in recipes if other.asked.controls == recipe.name)


def _test(seeds: int, comparisons: int) -> str:
    """Return which test was made, and whether its correction left it any chance."""
    smallest = 2 / 2**seeds * comparisons
    few = f"; smallest p_holm of {comparisons} comparisons would be {short(smallest)}" if smallest > ALPHA else ""
    return untestable(seeds) or f"sign-flip{few}"


def _verdict(row: dict[str, Any]) -> str:
    if untestable(row["seeds"]):
        return "no test"
    if row["p_student_holm"] > ALPHA:
        return NOT_TOLD_APART
    return "better" if row["difference"] > 0 else "worse"


def short(p_value: float) -> str:
    """Return a p-value with two digits and no leading zero.

    >>> short(0.0312), short(1.0)
    ('.031', '1')
    """
    return f"{p_value:.2g}".replace("0.", ".", 1)
