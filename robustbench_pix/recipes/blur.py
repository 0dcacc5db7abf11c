"""The recipe ``blur``: a fixed Gaussian blur before the first layer (Li et al. 2023, PLOS Comput Biol e1010932)."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.networks.front_end import FrontEnd
from robustbench_pix.recipes.contract import Recipe, RecipeContext
from robustbench_pix.recipes.parameters import require_number

HALF_SIZE_IN_SIGMAS = 2.5


def gaussian_blur(images: Tensor, kernel: Tensor) -> Tensor:
    """Return images, (N, C, H, W), convolved along both axes with a kernel of odd length; they go on periodically."""
    half = len(kernel) // 2
    for axis in (2, 3):
        length = images.shape[axis]
        places = torch.arange(-half, length + half, device=images.device) % length
        shape = (-1, 1) if axis == 2 else (1, -1)
        weights = kernel.to(images.dtype).view(1, 1, *shape).expand(images.shape[1], 1, *kernel.view(shape).shape)
        images = functional.conv2d(images.index_select(axis, places), weights, groups=images.shape[1])
    return images


def gaussian_kernel(sigma: float) -> Tensor:
    """Return the weights of a Gaussian, float32 (2 ceil(2.5 sigma) + 1,), which sum to 1; ``sigma`` is in pixels."""
    half = math.ceil(HALF_SIZE_IN_SIGMAS * sigma)
    weights = torch.exp(-torch.arange(-half, half + 1, dtype=torch.float64).square() / (2 * sigma**2))
    return (weights / weights.sum()).float()


class BlurredNetwork(FrontEnd):
    """A network that sees blurred images."""

    def __init__(self, network: nn.Module, sigma: float) -> None:
        super().__init__(network)
        self.register_buffer("kernel", gaussian_kernel(sigma), persistent=False)

    def change(self, images: Tensor) -> Tensor:
        """Return the images blurred, (N, C, H, W)."""
        return gaussian_blur(images, self.get_buffer("kernel"))


class Blur(Recipe):
    """Train and evaluate the network behind a Gaussian blur of ``sigma`` pixels."""

    def __init__(self, context: RecipeContext, *, sigma: float = 1.5) -> None:
        super().__init__(context)

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a width that is not positive."""
        require_number("sigma", parameters.get("sigma", 1.5), least=0.01, most=100)
        return None

    @classmethod
    def network(
        cls, network: nn.Module, *, channels: int, classes: int, sigma: float = 1.5, **parameters: Any
    ) -> nn.Module:
        """Put the blur before the network."""
        return BlurredNetwork(network, sigma)
