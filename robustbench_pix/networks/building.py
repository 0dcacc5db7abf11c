"""Build the network of a task from its reference, with initial weights that depend on the seed alone."""

from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from robustbench_pix.catalogue.registries import networks
from robustbench_pix.errors import UserError
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
