"""Several networks as one, for attacks that are to fool all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MeanLogits(nn.Module):
    """The mean of the logits of several networks.

    Liu et al. 2017 (arXiv 1611.02770) attack the mean of the models' probabilities; Dong et al. 2018 (arXiv 1710.06081)
    compare it with the mean of losses and of logits, and find that of the logits to transfer best.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean logits, (N, classes)."""
        return torch.stack([network(images) for network in self.networks]).mean(dim=0)


def ensemble(networks: Sequence[nn.Module]) -> nn.Module:
    """Return networks as one; a single network is itself."""
    return networks[0] if len(networks) == 1 else MeanLogits(networks)
