"""What an attacker sees of a model, and the ledger of what it asked: the wrapper under every engine."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.errors import JobFailedError

REPORTED_CHECKPOINTS = (100, 1_000, 10_000)
"""Queries of an image after which the best distance so far is reported."""

CHECKPOINTS = tuple(sorted({*REPORTED_CHECKPOINTS, *(2**power for power in range(5, 21))}))
"""These, and every doubling, from which convergence is judged."""

OUT_OF_BOUNDS = 1e-5


def ordinals(rows: Tensor, images: int) -> Tensor:
    """Number the queries (Q,) of each image in their order, from 1.

    >>> ordinals(torch.tensor([2, 0, 2, 2]), 3).tolist()
    [1, 1, 2, 3]
    """
    asked = rows.new_zeros(images).index_add_(0, rows, torch.ones_like(rows))
    order, place = rows.argsort(stable=True), torch.arange(1, len(rows) + 1, device=rows.device)
    return torch.empty_like(rows).index_copy_(0, order, place - (asked.cumsum(0) - asked)[rows[order]])


class Ledger:
    """Counts the queries of each image and keeps the smallest L2 distance at which the model was wrong so far.

    Args:
        images: the clean images of this batch, float32 (N, C, H, W).
        labels: int64 (N,); a query counts as adversarial if the model's decision differs from it.

    Attributes:
        under_attack: int64, the rows of the images that an engine was given, in its order; all of them at first.
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

    def record(self, inputs: Tensor, logits: Tensor, rows: Tensor | None) -> None:
        """Enter queries (Q, C, H, W) of the images ``rows`` (Q,).

        Without ``rows`` they belong to the images under attack in their order, or all to the one image under attack.
        """
        if rows is not None:
            number = ordinals(rows, len(self.images))
        elif len(self.under_attack) == 1:
            rows = self.under_attack.expand(len(inputs))
            number = torch.arange(1, len(inputs) + 1, device=rows.device)
        elif len(self.under_attack) == len(inputs):
            rows = self.under_attack
            number = torch.ones_like(rows)
        else:
            raise JobFailedError(
                f"the engine asked about {len(inputs)} images in a batch of {len(self.under_attack)}, so its queries "
                "cannot be counted for each image; set evaluation.batch_size = 1 in the attack's file"
            )
        inside = ((inputs >= -OUT_OF_BOUNDS) & (inputs <= 1 + OUT_OF_BOUNDS)).flatten(1).all(dim=1)
        wrong = (logits.argmax(dim=1) != self.labels[rows]) & inside
        distance = (inputs - self.images[rows]).flatten(1).norm(dim=1).masked_fill(~wrong, torch.inf)
        in_time = torch.where(self.queries[rows] + number <= self.checkpoints, distance, torch.inf)
        self.at.scatter_reduce_(1, rows.expand_as(in_time), in_time, "amin")
        self.queries.index_add_(0, rows, torch.ones_like(rows))
        self._keep_nearest(inputs, distance, rows)

    def _keep_nearest(self, inputs: Tensor, distance: Tensor, rows: Tensor) -> None:
        # Of queries at the same distance the first is kept, so that no order of writing matters.
        none = len(inputs)
        before = self.best.clone()
        self.best.scatter_reduce_(0, rows, distance, "amin")
        wins = (distance == self.best[rows]) & (distance < before[rows])
        place = torch.where(wins, torch.arange(none, device=rows.device), none)
        first = torch.full_like(self.queries, none).scatter_reduce_(0, rows, place, "amin")[:, None, None, None]
        self.nearest = torch.where(first < none, inputs[first.flatten().clamp(max=none - 1)], self.nearest)

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

    def forward(self, inputs: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return what the access shows of the logits, float32 (Q, classes), for queries of the images ``rows``."""
        if self.access != "gradients" and inputs.requires_grad and torch.is_grad_enabled():
            # Some engines would go on with the gradients of their other terms, and find little.
            raise JobFailedError(f'the attack asks for gradients, which access = "{self.access}" does not show')
        inputs = inputs.float()
        with torch.set_grad_enabled(self.access == "gradients" and torch.is_grad_enabled()):
            logits = self.network(inputs)
        if self.ledger is not None:
            self.ledger.record(inputs.detach(), logits.detach(), rows)
        if self.access == "decisions":
            return functional.one_hot(logits.argmax(dim=1), logits.shape[1]).float()
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
