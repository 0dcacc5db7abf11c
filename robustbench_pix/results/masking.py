"""From evidence of masked gradients to reasons in words: how many images say so, and how many may.

The shares were set between models known to be sound (on digits at most 3 of 64 images are fooled by scores alone, the
restarts disagree on 8 at most, and nothing else shows) and models made to hide their gradients, which show on most.
"""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

RESTARTS = ["restart_1", "restart_2", "restart_3"]


class Sign(NamedTuple):
    """One sign of masked gradients: on how many of how many images it shows, and whether these are too many."""

    question: str
    images: int
    of: int
    allowed_share: float
    reason: str

    @property
    def allowed(self) -> int:
        """How many images may show the sign; a single one never proves anything."""
        return max(1, int(self.allowed_share * self.of))

    @property
    def shows(self) -> bool:
        """Whether more images show the sign than may."""
        return self.images > self.allowed


def signs(evidence: pd.DataFrame) -> list[Sign]:
    """Return every sign, whether it shows or not, from the columns of ``evaluation.masking.gather``."""
    white = evidence[RESTARTS].any(axis="columns")
    agree = evidence[RESTARTS].nunique(axis="columns") == 1
    questions = [
        ("black box beats white box", ~white & evidence["square"], 0.1, "fooled by scores, not by gradients"),
        (
            "transfer beats white box",
            ~white & evidence["transfer"],
            0.1,
            "fooled through another model, not by gradients",
        ),
        ("more steps do worse", ~white & evidence["few_steps"], 0.05, "fooled by fewer steps only"),
        ("a larger radius does worse", white & ~evidence["larger"], 0.05, "fooled, but not at twice the radius"),
        ("accuracy stays above 0 without bound", ~evidence["unbounded"], 0.05, "never fooled, however far"),
        ("restarts disagree", ~agree, 0.25, "fooled from some starts only"),
        ("there is no gradient", evidence["zero_gradient"], 0.05, "without a gradient"),
        ("the loss is flat around the image", evidence["flat"], 0.05, "on a plateau of the loss"),
        ("the gradient does not point uphill", ~evidence["uphill"], 0.25, "where random steps raise the loss more"),
        ("answers change when asked again", evidence["changing"], 0.05, "answered otherwise when asked again"),
    ]
    count = len(evidence)
    return [
        Sign(question, int(shown.sum()), count, allowed, f"{int(shown.sum())} of {count} images {reason}")
        for question, shown, allowed, reason in questions
    ]


def verdict(evidence: pd.DataFrame) -> str:
    """Return ``sound``, or ``masked`` with the reasons in words."""
    reasons = [sign.reason for sign in signs(evidence) if sign.shows]
    return f"masked: {', '.join(reasons)}" if reasons else "sound"


def summary(verdicts: Iterable[str]) -> str:
    """Return one text for several models: in how many of the checked ones gradients are masked, and why in the first.

    >>> summary(["sound", "masked: 9 of 60 images without a gradient", ""])
    'masked in 1 of 2 models: 9 of 60 images without a gradient'
    >>> summary(["sound", ""]), summary(["", ""])
    ('sound', '')
    """
    checked = [text for text in verdicts if text]
    masked = [text for text in checked if text != "sound"]
    if not masked:
        return "sound" if checked else ""
    return f"masked in {len(masked)} of {len(checked)} models: {masked[0].partition(': ')[2]}"
