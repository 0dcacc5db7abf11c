"""The recipe ``spectral-norm``: small largest singular values of the layers.

Yoshida and Miyato 2017 (arXiv 1705.10941) take the kernel of a convolution as a matrix. Its variant ``rep-spectral``
(arXiv 2405.17181) takes the operator norm of the convolution, leaves out the last layer, and begins late; an earlier
epoch may be the one that is kept, so ``burn_in`` is 0 in its file. BatchNorm undoes the scale of a convolution before
it; its own scale is not counted (ours).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.attacks.common.norms import TINY
from robustbench_pix.randomness import stream
from robustbench_pix.recipes.contract import Recipe, RecipeContext, Step
from robustbench_pix.recipes.parameters import require_choice, require_number
from robustbench_pix.recipes.tools import Tools

LAYERS, OPERATORS = ("all", "representation"), ("reshaped", "convolution")
FIRST_POWER_STEPS = 20

Pair = tuple[int, int]
Operator = Callable[[Tensor, Tensor], Tensor]
"""Applies a weight to a vector."""


class Layer(NamedTuple):
    """A linear layer.

    Attributes:
        apply: the operator.
        vector: near the first right singular vector, of norm 1; changed in place.
    """

    apply: Operator
    vector: Tensor

    def power_step(self, weight: Tensor) -> None:
        """Apply the operator and its transpose, and normalize."""
        with torch.enable_grad():
            vector = self.vector.detach().requires_grad_()
            image = self.apply(weight.detach(), vector)
        (moved,) = torch.autograd.grad(image, vector, image.detach())
        self.vector.copy_(moved / torch.linalg.vector_norm(moved).clamp(min=TINY))

    def squared_norm(self, weight: Tensor) -> Tensor:
        """Return the squared norm of the vector's image: the squared largest singular value, from below."""
        return self.apply(weight, self.vector).square().sum()


class SpectralNorm(Recipe):
    """Half of the sum over layers of the squared largest singular value, by one power step a training step.

    ``operator = "convolution"`` is the operator norm of a convolution with its stride and zero padding on maps of the
    size that the task's images give; ``reshaped`` takes its kernel as a matrix (out, in k k). ``layers =
    "representation"`` leaves out the last. The penalty begins after ``burn_in``, a fraction of the epochs, rounded.
    """

    def __init__(
        self, context: RecipeContext, *, layers: str = "all", operator: str = "reshaped", burn_in: float = 0.0
    ) -> None:
        super().__init__(context)
        self.which, self.operator, self.seed = layers, operator, context.seed
        self.first_epoch = round(burn_in * context.epochs)
        self.register_buffer("begun", torch.zeros(()))
        self.layers: dict[str, Layer] = {}

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse an unknown choice, or a fraction outside [0, 1]."""
        require_choice("layers", parameters.get("layers", "all"), LAYERS)
        require_choice("operator", parameters.get("operator", "reshaped"), OPERATORS)
        require_number("burn_in", parameters.get("burn_in", 0.0), least=0, most=1)
        return None

    def begin(self, epoch: int, tools: Tools) -> None:
        """Find the layers before the first epoch; turn the penalty on once the burn-in is over."""
        if not self.layers:
            weights = {name: weight for name, weight in tools.network.named_parameters() if weight.ndim > 1}
            operators = convolutions(tools) if self.operator == "convolution" else {}
            for name in list(weights)[: -1 if self.which == "representation" else None]:
                self.layers[name] = self._layer(name, weights[name], *operators.get(name, (reshaped, None)))
                for _ in range(FIRST_POWER_STEPS):
                    self.layers[name].power_step(weights[name])
        self.get_buffer("begun").fill_(float(epoch >= self.first_epoch))

    def penalty(self, step: Step) -> Tensor:
        """Return half of the sum of squares, 0 before the burn-in is over."""
        for name, layer in self.layers.items():
            layer.power_step(step.weights[name])
        norms = [layer.squared_norm(step.weights[name]) for name, layer in self.layers.items()]
        return self.get_buffer("begun") * torch.stack(norms).sum() / 2

    def _layer(self, name: str, weight: Tensor, apply: Operator, shape: torch.Size | None) -> Layer:
        size = shape or weight[0].flatten().shape
        start = torch.from_numpy(stream("spectral-norm", self.seed, name).standard_normal(tuple(size))).to(weight)
        return Layer(apply, start / torch.linalg.vector_norm(start))


def reshaped(weight: Tensor, vector: Tensor) -> Tensor:
    """Return the product of a weight as a matrix, (out, ...), with a vector."""
    return weight.flatten(1) @ vector


def convolutions(tools: Tools) -> dict[str, tuple[Operator, torch.Size]]:
    """Return the operator of each convolution of a network by its weight's name, and the shape of what it takes."""
    found: dict[str, tuple[Operator, torch.Size]] = {}

    def watch(name: str, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found[f"{name}.weight"] = convolution(cast(nn.Conv2d, layer)), torch.Size((1, *inputs[0].shape[1:]))

    named = [(name, module) for name, module in tools.network.named_modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_pre_hook(partial(watch, name)) for name, module in named]
    try:
        with torch.no_grad():
            tools.logits(tools.as_input(tools.all_images["task"][:1]))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def convolution(layer: nn.Conv2d) -> Operator:
    """Return the linear map of a convolution, its bias left out, on maps (1, C, H, W)."""

    def apply(weight: Tensor, maps: Tensor) -> Tensor:
        stride, dilation = cast(Pair, layer.stride), cast(Pair, layer.dilation)
        return functional.conv2d(maps, weight, None, stride, cast(Pair, layer.padding), dilation, layer.groups)

    return apply
