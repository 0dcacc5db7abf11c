"""The recipe ``parseval``: matrices with orthonormal rows (Cisse et al. 2017, arXiv 1704.08847).

Their retraction after each update is a gradient step of this penalty. For a matrix with more rows than columns, whose
rows cannot be orthonormal, the columns are meant: ours.
"""

import torch
from torch import Tensor

from robustbench_pix.recipes.contract import Recipe, Step


class Parseval(Recipe):
    """Half of the sum over matrices and kernels, (out, in k k), of ||W W^T - 1||_F^2."""

    def penalty(self, step: Step) -> Tensor:
        """Return the penalty of all matrices and kernels."""
        return torch.stack([distance_from_isometry(weight.flatten(1)) for weight in step.weights.values()]).sum() / 2


def distance_from_isometry(matrix: Tensor) -> Tensor:
    """Return ||W W^T - 1||_F^2, or ||W^T W - 1||_F^2 for more rows than columns."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    gram = wide @ wide.T
    return (gram - torch.eye(len(gram), device=gram.device, dtype=gram.dtype)).square().sum()
