"""The plain way to train: the published loop, written again plainly (facts of elieattias1/pixel-reg, own words).

Pictures are PIL images that a worker of a ``DataLoader`` crops, mirrors and turns gray one by one; the pairs i < j are
all listed, shuffled and collated; a step does three forwards, one after the other, and asks for its loss; and after
every epoch the training, validation and test sets are passed through the same loader to be evaluated.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import Time, now
from benchmarks.workload import ALPHA, LEARNING_RATE, THRESHOLD, Work, gray_pictures, pictures

EPSILON = 1e-5
MOMENTUM = 0.9
RUNNING_MEAN_SHARE = 0.9
STEPS_BEFORE_TIMING = 2


class Pictures(Dataset[tuple[Tensor, int]]):
    """PIL images with their labels, transformed when they are asked for."""

    def __init__(self, images: Tensor, labels: Tensor, *, augmented: bool) -> None:
        from torchvision import transforms

        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
        self.labels = labels.tolist()
        random = [transforms.RandomCrop(images.shape[-1], padding=4, padding_mode="reflect")]
        random += [transforms.RandomHorizontalFlip()]
        fixed = [transforms.Grayscale(), transforms.ToTensor()]
        self.transform = transforms.Compose([*(random if augmented else ()), *fixed])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.transform(self.images[number]), self.labels[number]


class PlainTraining:
    """A network trained with a thresholded similarity target; everything is in the type of the network's weights.

    Args:
        network: with ``features``, on its device.
        images: the regularization images, float in [0, 1], (N, C, H, W), on the device.
        alpha: the weight of the penalty.
        threshold: of the target.
        learning_rate: of SGD with momentum 0.9.
    """

    def __init__(
        self, network: nn.Module, images: Tensor, *, alpha: float, threshold: float, learning_rate: float
    ) -> None:
        self.network, self.images, self.alpha = network, images, alpha
        flat = images.flatten(1) - images.flatten(1).mean(dim=0)
        similarity = functional.normalize(flat) @ functional.normalize(flat).T
        self.target = (similarity > threshold).to(images) - (similarity < -threshold).to(images)
        network.eval()
        with torch.no_grad():
            taps = self._features(images[:2])
        self.layer_weights = torch.zeros(len(taps), device=images.device, dtype=images.dtype, requires_grad=True)
        self.means = [torch.zeros(tap.shape[1], device=images.device, dtype=images.dtype) for tap in taps]
        self.optimizer = torch.optim.SGD([*network.parameters(), self.layer_weights], learning_rate, MOMENTUM)
        self.logged: list[float] = []

    def step(self, images: Tensor, labels: Tensor, rows: Tensor, columns: Tensor) -> None:
        """Learn from task images in [0, 1] (N, C, H, W) with labels (N,), and from pairs of images, (P,) and (P,)."""
        self.network.train()
        loss = functional.cross_entropy(self.network(images), labels)
        first, second = self._features(self.images[rows]), self._features(self.images[columns])
        predicted = self._similarity(first, second)
        difference = _fisher(predicted) - _fisher(self.target[rows, columns])
        loss = loss + self.alpha * difference.square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.logged.append(loss.item())

    @torch.no_grad()
    def accuracy(self, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        """Return the accuracy on batches of images and labels, in eval mode."""
        self.network.eval()
        right = total = 0
        for images, labels in batches:
            images, labels = images.to(self.images.device), labels.to(self.images.device)
            right += (self.network(images).argmax(dim=1) == labels).sum().item()
            total += len(labels)
        return right / total

    def _features(self, images: Tensor) -> list[Tensor]:
        return cast(list[Tensor], cast(Any, self.network).features(images))

    def _similarity(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        shares, total = torch.softmax(self.layer_weights, dim=0), 0
        for layer, (one, other) in enumerate(zip(first, second, strict=True)):
            mean = torch.cat([one, other]).detach().mean(dim=(0, 2, 3))
            self.means[layer] = RUNNING_MEAN_SHARE * self.means[layer] + (1 - RUNNING_MEAN_SHARE) * mean
            centre = self.means[layer][:, None, None]
            sides = [(side - centre).flatten(1) for side in (one, other)]
            total = total + shares[layer] * functional.cosine_similarity(*sides)
        return cast(Tensor, total)


class PlainRun:
    """A plain training on generated pictures with its loaders, and how long its parts take."""

    def __init__(self, work: Work, device: str) -> None:
        self.work, self.device = work, device
        images, labels = pictures(work.batch * work.steps, work.side, seed=1)
        self.loader = self._loader(Pictures(images, labels, augmented=True), shuffle=True)
        self.evaluation = self._loader(Pictures(images, labels, augmented=False), shuffle=False)
        regularizing, _ = gray_pictures(work.regularization_images, work.side, seed=2)
        pairs = TensorDataset(torch.triu_indices(len(regularizing), len(regularizing), offset=1).T.contiguous())
        self.pairs = DataLoader(pairs, batch_size=work.pairs, shuffle=True)
        self.training = PlainTraining(
            work.fresh_network(seed=0).to(device),
            regularizing.to(device).float() / 255,
            alpha=ALPHA,
            threshold=THRESHOLD,
            learning_rate=LEARNING_RATE,
        )

    def steps(self) -> list[Time]:
        """Take an epoch's steps, batches loaded as they are needed; return the time of one, the first two left out."""
        times = []
        for count, ((images, labels), (pairs,)) in enumerate(zip(self.loader, self.pairs, strict=False)):
            rows, columns = pairs.to(self.device).unbind(1)
            self.training.step(images.to(self.device), labels.to(self.device), rows, columns)
            if count + 1 >= STEPS_BEFORE_TIMING:
                times.append(now(self.device))
        return [(times[-1] - times[0]).over(len(times) - 1)]

    def evaluated(self) -> list[Time]:
        """Evaluate the pictures through the loader, whose start is left out; return the time of one."""
        times: list[Time] = []
        self.training.accuracy(_noting_times(self.evaluation, times))
        times.append(now(self.device))
        return [(times[-1] - times[1]).over(self.work.batch * (self.work.steps - 1))]

    def _loader(self, pictures_: Pictures, *, shuffle: bool) -> DataLoader[Any]:
        return DataLoader(pictures_, batch_size=self.work.batch, shuffle=shuffle, num_workers=1)


def _noting_times(loader: DataLoader[Any], times: list[Time]) -> Iterator[tuple[Tensor, Tensor]]:
    """Give a loader's batches, and note when each is asked for."""
    batches = iter(loader)
    for _ in range(len(loader)):
        times.append(now("cpu"))
        yield next(batches)


def flops_of_step(work: Work, device: str) -> int:
    """Return the floating point operations of the convolutions and products of a step, forward and backward."""
    plain = PlainRun(replace(work, steps=1), device).training
    images = torch.rand(work.batch, *plain.images.shape[1:], device=device)
    labels = torch.zeros(work.batch, dtype=torch.int64, device=device)
    pairs = torch.arange(work.pairs, device=device)
    with FlopCounterMode(display=False) as counter:
        plain.step(images, labels, pairs, pairs + 1)
    return counter.get_total_flops()


def _fisher(similarity: Tensor) -> Tensor:
    return torch.log(1 + similarity + EPSILON) - torch.log(1 - similarity + EPSILON)
