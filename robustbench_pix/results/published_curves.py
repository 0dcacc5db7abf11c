"""The published curves of Attias, Pehlevan, Obeid 2024 beside our own, where task, network and attack agree.

``data/published_curves.csv``, read off their figures, has a row a point: task, images, network, attack, recipe,
strength (sigma for Gaussian noise, linf for transferred FGSM, pixels in [0, 1]), accuracy (0 to 1), source. All are
means over seven seeds in Figures 2 and 3 of arXiv 2410.03952, which the column ``source`` calls the seed paper.
"""

from pathlib import Path

import pandas as pd

from robustbench_pix.results.columns import KEY
from robustbench_pix.results.statistics.measured import BASELINE

FILE = Path(__file__).parent / "data/published_curves.csv"

PAPER = "Attias et al. 2024"

PRECISION = 0.003
"""The accuracies were read off figures, to about this."""

SAME_STRENGTH = 5e-6
"""Half a unit of the last digit in which the published strengths are written."""

DISTANCES = {("cifar10", "cifar10", "resnet18", "boundary-50-steps"): {BASELINE: 2.79e-3, "thresholded": 5.98e-3}}
"""Median squared L2 norm an entry that the paper reports, by task, images, network and attack, then by recipe."""

SIMILARITY_CORRELATION = 0.83
"""Pearson's r of the similarities that a model of neurons predicts (Li et al. 2019) with S^pixel, their Figure 1."""


def read_curves() -> pd.DataFrame:
    """Return ``task, images, network, attack, recipe, strength, accuracy, source``, all of gray images."""
    curves = pd.read_csv(FILE)
    return curves.assign(source=curves["source"].str.replace("seed paper", f"{PAPER},", regex=False))


def published_for(curves: pd.DataFrame, setting: pd.Series, attack: str) -> pd.DataFrame:
    """Return the published curves to lay behind those of a setting; no rows where the paper has none.

    An unregularized model looks at no regularization data: its curve belongs to the task, whatever the images.

    Args:
        curves: As ``read_curves`` returns them.
        setting: ``task``, ``images``, ``network`` and ``colour``, among others.
        attack: Its name.
    """
    if setting["colour"] != "gray":
        return curves.iloc[:0]
    found = curves[["task", "network", "attack"]].eq([setting["task"], setting["network"], attack]).all(axis="columns")
    found &= curves["regularization_data"].eq(setting["regularization_data"]) | curves["recipe"].eq(BASELINE)
    return curves[found].drop_duplicates(["recipe", "strength"])


def sources_of(published: pd.DataFrame) -> str:
    """Return where published curves come from, in one phrase; empty where there are none.

    >>> sources_of(pd.DataFrame({"source": [f"{PAPER}, Fig. 3a", f"{PAPER}, Fig. 3b", f"{PAPER}, Fig. 3a"]}))
    'Attias et al. 2024, Fig. 3a, 3b'
    """
    figures = sorted({source.removeprefix(f"{PAPER}, Fig. ") for source in published["source"]})
    return f"{PAPER}, Fig. {', '.join(figures)}" if figures else ""


def published_distances(setting: pd.Series, attack: str) -> dict[str, float]:
    """Return the published distance of each recipe of a setting; none where the paper has none."""
    key = setting["task"], setting["regularization_data"], setting["network"], attack
    return DISTANCES.get(key, {}) if setting["colour"] == "gray" else {}


def compared(ours: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return our curves of one setting and attack with ``published``, ``difference`` (ours less theirs) and ``source``.

    Only strengths that both measured are there.
    """
    pairs = ours.merge(published[["recipe", "strength", "accuracy", "source"]], on="recipe", suffixes=("", "_there"))
    same = pairs[(pairs["strength"] - pairs["strength_there"]).abs() <= SAME_STRENGTH]
    same = same.rename(columns={"accuracy_there": "published"})
    same = same.assign(difference=same["accuracy"] - same["published"])
    same = same.sort_values(["recipe", "strength"], key=lambda values: values.replace(BASELINE, ""), kind="stable")
    columns = [*KEY, "attack", "strength", "accuracy", "standard_error", "seeds", "published", "difference", "source"]
    return same[columns].reset_index(drop=True)
