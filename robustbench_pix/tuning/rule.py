"""The rule: of the points that keep the clean accuracy, the one with the largest mean accuracy under noise."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pandas as pd

from robustbench_pix.tuning.grid import Point

KEEPS = ("0.9", "0.99")
"""The share of the clean accuracy of ``unregularized`` to keep: the paper's, and a stricter one."""


@dataclass(frozen=True)
class Accuracy:
    """Accuracies on validation images, means over the tuning seeds, exact so that no rounding decides.

    Attributes:
        clean: in [0, 1], without noise.
        noise: in [0, 1], mean over the sizes of the noise above 0.
    """

    clean: Fraction
    noise: Fraction


@dataclass(frozen=True)
class Outcome:
    """A point of a search: its accuracies, or in words why it cannot be trained."""

    point: Point
    accuracy: Accuracy | None
    reason: str = ""


def read_accuracy(files: Iterable[Path]) -> Accuracy:
    """Return the accuracies of a point from the outcomes of every image, a file a seed, with ``strength, correct``."""
    clean, noise = [], []
    for file in files:
        examples = pd.read_parquet(file, columns=["strength", "correct"])
        at_zero = examples["strength"] == 0
        clean.append(_share(examples.loc[at_zero, "correct"]))
        noise.append(_share(examples.loc[~at_zero, "correct"]))
    return Accuracy(sum(clean, Fraction()) / len(clean), sum(noise, Fraction()) / len(noise))


def is_kept(outcome: Outcome, baseline: Accuracy, keep: str) -> bool:
    """Return whether a point keeps the share ``keep`` of the baseline's clean accuracy."""
    return outcome.accuracy is not None and outcome.accuracy.clean >= Fraction(keep) * baseline.clean


def ranked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes by accuracy under noise, the largest first, those without any last.

    Ties go to the larger clean accuracy, then to the point that the search states first.
    """
    lowest = Fraction(-1)
    accuracies = [outcome.accuracy or Accuracy(lowest, lowest) for outcome in outcomes]
    order = sorted(range(len(outcomes)), key=lambda place: (-accuracies[place].noise, -accuracies[place].clean, place))
    return [outcomes[place] for place in order]


def choose(outcomes: Sequence[Outcome], baseline: Accuracy, keep: str) -> Outcome | None:
    """Return the first of the ranked outcomes that keeps the clean accuracy, or None if none does."""
    return next((outcome for outcome in ranked(outcomes) if is_kept(outcome, baseline, keep)), None)


def _share(correct: "pd.Series[bool]") -> Fraction:
    return Fraction(int(correct.sum()), len(correct))
