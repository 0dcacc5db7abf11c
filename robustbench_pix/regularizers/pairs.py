"""Pairs i < j of N images, ranked row by row: (0, 1), (0, 2), ..., (0, N-1), (1, 2), ..."""

import torch
from torch import Tensor


def pair_count(images: int) -> int:
    """Return the number of pairs i < j.

    >>> pair_count(5000)
    12497500
    """
    return images * (images - 1) // 2


def unrank(ranks: Tensor, images: int) -> tuple[Tensor, Tensor]:
    """Return i and j of pairs by their rank; ranks (K,) int64 in 0 .. pair_count(images) - 1.

    Exact: the root is taken in float64 and corrected by one where it fell on the wrong side.

    >>> unrank(torch.tensor([0, 1, 2]), 3)
    (tensor([0, 0, 1]), tensor([1, 2, 2]))
    """
    top = 2 * images - 1
    rows = ((top - torch.sqrt((top * top - 8 * ranks).to(torch.float64))) / 2).floor().to(torch.int64)
    rows = torch.where(_before(rows, images) > ranks, rows - 1, rows)
    rows = torch.where(_before(rows + 1, images) <= ranks, rows + 1, rows)
    return rows, ranks - _before(rows, images) + rows + 1


def condensed(matrix: Tensor) -> Tensor:
    """Return the entries i < j of a square matrix in the order of their ranks, (pair_count,)."""
    rows, columns = torch.triu_indices(len(matrix), len(matrix), offset=1)
    return matrix[rows, columns]


def _before(rows: Tensor, images: int) -> Tensor:
    return rows * (2 * images - rows - 1) // 2
