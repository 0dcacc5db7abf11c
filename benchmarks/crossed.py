"""Boards without any effect: trainings crossed with test images, 0-or-1 outcomes, and what our rules make of them."""

from itertools import combinations
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from robustbench_pix.results.statistics.intervals import Estimate, estimate
from robustbench_pix.results.statistics.measured import RecipeResults
from robustbench_pix.results.statistics.sampling import MEAN_AUC, Influence, SettingSampling, covariances
from robustbench_pix.results.statistics.verdicts import BETTER, WORSE, Comparisons, ranks, verdicts
from robustbench_pix.results.statistics.worst_case import quadrature

STRENGTHS = np.linspace(0, 1, 11)
MIDDLE, SLOPE = 2.0, 6.0
"""Of the logit of being right: at strength 0, and what the largest strength takes from it."""


class Design(NamedTuple):
    """A board on which all recipes are the same in the population of seeds and images.

    Attributes:
        recipes, seeds, images: how many.
        few: how many images the second attack judges; the first judges all.
        training: standard deviation of a training's effect on the logit.
        correlation: of the trainings of one seed, between recipes; where negative, between two halves of the recipes.
        image: standard deviation of an image's effect, the same for all models.
        recipe_image: of an image's effect on the models of one recipe.
        training_image: of an image's effect on one model.
        skewed: whether the effects of trainings have an exponential distribution and not a normal one.
    """

    recipes: int = 6
    seeds: int = 7
    images: int = 200
    few: int = 64
    training: float = 0.15
    correlation: float = 0.0
    image: float = 1.5
    recipe_image: float = 0.5
    training_image: float = 0.5
    skewed: bool = False


class Board(NamedTuple):
    """What was drawn: scores, and the covariances over images that our rules make of it.

    ``scores`` are (recipes, seeds).
    """

    mean_aucs: NDArray[np.float64]
    sampling: SettingSampling
    recipes: list[RecipeResults]


class Found(NamedTuple):
    """What was said of a board: verdicts, whether letters or rank intervals differ, and the intervals."""

    comparisons: Comparisons
    split: bool
    mean_aucs: list[Estimate]

    @property
    def false(self) -> bool:
        """Whether any verdict, letter or interval of ranks says that recipes differ."""
        return self.split or any(one.verdict in (BETTER, WORSE) for one in self.comparisons.values())


def drawn(design: Design, random: np.random.Generator) -> Board:
    """Draw a board: a noise attack on all images, and one that ends at a distance on few of them."""
    recipes, seeds, images = design.recipes, design.seeds, design.images
    logit = MIDDLE + _trainings(design, random)[:, :, None] + random.normal(0, design.image, images)
    logit = logit + random.normal(0, design.recipe_image, (recipes, 1, images))
    logit = logit + random.normal(0, design.training_image, (recipes, seeds, images))
    weights = quadrature(STRENGTHS, 0.0)
    by_strength = logit[..., None] - SLOPE * STRENGTHS
    noise = (random.random(by_strength.shape) < expit(by_strength)) @ weights
    distance = (random.random(logit.shape)[..., None] < expit(by_strength)) @ weights
    mean_aucs, values = np.zeros((recipes, seeds)), np.zeros((recipes, seeds, images))
    for areas, judged in ((noise, images), (distance, design.few)):
        own = areas[..., :judged]
        mean = own.mean(axis=2)
        mean_aucs += mean / 2
        values[..., :judged] += (own - mean[..., None]) / 2 / np.sqrt(judged * (judged - 1))
    names = [f"r{place}" for place in range(recipes)]
    found = {name: Influence(list(range(seeds)), values[place], design.few) for place, name in enumerate(names)}
    rows = pd.DataFrame(covariances(found, MEAN_AUC)).assign(measure=MEAN_AUC)
    return Board(
        mean_aucs,
        SettingSampling(rows),
        [recipe_of(name, pd.Series(of)) for name, of in zip(names, mean_aucs, strict=True)],
    )


def judged(board: Board, *, images: bool = True) -> Found:
    """Return what our rules say of a board, with or without the variance over images."""
    sampling = board.sampling if images else SettingSampling()
    compared = verdicts(board.recipes, sampling)
    by_name = {recipe.name: recipe.mean_aucs for recipe in board.recipes}
    ranked = ranks(by_name, compared).values()
    split = any(rank.rank_low > 1 or rank.rank_high < len(by_name) for rank in ranked)
    split |= len({rank.group for rank in ranked}) > 1
    own = [estimate(of, sampling.own(MEAN_AUC, name)) for name, of in zip(by_name, board.mean_aucs, strict=True)]
    return Found(compared, split, own)


def true_score(design: Design) -> float:
    """Return the expected score of every recipe, by Gauss-Hermite quadrature (of normal effects)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    deviation = np.sqrt(
        sum(getattr(design, name) ** 2 for name in ("training", "image", "recipe_image", "training_image"))
    )
    shares = expit(MIDDLE + deviation * nodes[:, None] - SLOPE * STRENGTHS) @ quadrature(STRENGTHS, 0.0)
    return float(shares @ weights / weights.sum())


def rates(design: Design, boards: int, key: int = 0) -> dict[str, float]:
    """Return the share of boards with any false verdict, letter or rank, and of intervals that hold the truth, in %.

    Intervals are those of scores and of differences, over seeds and images, and over seeds alone. The first share is
    also given for a rule that leaves the variance over images out.
    """
    random, truth = np.random.default_rng(key), true_score(design)
    pairs = list(combinations([f"r{place}" for place in range(design.recipes)], 2))
    lines = []
    for _ in range(boards):
        board = drawn(design, random)
        found = judged(board)
        differences = [found.comparisons[pair].difference for pair in pairs]
        lines.append(
            {
                "any false verdict, letter or rank %": 100 * found.false,
                "without the variance over images %": 100 * judged(board, images=False).false,
                "mean AUC covered %": _held(found.mean_aucs, truth),
                "mean AUC, seeds alone %": _held(found.mean_aucs, truth, "seeds_"),
                "difference covered %": _held(differences, 0.0),
                "difference, seeds alone %": _held(differences, 0.0, "seeds_"),
            }
        )
    return {str(name): float(mean) for name, mean in pd.DataFrame(lines).mean().items()}


def _held(estimates: list[Estimate], truth: float, which: str = "") -> float:
    ends = [(getattr(one, f"{which}low"), getattr(one, f"{which}high")) for one in estimates]
    return 100 * float(np.mean([low <= truth <= high for low, high in ends]))


def _trainings(design: Design, random: np.random.Generator) -> NDArray[np.float64]:
    """Draw the effect of each training, (recipes, seeds), of mean 0 and the design's deviation and correlation."""
    shape, share = (design.recipes, design.seeds), abs(design.correlation)
    own = random.exponential(1, shape) - 1 if design.skewed else random.normal(0, 1, shape)
    half = np.where(np.arange(design.recipes) % 2, np.sign(design.correlation), 1.0)[:, None]
    common = half * random.normal(0, 1, (1, design.seeds))
    return np.asarray(design.training * (np.sqrt(share) * common + np.sqrt(1 - share) * own))


def recipe_of(name: str, mean_aucs: "pd.Series[float]") -> RecipeResults:
    """Return a recipe of which only name and scores are known, which is what verdicts and ranks read."""
    nothing = pd.DataFrame()
    requested = SimpleNamespace(recipe=name)
    return RecipeResults(
        requested=requested,
        attacks=[],
        taken=nothing,
        aucs=nothing,
        threats={},
        clean=nothing,
        mean_aucs=mean_aucs,
        chances=nothing,
        worst=nothing,
    )
