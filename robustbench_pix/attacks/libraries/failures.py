"""Errors that a library raises on images: one image does not fail the others, and a broken entry is not robustness."""

from collections import Counter

import torch

from robustbench_pix.attacks.libraries.classes import reason
from robustbench_pix.attacks.querying.oracle import BudgetSpentError
from robustbench_pix.errors import JobFailedError, UserError
from robustbench_pix.randomness import ImageKey, ImageKeys

ALONE, FAILED = 1, 2
"""Marks of an image attacked alone because its batch raised an error, and of one that raised an error alone too."""


class Failures:
    """The errors of a library's attack in one job.

    Attributes:
        marks: image -> ``ALONE`` or ``FAILED``, the worst over all strengths; other images have none.
    """

    def __init__(self, reference: str) -> None:
        self.reference, self.tried, self.raised = reference, 0, Counter[str]()
        self.marks: dict[ImageKey, int] = {}

    def record(self, error: Exception, key: ImageKey) -> None:
        """Record an error of the library on an image; errors of the harness and of the machine are raised again."""
        self.tried += 1
        raise_ours(error)
        self.raised[f"{type(error).__name__}: {reason(error)}"[:300]] += 1
        self.marks[key] = FAILED

    def succeeded(self, count: int = 1) -> None:
        """Record images that were attacked without an error."""
        self.tried += count

    def alone(self, keys: ImageKeys) -> None:
        """Record images that are attacked one by one because their batch raised an error."""
        for key in keys:
            self.marks.setdefault(key, ALONE)

    def refuse_if_all(self) -> None:
        """Fail a job in which every image raised an error.

        Raises:
            JobFailedError: with the most frequent error.
        """
        if self.tried and self.raised.total() == self.tried:
            often = self.raised.most_common(1)[0][0].replace("\n", " ")
            raise JobFailedError(f"{self.reference} failed on every image ({often})")


def raise_ours(error: Exception) -> None:
    """Raise an error again unless it is the library's own."""
    if isinstance(error, (UserError, BudgetSpentError, MemoryError, torch.OutOfMemoryError)):
        raise error
