"""Example images: a few test images beside their judged perturbed versions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

KEPT_IMAGES = 5
"""Number of test images kept; the same for every attack on a task, which attacks others too."""


class ExampleImages:
    """The judged images of an attack for some test images, at the first repetition.

    Attributes:
        judged: test index -> float32 in [0, 1], (strengths, C, H, W).
    """

    def __init__(self, indices: np.ndarray) -> None:
        self.indices, self.judged = indices, dict[int, np.ndarray]()

    def places(self, numbers: np.ndarray, repetitions: np.ndarray) -> list[int]:
        """Return the rows of a batch, given by test index and repetition, that are kept."""
        return [int(place) for place in np.flatnonzero(np.isin(numbers, self.indices) & (repetitions == 0))]

    def add(self, numbers: np.ndarray, judged: Sequence[Tensor]) -> None:
        """Keep the images of these test indices: for each strength (indices, C, H, W)."""
        if len(numbers):
            self.judged.update(zip(numbers.tolist(), torch.stack(list(judged), dim=1).cpu().numpy(), strict=True))

    def table(self, examples: pd.DataFrame, images: Tensor) -> pd.DataFrame:
        """Return a row for each kept image: the first strength at which it is misclassified, else the largest.

        For minimal distances it is the nearest adversarial, or the image itself if none was found; an image that is
        misclassified without attack is shown unchanged.

        Args:
            examples: the table from ``evaluate``.
            images: the test images, float32 in [0, 1], (N, C, H, W).

        Returns:
            ``index, label, strength, prediction, l2, linf, height, width, original, picture``: strength is NaN for
            minimal distances, the last two are 8-bit levels in hexadecimal, row by row. They are for display; the model
            saw float32.
        """
        kept = examples[(examples["repetition"] == 0) & examples["index"].isin(self.judged)]
        lines = [self._line(kept[kept["index"] == index], images[index]) for index in sorted(self.judged)]
        return pd.DataFrame(lines)

    def _line(self, rows: pd.DataFrame, original: Tensor) -> dict[str, Any]:
        wrong = np.flatnonzero(rows["prediction"] != rows["label"])
        mistaken = rows["clean_prediction"].iloc[0] != rows["label"].iloc[0]
        place = 0 if mistaken else wrong[0] if len(wrong) else len(rows) - 1
        row = rows.iloc[place]
        index, (_, height, width) = int(row["index"]), original.shape
        before = _levels(original.cpu().numpy())
        line = {"index": index, "label": int(row["label"]), "strength": float(row["strength"])}
        if mistaken or np.isinf(row["l2"]):
            line |= {"prediction": int(row["clean_prediction"]), "l2": 0.0, "linf": 0.0}
            after = before
        else:
            line |= {"prediction": int(row["prediction"]), "l2": float(row["l2"]), "linf": float(row["linf"])}
            after = _levels(self.judged[index][place])
        return {**line, "height": height, "width": width, "original": before, "picture": after}


def _levels(image: np.ndarray) -> str:
    """Return an image in [0, 1], (C, H, W), as 8-bit levels in hexadecimal, the channels of a pixel side by side.

    >>> _levels(np.array([[[0.0, 1.0]], [[0.5, 0.2]]]))
    '0080ff33'
    """
    return np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8).tobytes().hex()
