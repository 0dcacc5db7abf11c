"""Errors that a library raises on images: one image does not sink the others, and a broken entry is not robustness."""

from collections import Counter
from collections.abc import Sequence

import torch

from robustbench_pix.attacks.access import BudgetSpentError
from robustbench_pix.attacks.base import ImageKey
from robustbench_pix.attacks.engines import reason
from robustbench_pix.errors import JobFailedError, UserError

ALONE, FAILED = 1, 2
"""An image that was attacked alone since its batch raised an error; one on which an error was raised alone too."""


class Failures:
    """What a library's attack raised in one job.

    Attributes:
        marks: image -> ``ALONE`` or ``FAILED``, the worst of all strengths; the others are not in it.
    """

    def __init__(self, reference: str) -> None:
        self.reference, self.tried, self.raised = reference, 0, Counter[str]()
        self.marks: dict[ImageKey, int] = {}

    def note(self, error: Exception, key: ImageKey) -> None:
        """Note an error of the library on an image; errors of the harness and of the machine are raised again."""
        self.tried += 1
        raise_ours(error)
        self.raised[f"{type(error).__name__}: {reason(error)}"[:300]] += 1
        self.marks[key] = FAILED

    def succeeded(self, count: int = 1) -> None:
        """Note images that were attacked without an error."""
        self.tried += count

    def alone(self, keys: Sequence[ImageKey]) -> None:
        """Note images that are attacked one by one since their batch raised an error."""
        for key in keys:
            self.marks.setdefault(key, ALONE)

    def refuse_if_all(self) -> None:
        """Fail a job in which nothing but errors came of every image.

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
