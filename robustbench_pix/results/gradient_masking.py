"""From evidence of gradient masking to reasons in words: how many images say so, and how many may.

The shares were set between models known to be sound (on digits at most 3 of 64 images are fooled by scores alone, the
restarts disagree on 8 at most, and nothing else shows) and models made to mask them, which show on most.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

RESTARTS = ["restart_1", "restart_2", "restart_3"]

NEARER = 0.8
"""A decision attack that ends nearer than this share of the distance that gradients lead to has seen something else.
Of a sound model it ends farther away: 500 queries lead to 1.1 to 3 times the smallest distance."""

MASKED, FAILED, NO_GRADIENT = "masked", "failed", "there is no gradient"

WITHOUT_ANY = re.compile(r"no gradient on (\d+) of \1 images")

NONE_RIGHT = "failed: the model gets none of the images right, so there is nothing to check"


class Sign(NamedTuple):
    """One sign of gradient masking: on how many of how many images it shows, and whether these are too many."""

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
    """Return every sign, whether it shows or not, from the columns of ``evaluation.gradient_checks.gather``."""
    white, larger = evidence[RESTARTS].any(axis="columns"), evidence["larger"]
    agree = evidence[RESTARTS].nunique(axis="columns") == 1
    by_scores, by_transfer = (
        (~white & evidence[name]) | (~larger & evidence[f"{name}_larger"]) for name in ("square", "transfer")
    )
    questions = [
        ("black box beats white box", by_scores, 0.1, "fooled by scores, not by gradients"),
        ("transfer beats white box", by_transfer, 0.1, "fooled through another model, not by gradients"),
        ("more steps do worse", ~white & evidence["few_steps"], 0.05, "fooled by fewer steps only"),
        ("a larger radius does worse", white & ~larger, 0.05, "fooled, but not at the larger radius"),
        ("accuracy stays above 0 without bound", ~evidence["unbounded"], 0.05, "never fooled, however far"),
        ("restarts disagree", ~agree, 0.25, "fooled from some starts only"),
        (NO_GRADIENT, evidence["zero_gradient"], 0.05, ""),
        ("the loss is flat around the image", evidence["flat"], 0.05, "on a plateau of the loss"),
        ("the gradient does not point uphill", ~evidence["uphill"], 0.25, "where random steps raise the loss more"),
        ("answers change when asked again", evidence["changing"], 0.05, "answered otherwise when asked again"),
    ]
    count = len(evidence)
    found = [
        Sign(question, int(shown.sum()), count, allowed, _reason(int(shown.sum()), count, reason))
        for question, shown, allowed, reason in questions
    ]
    nearer = evidence["by_decisions"] < NEARER * evidence["by_gradients"]
    images, asked = int(nearer.sum()), int(evidence["by_decisions"].notna().sum())
    reason = _reason(images, asked, "with a nearer adversarial by decisions than by gradients")
    return [*found, Sign("decisions lead nearer than gradients", images, asked, 0.2, reason)]


def _reason(images: int, of: int, reason: str) -> str:
    return f"{images} of {of} images {reason}" if reason else f"no gradient on {images} of {of} images"


def verdict(evidence: pd.DataFrame) -> str:
    """Return ``sound``, ``masked`` with the reasons in words, or ``failed`` where no image could be looked at.

    Without a gradient on any image that is the only reason, since all others follow.
    """
    if evidence.empty:
        return NONE_RIGHT
    found = [sign for sign in signs(evidence) if sign.shows]
    whole = [sign for sign in found if sign.question == NO_GRADIENT and sign.images == sign.of]
    reasons = [sign.reason for sign in whole or found]
    return f"masked: {', '.join(reasons)}" if reasons else "sound"


def summary(verdicts: Iterable[str]) -> str:
    """Return one text for several models: how many of the checked ones show gradient masking, and why the first.

    So of checks that failed.

    >>> summary(["sound", "masked: no gradient on 60 of 60 images", ""])
    'masked in 1 of 2 models: no gradient on 60 of 60 images'
    >>> summary(["failed: out of memory", "sound"])
    'failed in 1 of 2 models: out of memory'
    >>> summary(["sound", ""]), summary(["", ""])
    ('sound', '')
    """
    checked = [text for text in verdicts if text]
    told = []
    for word in (MASKED, FAILED):
        texts = [text for text in checked if text.startswith(word)]
        told += [f"{word} in {len(texts)} of {len(checked)} models: {texts[0].partition(': ')[2]}"] if texts else []
    return ", ".join(told) or ("sound" if checked else "")


def fails(gradients: str) -> bool:
    """Return whether a verdict or a summary says that a check failed, or that there is no gradient on any image.

    >>> fails("failed: out of memory"), fails("masked in 1 of 1 models: no gradient on 60 of 60 images")
    (True, True)
    >>> fails("masked: no gradient on 9 of 60 images"), fails("sound")
    (False, False)
    """
    return doubt(gradients) == FAILED or WITHOUT_ANY.search(gradients) is not None


def doubt(gradients: str) -> str:
    """Return what a verdict or a summary says against a model: ``masked``, ``failed``, or nothing.

    >>> doubt("failed in 1 of 2 models: out of memory"), doubt("sound"), doubt("")
    ('failed', '', '')
    """
    return next((word for word in (MASKED, FAILED) if gradients.startswith(word)), "")
