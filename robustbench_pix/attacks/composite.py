"""The composite adversarial attack: several changes that people see through, one after the other, each made the worst.

Hsiung, Tsai, Chen, Ho 2023 (CVPR, arXiv 2202.04235): every component climbs the cross-entropy by the signs of its
gradient, in steps of 2.5 times its range over their number, from a random start. Unlike the authors' released code each
image has an order of its own, the noise goes on between rounds as the other components do, and the relaxed order sees
the components as they stand and through all its places, where the code lets gradients into the last place only.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module
from robustbench_pix.attacks.composite_components import components_of
from robustbench_pix.attacks.engine_classes import bounds
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.ordering import Schedule
from robustbench_pix.attacks.parameters import whole

ORDERS = "fixed", "random", "scheduled"

RELATIVE_STEP = 2.5
"""All steps of a component together, as a multiple of its largest offset."""


class CompositeAttack(FixedStrengthAttack):
    """Hue, saturation, rotation, brightness, contrast and noise; the strength scales the paper's ranges.

    Hue and saturation have no effect on gray images (C = 1), which face the other four. An image that is fooled is left
    alone.

    Args:
        order: ``fixed`` as above, ``random``, or ``scheduled``, which is learnt.
        steps: of each component in each round; one query each, and one more at the end of a round.
        rounds: how many orders an image tries under ``scheduled``, one more query each; otherwise it is one.
    """

    needs = bounds("gradients", "scale")

    def __init__(self, order: str = "fixed", steps: int = 10, rounds: int = 5) -> None:
        if order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)} (got {order!r})")
        self.order = order
        self.steps = whole("steps", steps, at_least=1)
        self.rounds = whole("rounds", rounds, at_least=1) if order == "scheduled" else 1

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield what a search of its own finds at each scale; all searches of an image have the same random numbers."""
        noise = KeyedNoise(keys, "composite", images.device)
        for strength in strengths:
            if strength == 0:
                yield images
            else:
                search = Search(self, attacked_module(target), images, labels, strength, noise)
                search.go()
                yield search.found


class Search:
    """The search of a batch of images at one scale.

    Attributes:
        found: the images as they stand, float32 (N, C, H, W).
        offsets: of each component, float32 (N,) or (N, C, H, W).
        rows: which images are not fooled yet, int64 (R,).
    """

    def __init__(
        self, attack: CompositeAttack, oracle: Oracle, images: Tensor, labels: Tensor, scale: float, noise: KeyedNoise
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

    def go(self) -> None:
        """Let all rounds pass, or stop once every image is fooled."""
        for _ in range(self.attack.rounds):
            orders = self._orders()
            self.found[self.rows] = self.images[self.rows]
            for place in range(len(self.components)):
                stay = self._climb(orders[:, place])
                orders, self.rows = orders[stay], self.rows[stay]
                if len(self.rows) == 0:
                    return
            with torch.no_grad():
                decisions = self.oracle(self.found[self.rows], self.rows).argmax(dim=1)
            self.rows = self.rows[decisions == self.labels[self.rows]]
            if len(self.rows) == 0:
                return

    def _climb(self, chosen: Tensor) -> Tensor:
        """Let the images under attack climb, each with its chosen component (R,); return which are not fooled, (R,)."""
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
        """Return the components in the order in which the images under attack meet them, int64 (R, K)."""
        if self.attack.order == "scheduled":
            self.schedule.learn(self.rows, self._slopes())
            return self.schedule.next(self.rows)
        if self.attack.order == "random":
            return self.random_orders[self.rows]
        return torch.arange(len(self.components), device=self.rows.device).expand(len(self.rows), -1)

    def _slopes(self) -> Tensor:
        """Return the gradient of the loss in the relaxed orders, each place of which is a mixture of all components."""
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
