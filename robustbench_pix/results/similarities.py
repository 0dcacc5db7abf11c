"""How alike trained networks find images, beside how alike their pixels are: Figure 1 of the paper, in numbers.

Its published number is the correlation of similarities that a model of neurons predicts (Li et al. 2019) with S^pixel.
Ours are those of S^CNN with S^pixel, and of the neural target, where a recipe has one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import Column
from robustbench_pix.results.frames import BLOCK
from robustbench_pix.runs.request import GIVEN_SEED

Matrix = NDArray[np.float64]

COMBINATION = [name for name in BLOCK if name not in ("suite", "suite_version", "protocol")]
"""What models must share to be compared; no suite matters to a similarity."""

CORRELATIONS = (
    *(Column(name, "text", "As in measurements.csv") for name in COMBINATION),
    Column("recipe", "text", "Whose networks, or whose neural target"),
    Column("seed", "integer", "Of the network; empty for a target, which has none"),
    Column("similarity", "text", "S^CNN, of a network, or S^target, of a neural target"),
    Column("images_compared", "integer", "The first so many regularization images; every pair of them counts"),
    Column("correlation", "number", "Pearson's r with S^pixel over the pairs; empty where a similarity is constant"),
)
"""The columns of similarity.csv."""


class Similarities(NamedTuple):
    """The similarities of a combination's first regularization images, each (images, images) in [-1, 1].

    Attributes:
        block: what is compared, ``COMBINATION``.
        pixel: S^pixel.
        networks: S^CNN by recipe, then by seed.
        targets: the similarities of neural responses, by the recipe that pulls towards them.
        left_out: a sentence for each neural target that could not be read.
    """

    block: "pd.Series[str]"
    pixel: Matrix
    networks: dict[str, dict[int, Matrix]]
    targets: dict[str, Matrix]
    left_out: list[str]


def trained_models(measurements: pd.DataFrame) -> Iterator[tuple["pd.Series[str]", pd.DataFrame]]:
    """Yield the combinations of measurements with their models: ``recipe``, ``seed``, ``model_id`` and more, sorted.

    Where suites were run with different versions of a recipe, the last one counts. Given models have no row.
    """
    trained = measurements[measurements["seed"] != GIVEN_SEED].drop_duplicates([*COMBINATION, "recipe", "model_id"])
    for values, rows in trained.groupby(COMBINATION):
        last = rows.groupby("recipe", sort=False)[["recipe_hash", "task_hash"]].transform("last")
        models = rows[(rows[["recipe_hash", "task_hash"]] == last).all(axis="columns")]
        yield pd.Series(dict(zip(COMBINATION, values, strict=True))), models.sort_values(["recipe", "seed"])


def pairs(similarity: Matrix) -> Matrix:
    """Return the similarities of the pairs i < j, (images * (images - 1) / 2,)."""
    return similarity[np.triu_indices(len(similarity), k=1)]


def correlation(similarity: Matrix, pixel: Matrix) -> float:
    """Return Pearson's r of two similarities over the pairs i < j; NaN where one of them is constant.

    >>> correlation(np.array([[1, 0, .5], [0, 1, .1], [.5, .1, 1]]), np.array([[1, 0, 1], [0, 1, .2], [1, .2, 1]]))
    1.0
    """
    first, second = (pairs(matrix) - pairs(matrix).mean() for matrix in (similarity, pixel))
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return round(float(first @ second) / norms, 12) if norms else float("nan")


def correlations(found: list[Similarities]) -> pd.DataFrame:
    """Return the columns ``CORRELATIONS``: a row a network, then a row a neural target."""
    rows = []
    for one in found:
        networks = [("S^CNN", recipe, seed, of) for recipe, seeds in one.networks.items() for seed, of in seeds.items()]
        targets = [("S^target", recipe, None, of) for recipe, of in one.targets.items()]
        for kind, recipe, seed, matrix in (*networks, *targets):
            facts = {"recipe": recipe, "seed": seed, "similarity": kind, "images_compared": len(one.pixel)}
            rows.append({**one.block, **facts, "correlation": correlation(matrix, one.pixel)})
    return pd.DataFrame(rows).astype({"seed": "Int64"})


def by_clusters(similarity: Matrix) -> NDArray[np.intp]:
    """Return the images in an order in which similar ones stand beside each other.

    Average linkage of 1 - similarity, its leaves turned so that neighbours are as similar as can be (scipy).
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    return np.asarray(leaves_list(linkage(1 - pairs(similarity), "average", optimal_ordering=True)), dtype=np.intp)
