"""In which order each image meets the components of a composite attack, and how that order is learnt.

Hsiung et al. 2023 (arXiv 2202.04235): an order is relaxed to a doubly stochastic matrix Z, which climbs the
gradient of the loss and is normalized again by Sinkhorn's iterations; the order is the assignment of largest weight.
"""

import itertools

import torch
from torch import Tensor

SINKHORN_ITERATIONS = 20
"""That of the authors' released code."""


def doubly_stochastic(matrices: Tensor) -> Tensor:
    """Return positive matrices (N, K, K) with columns that sum to 1, nearly, and rows that do (Sinkhorn 1964)."""
    for _ in range(SINKHORN_ITERATIONS):
        matrices = matrices / matrices.sum(dim=1, keepdim=True)
        matrices = matrices / matrices.sum(dim=2, keepdim=True)
    return matrices


class Schedule:
    """The relaxed order of each image, and which orders it has tried.

    An image is given the order of largest weight among those that it has tried the fewest times: where gradients are
    too small to change the order, the authors' code adds noise until it changes.

    Args:
        uniform: numbers in (0, 1), float32 (N, K, K), from which the relaxed orders start.

    Attributes:
        weights: Z, float32 (N, K, K): how much of each component (last) stands at each place.
    """

    def __init__(self, uniform: Tensor) -> None:
        count, places = uniform.shape[:2]
        self.weights = doubly_stochastic(uniform)
        self.orders = torch.tensor(list(itertools.permutations(range(places))), device=uniform.device)
        self.tried = torch.zeros(count, len(self.orders), device=uniform.device)

    def learn(self, rows: Tensor, slopes: Tensor) -> None:
        """Climb the gradient (R, K, K) of the loss in the weights of the images ``rows`` (R,)."""
        self.weights[rows] = doubly_stochastic((self.weights[rows] + slopes).exp())

    def next(self, rows: Tensor) -> Tensor:
        """Return the components in the order of each of the images ``rows`` (R,), int64 (R, K); it counts as tried."""
        places = torch.arange(self.orders.shape[1], device=rows.device)
        weight = self.weights[rows][:, places, self.orders].sum(dim=2)
        chosen = (weight - len(places) * self.tried[rows]).argmax(dim=1)  # No weight exceeds the number of places.
        self.tried[rows, chosen] += 1
        return self.orders[chosen]
