"""Networks by reference, with initial weights that depend on the seed alone, and ensembles of networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from robustbench_pix.catalogue.registries import networks
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.randomness import global_streams


def build_network(
    reference: str, folder: Path | None, parameters: dict[str, Any], *, channels: int, classes: int, seed: int
) -> nn.Module:
    """Return a freshly initialized network on the CPU; equal seeds give equal weights whatever the recipe.

    Raises:
        UserError: the reference does not exist, refuses the parameters, or has no ``features``.
    """
    build = networks.load(reference, folder)
    with global_streams("initialization", seed):
        try:
            with foreign_code():
                network = build(channels=channels, classes=classes, **parameters)
        except TypeError as error:
            raise UserError(f"The network {reference!r} refused its parameters: {error}.") from error
    if not isinstance(network, nn.Module) or not callable(getattr(network, "features", None)):
        raise UserError(
            f"The network {reference!r} must be a torch module with a method features(images) -> list of maps."
        )
    return network


def features(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the tapped feature maps of a network that ``build_network`` accepted."""
    return cast(list[Tensor], cast(Any, network).features(images))


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
