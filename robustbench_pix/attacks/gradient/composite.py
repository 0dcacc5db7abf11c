"""The composite adversarial attack: several semantic perturbations in sequence, each optimized by gradient ascent.

Hsiung, Tsai, Chen, Ho 2023 (CVPR, arXiv 2202.04235): every component ascends the cross-entropy by the signs of its
gradient, in steps of 2.5 times its range over their number, from a random start. Unlike in the authors' released code
each image has its own order, the noise continues between rounds as the other components do, and the relaxed order uses
the current components and passes gradients through all its places, where the code uses the last place only. A scheduled
order is relaxed to a doubly stochastic matrix Z, which ascends the gradient of the loss and is normalized again by
Sinkhorn's iterations; the order is the assignment of largest weight. Ranges are the paper's for CIFAR-10.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.base import AttackContext, SearchAttack
from robustbench_pix.attacks.common.norms import Ball, spread
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.requirements import bounds, whole
from robustbench_pix.attacks.transforms import rotated
from robustbench_pix.randomness import ImageKeys


def hue_turned(images: Tensor, radians: Tensor) -> Tensor:
    """Return RGB images (N, 3, H, W) whose HSV hues (Smith 1978) are turned by an angle (N,); 2 pi: the circle."""
    value, chroma = _value_and_chroma(images)
    red, green, blue = images.unbind(dim=1)
    largest, spans = value[:, 0], torch.where(chroma > 0, chroma, 1)[:, 0]
    from_green = torch.where(largest == green, 2 + (blue - red) / spans, 4 + (red - green) / spans)
    sextants = torch.where(largest == red, (green - blue) / spans, from_green)
    sextants = sextants + (radians * (3 / math.pi))[:, None, None]
    # How far a channel is below the largest, as a share of the chroma, is the same trapezoid of hue for all three.
    places = torch.stack([sextants + 5, sextants + 3, sextants + 1], dim=1).remainder(6)
    return value - chroma * torch.minimum(places, 4 - places).clamp(0, 1)


def saturated(images: Tensor, factors: Tensor) -> Tensor:
    """Return RGB images (N, 3, H, W) whose saturations are multiplied by a factor of at least 0 (N,), up to 1."""
    value, chroma = _value_and_chroma(images)
    full = value / torch.where(chroma > 0, chroma, 1)
    return value - (value - images) * torch.minimum(spread(factors), torch.where(chroma > 0, full, 1))


def _value_and_chroma(images: Tensor) -> tuple[Tensor, Tensor]:
    value = images.amax(dim=1, keepdim=True)
    return value, value - images.amin(dim=1, keepdim=True)


class Component(NamedTuple):
    """A perturbation with one offset an image (or entry); offset 0 changes nothing.

    Attributes:
        apply: takes images (N, C, H, W) in [0, 1] and offsets, returns images in [0, 1]; differentiable in both.
        reach: offsets are in [-reach, reach] at scale 1.
        entrywise: whether offsets are (N, C, H, W), one for each entry, and not (N,).
    """

    apply: Callable[[Tensor, Tensor], Tensor]
    reach: float
    entrywise: bool = False


OF_COLOUR = (Component(hue_turned, math.pi), Component(lambda images, offsets: saturated(images, 1 + offsets), 0.3))
"""Hue and saturation; on a gray image they have no effect."""

OF_ALL = (
    Component(rotated, 10.0),
    Component(lambda images, offsets: (images + spread(offsets)).clamp(0, 1), 0.2),
    Component(lambda images, offsets: (images * spread(1 + offsets)).clamp(0, 1), 0.3),
    Component(lambda images, offsets: (images + offsets).clamp(0, 1), 8 / 255, entrywise=True),
)
"""Rotation in degrees, brightness, contrast (the paper's: a factor of the whole image) and noise bounded in linf."""


def components_of(channels: int) -> tuple[Component, ...]:
    """Return the components for images with this number of channels, in the paper's order."""
    return OF_ALL if channels == 1 else OF_COLOUR + OF_ALL


ORDERS = "fixed", "random", "scheduled"

RELATIVE_STEP = 2.5
"""All steps of a component together, as a multiple of its largest offset."""


class CompositeAttack(SearchAttack):
    """Hue, saturation, rotation, brightness, contrast and noise; the strength scales the paper's ranges.

    Hue and saturation have no effect on gray images (C = 1), which get the other four. An image that is fooled is not
    queried again.

    Args:
        order: ``fixed`` as above, ``random``, or ``scheduled``, which is learned.
        steps: steps of each component in each round, one query each, and one more query at the end of a round.
        rounds: number of orders tried per image under ``scheduled``, one more query each; 1 otherwise.
    """

    needs = bounds("gradients", "scale")

    def __init__(self, order: str = "fixed", steps: int = 10, rounds: int = 5) -> None:
        if order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)} (got {order!r})")
        self.order = order
        self.steps = whole("steps", steps, at_least=1)
        self.rounds = whole("rounds", rounds, at_least=1) if order == "scheduled" else 1

    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return where each image's search ends; the radius is the scale of all ranges."""
        noise = PhiloxNoise(keys, "composite", ball.images.device)
        state = CompositeState(self, context.model, ball.images, labels, ball.radius, noise)
        state.run()
        return state.found


