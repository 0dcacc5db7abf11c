"""The query log of each image: number of queries, the nearest adversarial, and the query that found the first one."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from robustbench_pix.attacks.common.norms import distances, reach
from robustbench_pix.attacks.recorded import CHECKPOINTS
from robustbench_pix.errors import JobFailedError

OUT_OF_BOUNDS = 1e-5


def ordinals(rows: Tensor, counted: Tensor, images: int) -> Tensor:
    """Number the counted queries (Q,) of each image in their order, from 1; ``counted`` is 0 or 1, int64 (Q,).

    >>> ordinals(torch.tensor([2, 0, 2, 2]), torch.ones(4, dtype=torch.int64), 3).tolist()
    [1, 1, 2, 3]
    """
    asked = rows.new_zeros(images).index_add_(0, rows, counted)
    order = rows.argsort(stable=True)
    place = counted[order].cumsum(0) - (asked.cumsum(0) - asked)[rows[order]]
    return torch.empty_like(rows).index_copy_(0, order, place)


class QueryLog:
    """Counts the queries of each image and keeps the nearest adversarial so far.

    Its tensors are changed in place without waiting for the device, so that recording can be part of a CUDA graph.

    Args:
        images: the clean images of this batch, float32 (N, C, H, W).
        labels: int64 (N,); a query is adversarial if the model's decision differs from its label, or its logits are not
            finite.
        norm: l2 or linf, the norm of the distances.
        budget: largest number of queries of an image that are answered and recorded; None for no limit.

    Attributes:
        under_attack: the rows of the images under attack, ascending, int64; all of them at first.
        queries: int64 (N,).
        refused: bool (N,), whether the attacker queried beyond the budget.
        found_at: int64 (N,), the number of the first adversarial query, from 1; 0 until then.
        best: float32 (N,), distance of the nearest adversarial query; infinite without one.
        nearest: float32 (N, C, H, W), that query; the image itself without one.
        at: float32 (checkpoints, N), the best distance after that number of queries.
        common_queries: number of queries that every image under attack has made, as far as the host knows.
    """

    def __init__(self, images: Tensor, labels: Tensor, *, norm: str = "l2", budget: int | None = None) -> None:
        device = images.device
        self.images, self.labels, self.norm, self.budget = images, labels, norm, budget
        self.under_attack = torch.arange(len(images), device=device)
        self.queries = torch.zeros(len(images), dtype=torch.int64, device=device)
        self.refused = torch.zeros(len(images), dtype=torch.bool, device=device)
        self.found_at = torch.zeros(len(images), dtype=torch.int64, device=device)
        self.best = torch.full((len(images),), torch.inf, device=device)
        self.nearest = images.clone()
        self.checkpoints = torch.tensor(CHECKPOINTS, device=device)[:, None]
        self.at = torch.full((len(CHECKPOINTS), len(images)), torch.inf, device=device)
        self.radius, self.common_queries = math.inf, 0

    def begin(self, radius: float = math.inf) -> None:
        """Clear the log; from now on only queries within a radius count as adversarial."""
        for tensor in (self.queries, self.refused, self.found_at):
            tensor.zero_()
        self.best.fill_(torch.inf)
        self.at.fill_(torch.inf)
        self.nearest.copy_(self.images)
        self.radius, self.common_queries = radius, 0

    @contextmanager
    def only(self, place: int) -> Iterator[None]:
        """Restrict the attack to one of the images under attack; waits for the device."""
        before, self.under_attack = self.under_attack, self.under_attack[place : place + 1]
        self.common_queries = int(self.queries[self.under_attack])
        try:
            yield
        finally:
            self.under_attack = before

    def spent(self, rows: Tensor | None = None) -> bool:
        """Return whether the budget of the rows ``rows`` of the images under attack, or of all of them, is spent.

        Waits for the device if there is a budget.
        """
        places = self.under_attack if rows is None else self.under_attack[rows]
        return self.budget is not None and bool((self.queries[places] >= self.budget).all())

    def record(
        self, inputs: Tensor, logits: Tensor, rows: Tensor | None, counted: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Record queries (Q, C, H, W) of the images under attack, with their ``rows`` (Q,) among these.

        Without ``rows`` they belong to the images under attack in their order, or all to the only image under attack.
        Queries that are not ``counted``, bool (Q,), are ignored.

        Returns:
            The labels of the queries (Q,), and which are within the budget, bool (Q,), or None where there is none.
        """
        places = self.under_attack
        once = rows is None and len(places) == len(inputs)
        if rows is None and not once and len(places) > 1:
            raise JobFailedError(
                f"the attack queried {len(inputs)} images in a batch of {len(places)}, so its queries "
                "cannot be counted for each image; set evaluation.batch_size = 1 in the attack's file"
            )
        self.common_queries += 0 if rows is not None else 1 if once else len(inputs)
        if once and len(places) == len(self.images):
            of = None
        else:
            of = places if once else places.expand(len(inputs)) if rows is None else places.index_select(0, rows)
        labels = _chosen(self.labels, of)
        answered = None
        if self.budget is not None:
            asked = torch.ones_like(labels) if counted is None else counted.long()
            answered = counted = self._answered(of, once, asked, self.budget)
        flat = inputs.flatten(1)
        matters = (flat.amin(dim=1) >= -OUT_OF_BOUNDS) & (flat.amax(dim=1) <= 1 + OUT_OF_BOUNDS)
        matters &= (logits.argmax(dim=1) != labels) | ~logits.isfinite().all(dim=1)
        if counted is not None:
            matters &= counted
        distance = distances(inputs - _chosen(self.images, of), self.norm)
        if self.radius < math.inf:
            matters &= distance <= reach(self.radius)
        distance = distance.masked_fill_(~matters, torch.inf)
        asked = torch.ones_like(self.labels[:1]).expand(len(inputs)) if counted is None else counted.long()
        if of is None or once:
            self._record_one_each(inputs, distance, of, asked)
        else:
            self._record_in_order(inputs, distance, of, asked)
        return labels, answered

    def _answered(self, rows: Tensor | None, once: bool, counted: Tensor, budget: int) -> Tensor:
        """Return which counted queries, 0 or 1 (Q,), are within the budget, and record whose are not."""
        before = _chosen(self.queries, rows)
        number = before + (counted if rows is None or once else ordinals(rows, counted, len(self.images)))
        asked = counted.bool()
        answered = asked & (number <= budget)
        beyond = asked & ~answered
        if rows is None:
            self.refused |= beyond
        else:
            self.refused |= torch.zeros_like(self.queries).index_add_(0, rows, beyond.long()) > 0
        return answered

    def _record_one_each(self, inputs: Tensor, distance: Tensor, rows: Tensor | None, asked: Tensor) -> None:
        """Record one query of each of the rows, or of all images; the general case takes twice as long."""
        before = _chosen(self.best, rows)
        nearer, best = distance < before, torch.minimum(before, distance)
        queries, found = _chosen(self.queries, rows) + asked, _chosen(self.found_at, rows)
        at = self.at if rows is None else self.at.index_select(1, rows)
        _put(self.at, rows, torch.where(queries <= self.checkpoints, best, at), dimension=1)
        _put(self.found_at, rows, torch.where(nearer & (found == 0), queries, found))
        _put(self.queries, rows, queries)
        _put(self.best, rows, best)
        _put(self.nearest, rows, torch.where(nearer[:, None, None, None], inputs, _chosen(self.nearest, rows)))

    def _record_in_order(self, inputs: Tensor, distance: Tensor, rows: Tensor, asked: Tensor) -> None:
        number = self.queries.index_select(0, rows) + ordinals(rows, asked, len(self.images))
        in_time = torch.where(number <= self.checkpoints, distance, torch.inf)
        self.at.scatter_reduce_(1, rows.expand_as(in_time), in_time, "amin")
        self.queries.index_add_(0, rows, asked)
        never = torch.iinfo(torch.int64).max
        earliest = torch.full_like(self.queries, never)
        earliest.scatter_reduce_(0, rows, torch.where(distance < torch.inf, number, never), "amin")
        self.found_at.copy_(torch.where((self.found_at == 0) & (earliest < never), earliest, self.found_at))
        # Of queries at the same distance the first is kept, so that no order of writing matters.
        none = len(inputs)
        before = self.best.clone()
        self.best.scatter_reduce_(0, rows, distance, "amin")
        wins = (distance == self.best[rows]) & (distance < before[rows])
        place = torch.where(wins, torch.arange(none, device=rows.device), none)
        first = torch.full_like(self.queries, none).scatter_reduce_(0, rows, place, "amin")
        won = (first < none)[:, None, None, None]
        self.nearest.copy_(torch.where(won, inputs[first.clamp(max=none - 1)], self.nearest))

    def at_half(self) -> tuple[Tensor, Tensor]:
        """Return for each image the last checkpoint in the first half of its queries, and its best distance then."""
        place = (2 * self.checkpoints <= self.queries).sum(dim=0).sub(1).clamp(min=0)
        return self.checkpoints.flatten()[place], self.at.gather(0, place[None])[0]


def _chosen(values: Tensor, rows: Tensor | None) -> Tensor:
    return values if rows is None else values.index_select(0, rows)


def _put(values: Tensor, rows: Tensor | None, new: Tensor, dimension: int = 0) -> None:
    if rows is None:
        values.copy_(new)
    else:
        values.index_copy_(dimension, rows, new)
