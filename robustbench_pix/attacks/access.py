"""What an attacker sees of a model, and the ledger of what it asked: the wrapper under every engine."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robustbench_pix.errors import JobFailedError

REPORTED_CHECKPOINTS = (100, 1_000, 10_000)
"""Queries of an image after which the best distance so far is reported."""

CHECKPOINTS = tuple(sorted({*REPORTED_CHECKPOINTS, *(2**power for power in range(5, 21))}))
"""These, and every doubling, from which convergence is judged."""

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


class Ledger:
    """Counts the queries of each image and keeps the smallest L2 distance at which the model was wrong so far.

    Its tensors are changed in place and nothing waits for the device, so that entries can be part of a CUDA graph.

    Args:
        images: the clean images of this batch, float32 (N, C, H, W).
        labels: int64 (N,); a query counts as adversarial if the model's decision differs from it.

    Attributes:
        under_attack: int64, ascending, the rows of the images that an engine was given; all of them at first.
        queries: int64 (N,).
        best: float32 (N,), infinite until the model was wrong.
        nearest: float32 (N, C, H, W), the query at that distance; the image itself until then.
        at: float32 (checkpoints, N), the best distance among the queries up to that number.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        device = images.device
        self.images, self.labels = images, labels
        self.under_attack = torch.arange(len(images), device=device)
        self.queries = torch.zeros(len(images), dtype=torch.int64, device=device)
        self.best = torch.full((len(images),), torch.inf, device=device)
        self.nearest = images.clone()
        self.checkpoints = torch.tensor(CHECKPOINTS, device=device)[:, None]
        self.at = torch.full((len(CHECKPOINTS), len(images)), torch.inf, device=device)

    def record(self, inputs: Tensor, logits: Tensor, rows: Tensor | None, counted: Tensor | None = None) -> None:
        """Enter queries (Q, C, H, W) of the images under attack that stand at the places ``rows`` (Q,) among them.

        Without ``rows`` they belong to the images under attack in their order, or all to the one image under attack.
        Queries that are not ``counted``, bool (Q,), leave no trace.
        """
        places = self.under_attack
        once = rows is None and len(places) == len(inputs)
        if rows is None and not once and len(places) > 1:
            raise JobFailedError(
                f"the engine asked about {len(inputs)} images in a batch of {len(places)}, so its queries "
                "cannot be counted for each image; set evaluation.batch_size = 1 in the attack's file"
            )
        if once and len(places) == len(self.images):
            of = None
        else:
            of = places if once else places.expand(len(inputs)) if rows is None else places.index_select(0, rows)
        flat = inputs.flatten(1)
        matters = (flat.amin(dim=1) >= -OUT_OF_BOUNDS) & (flat.amax(dim=1) <= 1 + OUT_OF_BOUNDS)
        matters &= logits.argmax(dim=1) != _chosen(self.labels, of)
        if counted is not None:
            matters &= counted
        distance = torch.linalg.vector_norm((inputs - _chosen(self.images, of)).flatten(1), dim=1)
        distance = distance.masked_fill_(~matters, torch.inf)
        asked = torch.ones_like(self.labels[:1]).expand(len(inputs)) if counted is None else counted.long()
        if of is None or once:
            self._enter_one_each(inputs, distance, of, asked)
        else:
            self._enter_in_order(inputs, distance, of, asked)

    def _enter_one_each(self, inputs: Tensor, distance: Tensor, rows: Tensor | None, asked: Tensor) -> None:
        """Enter one query of each of the rows, or of all images; the general case takes twice as long."""
        before = _chosen(self.best, rows)
        nearer, best = distance < before, torch.minimum(before, distance)
        queries = _chosen(self.queries, rows) + asked
        at = self.at if rows is None else self.at.index_select(1, rows)
        _put(self.at, rows, torch.where(queries <= self.checkpoints, best, at), dimension=1)
        _put(self.queries, rows, queries)
        _put(self.best, rows, best)
        _put(self.nearest, rows, torch.where(nearer[:, None, None, None], inputs, _chosen(self.nearest, rows)))

    def _enter_in_order(self, inputs: Tensor, distance: Tensor, rows: Tensor, asked: Tensor) -> None:
        number = self.queries.index_select(0, rows) + ordinals(rows, asked, len(self.images))
        in_time = torch.where(number <= self.checkpoints, distance, torch.inf)
        self.at.scatter_reduce_(1, rows.expand_as(in_time), in_time, "amin")
        self.queries.index_add_(0, rows, asked)
        # Of queries at the same distance the first is kept, so that no order of writing matters.
        none = len(inputs)
        before = self.best.clone()
        self.best.scatter_reduce_(0, rows, distance, "amin")
        wins = (distance == self.best[rows]) & (distance < before[rows])
        place = torch.where(wins, torch.arange(none, device=rows.device), none)
        first = torch.full_like(self.queries, none).scatter_reduce_(0, rows, place, "amin")
        won = (first < none)[:, None, None, None]
        self.nearest.copy_(torch.where(won, inputs[first.clamp(max=none - 1)], self.nearest))

    def best_at(self, queries: int) -> Tensor:
        """Return the best L2 distances (N,) after so many queries, one of CHECKPOINTS."""
        return self.at[CHECKPOINTS.index(queries)]

    def last_doubling(self) -> tuple[Tensor, Tensor]:
        """Return for each image the largest doubling below 3/4 of its queries, and its best distance then."""
        doublings = [index for index, queries in enumerate(CHECKPOINTS) if queries.bit_count() == 1]
        chosen = torch.full_like(self.queries, doublings[0])
        for index in doublings:
            chosen = torch.where(4 * CHECKPOINTS[index] <= 3 * self.queries, index, chosen)
        return self.checkpoints.flatten()[chosen], self.at.gather(0, chosen[None])[0]