class CompositeState:
    """The state of the search for a batch of images at one scale.

    Attributes:
        found: the current images, float32 (N, C, H, W).
        offsets: one tensor a component, float32 (N,) or (N, C, H, W).
        rows: the images that are not fooled yet, int64 (R,).
    """

    def __init__(
        self, attack: CompositeAttack, oracle: Oracle, images: Tensor, labels: Tensor, scale: float, noise: PhiloxNoise
    ) -> None:
        self.attack, self.oracle, self.images, self.labels = attack, oracle, images, labels
        self.components = components_of(images.shape[1])
        self.limits = [scale * component.reach for component in self.components]
        places, device = len(self.components), images.device
        starts, orders = noise.uniform(torch.arange(2, device=device), places * places)
        self.found, self.rows = images.clone(), torch.arange(len(images), device=device)
        self.offsets = [
            torch.zeros_like(images) if component.entrywise else limit * (2 * start - 1)
            for component, limit, start in zip(self.components, self.limits, starts.unbind(dim=1), strict=False)
        ]
        self.random_orders = orders[:, :places].argsort(dim=1)
        self.schedule = Schedule((1 - orders).reshape(-1, places, places))

    def run(self) -> None:
        """Run all rounds, or stop once every image is fooled."""
        for _ in range(self.attack.rounds):
            orders = self._orders()
            self.found[self.rows] = self.images[self.rows]
            for place in range(len(self.components)):
                stay = self._ascend(orders[:, place])
                orders, self.rows = orders[stay], self.rows[stay]
                if len(self.rows) == 0:
                    return
            with torch.no_grad():
                decisions = self.oracle(self.found[self.rows], self.rows).argmax(dim=1)
            self.rows = self.rows[decisions == self.labels[self.rows]]
            if len(self.rows) == 0:
                return

    def _ascend(self, chosen: Tensor) -> Tensor:
        """Optimize each active image's chosen component (R,); return which images are not fooled, bool (R,)."""
        place = chosen.argsort(stable=True)
        counts = chosen.bincount(minlength=len(self.components)).tolist()
        present = [number for number, count in enumerate(counts) if count]
        rows = self.rows[place]
        groups = rows.split([counts[number] for number in present])
        entering = [self.found[group] for group in groups]
        offsets = [self.offsets[number][group] for number, group in zip(present, groups, strict=True)]
        running = torch.ones_like(rows, dtype=torch.bool)
        for _ in range(self.attack.steps):
            offsets = [offset.requires_grad_() for offset in offsets]
            with torch.enable_grad():
                logits = self.oracle(self._changed(present, entering, offsets), rows, running)
                loss = functional.cross_entropy(logits, self.labels[rows], reduction="sum")
            slopes = torch.autograd.grad(loss, offsets)
            running = running & (logits.argmax(dim=1) == self.labels[rows])
            moving = running.split([len(group) for group in groups])
            offsets = [self._stepped(*of_group) for of_group in zip(present, offsets, slopes, moving, strict=True)]
        self.found[rows] = self._changed(present, entering, offsets)
        for number, group, offset in zip(present, groups, offsets, strict=True):
            self.offsets[number][group] = offset
        return running[place.argsort()]

    def _changed(self, present: list[int], entering: list[Tensor], offsets: list[Tensor]) -> Tensor:
        parts = zip(present, entering, offsets, strict=True)
        return torch.cat([self.components[number].apply(images, offset) for number, images, offset in parts])

    def _stepped(self, number: int, offsets: Tensor, slopes: Tensor, moving: Tensor) -> Tensor:
        limit = self.limits[number]
        steps = RELATIVE_STEP * limit / self.attack.steps * slopes.sign()
        moving = moving.reshape(-1, *[1] * (offsets.ndim - 1))
        return (offsets.detach() + steps * moving).clamp(-limit, limit)

    def _orders(self) -> Tensor:
        """Return the order of the components for each active image, int64 (R, K)."""
        if self.attack.order == "scheduled":
            self.schedule.learn(self.rows, self._slopes())
            return self.schedule.next(self.rows)
        if self.attack.order == "random":
            return self.random_orders[self.rows]
        return torch.arange(len(self.components), device=self.rows.device).expand(len(self.rows), -1)

    def _slopes(self) -> Tensor:
        """Return the gradient of the loss in the relaxed orders, whose places are mixtures of all components."""
        rows = self.rows
        with torch.enable_grad():
            weights = self.schedule.weights[rows].requires_grad_()
            mixed = self.images[rows]
            for shares in weights.unbind(dim=1):
                parts = zip(self.components, self.offsets, strict=True)
                changed = torch.stack([component.apply(mixed, offsets[rows]) for component, offsets in parts])
                mixed = torch.einsum("nk,knchw->nchw", shares, changed)
            loss = functional.cross_entropy(self.oracle(mixed, rows), self.labels[rows], reduction="sum")
        return torch.autograd.grad(loss, weights)[0]


SINKHORN_ITERATIONS = 20
"""As in the authors' released code."""


def doubly_stochastic(matrices: Tensor) -> Tensor:
    """Return positive matrices (N, K, K) with columns that sum to 1, nearly, and rows that do (Sinkhorn 1964)."""
    for _ in range(SINKHORN_ITERATIONS):
        matrices = matrices / matrices.sum(dim=1, keepdim=True)
        matrices = matrices / matrices.sum(dim=2, keepdim=True)
    return matrices


class Schedule:
    """The relaxed order of each image, and the orders that it has tried.

    An image gets the order of largest weight among those that it has tried least often. (Where gradients are too small
    to change the order, the authors' code adds noise until it changes.)

    Args:
        uniform: numbers in (0, 1), float32 (N, K, K), from which the relaxed orders start.

    Attributes:
        weights: Z, float32 (N, K, K): the weight of each component (last) at each place.
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
