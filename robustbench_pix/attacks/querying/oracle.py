"""The queried model: a wrapper that shows what an access permits and logs every query."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robustbench_pix.attacks.querying.query_log import QueryLog
from robustbench_pix.errors import JobFailedError


class BudgetSpentError(Exception):
    """The query budget of every image under attack is spent; the query log holds the results."""


GRADIENT_FREE_SUITES = ("blackbox", "noise", "corruptions", "transfer", "decision", "score")
"""Shipped suites without attacks that use the attacked model's own gradient."""


class NoGradientError(JobFailedError):
    """The model's output is detached from its input, so that it has no gradient."""

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message
            or "the model gives no gradient (its answer is cut off from the image, as by detach, numpy or no_grad), so "
            f"no attack can follow it; suites without such attacks remain: {', '.join(GRADIENT_FREE_SUITES)}"
        )


class Oracle(nn.Module):
    """A model behind the access of an attack: ``decisions`` gives one-hot rows, ``scores`` detached logits.

    ``gradients`` gives logits through which gradients pass. Inputs are cast to float32, since numpy 2 turns the
    toolbox's images into float64. Logits that are not finite count as misclassification: the oracle shows a decision
    for another class than the label. Every query is recorded in the query log, if there is one. The query budget is a
    hard limit: further queries return the label and are not recorded. Raises BudgetSpentError once every image's budget
    is spent; not checked when ``rows`` is given (it would wait for the device): call ``spent``.
    """

    def __init__(self, network: nn.Module, access: str, log: QueryLog | None) -> None:
        super().__init__()
        self.network, self.access, self.log = network, access, log
        self.follows = False
        self.eval()

    def train(self, mode: bool = True) -> "Oracle":
        """Stay in eval mode, whatever mode a library requests."""
        return super().train(False)

    def spent(self, rows: Tensor | None = None) -> bool:
        """Return whether the budget of ``rows``, or of all images, is spent; waits for the device."""
        return self.log is not None and self.log.spent(rows)

    def forward(self, inputs: Tensor, rows: Tensor | None = None, counted: Tensor | None = None) -> Tensor:
        """Return the outputs that the access shows, float32 (Q, classes); see ``QueryLog.record`` for the arguments."""
        if self.access != "gradients" and inputs.requires_grad and torch.is_grad_enabled():
            # Some libraries would continue with the gradients of their other loss terms, and find little.
            raise JobFailedError(f'the attack requests gradients, which access = "{self.access}" does not show')
        log = self.log
        if log is not None and log.budget is not None and log.common_queries >= log.budget:
            raise BudgetSpentError
        logits = self._logits(inputs.float())
        if log is not None:
            labels, answered = log.record(inputs.detach().float(), logits.detach(), rows, counted)
            finite = logits.detach().isfinite().all(dim=1)
            wrong = _one_hot((labels + 1) % logits.shape[1], logits)
            logits = torch.where(finite[:, None], logits, wrong)
            if answered is not None:
                logits = torch.where(answered[:, None], logits, _one_hot(labels, logits))
        if self.access == "decisions":
            return _one_hot(logits.argmax(dim=1), logits)
        return logits if self.access == "gradients" else logits.detach()

    def _logits(self, inputs: Tensor) -> Tensor:
        """Return the logits; where a gradient will be taken, refuse a model without one."""
        if self.access != "gradients" or not torch.is_grad_enabled() or not inputs.requires_grad:
            with torch.set_grad_enabled(self.access == "gradients" and torch.is_grad_enabled()):
                return self.network(inputs)
        try:
            logits = self.network(inputs)
        except RuntimeError as error:  # Torch's, of a tensor that requires a gradient and goes to numpy.
            if isinstance(error, torch.OutOfMemoryError) or not self._answers(inputs.detach()):
                raise
            raise NoGradientError from error
        self.follows = self.follows or _follows(logits, inputs)
        if not self.follows:
            raise NoGradientError
        return logits

    @torch.no_grad()
    def _answers(self, inputs: Tensor) -> bool:
        try:
            self.network(inputs)
        except Exception:
            return False
        return True


def _follows(logits: Tensor, inputs: Tensor) -> bool:
    """Return whether a gradient of the logits reaches the inputs; it may be 0."""
    if not logits.requires_grad:
        return False
    reached = torch.autograd.grad(logits.sum(), inputs, retain_graph=True, allow_unused=True)
    return reached[0] is not None


def _one_hot(classes: Tensor, like: Tensor) -> Tensor:
    """Return one-hot rows, float32 (N, classes)."""
    return torch.zeros_like(like, dtype=torch.float32).scatter_(1, classes[:, None], 1.0)


@contextmanager
def guarded(network: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode with frozen parameters; restore everything, and refuse a model that was changed.

    Raises:
        JobFailedError: weights or BatchNorm statistics differ afterwards; they have been restored.
    """
    training = network.training
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    before = {name: value.detach().clone() for name, value in _tensors(network)}
    network.eval().requires_grad_(False)
    try:
        yield
    finally:
        network.train(training)
        for parameter, wants in zip(network.parameters(), wanted, strict=True):
            parameter.requires_grad_(wants)
        changed = {name: value for name, value in _tensors(network) if not torch.equal(value, before[name])}
        with torch.no_grad():
            for name, value in changed.items():
                value.copy_(before[name])
    if changed:
        raise JobFailedError(f"the attack changed the model ({', '.join(list(changed)[:3])}); it was restored")


def _tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Return the dense weights and buffers of a network; its state may hold other objects besides."""
    named = [*network.named_parameters(), *network.named_buffers()]
    return [(name, value) for name, value in named if value.layout is torch.strided]


QUERIES_AT_ONCE = {"cpu": 128, "cuda": 4096}
"""Largest batch by type of device; affects speed only."""


def in_parts(oracle: Oracle, queries: Tensor, rows: Tensor) -> Tensor:
    """Return the oracle's outputs for queries (Q, C, H, W) of the images ``rows`` (Q,), float32 (Q, classes)."""
    at_once = QUERIES_AT_ONCE.get(queries.device.type, QUERIES_AT_ONCE["cpu"])
    parts = zip(queries.split(at_once), rows.split(at_once), strict=True)
    return torch.cat([oracle(query, row) for query, row in parts])
