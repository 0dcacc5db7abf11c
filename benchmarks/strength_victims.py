"""Four networks to attack: digits and MNIST, each trained plainly and adversarially (Madry et al. 2018), in minutes."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.data.base import load_dataset
from robustbench_pix.evaluation.judging import predict

BATCH, ASCENTS, ASCENT_SHARE, WARM_UP = 64, 5, 0.3, 0.3
"""Images a step, steps of the inner attack, their length as a share of the radius, share of the steps of its growth."""


class Subject(NamedTuple):
    """A network in eval mode, and test images that it gets right, float32 (N, 1, H, W), labels int64 (N,).

    ``images`` begin with those that are attacked, ``attacked`` of them; the others are for starting points. ``radii``
    are the linf and l2 radii at which robust accuracy is taken.
    """

    name: str
    network: nn.Module
    images: Tensor
    labels: Tensor
    attacked: int
    radii: dict[str, float]

    @property
    def targets(self) -> tuple[Tensor, Tensor]:
        """The attacked images and their labels."""
        return self.images[: self.attacked], self.labels[: self.attacked]


class Wanted(NamedTuple):
    """What is trained: the task, the linf radius of the inner attack (0 for none), how long, and what is attacked."""

    task: str
    radius: float
    train_images: int
    epochs: int
    attacked: int
    radii: dict[str, float]


SUBJECTS = {
    "digits, plain": Wanted("digits", 0.0, 1_200, 30, 64, {"linf": 0.1, "l2": 0.5}),
    "digits, adversarially trained": Wanted("digits", 0.2, 1_200, 60, 64, {"linf": 0.2, "l2": 0.8}),
    "MNIST, plain": Wanted("mnist", 0.0, 10_000, 3, 32, {"linf": 0.1, "l2": 1.2}),
    "MNIST, adversarially trained": Wanted("mnist", 0.3, 10_000, 6, 32, {"linf": 0.3, "l2": 1.2}),
}


def subject(name: str, data_root: Path, *, tiny: bool = False) -> Subject:
    """Return a network trained in float32 on one thread with fixed random numbers, and the images."""
    wanted = SUBJECTS[name]
    data = load_dataset(wanted.task, None, root=data_root, colour="gray")
    assert data.test_images is not None
    assert data.test_labels is not None
    limit = 200 if tiny else wanted.train_images
    inputs, labels = data.train_images[:limit].float() / 255, data.train_labels[:limit]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _network(inputs.shape[-1])
        _train(network, inputs, labels, wanted.radius, 1 if tiny else wanted.epochs)
    network.eval().requires_grad_(False)
    images, labels = data.test_images[:1_000].float() / 255, data.test_labels[:1_000]
    right = predict(network, images, device="cpu") == labels
    return Subject(name, network, images[right], labels[right], 3 if tiny else wanted.attacked, wanted.radii)


def _network(side: int) -> nn.Module:
    """Return two convolutions and two linear layers."""
    stride = 1 if side == 8 else 2
    size = side // 2 // stride
    return nn.Sequential(
        nn.Conv2d(1, 16, 4 if stride == 2 else 3, stride, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * size * size, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


def _train(network: nn.Module, inputs: Tensor, labels: Tensor, radius: float, epochs: int) -> None:
    steps, step = epochs * (len(inputs) // BATCH), 0
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs))[: len(inputs) // BATCH * BATCH].split(BATCH):
            images, wanted = inputs[rows], labels[rows]
            grown = radius * min(1.0, (step + 1) / (WARM_UP * steps))
            if radius:
                images = _attacked(network, images, wanted, grown)
            optimizer.zero_grad()
            functional.cross_entropy(network(images), wanted).backward()
            optimizer.step()
            schedule.step()
            step += 1


def _attacked(network: nn.Module, images: Tensor, labels: Tensor, radius: float) -> Tensor:
    change = (2 * torch.rand_like(images) - 1) * radius
    for _ in range(ASCENTS):
        change = ((images + change).clamp(0, 1) - images).requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(network(images + change), labels), change)
        change = (change.detach() + ASCENT_SHARE * radius * gradient.sign()).clamp(-radius, radius)
    return (images + change).clamp(0, 1)