def _chosen(values: Tensor, rows: Tensor | None) -> Tensor:
    return values if rows is None else values.index_select(0, rows)


def _put(values: Tensor, rows: Tensor | None, new: Tensor, dimension: int = 0) -> None:
    if rows is None:
        values.copy_(new)
    else:
        values.index_copy_(dimension, rows, new)


class Oracle(nn.Module):
    """A model behind the access of an attack: ``decisions`` gives one-hot rows, ``scores`` detached logits.

    ``gradients`` gives logits through which gradients pass. Inputs are cast to float32, since numpy 2 turns the
    toolbox's images into float64. Every query is entered into the ledger, where there is one.
    """

    def __init__(self, network: nn.Module, access: str, ledger: Ledger | None) -> None:
        super().__init__()
        self.network, self.access, self.ledger = network, access, ledger
        self.eval()

    def train(self, mode: bool = True) -> "Oracle":
        """Stay in eval mode, whatever an engine asks for."""
        return super().train(False)

    def forward(self, inputs: Tensor, rows: Tensor | None = None, counted: Tensor | None = None) -> Tensor:
        """Return what the access shows of the logits, float32 (Q, classes); ``rows``, ``counted``: see the ledger."""
        if self.access != "gradients" and inputs.requires_grad and torch.is_grad_enabled():
            # Some engines would go on with the gradients of their other terms, and find little.
            raise JobFailedError(f'the attack asks for gradients, which access = "{self.access}" does not show')
        inputs = inputs.float()
        with torch.set_grad_enabled(self.access == "gradients" and torch.is_grad_enabled()):
            logits = self.network(inputs)
        if self.ledger is not None:
            self.ledger.record(inputs.detach(), logits.detach(), rows, counted)
        if self.access == "decisions":
            decisions = logits.argmax(dim=1, keepdim=True)
            return torch.zeros_like(logits, dtype=torch.float32).scatter_(1, decisions, 1.0)
        return logits if self.access == "gradients" else logits.detach()


@contextmanager
def guarded(network: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode with frozen parameters; put everything back, and refuse a model that was changed.

    Raises:
        JobFailedError: weights or BatchNorm statistics differ afterwards; they have been restored.
    """
    training = network.training
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.eval().requires_grad_(False)
    try:
        yield
    finally:
        network.train(training)
        for parameter, wants in zip(network.parameters(), wanted, strict=True):
            parameter.requires_grad_(wants)
        changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
        if changed:
            network.load_state_dict(before)
    if changed:
        raise JobFailedError(f"the attack changed the model ({', '.join(changed[:3])}); it was restored")
