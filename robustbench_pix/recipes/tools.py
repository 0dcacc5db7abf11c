"""What a recipe may ask of the engine during training: forward passes, gradients, features and random numbers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.networks.building import features
from robustbench_pix.randomness import ImageKey

FEATURES_BATCH = 256


class Tools:
    """Handed to ``begin`` and ``batch``. No forward pass made here changes the statistics of BatchNorm.

    Args:
        network: the network in training.
        images: name -> all images on the device, uint8 (N, C, H, W): of the ``task`` and of the ``regularization``.
        as_input: turns uint8 images into the network's input in [0, 1].
        seed: of the model.
        task_labels: of the task's images, int64 (N,), on the device.
    """

    def __init__(
        self,
        network: nn.Module,
        images: Mapping[str, Tensor],
        as_input: Callable[[Tensor], Tensor],
        seed: int,
        task_labels: Tensor,
    ) -> None:
        self.network, self.all_images, self.as_input, self.seed = network, images, as_input, seed
        self.task_labels = task_labels
        self.device = images["task"].device
        self.steps_taken = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.noises: dict[str, PhiloxNoise] = {}

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits of the network in eval mode, float32 (N, classes), with gradient where it is enabled."""
        with self._evaluated():
            logits: Tensor = self.network(images)
        return logits if logits.dtype == torch.float64 else logits.float()

    def gradient(self, images: Tensor, objective: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the derivative by the images of ``objective(logits)``, a scalar, in eval mode: (N, C, H, W)."""
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(self.logits(images)), images)
        return gradient

    def features(self, data: str) -> Iterator[list[Tensor]]:
        """Yield the feature maps of all images of the ``task`` or of the ``regularization``, batch by batch.

        In eval mode and without gradient: for each tapped layer (N, C, H, W). For ``begin`` alone.
        """
        with self._evaluated(), torch.no_grad():
            for images in self.all_images[data].split(FEATURES_BATCH):
                yield features(self.network, self.as_input(images))

    def uniform(self, shape: tuple[int, ...], purpose: str) -> Tensor:
        """Return numbers in [0, 1), float32, which depend on seed, step, purpose and place alone."""
        return self._noise(purpose).uniform(self.steps_taken, _count(shape)).view(shape)

    def normal(self, shape: tuple[int, ...], purpose: str) -> Tensor:
        """Return standard normal numbers, float32, which depend on seed, step, purpose and place alone."""
        return self._noise(purpose).normal(self.steps_taken, _count(shape)).view(shape)

    def _noise(self, purpose: str) -> PhiloxNoise:
        if purpose not in self.noises:
            self.noises[purpose] = PhiloxNoise([ImageKey("training", 0, 0, self.seed)], purpose, self.device)
        return self.noises[purpose]

    @contextmanager
    def _evaluated(self) -> Iterator[None]:
        modules = [module for module in self.network.modules() if module.training]
        for module in modules:
            module.training = False
        try:
            yield
        finally:
            for module in modules:
                module.training = True


def _count(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()
